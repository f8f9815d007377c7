"""An environment as defined in its file: where it runs, what to watch, and its release."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from prodwatch.model.check import SourcePosition
from prodwatch.model.identity import HOME, LAMBDA_GROUPS, FunctionId, GroupId, Place, PlaceNames, writers_of
from prodwatch.model.status import Reason, Status


class _Located(Protocol):
    """A target with an account and a region of its own."""

    @property
    def account(self) -> str | None: ...

    @property
    def region(self) -> str | None: ...


def place_of(target: _Located) -> Place:
    """Return the account and region of a target."""
    return Place(target.account or "", target.region or "") if target.account or target.region else HOME


_Target = TypeVar("_Target", bound=msgspec.Struct)


def in_own_region(target: _Target, region_of: Callable[[str | None], str | None]) -> _Target:
    """Return the target without a `region` that its account has anyway, so that one resource has one identity.

    `region_of` returns the region of an account's calls, None when it is not known; its argument is a name in
    `[aws.accounts]`, or None for the own account.
    """
    region = getattr(target, "region", None)
    if region is None or region != region_of(getattr(target, "account", None)):
        return target
    return replace(target, region=None)


class AwsTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials, region and endpoint of one account."""

    region: str | None = None
    profile: str | None = None
    """Profile name; None uses botocore's default, "" no profile."""
    role_arn: str | None = None
    account: str | None = None
    """Required account number; credentials of another account stop the run before any other call."""
    endpoint_url: str | None = None


class SecretReference(msgspec.Struct, frozen=True, kw_only=True):
    """Location of a secret, never its value."""

    env: str | None = None
    ssm: str | None = None
    secretsmanager: str | None = None
    field: str | None = None
    """Key inside a JSON secret."""
    account: str | None = None
    region: str | None = None


