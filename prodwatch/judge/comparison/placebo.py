"""The comparisons of a gate over time without a release: how often they would have failed it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random

import msgspec
from msgspec.structs import replace

from prodwatch.judge.comparison.random_counts import binomial
from prodwatch.judge.comparison.strata import Stratum
from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.model.comparison import RequestBatch, VersionCounts
from prodwatch.model.environment import Compare, ErrorComparison, LatencyComparison
from prodwatch.model.status import Status

BEFORE_MINUTES = 60
"""Minutes before a cut from which the usual errors are learnt."""
LOOSER = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0)
"""Factors of the thresholds of errors that are tried, until none fails."""
LOOSER_RATIOS = (1.2, 1.3, 1.5, 2.0)
"""Ratios of latency that are tried after the present one."""
_BY_COUNT = "one-minute counts are all that CloudWatch keeps"
_MINUTE_MS = 60_000
_LARGE = 200
"""Smallest counts whose split is drawn from the normal distribution, rounded."""
_OLD, _NEW = "old", "new"


class Minute(msgspec.Struct, frozen=True):
    """Requests of one minute."""

    at_s: int
    requests: int
    failed: int
    usual: tuple[int, ...] = ()
    """Durations above each usual quantile."""
    slow: tuple[tuple[int, ...], ...] = ()
    """For each ratio of latency, the durations above what it allows at each quantile."""


class Placebo(msgspec.Struct, frozen=True, kw_only=True):
    """One cut at which nothing was released."""

    before: tuple[Minute, ...]
    after: tuple[Minute, ...]
    last_week: tuple[Minute, ...] = ()
    """Counts of the same time a week earlier, in periods of any length."""
    seed: int


Fails = Callable[[Placebo, Compare], bool]


def before_after_fails(placebo: Placebo, limits: Compare) -> bool:
    """Return whether the gate would have failed a release of all traffic at the cut."""
    compared = VersionComparison("", _NEW, _OLD, replace(limits, latency=None))
    for each in placebo.before:
        compared.add_before(_batch(each, {_OLD: _counts(each.requests, each.failed)}))
    for each in placebo.last_week:
        compared.add_last_week(_batch(each, {_OLD: _counts(each.requests, each.failed)}))
    for each in placebo.after:
        compared.add(_batch(each, {_NEW: _counts(each.requests, each.failed)}))
        if _has_failed(compared):
            return True
    return False


def errors_fail(placebo: Placebo, limits: Compare, *, weight: float, comparisons: int = 1) -> bool:
    """Return whether the gate would have failed the errors of a random share `weight` of the requests."""
    errors = limits.errors
    if errors is None:
        return False
    random = Random(placebo.seed)  # noqa: S311 -- a reproducible split, not a secret
    compared = VersionComparison("", _NEW, _OLD, replace(limits, latency=None), comparisons=comparisons)
    for each in placebo.before:
        compared.add_before(_batch(each, {_OLD: _counts(each.requests, each.failed)}))
    bad = 0
    for each in placebo.after:
        new = binomial(random, each.requests, weight)
        new_bad = hypergeometric(random, each.requests, each.failed, new)
        versions = {_NEW: _counts(new, new_bad), _OLD: _counts(each.requests - new, each.failed - new_bad)}
        compared.add(_batch(each, versions))
        bad += new_bad
        if bad >= errors.min_bad and _has_failed(compared):
            return True
    return False


def latency_fails(placebo: Placebo, limits: Compare, *, weight: float, ratio: int, comparisons: int = 1) -> bool:
    """Return whether the gate would have failed the durations of a random share of the requests.

    `ratio` is the place of the ratio of `limits` in `Minute.slow`.
    """
    if limits.latency is None:
        return False
    random = Random(placebo.seed)  # noqa: S311 -- a reproducible split, not a secret
    compared = VersionComparison(
        "", _NEW, _OLD, replace(limits, errors=None), comparisons=comparisons, by_count=_BY_COUNT
    )
    for each in placebo.after:
        new = binomial(random, each.requests, weight)
        strata = []
        for usual, slow in zip(each.usual, each.slow[ratio], strict=True):
            slowest = min(slow, usual, each.requests)
            new_slow = hypergeometric(random, each.requests, slowest, new)
            others = min(usual, each.requests) - slowest
            between = hypergeometric(random, each.requests - slowest, others, new - new_slow)
            old_above = slowest + others - new_slow - between
            strata.append(Stratum(new, new_slow, each.requests - new, old_above))
        if strata and new and each.requests > new:
            compared.add_exceeding(strata)
            if _has_failed(compared):
                return True
    return False


def looser_errors(limits: ErrorComparison) -> Iterator[ErrorComparison]:
    """Yield the thresholds of errors, the present ones first, each looser than the one before."""
    for factor in LOOSER:
        yield replace(
            limits,
            ratio=round(1 + (limits.ratio - 1) * factor, 4),
            difference=min(1.0, round(limits.difference * factor, 6)),
            always=min(1.0, round(limits.always * factor, 6)),
        )


def ratios_of(limits: LatencyComparison) -> tuple[float, ...]:
    """Return the present ratio of latency, then each looser one that is tried."""
    return (limits.ratio, *(each for each in LOOSER_RATIOS if each > limits.ratio))


def hypergeometric(random: Random, population: int, bad: int, drawn: int) -> int:
    """Return how many of `bad` are among `drawn` of a population, each set as likely as any other."""
    if bad > population - bad:
        return drawn - hypergeometric(random, population, population - bad, drawn)
    if bad >= _LARGE and min(drawn, population - drawn) >= _LARGE:
        mean = drawn * bad / population
        variance = mean * (1 - bad / population) * (population - drawn) / (population - 1)
        count = round(random.gauss(mean, math.sqrt(variance)))
        return min(bad, drawn, max(0, drawn - (population - bad), count))
    found = 0
    for left in range(population, population - bad, -1):
        if random.random() * left < drawn - found:
            found += 1
    return found


def _counts(requests: int, failed: int) -> VersionCounts:
    return VersionCounts(requests=requests, failed=min(failed, requests))


def _batch(minute: Minute, versions: dict[str, VersionCounts]) -> RequestBatch:
    start_ms = minute.at_s * 1000
    return RequestBatch(function="", start_ms=start_ms, end_ms=start_ms + _MINUTE_MS, versions=versions)


def _has_failed(compared: VersionComparison) -> bool:
    return any(each.gate and each.status is Status.FAIL for each in compared.results())


def without_failure(placebos: Sequence[Placebo], limits: Compare, fails: Sequence[Fails]) -> ErrorComparison | None:
    """Return the first thresholds of errors, from the present ones on, by which none fails; None without any."""
    if limits.errors is None:
        return None
    failing = list(placebos)
    for errors in looser_errors(limits.errors):
        tried = replace(limits, errors=errors)
        failing = [each for each in failing if any(fail(each, tried) for fail in fails)]
        if not failing:
            return errors
    return None
