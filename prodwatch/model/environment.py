"""One environment as its file describes it: where it runs, what to watch, what a release is."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from prodwatch.model.check import SourcePosition


class _Placed(Protocol):
    """Anything that a file may put into another account or region."""

    @property
    def account(self) -> str | None: ...

    @property
    def region(self) -> str | None: ...


def place_of(target: _Placed) -> str | None:
    """Return account and region in one word, None where they are the environment's own."""
    return "/".join(filter(None, (target.account, target.region))) or None


class AwsTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials, region and endpoint of one account."""

    region: str | None = None
    profile: str | None = None
    """None: botocore decides; "" means no profile at all."""
    role_arn: str | None = None
    account: str | None = None
    """The only account that may answer; another one stops the run before the first other call."""
    endpoint_url: str | None = None


class SecretReference(msgspec.Struct, frozen=True, kw_only=True):
    """Where a secret lives; never its value."""

    env: str | None = None
    ssm: str | None = None
    secretsmanager: str | None = None
    field: str | None = None
    """Key inside a JSON secret."""
    account: str | None = None
    region: str | None = None


class StackReference(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudFormation stack behind a short alias."""

    name: str
    account: str | None = None
    region: str | None = None


class FunctionTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A Lambda function under release; its logs, metrics, traces and versions follow from the name."""

    name: str
    alias: str | None = None
    account: str | None = None
    region: str | None = None
    log_group: str | None = None
    """None: `/aws/lambda/<name>`, or what the function's LoggingConfig says."""


class LogTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A log group, or every group with a prefix when the name ends in `*`."""

    group: str
    live_tail: bool = False
    filter: str | None = None
    """Server-side pattern; lines that do not match are not fetched."""
    account: str | None = None
    region: str | None = None


class MetricTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudWatch metric to watch and, when it has assertions, to judge."""

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


class AlarmTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms by name or by prefix."""

    prefix: str | None = None
    names: tuple[str, ...] = ()
    gate: bool = True
    account: str | None = None
    region: str | None = None


class ReleaseTarget(msgspec.Struct, frozen=True, kw_only=True):
    """What a release is here and how an answer proves which version served it."""

    codedeploy: str | None = None
    attest: str | None = None
    match: str = "{version}"
    baseline: Literal["auto", "none"] = "auto"


class ErrorComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds for the error ratio of the new version against the old one; shares are 0 to 1."""

    ratio: float = 2.0
    """New ratio divided by old ratio."""
    difference: float = 0.005
    """New ratio minus old ratio."""
    always: float = 0.02
    """Difference that counts whatever the old ratio is."""
    min_bad: int = 3
    """Failed requests of the new version below which nothing is decided."""
    false_alarms: float = 0.001
    """Bound on the probability of a false alarm over the whole gate."""
    gate: bool = True


class LatencyComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds for the latency of warm requests at four quantiles."""

    ratio: float = 1.1
    shift_s: float = 0.02
    false_alarms: float = 0.01
    gate: bool = True


class SignatureComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Whether error signatures that only the new version logs decide."""

    false_alarms: float = 0.001
    gate: bool = True


class KnownSignature(msgspec.Struct, frozen=True, kw_only=True):
    """An error signature that is accepted until a date."""

    signature: str
    until: str
    """RFC 3339 date or time."""
    reason: str


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """How the versions of a release are compared; None in place of a kind turns it off."""

    errors: ErrorComparison | None = ErrorComparison()
    latency: LatencyComparison | None = LatencyComparison()
    signatures: SignatureComparison | None = SignatureComparison()
    require: Literal["errors", "none"] | None = None
    """Proof that a pass needs; None: `errors` with a `[[function]]`, otherwise `none`."""
    coverage: float = 0.0
    """Share of the old version's routes that the new one must have served, 0 to 1."""
    exclude: tuple[str, ...] = ()
    """`route:GET /health`, `client:10.0.0.0/8`, `stream:2026/01/*`."""
    known: tuple[KnownSignature, ...] = ()


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """How often checks repeat in the dashboard and in a gate."""

    every_s: float = 30.0
    bake_s: float = 900.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one run."""

    concurrency: int = 50
    per_host: int = 8
    per_service: int = 8
    api_cost_usd: float | None = None
    api_calls: int | None = None
    self_check: str | None = None
    """URL; when it fails, target failures of that round become `error`."""
    prices: dict[str, float] = {}
    """US dollars per call by `service:Operation`, overriding the shipped table."""


class DemoTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded AWS and the staged release it plays."""

    scenario: str = "bad"
    at: str | None = None
    """`before`, `during`, `after`, `+90s`; None: the script runs from its start."""
    speed: float = 1.0
    seed: int = 42


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A whole environment file; `${…}` may still be inside where the contract allows it."""

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
    limits: Limits = Limits()
    demo: DemoTarget | None = None
