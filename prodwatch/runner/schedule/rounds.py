"""Which checks are due when, in a dashboard or a gate; what changes something runs once unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prodwatch.model.check import CheckDefinition


class RoundPlan:
    """Keeps the time table of one session; times are monotonic seconds."""

    def __init__(self, definitions: Sequence[CheckDefinition], *, every_s: float) -> None:
        """Prepare; `every_s` is `[rounds] every`, for checks that do not say themselves."""
        self._period_s = {
            each.id: each.every_s if each.every_s is not None else float("inf") if each.mutates else every_s
            for each in definitions
        }
        self._due_s: dict[str, float] = dict.fromkeys(self._period_s, float("-inf"))

    def due(self, now_s: float) -> tuple[str, ...]:
        """Return the ids to run now, in the order they were loaded."""
        return tuple(id_ for id_, at_s in self._due_s.items() if at_s <= now_s)

    def started(self, ids: Iterable[str], now_s: float) -> None:
        """Note that these checks begin now.

        The next time counts from when they were due, so that rounds do not drift; what was missed is not made up for.
        """
        for id_ in ids:
            period_s = self._period_s.get(id_)
            if period_s is None:
                continue
            next_s = self._due_s[id_] + period_s
            self._due_s[id_] = next_s if next_s > now_s else now_s + period_s

    def next_s(self) -> float:
        """Return when the next check is due; infinite when none ever is."""
        return min(self._due_s.values(), default=float("inf"))
