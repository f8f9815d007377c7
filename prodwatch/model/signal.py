"""Live signals as values: log lines, traces, metric points, alarms, release events, and the status of sources."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from prodwatch.model.identity import HOME, LAMBDA_GROUPS, AlarmId, FunctionId, GroupId, Place, writers_of
from prodwatch.model.result import SignalResult


class Level(StrEnum):
    """Severity of a log line; `PLATFORM` marks lines of Lambda itself."""

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
    """Epoch milliseconds, as set by the writer."""
    message: str
    """Readable text, sanitised and redacted; the message field of JSON lines."""
    group: str
    stream: str = ""
    level: Level = Level.UNKNOWN
    version: str | None = None
    """Version from the stream name, else from the line."""
    request_id: str | None = None
    trace_id: str | None = None
    event_id: str = ""
    ingested_ms: int = 0
    fields: dict[str, Any] | None = None
    """The object of a JSON line, sanitised and redacted; None for text."""
    kind: Literal["app", "start", "end", "report", "init", "emf", "dropped", "platform"] = "app"
    report: LambdaReport | None = None
    late_ms: int = 0
    """Lateness against the freshness of its group; 0 when in time."""
    place: Place = HOME
    """Account and region of the group."""
    function: str | None = None
    """Function that the stream's name names, which a group of several functions needs; None without one."""
    text: str | None = None
    """The line behind its runtime's prefix, for a line of text that contains an object; None for all others."""

    @property
    def group_id(self) -> GroupId:
        """Identity of the group: its name may exist in several accounts and regions."""
        return GroupId(self.group, self.place)

    @property
    def writer(self) -> GroupId:
        """Identity of the writer: the group that a function has by default, else the group itself.

        Versions are those of a function, and several functions may share a group.
        """
        return self.group_id if self.function is None else GroupId(f"{LAMBDA_GROUPS}{self.function}", self.place)


class LambdaReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Values of one REPORT line or `platform.report`."""

    duration_ms: float
    billed_ms: float = 0.0
    memory_mb: int = 0
    used_mb: int = 0
    init_ms: float | None = None
    """Duration of the initialisation; None without a cold start."""
    status: str | None = None
    """`timeout` or `error`; None for success."""
    error_type: str | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One segment or subsegment; times in epoch seconds."""

    id: str
    parent_id: str | None = None
    name: str
    start_s: float
    end_s: float | None = None
    """End in epoch seconds; None while in progress."""
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
    links: tuple[str, ...] = ()
    """Ids of other traces that this one continues or is continued by, such as that of a queue's producer."""


class ServiceNode(msgspec.Struct, frozen=True, order=True, gc=False):
    """One service as X-Ray names it."""

    name: str
    kind: str = ""
    """X-Ray's type: `AWS::Lambda::Function`, `remote`, `client` for callers from outside."""
    place: Place = HOME
    """Account and region whose X-Ray names it."""


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One trace as returned by GetTraceSummaries."""

    id: str
    start_ms: int
    duration_s: float
    response_s: float | None = None
    method: str | None = None
    url: str | None = None
    status: int | None = None
    client: str | None = None
    """Address of the client."""
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
    """Services that the request passed through, in no particular order."""
    annotations: dict[str, Any] = {}
    place: Place = HOME
    """Account and region whose X-Ray has it; each of several has its own part of a trace."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A complete trace: its spans, parents before children."""

    id: str
    spans: tuple[Span, ...]
    duration_s: float | None = None
    complete: bool = True
    cut: bool = False
    """Whether X-Ray omitted spans because the trace is too large."""
    unread: int = 0
    """Number of invalid segments."""


class ServiceEdge(msgspec.Struct, frozen=True, kw_only=True):
    """Traced calls from one service to another in one window."""

    caller: ServiceNode
    callee: ServiceNode
    ok: int = 0
    errors: int = 0
    """Calls with a 4xx response, without throttles."""
    throttles: int = 0
    faults: int = 0
    """Calls with a 5xx response or none."""
    time_s: float = 0.0
    """Total time of all calls, in seconds."""
    times: tuple[tuple[float, int], ...] = ()
    """(seconds, calls) per bucket of X-Ray, shortest first; empty for asynchronous calls."""

    @property
    def calls(self) -> int:
        """Number of calls."""
        return self.ok + self.errors + self.throttles + self.faults


class ServiceGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Service graph of one window: `now` ends at the present, `before` at the start of the release."""

    part: Literal["before", "now"]
    start_ms: int
    end_ms: int
    released_ms: int | None = None
    """Start of the release that separates the two windows, epoch milliseconds; None without one."""
    edges: tuple[ServiceEdge, ...] = ()
    place: Place = HOME
    own_taken_out: int = 0
    """Calls from outside by requests of prodwatch's own, which X-Ray counted and the edges leave out."""
    without_own_until_ms: int = 0
    """Start before which the edges leave out own requests, epoch milliseconds; those that began later are in them."""


SETTLED_AFTER_S = 180.0
"""Seconds after the end of a period from which CloudWatch no longer changes its point."""


class MetricKey(msgspec.Struct, frozen=True, order=True):
    """Identity of one series."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...] = ()
    stat: str = "Sum"
    version: str | None = None
    """Version that the series is about, if any."""
    label: str = ""
    place: Place = HOME
    """Account and region of the series."""
    function: str = ""
    """Function that `version` belongs to; empty for a series without one."""

    @property
    def is_exceedance(self) -> bool:
        """Whether it counts durations of a version above a limit: evidence of a comparison, which no table shows."""
        return not self.label and bool(self.function) and self.metric == "Duration" and self.stat.startswith("TC(")


class MetricPoint(msgspec.Struct, frozen=True, order=True, gc=False):
    """One value of one period; `timestamp_s` is the start of the period, epoch seconds."""

    timestamp_s: int
    value: float
    settled: bool = True
    samples: float = 0.0
    """Number of values that it is the mean of; 0 when not known."""


class MetricSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one series, oldest first; they replace stored points of the same periods."""

    key: MetricKey
    points: tuple[MetricPoint, ...]
    unit: str | None = None
    period_s: int = 60
    read: tuple[tuple[int, int], ...] = ()
    """Spans (start, end in epoch seconds) whose periods were read after they had settled: in them a period without a
    point has no data. Empty when not known.
    """


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """Current state of an alarm."""

    name: str
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    kind: Literal["metric", "composite", "log"] = "metric"
    since: datetime | None = None
    reason: str | None = None
    gate: bool = True
    place: Place = HOME
    actions_enabled: bool = True
    """False: it changes its state, and nothing happens."""
    muted_by: str | None = None
    """Mute rule in force, None without one or where it was not asked for."""

    @property
    def id(self) -> AlarmId:
        """Identity of the alarm."""
        return AlarmId(self.name, self.place)


class EvaluatedSignals(msgspec.Struct, frozen=True, kw_only=True):
    """All signals of one kind as last evaluated; they replace the previous ones."""

    kind: Literal["metric", "alarm"]
    results: tuple[SignalResult, ...]


ERROR_WORDS = ("error", "exception", "traceback", "fatal", "critical", "panic", "timed out")
"""Words, in either case, of the lines that Logs Insights counts; errors without any of them are not counted."""


class CountedErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Error signatures of the time before a release, counted where its lines were not read."""

    writers: tuple[GroupId, ...]
    """Identities of the function whose lines were counted."""
    until: datetime
    """Start of the release."""
    signatures: tuple[tuple[GroupId, str], ...]
    """Writer and signature of each error that was logged."""
    complete: bool
    """Whether every line with one of `ERROR_WORDS` was counted."""


class ReleaseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event on the release's time line."""

    at: datetime
    source: Literal["lambda", "codedeploy", "appconfig", "cloudformation", "alarm", "check", "verdict", "mark"]
    subject: str
    """The function, deployment, configuration, stack, alarm or check concerned."""
    what: str
    """A short phrase: `weights`, `status InProgress`, `AfterAllowTraffic Succeeded`."""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    weight: float | None = None
    """Share of traffic on `to`, 0 to 1."""
    detail: str | None = None
    place: Place = HOME
    """Account and region of the subject."""

    @property
    def owner(self) -> str:
        """Name of the function or stack that the subject belongs to, one for all deployments; else the subject."""
        if self.source == "codedeploy":
            # A deployment's id is unique, but does not name its account and region.
            return "deployment"
        separator = {"lambda": ":", "cloudformation": "/"}.get(self.source)
        return self.subject.partition(separator)[0] if separator else self.subject


