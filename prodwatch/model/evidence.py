"""The evidence of a session as typed values: everything that enters the store or is decided, in its order.

A recorder writes these values, and a replay feeds them to a store and to the judge in the same order. The time at
which each was received is not part of it: a listener reads the clock, a replay sets one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from prodwatch.model.check import CheckDefinition
from prodwatch.model.comparison import ComparisonResult, Coverage, RequestBatch, SignatureResult
from prodwatch.model.environment import Environment, FunctionTarget, MetricTarget
from prodwatch.model.event import RunEvent
from prodwatch.model.identity import FunctionId
from prodwatch.model.release import ReleaseId
from prodwatch.model.result import Notice, RunResult, Usage, Verdict
from prodwatch.model.signal import Batch, ReleaseEvent, ReleaseState, Trace


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """The session is ready: it has read its secrets, so that everything from now on is redacted.

    It is repeated with each edited environment that the session follows.
    """

    environment: Environment
    """The environment as in its file; `FunctionsWatched` names the log groups that were found."""
    window_start: datetime | None = None
    """Start of the window of a triage; None when a release is watched."""
    window_end: datetime | None = None
    """None for a window that extends to the present."""


class GateOpened(msgspec.Struct, frozen=True, kw_only=True, tag="gate_opened"):
    """A gate has begun."""

    bake_s: float
    until_deployed: bool = False
    versions: Mapping[str, str] = {}
    """Function → expected version; `""` for the only function."""
    strict: bool = False


class ChecksDefined(msgspec.Struct, frozen=True, kw_only=True, tag="checks_defined"):
    """The checks of the session, at its start and after each edit of their files."""

    checks: tuple[CheckDefinition, ...]


class FunctionsWatched(msgspec.Struct, frozen=True, kw_only=True, tag="functions_watched"):
    """The functions whose requests are counted from now on, with their log groups, and the metrics, as filled."""

    functions: tuple[FunctionTarget, ...]
    metrics: tuple[MetricTarget, ...] = ()


class Delivered(msgspec.Struct, frozen=True, kw_only=True, tag="delivered"):
    """A source has delivered records, its status, or both."""

    batch: Batch


class SourceForgotten(msgspec.Struct, frozen=True, kw_only=True, tag="source_forgotten"):
    """The status of a source no longer counts, because others have taken its place."""

    source: str


class CheckReported(msgspec.Struct, frozen=True, kw_only=True, tag="check_reported"):
    """A check has started or finished, or a run has made progress."""

    event: RunEvent


class LastWeekRead(msgspec.Struct, frozen=True, kw_only=True, tag="last_week_read"):
    """The counts of the same time a week ago, for a release that only time can be compared with."""

    release: ReleaseState
    minutes: tuple[RequestBatch, ...]


class TraceFetched(msgspec.Struct, frozen=True, kw_only=True, tag="trace_fetched"):
    """A whole trace was fetched for display."""

    trace: Trace


class Marked(msgspec.Struct, frozen=True, kw_only=True, tag="marked"):
    """The user has added a note to the time line."""

    event: ReleaseEvent


class NoticeAdded(msgspec.Struct, frozen=True, kw_only=True, tag="notice_added"):
    """A notice for the user."""

    notice: Notice


class UsageCounted(msgspec.Struct, frozen=True, kw_only=True, tag="usage_counted"):
    """Calls to AWS and their cost so far."""

    usage: Usage


class Stalled(msgspec.Struct, frozen=True, kw_only=True, tag="stalled"):
    """The longest stall of prodwatch in the last seconds has changed."""

    slow_ms: int | None
    """None while this machine is fast enough."""


class Looked(msgspec.Struct, frozen=True, kw_only=True, tag="looked"):
    """The session compares the versions on everything before this value. `Compared` follows when a result changed."""

    at: datetime


class Compared(msgspec.Struct, frozen=True, kw_only=True, tag="compared"):
    """The comparisons of versions have changed: a result of the values before it."""

    comparisons: tuple[ComparisonResult, ...]
    signatures: tuple[SignatureResult, ...]
    coverage: Coverage | None = None
    functions: tuple[FunctionId, ...] = ()
    """Functions whose releases are compared: nothing of a release is green before it was."""
    releases: tuple[ReleaseId, ...] = ()
    """Releases of which requests since their start were looked at."""


class Judged(msgspec.Struct, frozen=True, kw_only=True, tag="judged"):
    """The verdict of the session has changed: a result of the values before it."""

    verdict: Verdict


class GateLooked(msgspec.Struct, frozen=True, kw_only=True, tag="gate_looked"):
    """A gate has judged the moment `at`, on everything before this value."""

    at: datetime
    phase: Literal["resolve", "attest", "settle", "bake", "decide"]
    ends_at: datetime | None
    """End of the bake; None before it begins."""
    verdict: Verdict


class Concluded(msgspec.Struct, frozen=True, kw_only=True, tag="concluded"):
    """The document of the run, at its end."""

    result: RunResult


Evidence = (
    Opened
    | GateOpened
    | ChecksDefined
    | FunctionsWatched
    | Delivered
    | SourceForgotten
    | CheckReported
    | LastWeekRead
    | TraceFetched
    | Marked
    | NoticeAdded
    | UsageCounted
    | Stalled
    | Looked
    | Compared
    | Judged
    | GateLooked
    | Concluded
)
