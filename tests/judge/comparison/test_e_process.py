"""Evidence that may be read after every batch."""

from __future__ import annotations

import math
import random

import pytest

from prodwatch.judge.comparison.e_process import OddsInterval, RestartedProcess, log_sum, odds_evidence
from prodwatch.judge.comparison.effect import EffectSums
from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_odds_factors


def drawn(rng: random.Random, canary_rate: float, baseline_rate: float, canary: int = 138) -> Stratum:
    baseline = 1242
    return Stratum(
        canary,
        sum(rng.random() < canary_rate for _ in range(canary)),
        baseline,
        sum(rng.random() < baseline_rate for _ in range(baseline)),
    )


def feed(process: RestartedProcess, stratum: Stratum) -> None:
    process.add(log_odds_factors(stratum, 1.0, ALTERNATIVES), stratum)


def test_evidence_is_one_before_anything_was_seen_and_after_batches_that_say_nothing() -> None:
    process = RestartedProcess()
    assert process.log_evidence() == pytest.approx(0.0)
    for _ in range(3):
        process.restart()
        feed(process, Stratum(100, 0, 900, 0))
    assert process.log_evidence() == pytest.approx(0.0)


def test_a_restart_sees_harm_that_began_late_through_what_came_before() -> None:
    rng = random.Random(1)
    quiet = [drawn(rng, 0.004, 0.01) for _ in range(20)]
    harmed = [drawn(rng, 0.04, 0.01) for _ in range(6)]
    plain, restarted = RestartedProcess(), RestartedProcess()
    for number, each in enumerate([*quiet, *harmed]):
        if number % 10 == 0:
            restarted.restart()
        feed(plain, each)
        feed(restarted, each)
    assert restarted.log_evidence() > plain.log_evidence() + math.log(10)


def test_each_restart_has_its_own_weight_and_those_to_come_keep_theirs() -> None:
    stratum = Stratum(100, 4, 900, 2)
    factors = [math.exp(each) for each in log_odds_factors(stratum, 1.0, ALTERNATIVES)]
    average = sum(factors) / len(factors)
    process = RestartedProcess()
    feed(process, Stratum(100, 0, 900, 0))
    process.restart()
    feed(process, stratum)
    assert process.log_evidence() == pytest.approx(math.log(average / 2 + average / 6 + 1 / 3))


def test_an_effect_below_the_floor_is_no_evidence_however_sure() -> None:
    def never(_effect: EffectSums) -> bool:
        return False

    process, free = RestartedProcess(never), RestartedProcess()
    for each in [Stratum(1000, 100, 9000, 90)] * 3:
        feed(process, each)
        feed(free, each)
    assert free.log_evidence() > math.log(1000)
    assert process.log_evidence() <= 0.0


def test_false_alarms_stay_within_the_bound_however_often_the_evidence_is_read() -> None:
    rng = random.Random(2)
    alarms = 0
    for _ in range(200):
        process = RestartedProcess()
        highest = -math.inf
        for number in range(20):
            if number % 10 == 0:
                process.restart()
            level = rng.choice([0.001, 0.01, 0.1])
            canary = rng.choice([10, 138, 600])
            bad = sum(rng.random() < level for _ in range(canary))
            feed(process, Stratum(canary, bad, 400, sum(rng.random() < level for _ in range(400))))
            highest = max(highest, process.log_evidence())
        alarms += highest >= math.log(20)
    assert alarms <= 19  # at most 5 %, 10 of 200, and three standard deviations


def test_the_interval_holds_the_true_odds_ratio_and_excludes_none() -> None:
    rng = random.Random(3)
    interval = OddsInterval(0.99)
    for _ in range(20):
        interval.add(drawn(rng, 0.05, 0.01))
    bounds = interval.bounds()
    assert bounds is not None
    low, high = bounds
    assert low is not None
    assert high is not None
    assert 1.5 < low < 0.05 / 0.95 / (0.01 / 0.99) < high < 15


def test_the_interval_of_the_versions_exchanged_is_the_inverse() -> None:
    rng = random.Random(4)
    interval, exchanged = OddsInterval(0.99), OddsInterval(0.99)
    for _ in range(10):
        each = drawn(rng, 0.03, 0.01)
        interval.add(each)
        exchanged.add(Stratum(each.baseline, each.baseline_bad, each.canary, each.canary_bad))
    bounds, inverse = interval.bounds(), exchanged.bounds()
    assert bounds is not None
    assert inverse is not None
    assert [1 / bound for bound in bounds if bound] == pytest.approx([bound for bound in reversed(inverse) if bound])
    assert len(list(filter(None, bounds))) == 2


def test_the_interval_is_empty_when_the_effect_turned_around() -> None:
    interval = OddsInterval(0.99)
    for each in [Stratum(500, 100, 500, 5)] * 5 + [Stratum(500, 5, 500, 100)] * 5:
        interval.add(each)
    assert interval.bounds() is None


def test_the_interval_is_open_before_anything_was_bad() -> None:
    interval = OddsInterval(0.99)
    interval.add(Stratum(100, 0, 900, 0))
    assert interval.bounds() == (None, None)


def test_plain_evidence_is_the_average_over_the_alternatives() -> None:
    stratum = Stratum(100, 4, 900, 2)
    factors = [math.exp(each) for each in log_odds_factors(stratum, 1.0, ALTERNATIVES)]
    average = sum(factors) / len(factors)
    assert odds_evidence([stratum]) == pytest.approx(math.log(0.5 * average + 0.5))


def test_the_sum_of_large_logarithms_does_not_overflow() -> None:
    assert log_sum([2000.0, 2000.0]) == pytest.approx(2000.0 + math.log(2))
