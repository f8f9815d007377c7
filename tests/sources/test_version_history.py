"""A minute of an alias's metrics is assigned to the version that had all the traffic in it, and to no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.environment import FunctionTarget
from prodwatch.sources.lambda_metrics import FunctionVersions, RawSeries, derived_series, raw_keys, series_key
from prodwatch.sources.release.alias_weights import AliasObservation, AliasState
from prodwatch.sources.release.release_state import Deployment, LifecycleEvent
from prodwatch.sources.release.version_history import ALWAYS_S, Shift, sole_version, traffic_shifts

T0 = datetime(2026, 1, 15, 12, tzinfo=UTC)
T0_S = T0.timestamp()
ORDERS = FunctionTarget(name="f", alias="live")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def deployment(current: str, target: str, begun_s: float, ended_s: float | None, **more: Any) -> Deployment:
    done = "Succeeded" if ended_s is not None else "InProgress"
    ended = None if ended_s is None else at(ended_s)
    stages = (LifecycleEvent("AllowTraffic", done, at(begun_s), ended),)
    values: dict[str, Any] = {"status": done, "function": "f", "alias": "live", "created_at": at(begun_s)}
    return Deployment(id="d", current=current, target=target, lifecycle=stages, **(values | more))


def seen(*sights: tuple[float, str, dict[str, float]]) -> list[AliasObservation]:
    return [AliasObservation(at(seconds), AliasState(primary, weights)) for seconds, primary, weights in sights]


CASES: dict[str, tuple[list[AliasObservation], list[Deployment], list[str | None]]] = {
    "nothing known": ([], [], [None] * 6),
    "one version throughout": (seen((200, "41", {})), [], ["41"] * 6),
    "a split met in the middle": (seen((130, "41", {"42": 0.1})), [], ["41", "41", None, None, None, None]),
    "moved at once while watched": (seen((0, "41", {}), (150, "42", {})), [], ["41", "41", None, "42", "42", "42"]),
    "shifted while watched": (
        seen((0, "41", {}), (70, "41", {"42": 0.1}), (190, "42", {})),
        [],
        ["41", None, None, None, "42", "42"],
    ),
    "taken back while watched": (
        seen((0, "41", {}), (70, "41", {"42": 0.1}), (130, "41", {})),
        [],
        ["41", None, None, "41", "41", "41"],
    ),
    "a way back from a release that is not known": (
        [],
        [deployment("42", "41", 65, 175, rollback_of="")],
        ["42", None, None, "41", "41", "41"],
    ),
    "met after CodeDeploy shifted": (
        seen((300, "42", {})),
        [deployment("41", "42", 65, 175)],
        ["41", None, None, "42", "42", "42"],
    ),
    "met after a rollback": (
        seen((300, "41", {})),
        [
            deployment("42", "41", 170, 175, rollback_of="d"),
            deployment("41", "42", 65, None, status="Stopped"),
        ],
        ["41", None, None, "41", "41", "41"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_minute_has_the_owner_it_had(case: str) -> None:
    sights, deployments, owners = CASES[case]
    shifts = traffic_shifts(None, sights, deployments)
    results = [sole_version(shifts, T0_S + 60 * minute, T0_S + 60 * (minute + 1)) for minute in range(6)]
    assert results == owners


def test_a_version_never_served_before_it_was_published() -> None:
    shifts = traffic_shifts(None, seen((300, "42", {})), [], published_s={"42": T0_S + 100})
    assert [sole_version(shifts, T0_S + 60 * n, T0_S + 60 * n + 60) for n in range(4)] == [None, None, "42", "42"]


@given(
    st.lists(st.tuples(st.integers(0, 600) | st.integers(100, 104), st.sampled_from(["41", "42", None])), max_size=6),
    st.integers(0, 600),
    st.integers(1, 120),
)
def test_a_sole_version_has_every_second_of_the_period(
    moves: Sequence[tuple[int, str | None]], start_s: int, length_s: int
) -> None:
    shifts = [Shift(ALWAYS_S, "40"), *(Shift(float(moment), version) for moment, version in sorted(moves, key=str))]
    shifts.sort(key=lambda each: each.at_s)
    served = {
        [each.version for each in shifts if each.at_s <= second][-1] for second in _half_seconds(start_s, length_s)
    }
    expected = served.pop() if len(served) == 1 else None
    assert sole_version(shifts, start_s, start_s + length_s) == expected


def _half_seconds(start_s: int, length_s: int) -> list[float]:
    return [start_s + half / 2 for half in range(length_s * 2)]


def raw(version: str | None, metric: str, stat: str, *minutes: tuple[int, float]) -> Any:
    key = series_key(ORDERS, metric, stat, version)
    return key, RawSeries({int(T0_S) + minute * 60: value for minute, value in minutes}, T0_S - 3600, T0_S + 999)


def test_after_the_shift_old_minutes_stay_with_the_old_version() -> None:
    known = dict(
        [
            raw(None, "Invocations", "Sum", *((minute, 60.0) for minute in range(6))),
            raw(None, "Errors", "Sum", (0, 6.0), (4, 3.0)),
            raw("41", "Invocations", "Sum", (2, 50.0)),
            raw("42", "Invocations", "Sum", (2, 10.0)),
        ]
    )
    versions = FunctionVersions(
        ("42", "41"), traffic_shifts(None, seen((300, "42", {})), [deployment("41", "42", 65, 175)])
    )
    for key in raw_keys(ORDERS, versions):
        known.setdefault(key, RawSeries({}, T0_S - 3600, T0_S + 999))
    series = derived_series(ORDERS, versions, known, settles_after_s=0, label_suffix=None)
    errors = {
        each.key.version: {point.timestamp_s - int(T0_S): point.value for point in each.points}
        for each in series
        if each.key.label == "errors"
    }
    assert errors == {
        None: {0: 10.0, 60: 0.0, 120: 0.0, 180: 0.0, 240: 5.0, 300: 0.0},
        "41": {0: 10.0, 120: 0.0},
        "42": {120: 0.0, 180: 0.0, 240: 5.0, 300: 0.0},
    }
