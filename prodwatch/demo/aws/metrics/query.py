"""Metric queries: raw statistics by period, and metric maths over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prodwatch.demo.aws.metrics.metric_math import MetricMathError, Points, compute
from prodwatch.demo.aws.metrics.model import Sample, SeriesKey
from prodwatch.demo.aws.metrics.statistics import statistic, weighted
from prodwatch.demo.aws.metrics.store import MetricStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query: a series (`key`) or an `expression` over other ids."""

    id: str
    key: SeriesKey | None = None
    expression: str | None = None
    stat: str = "Sum"
    period_s: int = 60


def retention_s(period_s: int) -> float:
    """Return how long points of a period are kept: the finer, the shorter."""
    if period_s < 60:
        return 3 * 3600.0
    return next((days for limit_s, days in ((300, 15), (3600, 63)) if period_s < limit_s), 455) * 86_400.0


def aggregate(store: MetricStore, query: Query, start_s: float, end_s: float, *, seen_s: float) -> Points:
    """Return the statistic by start of period, for periods from `start_s` (aligned) with data before `end_s`."""
    assert query.key is not None
    start_s = max(start_s, seen_s - retention_s(query.period_s))
    groups: dict[int, list[Sample]] = {}
    for sample in store.samples(query.key, start_s, end_s, seen_s):
        groups.setdefault(int(sample.timestamp_s // query.period_s) * query.period_s, []).append(sample)
    return {stamp: statistic(query.stat, pairs) for stamp in sorted(groups) if (pairs := weighted(groups[stamp]))}


def evaluate(
    queries: Sequence[Query], store: MetricStore, start_s: float, end_s: float, *, seen_s: float
) -> Mapping[str, Points]:
    """Return every query's points. Raises MetricMathError for maths that cannot be computed."""
    results: dict[str, Points] = {
        query.id: aggregate(store, query, start_s, end_s, seen_s=seen_s) for query in queries if query.key is not None
    }
    plain = list(results)
    waiting = [query for query in queries if query.key is None]
    while waiting:
        unresolved = []
        for query in waiting:
            try:
                results[query.id] = compute(
                    query.expression or "", results, plain=plain, period_s=query.period_s, start_s=start_s, end_s=end_s
                )
            except KeyError:
                unresolved.append(query)
        if len(unresolved) == len(waiting):
            raise MetricMathError(f"the expression {unresolved[0].expression!r} names an unknown id")
        waiting = unresolved
    return results
