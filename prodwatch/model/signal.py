"""Live signals as values: log lines, traces, metric points, alarms, the release's own events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from prodwatch.model.result import SignalResult


class Level(StrEnum):
    """Severity of a log line; `platform` is what Lambda itself wrote."""

    FATAL = "FATAL"
    ERROR = "ERROR"
    WARN = "WARN"
    INFO = "INFO"
    DEBUG = "DEBUG"
    TRACE = "TRACE"
    PLATFORM = "PLATFORM"
    UNKNOWN = "-"


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One event of CloudWatch Logs, parsed as far as its format is known."""

    timestamp_ms: int
    """Epoch milliseconds, as the writer dated it."""
    message: str
    """What people read: sanitised, redacted; the message field of JSON lines."""
    group: str
    stream: str = ""
    level: Level = Level.UNKNOWN
    version: str | None = None
    """From the stream name, else from the line."""
    request_id: str | None = None
    trace_id: str | None = None
    event_id: str = ""
    ingested_ms: int = 0
    fields: dict[str, Any] | None = None
    """The JSON object of a JSON line, sanitised and redacted; None for text."""
    kind: Literal["app", "start", "end", "report", "init", "emf", "dropped", "platform"] = "app"
    report: LambdaReport | None = None
    late_ms: int = 0
    """How much later than its group's freshness it arrived; 0 when in time."""


class LambdaReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The numbers of one REPORT line or `platform.report`."""

    duration_ms: float
    billed_ms: float = 0.0
    memory_mb: int = 0
    used_mb: int = 0
    init_ms: float | None = None
    """Present on a cold start."""
    status: str | None = None
    """`timeout`, `error`, None when it succeeded."""
    error_type: str | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One segment or subsegment."""

    id: str
    parent_id: str | None = None
    name: str
    start_s: float
    end_s: float | None = None
    """None while in progress."""
    origin: str | None = None
    namespace: str | None = None
    resource_arn: str | None = None
    fault: bool = False
    error: bool = False
    throttle: bool = False
    http: dict[str, Any] = {}
    aws: dict[str, Any] = {}
    sql: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    exceptions: tuple[str, ...] = ()


class ServiceNode(msgspec.Struct, frozen=True, order=True, gc=False):
    """One service as X-Ray names it."""

    name: str
    kind: str = ""
    """X-Ray's type: `AWS::Lambda::Function`, `remote`, `client` for who calls from outside."""


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One trace as GetTraceSummaries tells it."""

    id: str
    start_ms: int
    duration_s: float
    response_s: float | None = None
    method: str | None = None
    url: str | None = None
    status: int | None = None
    fault: bool = False
    error: bool = False
    throttle: bool = False
    partial: bool = False
    revision: int = 0
    service: str | None = None
    version: str | None = None
    root_cause: str | None = None
    """`service → node: exception`, one line."""
    slowest: str | None = None
    """Name of the slowest node and its own time, one line: `DynamoDB 1.7 s`."""
    services: tuple[ServiceNode, ...] = ()
    """What the request passed through, in no order."""
    annotations: dict[str, Any] = {}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A whole trace: its spans, parents before children."""

    id: str
    spans: tuple[Span, ...]
    duration_s: float | None = None
    complete: bool = True
    cut: bool = False
    """X-Ray left spans out because the trace is too large."""
    unread: int = 0
    """Pieces that came but could not be read as spans."""


class ServiceEdge(msgspec.Struct, frozen=True, kw_only=True):
    """Calls from one service to another in one window; only traced ones are counted."""

    caller: ServiceNode
    callee: ServiceNode
    ok: int = 0
    errors: int = 0
    """Answered with 4xx, throttles left out."""
    throttles: int = 0
    faults: int = 0
    """Answered with 5xx, or not at all."""
    time_s: float = 0.0
    """Seconds of all calls together."""
    times: tuple[tuple[float, int], ...] = ()
    """(seconds, calls) by X-Ray's buckets, shortest first; empty for asynchronous calls."""

    @property
    def calls(self) -> int:
        """Return how many calls there were."""
        return self.ok + self.errors + self.throttles + self.faults


class ServiceGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Who called whom in one window: `now` ends at the present, `before` at the beginning of the release."""

    part: Literal["before", "now"]
    start_ms: int
    end_ms: int
    released_ms: int | None = None
    """When the release began that parts the two, None without one."""
    edges: tuple[ServiceEdge, ...] = ()


SETTLED_AFTER_S = 180.0
"""Seconds after the end of a period from which CloudWatch no longer changes its point."""


class MetricKey(msgspec.Struct, frozen=True, order=True):
    """Identity of one series."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...] = ()
    stat: str = "Sum"
    version: str | None = None
    """Which version the series speaks for, when it speaks for one."""
    label: str = ""


class MetricPoint(msgspec.Struct, frozen=True, order=True, gc=False):
    """One value of one period; `timestamp_s` is the period's start."""

    timestamp_s: int
    value: float
    settled: bool = True


class MetricSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one series, oldest first; replaces what was known for the same minutes."""

    key: MetricKey
    points: tuple[MetricPoint, ...]
    unit: str | None = None
    period_s: int = 60


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm now."""

    name: str
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    kind: Literal["metric", "composite", "log"] = "metric"
    since: datetime | None = None
    reason: str | None = None
    gate: bool = True
    place: str | None = None
    """Account and region, where they are not the environment's own: names may be the same in both."""


class EvaluatedSignals(msgspec.Struct, frozen=True, kw_only=True):
    """Every signal of one kind as last evaluated; replaces those known before."""

    kind: Literal["metric", "alarm"]
    results: tuple[SignalResult, ...]


class ReleaseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One observation on the release's time line."""

    at: datetime
    source: Literal["lambda", "codedeploy", "cloudformation", "alarm", "check", "verdict", "mark"]
    subject: str
    """The function, deployment, stack, alarm or check it is about."""
    what: str
    """One short phrase: `weights`, `status InProgress`, `AfterAllowTraffic Succeeded`."""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    weight: float | None = None
    """Share of traffic on `to`, 0 to 1."""
    detail: str | None = None


class ReleasePhase(StrEnum):
    """Where a release stands."""

    NONE = "none"
    NOT_STARTED = "not started"
    HOOK = "hook running"
    SHIFTING = "shifting"
    BAKING = "baking"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled back"


class ReleaseState(msgspec.Struct, frozen=True, kw_only=True):
    """The state a function's release is in, computed from its events."""

    function: str
    alias: str | None = None
    phase: ReleasePhase = ReleasePhase.NONE
    version: str | None = None
    """The newest version under release."""
    previous: str | None = None
    weights: dict[str, float] = {}
    started_at: datetime | None = None
    next_shift_at: datetime | None = None
    cause: str | None = None
    """Why it stopped, failed or rolled back."""
    deployment: str | None = None
    deployment_status: str | None = None
    code: dict[str, str] = {}
    """Version → SHA-256 of its code in hex, of the image for image-based functions; as far as somebody may know it."""
    place: str | None = None
    """Account and region, where they are not the environment's own: names may be the same in both."""


class SourcePhase(StrEnum):
    """What a source is doing."""

    STARTING = "starting"
    LIVE = "live"
    IDLE = "idle"
    BEHIND = "behind"
    THROTTLED = "throttled"
    DENIED = "denied"
    EXPIRED = "expired"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPED = "stopped"


NO_HISTORY = "history not read"
"""Note of the alarms' source: their states are known, but not whether one fired meanwhile and is quiet again."""


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one source is doing: data like the rest, so panels and JSON show the same."""

    source: str
    """`logs:/aws/lambda/shop-orders`, `traces`, `metrics`, `alarms`, `release`."""
    phase: SourcePhase = SourcePhase.STARTING
    message: str | None = None
    action: str | None = None
    """The IAM action that is denied."""
    fresh_at: datetime | None = None
    """Everything visible up to here has been read."""
    swept_at: datetime | None = None
    """What was visible by then, however late within L, has been read; None where lines do not come late."""
    notes: tuple[str, ...] = ()
    """What limits it although it reads, each in a few words; `message` says the same in sentences."""
    retry_at: datetime | None = None
    unread: tuple[str, ...] = ()
    """Parts it is to tell of and could not read although it reads others, each a sentence."""
    late: int = 0
    dropped: int = 0
    """Lines met again so late that they may have been shown already; they are not shown."""
    sampled: int = 0


Record = (
    LogRecord | TraceSummary | ServiceGraph | MetricSeries | AlarmState | EvaluatedSignals | ReleaseEvent | ReleaseState
)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a source hands over at once: at most 250 ms or 500 records, sanitised, redacted, ordered."""

    source: str
    records: tuple[Record, ...] = ()
    status: SourceStatus | None = None
