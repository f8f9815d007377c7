"""Past runs as the history keeps them: one entry per run, without requests, responses and assertions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from prodwatch.model.result import ReleaseInfo, Summary, VerdictStatus
from prodwatch.model.status import Reason, Status

OutcomeKind = Literal["check", "metric", "alarm", "comparison", "signature"]
RunMode = Literal["check", "gate", "dashboard", "serve", "merge"]


class RoundSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds of one check in a gate or a session of the dashboard, in a size that does not grow with them."""

    counts: dict[Status, int]
    """Finished rounds by status."""
    flaky: int = 0
    """Rounds that were green after a retry."""
    durations_ms: dict[int, int] = {}
    """Duration in ms, rounded to 2.5 %, of measured rounds → rounds."""
    last: tuple[Status, ...] = ()
    """The last outcomes, oldest first."""


class PastOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one check, signal, comparison or signature in one run."""

    kind: OutcomeKind
    id: str
    title: str
    status: Status
    """Of the last round, where there were several."""
    flags: tuple[str, ...] = ()
    reason_code: Reason | None = None
    message: str | None = None
    duration_ms: int | None = None
    """Of the last round; None for an item that takes no time."""
    rounds: RoundSummary | None = None
    """None for one execution."""


class VerdictChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the verdict within a session."""

    at: datetime
    status: str
    reason: str | None = None


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its time and place, its release, its verdict."""

    id: str
    mode: RunMode
    environment: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    status: VerdictStatus
    """Of the verdict."""
    exit_code: int
    reason_code: Reason | None = None
    reason: str
    summary: Summary
    release: ReleaseInfo | None = None
    account: str | None = None
    region: str | None = None
    host: str
    ci: str | None = None
    shard: str | None = None
    version: str
    """Of prodwatch."""
    verdicts: tuple[VerdictChange, ...] = ()
    """Changes of a session's verdict, oldest first; at most 50."""


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One run with its outcomes, in the order of its report."""

    run: PastRun
    outcomes: tuple[PastOutcome, ...] = ()


class PastSample(msgspec.Struct, frozen=True):
    """One outcome in the order of the runs, for statistics and lists."""

    run_id: str
    ended_at: datetime
    outcome: PastOutcome
