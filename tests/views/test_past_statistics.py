"""Figures over past runs, and two runs side by side: every rule at its boundary."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.history import PastOutcome, PastSample
from prodwatch.model.status import Status
from prodwatch.views.history import CheckStatistics, statistics, summarize_rounds
from prodwatch.views.run_difference import RunDifference, difference
from tests.support.past_runs import NOW, entry, outcome

PASS, DEGRADED, FAIL = Status.PASS, Status.DEGRADED, Status.FAIL
ERROR, INCONCLUSIVE, SKIPPED = Status.ERROR, Status.INCONCLUSIVE, Status.SKIPPED


def of(*outcomes: PastOutcome) -> CheckStatistics:
    samples = [PastSample(f"r{n}", NOW + timedelta(minutes=n), each) for n, each in enumerate(outcomes)]
    (found,) = statistics(samples)
    return found


def test_what_was_not_measured_is_neither_green_nor_red() -> None:
    found = of(*(outcome("a", status) for status in (PASS, DEGRADED, FAIL, ERROR, INCONCLUSIVE, SKIPPED)))
    assert (found.measured, found.green, found.not_measured) == (3, 2, 3)
    assert found.pass_rate == pytest.approx(2 / 3)
    assert found.last == (PASS, DEGRADED, FAIL, ERROR, INCONCLUSIVE, SKIPPED)
    assert found.last_at == NOW + timedelta(minutes=5)


def test_a_check_that_was_never_measured_has_no_rate() -> None:
    found = of(outcome("a", ERROR), outcome("a", SKIPPED))
    assert (found.pass_rate, found.flake_rate, found.p50_ms) == (None, None, None)


def test_flaky_is_a_share_of_what_was_measured() -> None:
    found = of(outcome("a", flags=("flaky",)), outcome("a"), outcome("a", FAIL), outcome("a", ERROR), outcome("a"))
    assert (found.flaky, found.flake_rate) == (1, 0.25)


def test_percentiles_are_durations_that_were_measured() -> None:
    found = of(*(outcome("a", duration_ms=10 * n) for n in range(1, 101)), outcome("a", ERROR, duration_ms=99_999))
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (500, 950, 990)
    assert len(found.last) == 12


def test_a_session_counts_each_of_its_rounds() -> None:
    rounds = summarize_rounds([(PASS, 100, False)] * 6 + [(FAIL, 200, False)] * 3 + [(PASS, 100, True)], None)
    found = of(outcome("a", rounds=rounds), outcome("a", FAIL, duration_ms=100))
    assert (found.measured, found.green, found.flaky) == (11, 7, 1)
    assert found.p50_ms == 99  # rounded to 2.5 %
    assert found.last == (*(PASS,) * 6, FAIL, FAIL, FAIL, PASS, FAIL)


def test_rounds_are_added_up_in_bounded_space() -> None:
    first = summarize_rounds([(PASS, n, n % 2 == 0) for n in range(1, 60_000, 7)], None)
    both = summarize_rounds([(ERROR, 5, False), (FAIL, 5, False)], first)
    assert both.counts == {PASS: len(range(1, 60_000, 7)), ERROR: 1, FAIL: 1}
    assert both.flaky == first.flaky
    assert both.last == (*first.last[2:], ERROR, FAIL)
    assert len(both.durations_ms) < 300
    assert both.durations_ms[5] == 1  # that of the error is not a duration of the target


@given(st.integers(0, 10_000_000))
def test_a_rounded_duration_is_within_its_bound(duration_ms: int) -> None:
    (rounded,) = summarize_rounds([(PASS, duration_ms, False)], None).durations_ms
    assert abs(rounded - duration_ms) <= max(0.5, duration_ms * 0.0255)


def test_checks_come_first_and_the_least_green_of_them() -> None:
    samples = [
        PastSample("r", NOW, each)
        for each in (
            outcome("z", kind="metric", duration_ms=None),
            outcome("a"),
            outcome("b", FAIL),
            outcome("c", SKIPPED),
            outcome("a", kind="alarm", duration_ms=None),
        )
    ]
    assert [(each.kind, each.id) for each in statistics(samples)] == [
        ("check", "b"),
        ("check", "a"),
        ("check", "c"),
        ("alarm", "a"),
        ("metric", "z"),
    ]


def diff(before: list[PastOutcome], after: list[PastOutcome]) -> RunDifference:
    return difference(entry("a", *before), entry("b", *after, ended_at=NOW + timedelta(hours=1)))


LISTS = ("turned_red", "turned_green", "appeared", "vanished", "changed")


@pytest.mark.parametrize(
    ("before", "after", "where", "worse"),
    [
        (PASS, FAIL, "turned_red", True),
        (DEGRADED, ERROR, "turned_red", True),
        (PASS, INCONCLUSIVE, "turned_red", True),
        (FAIL, PASS, "turned_green", False),
        (ERROR, DEGRADED, "turned_green", False),
        (PASS, DEGRADED, "changed", False),
        (DEGRADED, PASS, "changed", False),
        (FAIL, ERROR, "changed", False),
        (PASS, SKIPPED, "changed", True),
        (SKIPPED, PASS, "changed", False),
        (SKIPPED, FAIL, "changed", True),
        (FAIL, SKIPPED, "changed", False),
        (None, PASS, "appeared", False),
        (None, FAIL, "appeared", True),
        (PASS, None, "vanished", True),
        (FAIL, None, "vanished", False),
        (PASS, PASS, None, False),
        (FAIL, FAIL, None, False),
    ],
)
def test_every_change_is_in_one_list(before: Status | None, after: Status | None, where: str, worse: bool) -> None:
    one, two = ([outcome("x", each)] if each else [] for each in (before, after))
    found = diff(one, two)
    assert [name for name in LISTS if getattr(found, name)] == ([where] if where else [])
    assert found.is_worse is worse
    assert found.unchanged == (where is None)


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "slower"),
    [(100, 199, False), (100, 200, True), (1000, 1499, False), (1000, 1500, True), (0, 99, False), (500, 100, False)],
)
def test_slower_is_by_the_ratio_and_the_difference(before_ms: int, after_ms: int, slower: bool) -> None:
    found = diff([outcome("x", duration_ms=before_ms)], [outcome("x", duration_ms=after_ms)])
    assert bool(found.slower) is slower
    assert not found.is_worse


def test_only_what_was_measured_in_both_runs_is_slower() -> None:
    for status in (ERROR, INCONCLUSIVE, SKIPPED):
        assert not diff([outcome("x", duration_ms=1)], [outcome("x", status, duration_ms=9000)]).slower
    found = diff([outcome("x", duration_ms=1)], [outcome("x", FAIL, duration_ms=9000)])
    assert found.slower == found.turned_red


def test_the_median_of_several_rounds_counts() -> None:
    rounds = summarize_rounds([(PASS, 100, False)] * 3 + [(PASS, 9000, False)] * 2, None)
    assert not diff([outcome("x", duration_ms=100)], [outcome("x", duration_ms=9000, rounds=rounds)]).slower


def test_a_diagnostic_that_ran_for_another_check_is_left_out() -> None:
    found = diff([outcome("x", FAIL), outcome("why", PASS, flags=("supporting",))], [outcome("x")])
    assert (found.vanished, found.is_worse, found.unchanged) == ((), False, 0)


def test_the_same_name_of_another_kind_is_another_item() -> None:
    found = diff([outcome("x")], [outcome("x", kind="alarm")])
    assert [(each.kind, each.after) for each in found.appeared] == [("alarm", PASS)]


def test_doubts_about_the_comparison_are_named() -> None:
    one = entry("a", outcome("x"), environment="staging", shard="1/2")
    two = entry("b", outcome("x"), status="aborted", mode="gate")
    assert difference(one, two).notices == (
        "the runs are of different environments: staging and prod",
        "the runs are of different kinds: check and gate",
        "the runs are different shards, or one of them is a whole run",
        "run b was interrupted",
        "run a ended after run b began",
    )
    assert difference(one, one).notices == ("A and B are the same run",)
