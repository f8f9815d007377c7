"""Routes that the new version of a function has served, against those of the old one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from prodwatch.model.comparison import Coverage, MissingRoute, RequestBatch, RouteCoverage

MAX_ROUTES = 1000
"""Routes of one function above which its paths hold parts that vary, so that they are not routes."""
_NAMED = 20
"""Missing routes that are named."""


class RouteCounts:
    """Routes of the two versions of one function, or values of one field of them, from before the release on."""

    def __init__(self, function: str, version: str, baseline: str, by: str | None = None) -> None:
        """`by` is a field of `[compare] coverage_by`, None for routes."""
        self.function = function
        self.version = version
        self.baseline = baseline
        self._by = by
        self._new: Counter[str] = Counter()
        self._old: Counter[str] = Counter()
        self._requests = 0
        """Requests of the old version, with and without a known route."""

    def add(self, batch: RequestBatch) -> None:
        """Count the routes of one closed batch."""
        new, old = batch.of(self.version), batch.of(self.baseline)
        self._requests += old.requests
        for counts, served in ((self._new, new), (self._old, old)):
            values = served.routes if self._by is None else served.values.get(self._by, {})
            for route, count in values.items():
                if route in counts or len(counts) <= MAX_ROUTES:
                    counts[route] += count

    def result(self) -> RouteCoverage:
        """Return the coverage as of now."""
        old, served_by_new = self._old, self._new.total()
        total = old.total()
        if not total or len(old) > MAX_ROUTES:
            return RouteCoverage(
                function=self.function,
                version=self.version,
                baseline=self.baseline,
                by=self._by,
                message=self._unknown(has_any=total > 0),
            )
        missing = [
            MissingRoute(route=route, baseline=count, expected=count / total * served_by_new)
            for route, count in sorted(old.items(), key=lambda each: (-each[1], each[0]))
            if route not in self._new
        ]
        lost = sum(each.baseline for each in missing)
        served = len(old) - len(missing)
        return RouteCoverage(
            function=self.function,
            version=self.version,
            baseline=self.baseline,
            by=self._by,
            routes=len(old),
            served=served,
            requests=total,
            traffic=1 - lost / total,
            known=min(1.0, total / self._requests) if self._requests else 1.0,
            missing=tuple(missing[:_NAMED]),
            message=_sentence(served, len(old), 1 - lost / total, self._by)
            + _first_missing(self.version, missing, self._by),
        )

    def _unknown(self, *, has_any: bool) -> str:
        if self._by is not None:
            why = f"there are more than {MAX_ROUTES:,}" if has_any else "no line of a request has the field"
            return f"the values of {self._by} of {self.function} are not known: {why}"
        why = f"more than {MAX_ROUTES:,} paths look like routes" if has_any else "no trace or access log names them"
        return f"the routes of {self.function} are not known: {why}"


def coverage_of(functions: Sequence[RouteCoverage], needed: float) -> Coverage:
    """Return the coverage of all functions under release; each, and each field, must reach the `needed` share."""
    by_route = [each for each in functions if each.by is None]
    routes, served = sum(each.routes for each in by_route), sum(each.served for each in by_route)
    traffic = _traffic(by_route)
    short = next((each for each in functions if not each.reaches(needed)), None)
    if short is not None:
        message = short.message
    else:
        fields = dict.fromkeys(each.by for each in functions if each.by is not None and each.routes)
        parts = [_sentence(served, routes, traffic)] if routes else []
        parts += [_sentence_of_field(field, functions) for field in fields]
        message = ", ".join(parts) or "no routes of two versions are known"
    return Coverage(
        needed=needed, routes=routes, served=served, traffic=traffic, message=message, functions=tuple(functions)
    )


def _traffic(covered: Sequence[RouteCoverage]) -> float:
    """Return the share of the old versions' known requests on what the new ones have served, 0 to 1."""
    requests = sum(each.requests for each in covered)
    return sum(each.traffic * each.requests for each in covered) / requests if requests else 0.0


def _sentence_of_field(field: str, functions: Sequence[RouteCoverage]) -> str:
    own = [each for each in functions if each.by == field]
    return _sentence(sum(each.served for each in own), sum(each.routes for each in own), _traffic(own), field)


def _sentence(served: int, routes: int, traffic: float, by: str | None = None) -> str:
    noun = "routes" if by is None else f"values of {by}"
    return f"judged on {served} of {routes} {noun}, {_percent(traffic)} of traffic"


def _first_missing(version: str, missing: Sequence[MissingRoute], by: str | None) -> str:
    if not missing:
        return ""
    first = missing[0]
    name = first.route if by is None else f"{by} {first.route}"
    expected = f"{first.expected:.0f} expected" if first.expected >= 1 else "fewer than 1 expected"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f": v{version} has not served {name} ({expected}){more}"


def _percent(share: float) -> str:
    """Return a share as a whole percentage; 100 only for all of it, 0 only for nothing."""
    percent = round(share * 100)
    if percent == 100 and share < 1:
        return "over 99 %"
    return "under 1 %" if percent == 0 and share > 0 else f"{percent} %"
