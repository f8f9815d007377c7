"""State of the staged release at any wall time: a pure function of its start, speed and script."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from prodwatch.demo.shop.scenario import Scenario, Step
from prodwatch.errors import ConfigurationError

HISTORY_S = 3600
METRIC_HISTORY_S = 6 * 3600
WEEK_S = 7 * 86400


class Timeline:
    """Maps wall time to scenario time and to the effects of the script by then.

    `speed` compresses the script only: timestamps stay wall clock. With `at` the scenario stays at that moment, so that
    every read finds the same release.
    """

    def __init__(self, scenario: Scenario, *, opened_s: float, at: str | None = None, speed: float = 1.0) -> None:
        check_speed(speed)
        moment_s = scenario.moment_s(at)
        self.scenario = scenario
        self.hold_s = moment_s if at is not None else math.inf
        self.speed = speed if at is None else 1.0  # a held scenario has no speed
        self.opened_s = int(opened_s)
        """Epoch second at which the demo started."""
        self.origin_s = self.opened_s - round(moment_s / self.speed)
        """Epoch second of the new version's first request; all traffic is counted from here."""
        planned = ((self.wall_s(step.at_s), step) for step in scenario.script)
        self._steps = tuple((at_s, step) for at_s, step in planned if at_s < math.inf)
        shifts = [(at_s, step.weight) for at_s, step in self._steps if step.weight is not None]
        self._shift_times = [at_s for at_s, _ in shifts]
        self._weights = [0.0, *(weight for _, weight in shifts)]

    def scenario_s(self, wall_s: float) -> float:
        """Return scenario seconds since the new version's first request."""
        return min((wall_s - self.origin_s) * self.speed, self.hold_s)

    def wall_s(self, scenario_s: float) -> float:
        """Return the wall time of `scenario_s`; infinity when the scenario is held before it."""
        return self.origin_s + scenario_s / self.speed if scenario_s <= self.hold_s else math.inf

    def weight(self, wall_s: float) -> float:
        """Return the new version's share of the traffic, 0 to 1."""
        return self._weights[bisect_right(self._shift_times, wall_s)]

    def version(self, wall_s: float) -> str:
        """Return the alias's primary version."""
        release = self.scenario.release
        if wall_s < self.opened_s - WEEK_S / 2:
            return release.last_week
        return release.version if self.weight(wall_s) >= 1 else release.previous

    def weighted(self, start_s: float, end_s: float) -> bool:
        """Return whether both versions served traffic at some moment of [start, end)."""
        edges = [start_s, *(at_s for at_s in self._shift_times if start_s <= at_s < end_s)]
        return any(0 < self.weight(edge) < 1 for edge in edges)

    @property
    def steps(self) -> tuple[tuple[float, Step], ...]:
        """All steps of the script with their epoch second, in order."""
        return self._steps

    def spans(self) -> tuple[Span, ...]:
        """Return the spans with signals: last week's same hours, and from an hour ago on."""
        return self._spans(HISTORY_S)

    def metric_spans(self) -> tuple[Span, ...]:
        """Return the spans with metrics, which reach back for hours."""
        return self._spans(METRIC_HISTORY_S)

    def _spans(self, history_s: int) -> tuple[Span, ...]:
        week_ago = self.opened_s - WEEK_S
        return (
            Span(week_ago - history_s, week_ago + HISTORY_S),
            Span(self.opened_s - history_s, self.opened_s + 366 * 86400),
        )


def check_speed(speed: float) -> None:
    """Raise ConfigurationError for a speed out of range."""
    if not 0.001 <= speed <= 1000:
        raise ConfigurationError(f"the demo's speed must be between 0.001 and 1000, not {speed:g}")


@dataclass(frozen=True, slots=True)
class Span:
    """Epoch seconds, start included, end excluded."""

    start_s: int
    end_s: int

    def seconds_in(self, start_s: int, end_s: int) -> range:
        """Return the seconds in both this span and [start, end)."""
        return range(max(self.start_s, start_s), min(self.end_s, end_s))
