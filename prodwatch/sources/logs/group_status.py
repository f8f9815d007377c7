"""What a log group's state says: how fresh, how complete, and what stands in the way."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from prodwatch.aws.api import AwsError
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.sources.error_status import error_status
from prodwatch.sources.logs.live_tail import LiveTail
from prodwatch.sources.logs.scan_window import PROMISED_S
from prodwatch.sources.logs.tailer import GroupTailer

BEHIND_S = 30.0
"""A group whose last complete scan began longer ago than this is behind."""
SKEW_TOLD_S = 5.0
"""A difference of clocks that people should know of; every time on the screen is off by it."""


def group_status(source: str, tailer: GroupTailer, live: LiveTail | None, now_s: float) -> SourceStatus:
    """Return the state of a group that is being read."""
    fresh_s, swept_s = tailer.plan.fresh_s(), tailer.plan.swept_s()
    behind_s = now_s - (fresh_s if fresh_s is not None else tailer.plan.since_ms / 1000)
    behind = behind_s > BEHIND_S
    told = [*_window(tailer, now_s), *_clock(tailer.plan.ahead_s), *_live(tailer, live)]
    sentences = [f"behind by {behind_s:.0f} s"] if behind else []
    sentences += [sentence for _, sentence in told]
    if tailer.unsure:
        sentences.append(f"{tailer.unsure} lines met again too late to tell whether they were shown are not shown")
    return SourceStatus(
        source=source,
        phase=SourcePhase.BEHIND if behind else SourcePhase.LIVE,
        message="; ".join(sentences) or None,
        notes=tuple(note for note, _ in told),
        fresh_at=_at(fresh_s),
        swept_at=_at(swept_s),
        late=tailer.late,
        dropped=tailer.unsure,
        sampled=0 if live is None else live.sampled_since(fresh_s or 0.0),
    )


def _window(tailer: GroupTailer, now_s: float) -> list[tuple[str, str]]:
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


def _clock(ahead_s: float) -> list[tuple[str, str]]:
    if abs(ahead_s) <= SKEW_TOLD_S:
        return []
    by = f"{abs(ahead_s):.0f} s"
    side = "ahead of" if ahead_s > 0 else "behind"
    short = "ahead" if ahead_s > 0 else "behind"
    return [(f"clock {by} {short}", f"this machine's clock is {by} {side} AWS's")]


def _live(tailer: GroupTailer, live: LiveTail | None) -> list[tuple[str, str]]:
    if live is None:
        return []
    sentence = live.note()
    if live.sampled_since(tailer.plan.fresh_s() or 0.0):
        sentence = "Live Tail sends only samples of so many lines; polling brings the rest"
    elif tailer.live is not None and tailer.live.missed:
        sentence += f"; {tailer.live.missed} lines came by polling only"
    return [(live.state(), sentence)]


def _at(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def trouble_status(source: str, caught: AwsError, retry_s: float, before: SourceStatus) -> SourceStatus:
    """Return the state of a group that cannot be read now: what was true `before` and what is wrong.

    A group that does not exist yet is waited for.
    """
    status = error_status(source, caught, retry_s)
    if caught.code == "ResourceNotFoundException":
        waiting = "does not exist yet; a function's group appears at its first invocation"
        if before.fresh_at is not None:
            waiting = "has been deleted; it is read again once it is there"
        status = SourceStatus(source=source, phase=SourcePhase.WAITING, message=waiting, retry_at=status.retry_at)
    kept = {name: getattr(before, name) for name in ("fresh_at", "swept_at", "late", "dropped", "sampled")}
    return replace(status, **kept)