class RollbackAlarms(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms at which CodeDeploy stops the deployments of a deployment group, or AppConfig those of an environment."""

    group: str
    alarms: tuple[str, ...] = ()
    enabled: bool = True
    """Whether the group watches its alarms."""
    rolls_back: bool = True
    """Whether a deployment that an alarm stops is rolled back."""
    ignores_unread: bool = False
    """Whether a deployment continues when CodeDeploy cannot read the state of an alarm."""
    unread: str | None = None
    """Why the group could not be read the last time; None when it was."""


Change = Literal["code", "configuration"]
"""Difference between two versions: their code, or with equal code only their configuration."""


class ReleasePhase(StrEnum):
    """Phase of a release."""

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
    """State of a release of a function or of a configuration, derived from API responses."""

    function: str
    """Name of the function, or `application/environment/profile` of a configuration in AppConfig."""
    kind: Literal["function", "configuration"] = "function"
    alias: str | None = None
    phase: ReleasePhase = ReleasePhase.NONE
    version: str | None = None
    """The new version."""
    previous: str | None = None
    weights: dict[str, float] = {}
    started_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was over; None before, and when that is not known."""
    next_shift_at: datetime | None = None
    cause: str | None = None
    """Reason of a stop, failure or rollback."""
    deployment: str | None = None
    deployment_status: str | None = None
    log_group: str | None = None
    """Name of the function's log group; None means `/aws/lambda/<function>`."""
    code: dict[str, str] = {}
    """Version → SHA-256 of its code or image in hex, for versions that could be read."""
    configuration: dict[str, str] = {}
    """Version → SHA-256 of its configuration in hex, where Lambda reports it."""
    rollback: RollbackAlarms | None = None
    """Alarms of the deployment group or AppConfig environment; None without either."""
    ordered_sources: tuple[str, ...] = ()
    """Event sources that send each shard, partition or message group in order, such as `Kinesis stream orders`."""
    place: Place = HOME
    suffix: str = ""
    """Account and region as shown after the function's name, where several functions have it; else empty."""

    @property
    def title(self) -> str:
        """Return the function's name as shown."""
        return self.function + self.suffix

    @property
    def change(self) -> Change | None:
        """Return the difference of the version from the previous one; None without one, or where it is not known."""
        new, old = self.version or "", self.previous or ""
        code, configuration = self.code.get(new), self.configuration.get(new)
        if None in {code, self.code.get(old)}:
            return None
        if code != self.code[old]:
            return "code"
        known = None not in {configuration, self.configuration.get(old)}
        return "configuration" if known and configuration != self.configuration[old] else None

    @property
    def note(self) -> str | None:
        """Return a remark on the version, None without one."""
        return "configuration only" if self.change == "configuration" else None

    @property
    def group_id(self) -> GroupId:
        """Identity of the function's log group."""
        return GroupId(self.log_group or f"{LAMBDA_GROUPS}{self.function}", self.place)

    @property
    def writers(self) -> tuple[GroupId, ...]:
        """Identities that the function's lines may have as their writer."""
        return writers_of(self.function, self.group_id)

    @property
    def id(self) -> FunctionId:
        """Identity of the function and its alias."""
        return FunctionId(self.function, self.alias or "", self.place)


class SourcePhase(StrEnum):
    """Phase of a source."""

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


UNREADABLE = frozenset((SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED))
"""Phases in which a source reads nothing."""

NO_HISTORY = "history not read"
"""Note of the alarm source: alarm states are known, but not whether an alarm fired and recovered meanwhile."""


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Status of one source, as data, so that panels and JSON show the same."""

    source: str
    """`logs:/aws/lambda/shop-orders`, `traces`, `metrics`, `alarms`, `release`."""
    phase: SourcePhase = SourcePhase.STARTING
    message: str | None = None
    action: str | None = None
    """The denied IAM action."""
    fresh_at: datetime | None = None
    """Time up to which everything visible has been read."""
    read_from: datetime | None = None
    """Start of the time that is read; None for a source that does not say."""
    swept_at: datetime | None = None
    """Time up to which everything visible, at a lateness of up to L, has been read; None for sources without late data.
    """
    notes: tuple[str, ...] = ()
    """Limitations of a working source, each in a few words; `message` holds the same as sentences."""
    retry_at: datetime | None = None
    unread: tuple[str, ...] = ()
    """One sentence per part that could not be read although others could."""
    late: int = 0
    dropped: int = 0
    """Late lines that may have been shown before, and therefore are not shown."""
    sampled: int = 0


Record = (
    LogRecord
    | TraceSummary
    | ServiceGraph
    | MetricSeries
    | AlarmState
    | EvaluatedSignals
    | CountedErrors
    | ReleaseEvent
    | ReleaseState
)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of a source: at most 250 ms or 500 records, sanitised, redacted, ordered."""

    source: str
    records: tuple[Record, ...] = ()
    status: SourceStatus | None = None
    is_answered: bool = False
    """The source's status is over: others report in its place, such as the log groups that match a prefix."""
