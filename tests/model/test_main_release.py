"""One rule says which release is meant where several functions are released."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from prodwatch.model.release import UNDER_WAY, WENT_WRONG, current_release, main_release
from prodwatch.model.signal import ReleasePhase, ReleaseState

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
GROUPS = (UNDER_WAY, WENT_WRONG, frozenset((ReleasePhase.SUCCEEDED,)), frozenset((ReleasePhase.NONE,)))


def state(function: str, phase: ReleasePhase, days: float | None = None) -> ReleaseState:
    started_at = None if days is None else NOW - timedelta(days=days)
    return ReleaseState(function=function, phase=phase, version="42", started_at=started_at)


def test_every_phase_has_a_rank() -> None:
    assert frozenset().union(*GROUPS) == frozenset(ReleasePhase)


@pytest.mark.parametrize(("higher", "lower"), list(itertools.combinations(range(len(GROUPS)), 2)))
def test_the_phase_decides_before_age_and_order(higher: int, lower: int) -> None:
    for first, second in itertools.product(GROUPS[higher], GROUPS[lower]):
        meant, other = state("a", first, days=21), state("b", second, days=0.01)
        assert main_release((other, meant)) is meant
        assert main_release((meant, other)) is meant


@pytest.mark.parametrize("group", GROUPS, ids=["under way", "went wrong", "succeeded", "none"])
def test_k11_of_one_rank_the_latest_start_decides(group: frozenset[ReleasePhase]) -> None:
    for first, second in itertools.product(group, repeat=2):
        late, early, unknown = state("a", first, days=0.01), state("b", second, days=21), state("c", second)
        for order in itertools.permutations((late, early, unknown)):
            assert main_release(order) is late


def test_equals_keep_the_order_of_the_file() -> None:
    first, second = state("a", ReleasePhase.SHIFTING), state("b", ReleasePhase.SHIFTING)
    assert main_release((first, second)) is first


def test_a_function_that_is_not_being_released_has_a_version_but_no_current_release() -> None:
    untouched = state("a", ReleasePhase.NONE)
    assert main_release((untouched,)) is untouched
    assert current_release((untouched,)) is None
    assert main_release(()) is current_release(()) is None
