"""One rule says which release is meant where several functions are released."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from prodwatch.model.release import (
    HISTORY_AFTER,
    UNDER_WAY,
    WENT_WRONG,
    current_release,
    is_history,
    main_release,
    responding_versions,
)
from prodwatch.model.signal import ReleasePhase, ReleaseState

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
OVER = WENT_WRONG | {ReleasePhase.SUCCEEDED}
GROUPS = (UNDER_WAY, WENT_WRONG, frozenset((ReleasePhase.SUCCEEDED,)), frozenset((ReleasePhase.NONE,)))


def state(function: str, phase: ReleasePhase, days: float | None = None, **weights: float) -> ReleaseState:
    started_at = None if days is None else NOW - timedelta(days=days)
    shares = {version.removeprefix("v"): weight for version, weight in weights.items()}
    return ReleaseState(
        function=function, phase=phase, version="42", previous="41", started_at=started_at, weights=shares
    )


def test_every_phase_has_a_rank() -> None:
    assert frozenset().union(*GROUPS) == frozenset(ReleasePhase)


@pytest.mark.parametrize(("higher", "lower"), list(itertools.combinations(range(len(GROUPS)), 2)))
def test_the_phase_decides_before_age_and_order(higher: int, lower: int) -> None:
    for first, second in itertools.product(GROUPS[higher], GROUPS[lower]):
        meant, other = state("a", first, days=0.9), state("b", second, days=0.01)
        assert main_release((other, meant), NOW) is meant
        assert main_release((meant, other), NOW) is meant


@pytest.mark.parametrize("group", GROUPS, ids=["under way", "went wrong", "succeeded", "none"])
def test_K11_of_one_rank_the_latest_start_decides(group: frozenset[ReleasePhase]) -> None:
    for first, second in itertools.product(group, repeat=2):
        late, early, unknown = state("a", first, days=0.01), state("b", second, days=21), state("c", second)
        for order in itertools.permutations((late, early, unknown)):
            assert main_release(order, NOW) is late


@pytest.mark.parametrize("phase", OVER)
@pytest.mark.parametrize("recent", [*OVER, *UNDER_WAY])
def test_K11_a_release_that_ended_weeks_ago_hides_none_of_now(phase: ReleasePhase, recent: ReleasePhase) -> None:
    old, now = state("orders", phase, days=21, v41=1.0), state("pay", recent, days=0.01)
    for order in ((old, now), (now, old)):
        assert main_release(order, NOW) is now
    assert current_release((old,), NOW) is None


@pytest.mark.parametrize(
    ("phase", "weights", "version", "dated"),
    [
        (ReleasePhase.SUCCEEDED, {"42": 1.0}, "42", True),
        (ReleasePhase.SUCCEEDED, {}, "42", True),
        (ReleasePhase.ROLLED_BACK, {"41": 1.0}, "41", False),
        (ReleasePhase.ROLLED_BACK, {}, "41", False),
        (ReleasePhase.STOPPED, {"41": 1.0}, "41", False),
        (ReleasePhase.FAILED, {"42": 1.0}, "42", True),
    ],
)
def test_K11_of_history_only_the_version_that_serves_remains(
    phase: ReleasePhase, weights: dict[str, float], version: str, dated: bool
) -> None:
    old = replace(state("orders", phase, days=21), weights=weights, cause="an alarm", deployment="d-1")
    found = main_release((old,), NOW)
    assert found is not None
    assert (found.phase, found.version, found.previous) == (ReleasePhase.NONE, version, None)
    assert (found.cause, found.deployment) == (None, None)
    assert (found.started_at is not None) is dated


def test_K11_the_age_counts_from_the_end_of_a_release() -> None:
    slow = replace(state("orders", ReleasePhase.SUCCEEDED, days=3), ended_at=NOW - timedelta(minutes=5))
    assert not is_history(slow, NOW)
    assert is_history(slow, NOW + HISTORY_AFTER)


@pytest.mark.parametrize("phase", [*UNDER_WAY, ReleasePhase.NONE])
def test_K11_what_is_not_over_is_never_history(phase: ReleasePhase) -> None:
    assert not is_history(state("orders", phase, days=21), NOW)


@pytest.mark.parametrize("phase", OVER)
def test_K29_a_split_that_was_left_behind_is_never_history(phase: ReleasePhase) -> None:
    left = state("orders", phase, days=21, v41=0.9, v42=0.1)
    assert main_release((left,), NOW) is left


@pytest.mark.parametrize(
    ("phase", "weights", "expected"),
    [
        (ReleasePhase.SHIFTING, {"41": 0.9, "42": 0.1}, ("42",)),
        (ReleasePhase.STOPPED, {"41": 0.9, "42": 0.1}, ("42",)),
        (ReleasePhase.STOPPED, {}, ("42",)),
        (ReleasePhase.STOPPED, {"41": 1.0}, ("41",)),
        (ReleasePhase.ROLLED_BACK, {}, ("41",)),
        (ReleasePhase.ROLLED_BACK, {"40": 1.0}, ("40",)),
    ],
)
def test_K24_after_a_rollback_the_version_that_serves_responds(
    phase: ReleasePhase, weights: dict[str, float], expected: tuple[str, ...]
) -> None:
    assert responding_versions(replace(state("orders", phase), weights=weights)) == expected


def test_equals_keep_the_order_of_the_file() -> None:
    first, second = state("a", ReleasePhase.SHIFTING), state("b", ReleasePhase.SHIFTING)
    assert main_release((first, second), NOW) is first


def test_a_function_that_is_not_being_released_has_a_version_but_no_current_release() -> None:
    untouched = state("a", ReleasePhase.NONE)
    assert main_release((untouched,), NOW) is untouched
    assert current_release((untouched,), NOW) is None
    assert main_release((), NOW) is current_release((), NOW) is None
