"""Evidence about two versions of a function, and the result of comparing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from prodwatch.model.identity import GroupId
from prodwatch.model.status import Reason, Status

BATCH_MS = 30_000
"""Length of a batch of requests, and the time after its end at which it is closed."""

SignatureKey = tuple[GroupId, str]
"""Log group and signature: an error that another group always logged is new in this one."""
ComparisonKind = Literal["errors", "latency", "error_lines", "client_errors", "metric"]
Basis = Literal["requests", "counts", "before/after"]
"""`requests`: each request once, from its log lines. `counts`: per minute, from CloudWatch, with retries in them.
`before/after`: no other version served at the same time."""


class VersionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Finished requests of one version in one batch; each request id counts once, by its first attempt."""

    requests: int = 0
    failed: int = 0
    """Invocations that failed, timed out or answered 5xx."""
    error_lines: int = 0
    """Requests that succeeded and logged ERROR or worse."""
    client_errors: int = 0
    """Requests that answered 4xx."""
    cold_starts: int = 0
    warm_ms: tuple[float, ...] = ()
    """Durations without cold starts and without the first requests of each environment."""
    environments: Mapping[str, tuple[int, int]] = {}
    """Log stream → (requests, failed requests)."""
    signatures: Mapping[SignatureKey, int] = {}
    """Error signature → requests that logged it."""
    routes: Mapping[str, int] = {}
    """Route or event source → requests."""
    values: Mapping[str, Mapping[str, int]] = {}
    """Field of `[compare] coverage_by` → value → requests."""


class RequestBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one function that ended within one batch, as known when it was closed; it is never revised."""

    function: str
    """Identity of the function: its name, with account and region where they are not the environment's own."""
    start_ms: int
    end_ms: int
    versions: Mapping[str, VersionCounts]
    late: bool = False
    """Records of an earlier batch that became visible after it was closed: a stratum of their own."""
    basis: Literal["requests", "counts"] = "requests"

    def of(self, version: str | None) -> VersionCounts:
        """Return the counts of a version, empty when it served nothing."""
        return self.versions.get(version, _NOTHING) if version is not None else _NOTHING


_NOTHING = VersionCounts()


class ComparedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a comparison, over the whole bake."""

    version: str | None
    requests: int = 0
    bad: int = 0
    share: float | None = None
    """Share of bad requests, 0 to 1, weighted by time; None without requests that can be compared."""
    quantiles_ms: Mapping[str, float] = {}
    """`p50`, `p90`, `p95`, `p99` of warm durations."""
    cold_starts: int = 0
    """Requests that began an environment, counted with the latency, which leaves them out."""
    value: float | None = None
    """Median of the periods of a metric, whose number is in `requests`; None for other kinds and without a period."""


class ComparisonResult(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of two versions, as of one moment."""

    kind: ComparisonKind
    id: str
    """Unique among the comparisons: function and kind, or the name of the metric."""
    function: str = ""
    """Function whose versions are compared; of a metric, that of the main release."""
    basis: Basis
    status: Status
    """`fail`: worse, with the certainty asked for. `degraded`: worse, of a kind that never fails a release.
    `pass`: harm is excluded. `inconclusive`: neither."""
    gate: bool = True
    advisory: str | None = None
    """Why the comparison does not count although it was made; one sentence."""
    reason_code: Reason | None = None
    message: str
    """One sentence with the figures."""
    canary: ComparedVersion
    baseline: ComparedVersion
    difference: float | None = None
    """Share of the canary minus that of the baseline, -1 to 1; for latency the ratio of the p95 minus 1, for a metric
    that of its values."""
    unit: str | None = None
    """Unit of the values of a metric."""
    at_least: float | None = None
    """The difference that is shown at 99 %, whenever it is read; None when none is."""
    at_most: float | None = None
    """The difference that is not exceeded at 99 %, by one look at the end."""
    evidence: float = 1.0
    """Ratio of the likelihood of the counts under harm to that under none; for the ranks of a metric, 1/p."""
    needed: float = 1000.0
    """Evidence that a failure takes: the number of comparisons of the kind, divided by its share of false alarms."""
    requests_needed: int | None = None
    """Further requests of the new version until harm could be excluded at the present shares; None: unknown."""
    last_end_ms: int | None = None
    """End of the last batch in which both versions served, epoch milliseconds."""


class SignatureResult(msgspec.Struct, frozen=True, kw_only=True):
    """One error signature since the release, as of one moment."""

    id: str
    """Hash of the function and of the signature; equal in every run."""
    function: str
    version: str
    """The version under release."""
    signature: str
    """The message with its variable parts as `<*>`."""
    example: str
    status: Status
    """`fail`: bound to the new version. `skipped`: accepted by `[compare] known`. `inconclusive`: listed only."""
    gate: bool = True
    new: bool | None = None
    """Whether it was absent before the release; None where the time before was not read."""
    canary: int = 0
    """Requests of the new version that logged it."""
    baseline: int = 0
    share: float | None = None
    """Share of the new version's requests, 0 to 1."""
    first_ms: int = 0
    """When it was first seen since the release, epoch milliseconds."""
    evidence: float = 1.0
    needed: float = 1000.0
    request_id: str | None = None
    trace_id: str | None = None
    accepted: str | None = None
    """End and reason of the acceptance: `until 2027-01-15: payment sandbox`."""
    message: str
    """One sentence with the figures."""


class MissingRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A route of the old version that the new one has not served."""

    route: str
    baseline: int
    """Requests of the old version on it."""
    expected: float
    """Requests of the new version on it, if its traffic were like that of the old one."""


class RouteCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """Routes of the old version of one function that the new one has served, or values of one field."""

    function: str
    version: str
    baseline: str
    by: str | None = None
    """Field of `[compare] coverage_by` whose values are counted as `routes`; None for routes."""
    routes: int = 0
    """Routes that the old version has served, before and since the release; 0 when none is known."""
    served: int = 0
    requests: int = 0
    """Requests of the old version whose route is known."""
    traffic: float = 0.0
    """Share of these on the served routes, 0 to 1."""
    known: float = 0.0
    """Share of the old version's requests whose route is known, 0 to 1."""
    missing: tuple[MissingRoute, ...] = ()
    """Routes that were not served, the most requested first; at most 20."""
    message: str

    def reaches(self, needed: float) -> bool:
        """Return whether at least the share `needed` of the routes was served; False where none is known."""
        return needed <= 0 or (self.routes > 0 and self.served >= needed * self.routes)


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Routes that the new versions of a release have served."""

    needed: float
    """Share of the old version's routes that the new one must have served, 0 to 1."""
    routes: int = 0
    served: int = 0
    traffic: float = 0.0
    """Share of the old versions' requests on the served routes, 0 to 1."""
    message: str
    """`judged on 9 of 12 routes, 97 % of traffic`."""
    functions: tuple[RouteCoverage, ...] = ()

    @property
    def suffices(self) -> bool:
        """Whether every function reaches the share that is needed."""
        return self.needed <= 0 or (bool(self.functions) and all(each.reaches(self.needed) for each in self.functions))
