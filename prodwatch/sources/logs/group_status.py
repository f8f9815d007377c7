"""Status of a log group: freshness, completeness and errors."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.sources.error_status import error_status
from prodwatch.sources.logs.discovery import is_of_unreadable_class, unreadable_class
from prodwatch.sources.logs.live_tail import LiveTail
from prodwatch.sources.logs.scan_plan import PROMISED_S
from prodwatch.sources.logs.tailer import GroupTailer

BEHIND_S = 30.0
"""A group whose last complete scan began longer ago than this is behind."""
SKEW_SHOWN_S = 5.0
"""Clock difference above which the status mentions it, because every time shown is off by it."""


def group_status(source: str, tailer: GroupTailer, live: LiveTail | None, now_s: float) -> SourceStatus:
    """Return the status of a group that is being read."""
    fresh_s, swept_s = tailer.plan.fresh_s(), tailer.plan.swept_s()
    behind_s = now_s - (fresh_s if fresh_s is not None else tailer.plan.since_ms / 1000)
    behind = behind_s > BEHIND_S
    notes = [*_window_notes(tailer, now_s), *_clock_notes(tailer.plan.ahead_s), *_live_tail_notes(tailer, live)]
    sentences = [f"behind by {behind_s:.0f} s"] if behind else []
    sentences += [sentence for _, sentence in notes]
    if tailer.unsure:
        sentences.append(f"{tailer.unsure} late lines not shown: too old to tell whether they were shown before")
    return SourceStatus(
        source=source,
        phase=SourcePhase.BEHIND if behind else SourcePhase.LIVE,
        message="; ".join(sentences) or None,
        notes=tuple(note for note, _ in notes),
        fresh_at=_datetime(fresh_s),
        read_from=_datetime(tailer.plan.since_ms / 1000),
        swept_at=_datetime(swept_s),
        late=tailer.late,
        dropped=tailer.unsure,
        sampled=0 if live is None else live.sampled_since(fresh_s),
    )


def _window_notes(tailer: GroupTailer, now_s: float) -> list[tuple[str, str]]:
    window_s = tailer.window_s(now_s)
    if window_s is None:
        return []
    more = "more lines than ids fit in memory"
    if window_s < PROMISED_S:
        return [
            (
                f"late window {window_s:.0f} s",
                f"late-arrival window reduced to {window_s:.0f} s, below the promised {PROMISED_S:.0f} s: {more}",
            )
        ]
    return [(f"late window {window_s:.0f} s", f"late-arrival window reduced to {window_s:.0f} s: {more}")]


def _clock_notes(ahead_s: float) -> list[tuple[str, str]]:
    if abs(ahead_s) <= SKEW_SHOWN_S:
        return []
    by = f"{abs(ahead_s):.0f} s"
    side = "ahead of" if ahead_s > 0 else "behind"
    short = "ahead" if ahead_s > 0 else "behind"
    return [(f"clock {by} {short}", f"this machine's clock is {by} {side} AWS's")]


def _live_tail_notes(tailer: GroupTailer, live: LiveTail | None) -> list[tuple[str, str]]:
    if live is None:
        return []
    sentence = live.note()
    if live.sampled_since(tailer.plan.fresh_s()):
        sentence = "Live Tail samples at this volume; polling reads the rest"
    elif tailer.live is not None and tailer.live.missed:
        sentence += f"; {tailer.live.missed} lines arrived by polling only"
    return [(live.state(), sentence)]


def _datetime(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def group_error_status(source: str, error: AwsError, retry_s: float, before: SourceStatus) -> SourceStatus:
    """Return the status of a group that cannot be read: the error, with freshness and counts from `before`.

    A missing group is a wait, not an error.
    """
    status = error_status(source, error, retry_s)
    if is_of_unreadable_class(error):
        message = f"cannot be read: {unreadable_class(error)}"
        status = SourceStatus(source=source, phase=SourcePhase.STOPPED, message=message, retry_at=status.retry_at)
    elif error.code == "ResourceNotFoundException":
        waiting = "does not exist yet; a function's group appears at its first invocation"
        if before.fresh_at is not None:
            waiting = "has been deleted; reading resumes once it exists again"
        status = SourceStatus(source=source, phase=SourcePhase.WAITING, message=waiting, retry_at=status.retry_at)
    kept = {name: getattr(before, name) for name in ("fresh_at", "read_from", "swept_at", "late", "dropped", "sampled")}
    return replace(status, **kept)
