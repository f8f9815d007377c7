"""CloudWatch's statistics over weighted values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from prodwatch.demo.aws.metrics.model import Sample

Weighted = Sequence[tuple[float, float]]
"""(value, count) pairs in ascending order."""

_SHORT = re.compile(r"(p|tm|tc|ts|wm)(\d{1,2}(?:\.\d+)?|100)")
_RANGE = re.compile(r"(PR|TM|TC|TS|WM)\((\d*(?:\.\d+)?)(%?):(\d*(?:\.\d+)?)(%?)\)", re.IGNORECASE)


def weighted(samples: Iterable[Sample]) -> list[tuple[float, float]]:
    """Return the pairs of all samples in ascending order."""
    return sorted(pair for sample in samples for pair in zip(sample.values, sample.counts, strict=True))


def is_statistic(stat: str) -> bool:
    """Return whether CloudWatch has a statistic of this name."""
    return (
        stat in {"Sum", "Average", "Minimum", "Maximum", "SampleCount", "IQM"}
        or _SHORT.fullmatch(stat) is not None
        or _RANGE.fullmatch(stat) is not None
    )


def statistic(stat: str, pairs: Weighted) -> float:  # noqa: PLR0911 -- one return per statistic reads best
    """Return one statistic of a non-empty set of pairs. Raises ValueError for an unknown name."""
    count = sum(weight for _, weight in pairs)
    match stat:
        case "SampleCount":
            return count
        case "Sum":
            return sum(value * weight for value, weight in pairs)
        case "Average":
            return sum(value * weight for value, weight in pairs) / count if count else 0.0
        case "Minimum":
            return pairs[0][0]
        case "Maximum":
            return pairs[-1][0]
        case "IQM":
            return _mean(_between_ranks(pairs, 0.25, 0.75))
    if short := _SHORT.fullmatch(stat):
        share = float(short[2]) / 100
        return percentile(pairs, share) if short[1] == "p" else _trimmed(short[1].upper(), pairs, 0.0, share)
    if bounds := _RANGE.fullmatch(stat):
        return _ranged(bounds, pairs)
    raise ValueError(f"CloudWatch has no statistic {stat!r}")


def percentile(pairs: Weighted, share: float) -> float:
    """Return the smallest value that at least `share` of the samples do not exceed."""
    target = share * sum(weight for _, weight in pairs)
    reached = 0.0
    for value, weight in pairs:
        reached += weight
        if reached >= target - 1e-9:
            return value
    return pairs[-1][0]


def _between_ranks(pairs: Weighted, low: float, high: float) -> list[tuple[float, float]]:
    total = sum(weight for _, weight in pairs)
    start, end, reached = low * total, high * total, 0.0
    selected = []
    for value, weight in pairs:
        inside = min(reached + weight, end) - max(reached, start)
        if inside > 0:
            selected.append((value, inside))
        reached += weight
    return selected


def _mean(pairs: Weighted) -> float:
    count = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / count if count else 0.0


def _trimmed(kind: str, pairs: Weighted, low: float, high: float) -> float:
    selected = _between_ranks(pairs, low, high)
    match kind:
        case "TC":
            return sum(weight for _, weight in selected)
        case "TS":
            return sum(value * weight for value, weight in selected)
        case "WM":
            floor, ceiling = percentile(pairs, low), percentile(pairs, high)
            return _mean([(min(max(value, floor), ceiling), weight) for value, weight in pairs])
        case _:
            return _mean(selected)


def _ranged(bounds: re.Match[str], pairs: Weighted) -> float:
    kind = bounds[1].upper()
    if kind != "PR" and (bounds[3] or bounds[5]):
        low = float(bounds[2]) / 100 if bounds[2] else 0.0
        high = float(bounds[4]) / 100 if bounds[4] else 1.0
        return _trimmed(kind, pairs, low, high)
    lowest = float(bounds[2]) if bounds[2] else float("-inf")
    highest = float(bounds[4]) if bounds[4] else float("inf")
    selected = [(value, weight) for value, weight in pairs if lowest < value <= highest]
    total = sum(weight for _, weight in pairs)
    match kind:
        case "PR":
            return 100.0 * sum(weight for _, weight in selected) / total if total else 0.0
        case "TC":
            return sum(weight for _, weight in selected)
        case "TS":
            return sum(value * weight for value, weight in selected)
        case "WM":
            return _mean([(min(max(value, lowest), highest), weight) for value, weight in pairs])
        case _:
            return _mean(selected)
