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
    """Routes of the two versions of one function, from before the release on."""

    def __init__(self, function: str, version: str, baseline: str) -> None:
        self.function = function
        self.version = version
        self.baseline = baseline
        self._new: Counter[str] = Counter()
        self._old: Counter[str] = Counter()
        self._requests = 0
        """Requests of the old version, with and without a known route."""

    def add(self, batch: RequestBatch) -> None:
        """Count the routes of one closed batch."""
        new, old = batch.of(self.version), batch.of(self.baseline)
        self._requests += old.requests
        for counts, routes in ((self._new, new.routes), (self._old, old.routes)):
            for route, count in routes.items():
                if route in counts or len(counts) <= MAX_ROUTES:
                    counts[route] += count

    def result(self) -> RouteCoverage:
        """Return the coverage as of now."""
        old, served_by_new = self._old, self._new.total()
        total = old.total()
        if not total or len(old) > MAX_ROUTES:
            why = f"more than {MAX_ROUTES:,} paths look like routes" if total else "no trace or access log names them"
            return RouteCoverage(
                function=self.function,
                version=self.version,
                baseline=self.baseline,
                message=f"the routes of {self.function} are not known: {why}",
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
            routes=len(old),
            served=served,
            requests=total,
            traffic=1 - lost / total,
            known=min(1.0, total / self._requests) if self._requests else 1.0,
            missing=tuple(missing[:_NAMED]),
            message=_sentence(served, len(old), 1 - lost / total) + _first_missing(self.version, missing),
        )


def coverage_of(functions: Sequence[RouteCoverage], needed: float) -> Coverage:
    """Return the coverage of all functions under release; each of them must reach the `needed` share."""
    routes, served = sum(each.routes for each in functions), sum(each.served for each in functions)
    requests = sum(each.requests for each in functions)
    traffic = sum(each.traffic * each.requests for each in functions) / requests if requests else 0.0
    short = next((each for each in functions if not each.reaches(needed)), None)
    if short is not None:
        message = short.message
    elif routes:
        message = _sentence(served, routes, traffic)
    else:
        message = "no routes of two versions are known"
    return Coverage(
        needed=needed, routes=routes, served=served, traffic=traffic, message=message, functions=tuple(functions)
    )


def _sentence(served: int, routes: int, traffic: float) -> str:
    return f"judged on {served} of {routes} routes, {_percent(traffic)} of traffic"


def _first_missing(version: str, missing: Sequence[MissingRoute]) -> str:
    if not missing:
        return ""
    first = missing[0]
    expected = f"{first.expected:.0f} expected" if first.expected >= 1 else "fewer than 1 expected"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f": v{version} has not served {first.route} ({expected}){more}"


def _percent(share: float) -> str:
    """Return a share as a whole percentage; 100 only for all of it, 0 only for nothing."""
    percent = round(share * 100)
    if percent == 100 and share < 1:
        return "over 99 %"
    return "under 1 %" if percent == 0 and share > 0 else f"{percent} %"
