"""Facts a verdict rests on, as plain values. Every front end fills these in; only `decide` judges them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from prodwatch.model.comparison import ComparisonResult, Coverage, SignatureResult
from prodwatch.model.result import Blocking, CheckResult, SignalResult
from prodwatch.model.signal import ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status

Mode = Literal["run", "session", "gate"]
"""`run`: every check once. `session`: rounds of checks and live sources, until it is closed. `gate`: the same, until
the bake of one release ends."""

ADVISORY = "advisory"
"""Flag of a check that is shown and never gates."""
CRITICAL = "critical"
"""Flag of a check of which one red round is enough, and that must not be skipped."""
SUPPORTING = "supporting"
"""Flag of a check that ran only because a selected one refers to it; it counts through that one alone."""
MUTED = "muted"
"""Flag of a check that is not run until a date."""


class CheckFact(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its latest outcome, and how it went before."""

    id: str
    title: str
    type: str = ""
    status: Status | None
    """None: no round has finished."""
    reason_code: Reason | None = None
    message: str | None = None
    advisory: bool = False
    critical: bool = False
    supporting: bool = False
    muted: bool = False
    mutates: bool = False
    flaky: bool = False
    unattested: bool = False
    """Nothing proves which version answered."""
    left_behind: bool = False
    """Its cleanup did not finish: data of the check is still there."""
    streak: int = 1
    """Rounds in a row that ended with `status`."""
    failed_share: float | None = None
    """Share of failed rounds among the last ten, 0 to 1; None before the tenth."""
    status_since: datetime | None = None
    """When the present run of equal statuses began."""
    age_s: float | None = None
    """Seconds since the latest round finished; None when unknown."""
    every_s: float | None = None
    """Seconds between rounds; None: it runs once, so that its result does not age."""
    rounds: int | None = None
    """Finished rounds that measured something; None where rounds are not counted."""
    planned: int | None = None
    """Rounds that fit into the bake; None outside of a gate."""


class SignalFact(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation of a `[[metric]]` or of an alarm."""

    kind: Literal["metric", "alarm"]
    id: str
    """Unique among the signals of a kind: the name, and account and region where they are not the environment's own."""
    status: Status
    """`fail`: `expect` is false or the alarm is firing. `skipped`: there was nothing to evaluate; it weighs nothing."""
    reason_code: Reason | None = None
    message: str | None = None
    """One sentence without the name, None when there is nothing to add."""
    gate: bool = True
    """False: shown, never part of the verdict."""
    since: datetime | None = None
    """When this status began."""


class SourceFact(msgspec.Struct, frozen=True, kw_only=True):
    """State of one live source."""

    name: str
    """`alarms`, `logs:/aws/lambda/orders`."""
    phase: SourcePhase
    age_s: float | None = None
    """Seconds since the moment up to which everything was read; None: nothing was read yet."""
    unread: tuple[str, ...] = ()
    """Parts that could not be read, each a sentence."""
    message: str | None = None
    action: str | None = None
    """The IAM action that is denied."""
    retry_in_s: float | None = None


class WindowFact(msgspec.Struct, frozen=True, kw_only=True):
    """Changes in the triage window, as sentences."""

    ended: bool
    """Whether the window is over: nothing in it can change, and checks do not describe it."""
    incidents: tuple[str, ...] = ()
    """Alarms that fired and deployments that went wrong."""
    worse_figures: tuple[str, ...] = ()
    """Figures that got worse."""
    other_trouble: tuple[str, ...] = ()
    """All other evidence against production."""
    unseen: tuple[str, ...] = ()
    """Parts that could not be read."""
    reading: tuple[str, ...] = ()
    """Parts that have not been read to their end."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one verdict rests on, at one moment."""

    mode: Mode
    checks: tuple[CheckFact, ...] = ()
    defined: bool = True
    """Whether the set of checks is known."""
    runs_checks: bool = True
    """Gate: whether checks are evidence; False for a window that is over, in which none can run."""
    signals: tuple[SignalFact, ...] = ()
    sources: tuple[SourceFact, ...] = ()
    releases: tuple[ReleaseState, ...] = ()
    """Of every function under release, none of them history; empty in a run, which asks about production as it is."""
    not_compared: tuple[ReleaseState, ...] = ()
    """Of `releases`, those whose versions will be compared and were not yet: no batch since the shift was read."""
    comparisons: tuple[ComparisonResult, ...] = ()
    """Of every release in `releases` whose two versions are compared."""
    signatures: tuple[SignatureResult, ...] = ()
    """Error signatures since the release."""
    coverage: Coverage | None = None
    """Routes that the new versions have served; None in a run."""
    require: Literal["errors", "none"] = "none"
    """Comparison that a passing gate must prove."""
    final: bool = False
    """Gate: the bake is over, so that what is not proven now stays so."""
    window: WindowFact | None = None
    """Triage: production is asked about, not a release. None when a release is watched."""
    not_measured: tuple[str, ...] = ()
    """Gate: parts of the bake without which nothing is proven, each a sentence."""
    refused: Blocking | None = None
    """The reason why nothing could be measured, with status `error` or `inconclusive`."""
    refused_code: Reason | None = None
    interrupted: int | None = None
    """Exit code of an aborted run: 130 or 143."""
    strict: bool = False
    """`degraded` exits 1."""
    allow_empty: bool = False
    shard: tuple[int, int] | None = None


def check_fact(result: CheckResult) -> CheckFact:
    """Return the fact of a result of one round."""
    flags = frozenset(result.flags)
    return CheckFact(
        id=result.id,
        title=result.title,
        type=result.type,
        status=result.status,
        reason_code=result.reason_code,
        message=result.message,
        advisory=ADVISORY in flags,
        critical=CRITICAL in flags,
        supporting=SUPPORTING in flags,
        muted=MUTED in flags,
        mutates="mutating" in flags,
        flaky="flaky" in flags,
        unattested="unattested" in flags,
        left_behind=any(step.leftovers for step in result.cleanup),
    )


def signal_fact(result: SignalResult) -> SignalFact:
    """Return the fact of an evaluated signal."""
    return SignalFact(
        kind=result.kind,
        id=result.id,
        status=result.status,
        reason_code=result.reason_code,
        message=result.message,
        gate=result.gate,
        since=result.since,
    )
