from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.shop.release_timeline import HISTORY_S, WEEK_S, Timeline
from prodwatch.demo.shop.scenario import load
from prodwatch.errors import ConfigurationError

NOW = 1_795_183_432


def make_timeline(at: str | None = None, speed: float = 1.0, name: str = "bad") -> Timeline:
    return Timeline(load(name), opened_s=NOW, at=at, speed=speed)


@pytest.mark.parametrize(
    ("name", "at", "weight", "version"),
    [
        ("bad", "before", 0.0, "41"),
        ("bad", "during", 0.1, "41"),
        ("bad", "after", 0.0, "41"),
        ("good", "before", 0.0, "41"),
        ("good", "during", 0.1, "41"),
        ("good", "after", 1.0, "42"),
        ("bad", "+90s", 0.1, "41"),
        ("slow-burn", "during", 0.1, "41"),
        ("slow-burn", "+10m", 0.1, "41"),
        ("slow-burn", "after", 0.0, "41"),
        ("outage", "during", 0.1, "41"),
        ("outage", "after", 0.0, "41"),
        ("config-only", "during", 0.1, "41"),
        ("config-only", "after", 0.0, "41"),
        ("no-traffic", "during", 0.1, "41"),
        ("no-traffic", "after", 1.0, "42"),
    ],
)
def test_the_state_of_the_release_at_each_held_moment(name: str, at: str, weight: float, version: str) -> None:
    timeline = make_timeline(at, name=name)
    for later_s in (0, 60, 600, 86_400):
        assert timeline.weight(NOW + later_s) == weight
        assert timeline.version(NOW + later_s) == version
        assert timeline.scenario_s(NOW + later_s) == load(name).moment_s(at)


def test_a_played_scenario_follows_its_script() -> None:
    timeline = make_timeline()
    weights = [timeline.weight(timeline.origin_s + at) for at in (-1, 0, 100, 239, 240, 1000)]
    assert weights == [0.0, 0.1, 0.1, 0.1, 0.0, 0.0]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 10.0])
def test_speed_compresses_only_the_script(speed: float) -> None:
    timeline = make_timeline(speed=speed)
    shift, stop = (at_s for at_s, step in timeline.steps if step.weight is not None)
    assert shift == timeline.origin_s
    assert stop - shift == pytest.approx(240 / speed)


def test_a_held_scenario_has_no_speed() -> None:
    assert make_timeline("during", speed=10).origin_s == make_timeline("during").origin_s


@pytest.mark.parametrize("speed", [0.0, -1.0, 5000.0, math.nan])
def test_impossible_speed(speed: float) -> None:
    with pytest.raises(ConfigurationError, match="speed must be between"):
        make_timeline(speed=speed)


@given(st.floats(-4000, 4000), st.sampled_from([0.5, 1.0, 3.0]))
def test_wall_time_and_scenario_time_are_inverse(scenario_s: float, speed: float) -> None:
    timeline = make_timeline(speed=speed)
    assert timeline.scenario_s(timeline.wall_s(scenario_s)) == pytest.approx(scenario_s, abs=1e-3)


def test_steps_after_the_held_moment_have_no_time() -> None:
    timeline = make_timeline("during")
    assert timeline.wall_s(193) == math.inf
    assert [step.do for _, step in timeline.steps][-1] == "alarm"
    assert all(at_s <= NOW for at_s, _ in timeline.steps)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(-120, -60, False), (-60, 0, False), (-30, 30, True), (60, 120, True), (240, 300, False)],
)
def test_weighted_minutes(start: int, end: int, expected: bool) -> None:
    timeline = make_timeline()
    assert timeline.weighted(timeline.origin_s + start, timeline.origin_s + end) is expected


def test_the_history_has_one_hour_and_last_weeks_same_hours() -> None:
    week, now = make_timeline("during").spans()
    assert (now.start_s, week.start_s) == (NOW - HISTORY_S, NOW - WEEK_S - HISTORY_S)
    assert list(now.seconds_in(NOW - HISTORY_S - 5, NOW - HISTORY_S + 2)) == [NOW - HISTORY_S, NOW - HISTORY_S + 1]
    assert make_timeline("during").version(NOW - WEEK_S) == "40"
