"""What a run found, in the shape users read as `prodwatch.result/1`: field order is document order."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.model.check import SourcePosition
from prodwatch.model.status import Reason, Status

SCHEMA = "prodwatch.result/1"


class AssertionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One assertion, judged."""

    expression: str
    """As written, holes filled, sanitised and redacted on the way out."""
    ok: bool | None
    """None: not decidable, the reason is `no_data`."""
    severity: Literal["expect", "warn", "until", "implicit", "attest"] = "expect"
    actual: Any = None
    """JSON value; durations and times as text. Absent paths are None with `message` saying so."""
    expected: Any = None
    diff: str | None = None
    message: str | None = None
    """One sentence when not ok."""


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a retry, poll or hold."""

    n: int
    status: Status
    duration_ms: int
    message: str | None = None
    kind: Literal["request", "poll", "hold"] = "request"
    started_at: datetime | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """The request that was sent and the answer that came, for people: sanitised, redacted, capped."""

    request: dict[str, Any] = {}
    """`{method, url, headers, body}` or `{service, operation, params}` and the like."""
    response: Any = None
    phases_ms: dict[str, float] = {}
    """Ordered: dns, connect, tls, ttfb, download, as far as they happened."""
    curl: str | None = None
    """The equal curl command; None when there is none."""
    aws_cli: str | None = None
    """The equal `aws …` command; None when there is none."""
    truncated: bool = False


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """The ids by which the request can be found again in traces and logs."""

    trace_id: str | None = None
    """X-Ray form `1-8hex-24hex`."""
    request_ids: tuple[str, ...] = ()
    links: dict[str, str] = {}


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step or cleanup step."""

    name: str
    type: str
    status: Status
    flags: tuple[str, ...] = ()
    """`flaky`, `unattested`."""
    reason_code: Reason | None = None
    message: str | None = None
    started_at: datetime | None = None
    duration_ms: int = 0
    attempts: tuple[AttemptResult, ...] = ()
    assertions: tuple[AssertionResult, ...] = ()
    captured: dict[str, Any] = {}
    version: str | None = None
    """The version that answered, where the answer proves it."""
    exchange: Exchange | None = None
    correlation: Correlation = Correlation()
    leftovers: tuple[str, ...] = ()
    """Ids a cleanup step could not remove."""
    source: SourcePosition | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one run."""

    id: str
    name: str
    title: str
    kind: str
    type: str
    tags: tuple[str, ...] = ()
    owner: str | None = None
    status: Status
    flags: tuple[str, ...] = ()
    """`flaky`, `advisory`, `critical`, `muted`, `unattested`, `mutating`."""
    reason_code: Reason | None = None
    message: str | None = None
    started_at: datetime | None = None
    duration_ms: int = 0
    attempts: tuple[AttemptResult, ...] = ()
    assertions: tuple[AssertionResult, ...] = ()
    steps: tuple[StepResult, ...] = ()
    cleanup: tuple[StepResult, ...] = ()
    captured: dict[str, Any] = {}
    version: str | None = None
    exchange: Exchange | None = None
    """Of a plain check; a flow's are in its steps."""
    diagnosed_by: tuple[CheckResult, ...] = ()
    correlation: Correlation = Correlation()
    members: tuple[str, ...] = ()
    """Ids of a composite's members."""
    links: dict[str, str] = {}
    source: SourcePosition


class SignalResult(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[metric]]` or one alarm, evaluated: evidence next to the checks."""

    kind: Literal["metric", "alarm"]
    id: str
    """Unique among the signals of a kind: the name, and account and region where they are not the environment's own."""
    name: str
    """Of the metric or the alarm; `prefix*` for a prefix that no alarm has."""
    status: Status
    """`fail`: `expect` is false, or the alarm is firing. `skipped`: no data, where that weighs nothing."""
    reason_code: Reason | None = None
    message: str | None = None
    """One sentence without the name; None when there is nothing to add."""
    gate: bool = True
    """False: shown, never part of the verdict."""
    value: float | str | None = None
    """Newest settled value in `unit`, or the alarm's state; None when nothing was read."""
    unit: str | None = None
    at: datetime | None = None
    """End of the period that the value is of."""
    since: datetime | None = None
    """When an alarm took its present state."""
    assertions: tuple[AssertionResult, ...] = ()


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Which program wrote the document."""

    name: str = "prodwatch"
    version: str


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """When and where a run happened."""

    id: str
    mode: Literal["check", "gate", "dashboard", "serve", "merge"]
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    host: str
    ci: str | None = None
    shard: str | None = None
    """`i/n` when the run was one shard."""


class EnvironmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which environment was looked at."""

    name: str
    title: str
    account: str | None = None
    region: str | None = None


class ReleaseInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The release under test, as far as known when the run ended."""

    version: str | None = None
    previous: str | None = None
    started_at: datetime | None = None
    state: str | None = None
    weights: dict[str, float] = {}
    """Version → share of traffic, 0 to 1."""
    attested: bool | None = None


class Blocking(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps the verdict from being green."""

    kind: Literal["check", "metric", "alarm", "signature", "comparison", "source", "release", "run"]
    id: str
    status: Status
    message: str | None = None


VerdictStatus = Literal["pass", "degraded", "fail", "error", "inconclusive", "empty", "aborted"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and the exit code it maps to."""

    status: VerdictStatus
    exit_code: int
    reason_code: Reason | None = None
    reason: str
    blocking: tuple[Blocking, ...] = ()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Selected checks counted by status; diagnostics that only explain are not in it."""

    passed: int = msgspec.field(name="pass", default=0)
    degraded: int = 0
    fail: int = 0
    error: int = 0
    inconclusive: int = 0
    skipped: int = 0
    flaky: int = 0
    total: int = 0


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a reader should know that is not a check's result."""

    code: str
    message: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the run cost: AWS calls by `service:Operation`, throttles met, US dollars at list price."""

    calls: dict[str, int] = {}
    throttles: int = 0
    cost_usd: float = 0.0


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    schema: str = SCHEMA
    tool: Tool
    run: RunInfo
    environment: EnvironmentInfo
    release: ReleaseInfo | None = None
    verdict: Verdict
    summary: Summary
    checks: tuple[CheckResult, ...] = ()
    signals: tuple[SignalResult, ...] = ()
    notices: tuple[Notice, ...] = ()
    usage: Usage = Usage()
