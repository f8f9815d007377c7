"""Compares the time before the release of a configuration with the time since: no request names the one it used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from prodwatch.judge.comparison.version_comparison import VersionComparison
from prodwatch.model.comparison import ComparisonResult, RequestBatch, VersionCounts
from prodwatch.model.environment import Compare
from prodwatch.model.identity import FunctionId, unique_name
from prodwatch.model.signal import ReleaseState

BEFORE = "before"
"""Label of the requests from before the release, where the version before is not known."""
_ADDED = attrgetter("requests", "failed", "error_lines", "client_errors", "cold_starts")


class ConfigurationComparison:
    """One release of a configuration, compared for each function that serves."""

    def __init__(self, release: ReleaseState, limits: Compare, functions: int) -> None:
        """`functions` is the number of functions that are compared: the bound on false alarms is for all."""
        self.release = release
        self.name = unique_name(release.id.subject, release.place)
        self._version = release.version or ""
        self._before = release.previous or BEFORE
        self._started_ms = release.started_at.timestamp() * 1000 if release.started_at is not None else 0.0
        self._limits = limits
        self._functions = functions
        self._compared: dict[FunctionId, VersionComparison] = {}
        self._with_last_week: set[FunctionId] = set()

    def update(self, batches: Mapping[FunctionId, Iterable[RequestBatch]]) -> None:
        """Judge batches of each function; the one in which the release began belongs to neither side."""
        for function, own in batches.items():
            for batch in own:
                counts = _sum(tuple(batch.versions.values()))
                if not counts.requests:
                    continue
                compared = self._comparison(function)
                if batch.end_ms <= self._started_ms:
                    compared.add_before(replace(batch, versions={self._before: counts}))
                elif batch.start_ms >= self._started_ms:
                    compared.add(replace(batch, versions={self._version: counts}))

    def without_last_week(self) -> tuple[ReleaseState, ...]:
        """Return, for each function whose same time a week ago was not read, a release of it at this time."""
        if self.release.started_at is None:
            return ()
        return tuple(
            ReleaseState(
                function=function.name,
                alias=function.alias or None,
                place=function.place,
                version=f"{self.name} {self._version}",
                previous=self._before,
                started_at=self.release.started_at,
            )
            for function in self._compared
            if function not in self._with_last_week
        )

    def add_last_week(self, function: FunctionId, minutes: Sequence[RequestBatch]) -> None:
        """Learn from the same time a week ago."""
        self._with_last_week.add(function)
        for each in minutes:
            self._comparison(function).add_last_week(each)

    def results(self) -> tuple[ComparisonResult, ...]:
        """Return the comparisons of every function that has served since; one without evidence while there is none."""
        results = tuple(
            self._named(unique_name(function.subject, function.place), result)
            for function, compared in self._compared.items()
            for result in compared.results()
            # Durations of one time prove nothing about another.
            if result.kind != "latency" and result.canary.requests
        )
        if results:
            return results
        nothing = VersionComparison(self.name, self._version, self._before, self._limits)
        return tuple(each for each in nothing.results() if each.kind == "errors")

    def _comparison(self, function: FunctionId) -> VersionComparison:
        if function not in self._compared:
            self._compared[function] = VersionComparison(
                self.name, self._version, self._before, self._limits, comparisons=self._functions
            )
        return self._compared[function]

    def _named(self, function: str, result: ComparisonResult) -> ComparisonResult:
        id_ = f"{self.name} on {function} {result.kind}"
        return replace(result, id=id_, message=f"{function}: {result.message}")


def _sum(counts: Sequence[VersionCounts]) -> VersionCounts:
    """Return the counts of several versions as those of one."""
    if len(counts) == 1:
        return counts[0]
    requests, failed, error_lines, client_errors, cold_starts = map(sum, zip(*map(_ADDED, counts), strict=True))
    return VersionCounts(
        requests=requests,
        failed=failed,
        error_lines=error_lines,
        client_errors=client_errors,
        cold_starts=cold_starts,
        environments=dict(chain.from_iterable(each.environments.items() for each in counts)),
    )
