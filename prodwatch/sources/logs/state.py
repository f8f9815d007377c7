"""What a log group's state says: how fresh, how complete, and what stands in the way."""

from __future__ import annotations

from datetime import UTC, datetime

from prodwatch.aws.api import AwsError
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.sources.logs.livetail import LiveTail
from prodwatch.sources.logs.tailer import GroupTailer
from prodwatch.sources.status import error_status

BEHIND_S = 30.0
"""A group whose last complete scan began longer ago than this is behind."""
SKEW_TOLD_S = 5.0
"""A difference of clocks that people should know of; every time on the screen is off by it."""


def group_status(
    source: str, tailer: GroupTailer, live: LiveTail | None, now_s: float, window_reduced_s: float | None
) -> SourceStatus:
    """Return the state of a group that is being read."""
    fresh_s = tailer.plan.fresh_s()
    behind_s = now_s - (fresh_s if fresh_s is not None else tailer.plan.since_ms / 1000)
    behind = behind_s > BEHIND_S
    notes = [f"behind by {behind_s:.0f} s"] if behind else []
    if window_reduced_s is not None:
        notes.append(f"late-arrival window reduced to {window_reduced_s:.0f} s: more lines than ids fit in memory")
    if abs(tailer.skew_s) > SKEW_TOLD_S:
        side = "ahead of" if tailer.skew_s > 0 else "behind"
        notes.append(f"this machine's clock is {abs(tailer.skew_s):.0f} s {side} AWS's")
    if live is not None:
        missed = tailer.live.missed if tailer.live else 0
        notes.append(live.note() + (f"; {missed} lines came by polling only" if missed else ""))
    return SourceStatus(
        source=source,
        phase=SourcePhase.BEHIND if behind else SourcePhase.LIVE,
        message="; ".join(notes) or None,
        fresh_at=datetime.fromtimestamp(fresh_s, UTC) if fresh_s is not None else None,
        late=tailer.late,
        dropped=tailer.unsure,
        sampled=0 if live is None else live.sampled_since(fresh_s or 0.0),
    )


def trouble_status(source: str, caught: AwsError, retry_s: float) -> SourceStatus:
    """Return the state of a group that cannot be read now; one that does not exist yet is waited for."""
    status = error_status(source, caught, retry_s)
    if caught.code != "ResourceNotFoundException":
        return status
    waiting = "does not exist yet; a function's group appears at its first invocation"
    return SourceStatus(source=source, phase=SourcePhase.WAITING, message=waiting, retry_at=status.retry_at)
