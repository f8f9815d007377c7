"""What stderr hears of the sources: every change for the worse, every recovery, and a count of it all at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prodwatch.clock import Clock
from prodwatch.model.result import Usage
from prodwatch.model.signal import SourcePhase, SourceStatus

AGAIN_S = 60.0
"""The same trouble of the same source is said again no sooner."""

_BROKEN = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED))
_TROUBLE = _BROKEN | {SourcePhase.THROTTLED, SourcePhase.BEHIND, SourcePhase.WAITING}


class SourceStatusReporter:
    """Follows the statuses of all sources of one stream."""

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say = say
        self._clock = clock
        self._now: dict[str, SourceStatus] = {}
        self._told_s: dict[tuple[str, str], float] = {}
        self._troubled: set[str] = set()
        self._noted: dict[str, tuple[str, ...]] = {}
        """What was last said to limit each source that reads."""
        self._expired: set[str] = set()
        """Sources that wait for new credentials."""
        self._renewals: set[str] = set()
        """What renews them, as said."""

    @property
    def statuses(self) -> Mapping[str, SourceStatus]:
        """Return the latest status of each source."""
        return self._now

    def hear(self, status: SourceStatus) -> None:
        """Take one status; say it when it is news."""
        name = _name(status.source)
        self._now[status.source] = status
        if status.phase is SourcePhase.BEHIND and status.fresh_at is None:
            return  # a long look back takes its time; nobody expects it to be up to date yet
        if status.phase in _TROUBLE:
            self._trouble(name, status)
        elif status.phase is SourcePhase.LIVE:
            self._recovered(name, status)
            if status.message and self._is_note_due(status, status.message):
                self._say(f"{name}: {status.message}")

    def _recovered(self, name: str, status: SourceStatus) -> None:
        if status.source in self._expired:
            self._expired.discard(status.source)
            self._troubled.discard(status.source)
            if self._renewals:
                self._renewals.clear()
                self._say("the credentials are valid again; reading goes on where it stopped")
        elif status.source in self._troubled:
            self._troubled.discard(status.source)
            self._say(f"{name}: reads again")

    def _trouble(self, name: str, status: SourceStatus) -> None:
        self._troubled.add(status.source)
        what = status.message or status.phase.value
        if status.phase is SourcePhase.EXPIRED:
            # Everybody's trouble, and nothing changes until somebody acts: said once, not once per source or minute.
            self._expired.add(status.source)
            if what not in self._renewals:
                self._renewals.add(what)
                self._say(f"{what}; waiting for new ones")
            return
        if not self._is_due((status.source, status.phase.value)):
            return
        if status.action:
            # Most messages name it; one that does not must not leave somebody guessing.
            what += "" if status.action in what else f"; allow {status.action}"
            what += " (prodwatch iam-policy prints the whole policy)"
        self._say(f"{name}: {status.phase.value}: {what}")

    def _is_note_due(self, status: SourceStatus, message: str) -> bool:
        kinds = tuple("".join(filter(str.isalpha, note)) for note in status.notes)
        if kinds and kinds == self._noted.get(status.source):
            return False  # a figure in it may have changed, but nothing anybody could do about it
        self._noted[status.source] = kinds
        # One wrong clock is no news for each group.
        return (bool(kinds) or self._is_due((status.source, "note"))) and self._is_due(("", message))

    def _is_due(self, key: tuple[str, str]) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s.get(key, float("-inf")) < AGAIN_S:
            return False
        self._told_s[key] = now_s
        return True

    def broken(self) -> dict[str, str]:
        """Return the sources that cannot be read now, with their phase."""
        return {_name(each.source): each.phase.value for each in self._now.values() if each.phase in _BROKEN}

    def summary(self, shown: str, usage: Usage, extra: Mapping[str, int]) -> str:
        """Return the line at the end: `shown`, then every shortcoming that was not zero, then calls and cost."""
        counts = {
            "late": sum(each.late for each in self._now.values()),
            "sampled away": sum(each.sampled for each in self._now.values()),
            "met again too late to tell apart": sum(each.dropped for each in self._now.values()),
            **extra,
        }
        parts = [shown, *(f"{count:,} {word}" for word, count in counts.items() if count)]
        parts += [f"{name} {phase}" for name, phase in self.broken().items()]
        calls = sum(usage.calls.values())
        parts.append(f"{calls:,} {'call' if calls == 1 else 'calls'}, {usage.cost_usd:.4f} USD")
        if usage.throttles:
            parts.append(f"{usage.throttles:,} throttled")
        return " · ".join(parts)


def _name(source: str) -> str:
    return source.removeprefix("logs:")
