"""Status of the sources on stderr: each problem, each recovery, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prodwatch.clock import Clock
from prodwatch.model.result import Usage
from prodwatch.model.signal import UNREADABLE, SourcePhase, SourceStatus

AGAIN_S = 60.0
"""Seconds before the same problem of the same source is reported again."""

_PROBLEMS = UNREADABLE | {SourcePhase.THROTTLED, SourcePhase.BEHIND, SourcePhase.WAITING}


class SourceStatusReporter:
    """Reports changes in the statuses of all sources of one stream."""

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say = say
        self._clock = clock
        self._statuses: dict[str, SourceStatus] = {}
        self._reported_s: dict[tuple[str, str], float] = {}
        """(source, problem) → monotonic seconds of its last report."""
        self._failing: set[str] = set()
        self._notes: dict[str, tuple[str, ...]] = {}
        """Source → its limitations as last reported, without their figures."""
        self._expired: set[str] = set()
        """Sources that wait for new credentials."""
        self._renewals: set[str] = set()
        """Reported sentences about expired credentials."""

    @property
    def statuses(self) -> Mapping[str, SourceStatus]:
        """Return the latest status of each source."""
        return self._statuses

    def update(self, status: SourceStatus) -> None:
        """Store one status; report it unless that was done already."""
        name = _name(status.source)
        self._statuses[status.source] = status
        if status.phase is SourcePhase.BEHIND and status.fresh_at is None:
            return  # still reading the past, so not expected to be up to date
        if status.phase in _PROBLEMS:
            self._failed(name, status)
        elif status.phase is SourcePhase.LIVE:
            self._recovered(name, status)
            if status.message and self._is_note_due(status, status.message):
                self._say(f"{name}: {status.message}")

    def _recovered(self, name: str, status: SourceStatus) -> None:
        if status.source in self._expired:
            self._expired.discard(status.source)
            self._failing.discard(status.source)
            if self._renewals:
                self._renewals.clear()
                self._say("the credentials are valid again; reading continues where it stopped")
        elif status.source in self._failing:
            self._failing.discard(status.source)
            self._say(f"{name}: reading again")

    def _failed(self, name: str, status: SourceStatus) -> None:
        self._failing.add(status.source)
        message = status.message or status.phase.value
        if status.phase is SourcePhase.EXPIRED:
            # Affects all sources until the user acts: reported once, not per source or minute.
            self._expired.add(status.source)
            if message not in self._renewals:
                self._renewals.add(message)
                self._say(f"{message}; waiting for new credentials")
            return
        if not self._is_due((status.source, status.phase.value)):
            return
        if status.action:
            # Most messages name the missing action already.
            message += "" if status.action in message else f"; allow {status.action}"
            message += " (prodwatch iam-policy prints the whole policy)"
        self._say(f"{name}: {status.phase.value}: {message}")

    def _is_note_due(self, status: SourceStatus, message: str) -> bool:
        kinds = tuple("".join(filter(str.isalpha, note)) for note in status.notes)
        if kinds and kinds == self._notes.get(status.source):
            return False  # only a figure has changed
        self._notes[status.source] = kinds
        # A wrong clock is reported once, not for each group.
        return (bool(kinds) or self._is_due((status.source, "note"))) and self._is_due(("", message))

    def _is_due(self, key: tuple[str, str]) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._reported_s.get(key, float("-inf")) < AGAIN_S:
            return False
        self._reported_s[key] = now_s
        return True

    def broken(self) -> dict[str, str]:
        """Return the sources that cannot be read now, source → phase."""
        return {
            _name(status.source): status.phase.value for status in self._statuses.values() if status.phase in UNREADABLE
        }

    def summary(self, shown: str, usage: Usage, extra: Mapping[str, int]) -> str:
        """Return the last line: `shown`, then every shortcoming that is not zero, then calls and cost."""
        counts = {
            "late": sum(status.late for status in self._statuses.values()),
            "sampled by Live Tail": sum(status.sampled for status in self._statuses.values()),
            "dropped (too late to deduplicate)": sum(status.dropped for status in self._statuses.values()),
            **extra,
        }
        parts = [shown, *(f"{count:,} {word}" for word, count in counts.items() if count)]
        parts += [f"{name} {phase}" for name, phase in self.broken().items()]
        calls = sum(usage.calls.values())
        least = "at least " if usage.unpriced else ""
        parts.append(f"{calls:,} {'call' if calls == 1 else 'calls'}, {least}{usage.cost_usd:.4f} USD")
        if usage.throttles:
            parts.append(f"{usage.throttles:,} throttled")
        return " · ".join(parts)


def _name(source: str) -> str:
    return source.removeprefix("logs:")