class StackReference(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudFormation stack with a short alias."""

    name: str
    account: str | None = None
    region: str | None = None


class FunctionTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A released Lambda function; its logs, metrics, traces and versions follow from its name."""

    name: str
    alias: str | None = None
    account: str | None = None
    region: str | None = None
    log_group: str | None = None
    """Log group; None means `/aws/lambda/<name>`."""

    @property
    def id(self) -> FunctionId:
        """Identity of the function and its alias."""
        return FunctionId(self.name, self.alias or "", place_of(self))

    @property
    def group_id(self) -> GroupId:
        """Identity of its log group, as far as known."""
        return GroupId(self.log_group or f"{LAMBDA_GROUPS}{self.name}", place_of(self))

    @property
    def writers(self) -> tuple[GroupId, ...]:
        """Identities that its lines may have as their writer."""
        return writers_of(self.name, self.group_id)


class LogTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A log group, or all groups with a prefix if the name ends in `*`."""

    group: str
    live_tail: bool = False
    filter: str | None = None
    """CloudWatch filter pattern; other lines are not fetched."""
    account: str | None = None
    region: str | None = None

    @property
    def id(self) -> GroupId:
        """Identity of the group."""
        return GroupId(self.group, place_of(self))


FUNCTION_FIGURES = frozenset(("errors", "p50", "p95", "p99", "requests/s", "throttles"))
"""Names of the metrics that are derived for every watched function; a `[[metric]]` has another name."""


VERSION_MARK = "${release.version}"
RELEASE_VERSION = re.compile(r"(?<!\$)\$\{\s*release\.version\s*\}")
"""The reference in a dimension by which a metric is read for both versions of a release."""


class MetricTarget(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A CloudWatch metric to show and, if it has assertions, to judge."""

    name: str
    namespace: str
    metric: str
    dimensions: dict[str, str] = {}
    stat: str = "Average"
    unit: str | None = None
    better: Literal["lower", "higher"] = "lower"
    expect: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    gate: bool = True
    period_s: int = 60
    account: str | None = None
    region: str | None = None
    by_version: dict[str, str] = {}
    """Filled dimensions in which `${release.version}` is left as written; empty where none names the version."""

    @property
    def is_by_version(self) -> bool:
        """Whether a dimension names the version under release, so that both versions are read and compared."""
        return bool(self.by_version) or any(map(RELEASE_VERSION.search, self._texts()))

    def dimensions_of(self, version: str) -> dict[str, str]:
        """Return the dimensions of one version."""
        return {name: value.replace(VERSION_MARK, version) for name, value in self.by_version.items()}

    def _texts(self) -> Iterable[str]:
        # A file may write the whole table as one reference.
        written: object = self.dimensions
        return written.values() if isinstance(written, dict) else ()


def metric_labels(metrics: Iterable[MetricTarget]) -> list[str]:
    """Return the name of each metric as shown: with account and region where several have it."""
    metrics = tuple(metrics)
    names = PlaceNames((each.name, place_of(each)) for each in metrics)
    return [names.of(each.name, place_of(each)) for each in metrics]


class AlarmTarget(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Alarms by name or prefix."""

    prefix: str | None = None
    names: tuple[str, ...] = ()
    gate: bool = True
    account: str | None = None
    region: str | None = None


Baseline = Literal["auto", "none"]
"""`auto`: the other version of a weighted alias, otherwise the time before the release. `none`: nothing is compared."""


class ReleaseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Source of releases, and the proof in a response of the version that served it."""

    codedeploy: tuple[str, ...] = ()
    """CodeDeploy applications."""
    appconfig: tuple[str, ...] = ()
    """AppConfig applications, or environments as `application/environment`."""
    attest: str | None = None
    match: str = "{version}"
    baseline: Baseline = "auto"


class ErrorComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Limits for the error ratio of the new version compared with the old one; shares are 0 to 1."""

    ratio: float = 2.0
    """New ratio divided by old ratio."""
    difference: float = 0.005
    """New ratio minus old ratio."""
    always: float = 0.02
    """Difference that counts at any old ratio."""
    min_bad: int = 3
    """Fewest failed requests of the new version for a decision."""
    false_alarms: float = 0.001
    """Limit of the probability of a false alarm over the whole gate."""
    gate: bool = True


class LatencyComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Limits for the latency of warm requests at four quantiles."""

    ratio: float = 1.1
    shift_s: float = 0.02
    false_alarms: float = 0.01
    gate: bool = True


class SignatureLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Whether error signatures logged only by the new version affect the verdict."""

    false_alarms: float = 0.001
    gate: bool = True


class KnownSignature(msgspec.Struct, frozen=True, kw_only=True):
    """An error signature accepted until a date."""

    signature: str
    until: str
    """RFC 3339 date or time."""
    reason: str


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """Comparison of the versions of a release; None instead of a kind turns it off."""

    errors: ErrorComparison | None = ErrorComparison()
    latency: LatencyComparison | None = LatencyComparison()
    signatures: SignatureLimits | None = SignatureLimits()
    require: Literal["errors", "none"] | None = None
    """Comparison required for a pass; None means `errors` with a `[[function]]`, else `none`."""
    coverage: float = 0.0
    """Share of the old version's routes, and of the values of each field of `coverage_by`, that the new one must have
    served, 0 to 1."""
    coverage_by: tuple[str, ...] = ()
    """Fields of log lines whose values must be covered like routes: `json.tenant`."""
    insights: bool = False
    """Whether Logs Insights counts the errors of the hour before a release where it was not read; AWS bills that."""
    exclude: tuple[str, ...] = ()
    """`route:GET /health`, `client:10.0.0.0/8`, `stream:2026/01/*`."""
    known: tuple[KnownSignature, ...] = ()


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """Interval of checks in the dashboard and in a gate."""

    every_s: float = 30.0
    bake_s: float = 900.0


class HistoryTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and how long past runs are kept."""

    enabled: bool = True
    keep_s: float = 90 * 86_400.0
    """Age from which a run of this environment is dropped."""
    size_bytes: int = 500_000_000
    """Size of the project's history file from which the oldest runs are dropped."""
    project: str | None = None
    """Name that identifies the project; None: it is found from the project's folder."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one run."""

    concurrency: int = 50
    per_host: int = 8
    per_service: int = 8
    api_cost_usd: float | None = None
    api_calls: int | None = None
    self_check: str | None = None
    """URL of a network self-check; when it fails, failures of targets in that round become `error`."""
    prices: dict[str, float] = {}
    """US dollars per unit by `service:Operation`; replaces the shipped price."""


SCENARIOS = ("bad", "config-only", "good", "no-traffic", "outage", "slow-burn")
"""Names of the staged releases."""


class DemoTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded AWS and the release it simulates."""

    scenario: str = "bad"
    at: str | None = None
    """Start position `before`, `during`, `after` or `+90s`; None starts at the beginning."""
    speed: float = 1.0
    seed: int = 42


class UnfilledTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A watched table that is not read, because a `${…}` in it has no value."""

    kind: Literal["function", "logs", "traces", "metric", "alarm", "release"]
    label: str
    """Name of the metric, otherwise the text with the reference as written."""
    message: str
    """Why the reference has no value."""
    reason: Reason
    target: MetricTarget | AlarmTarget | None = None
    """The table of a metric or of alarms, as written."""

    @property
    def status(self) -> Status:
        """Status of what depends on the table: `inconclusive` when the run ended before the value was read."""
        ended = self.reason in {Reason.DEADLINE, Reason.INTERRUPTED}
        return Status.INCONCLUSIVE if ended else Status.ERROR

    @property
    def sentence(self) -> str:
        """One sentence with the table and the reason."""
        table = f"[{self.kind}]" if self.kind in {"traces", "release"} else f"[[{self.kind}]]"
        return f"{table} {self.label} is not read: {self.message}"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A complete environment file; a run fills the `${…}` of its watched tables."""

    name: str
    title: str
    source: SourcePosition
    protected: bool = True
    aws: AwsTarget = AwsTarget()
    accounts: dict[str, AwsTarget] = {}
    stacks: dict[str, StackReference] = {}
    vars: dict[str, Any] = {}
    secrets: dict[str, SecretReference] = {}
    functions: tuple[FunctionTarget, ...] = ()
    logs: tuple[LogTarget, ...] = ()
    traces_filter: str | None = None
    traces_enabled: bool = True
    metrics: tuple[MetricTarget, ...] = ()
    alarms: tuple[AlarmTarget, ...] = ()
    release: ReleaseTarget = ReleaseTarget()
    compare: Compare = Compare()
    rounds: Rounds = Rounds()
    history: HistoryTarget = HistoryTarget()
    limits: Limits = Limits()
    demo: DemoTarget | None = None
    unfilled: tuple[UnfilledTarget, ...] = ()
    """Watched tables left out of the others, because a `${…}` in them has no value."""

    def region_of(self, target: _Located) -> str | None:
        """Return a target's region: its own, else that of its account; None when neither file nor table names one."""
        return target.region or self.region_of_account(target.account)

    def region_of_account(self, account: str | None) -> str | None:
        """Return the region of an account, None for the own one; None when the file does not name it."""
        return self.accounts.get(account or "", self.aws).region

    @property
    def function_names(self) -> PlaceNames:
        """Names of the functions as shown."""
        return PlaceNames((each.name, place_of(each)) for each in self.functions)

    @property
    def trace_places(self) -> tuple[Place, ...]:
        """Accounts and regions whose traces are read: the own one and those of functions."""
        return tuple(dict.fromkeys((HOME, *map(place_of, self.functions))))

    @property
    def deployment_places(self) -> tuple[Place, ...]:
        """Accounts and regions whose deployments are read: those of functions with an alias, else the own one."""
        return tuple(dict.fromkeys(place_of(each) for each in self.functions if each.alias)) or (HOME,)

    def in_own_regions(self, region_of: Callable[[str | None], str | None]) -> Environment:
        """Return the environment with every target as in `in_own_region`; of two equal targets one remains."""

        def canonical(targets: Iterable[_Target]) -> tuple[_Target, ...]:
            kept: list[_Target] = []
            for target in targets:
                own = in_own_region(target, region_of)
                if own not in kept:
                    kept.append(own)
            return tuple(kept)

        return replace(
            self,
            stacks={alias: in_own_region(stack, region_of) for alias, stack in self.stacks.items()},
            functions=canonical(self.functions),
            logs=canonical(self.logs),
            metrics=canonical(self.metrics),
            alarms=canonical(self.alarms),
        )

    def unfilled_of(self, *kinds: str) -> tuple[UnfilledTarget, ...]:
        """Return the unfilled tables of these kinds."""
        return tuple(each for each in self.unfilled if each.kind in kinds)
