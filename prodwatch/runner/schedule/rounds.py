"""When each check is due, in a dashboard or a gate; mutating checks run once unless `every` is set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prodwatch.model.check import CheckDefinition


class RoundPlan:
    """Due times of the checks of one session, in monotonic seconds."""

    def __init__(self, definitions: Sequence[CheckDefinition], *, every_s: float) -> None:
        """Make every check due now; `every_s` is `[rounds] every`, for checks without an `every` of their own."""
        self._period_s = {
            check.id: check.every_s if check.every_s is not None else float("inf") if check.mutates else every_s
            for check in definitions
        }
        self._due_s: dict[str, float] = dict.fromkeys(self._period_s, float("-inf"))

    def due(self, now_s: float) -> tuple[str, ...]:
        """Return the ids to run now, in the order they were loaded."""
        return tuple(id_ for id_, at_s in self._due_s.items() if at_s <= now_s)

    def started(self, ids: Iterable[str], now_s: float) -> None:
        """Record that these checks start now.

        The next time counts from when they were due, so that rounds do not drift; missed rounds are not repeated.
        """
        for id_ in ids:
            period_s = self._period_s.get(id_)
            if period_s is None:
                continue
            next_s = self._due_s[id_] + period_s
            self._due_s[id_] = next_s if next_s > now_s else now_s + period_s

    def next_s(self) -> float:
        """Return when the next check is due; infinite when no check is due again."""
        return min(self._due_s.values(), default=float("inf"))
