"""Results of a run, in the format `prodwatch.result/1`: field order is document order."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.model.check import SourcePosition
from prodwatch.model.comparison import ComparisonResult, Coverage, SignatureResult
from prodwatch.model.status import Reason, Status

SCHEMA = "prodwatch.result/1"


class AssertionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One judged assertion."""

    expression: str
    """The assertion as written, references filled, sanitised and redacted."""
    ok: bool | None
    """None when undecidable, with the reason `no_data`."""
    severity: Literal["expect", "warn", "until", "implicit", "attest"] = "expect"
    actual: Any = None
    """JSON value; durations and times as text. None for an absent path, which `message` states."""
    expected: Any = None
    diff: str | None = None
    message: str | None = None
    """One sentence when not ok."""
    facts: tuple[str, ...] = ()
    """The things behind a value that does not hold, one line each: log lines, alarms, items, a body's beginning."""


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a retry, poll or hold."""

    n: int
    status: Status
    duration_ms: int
    message: str | None = None
    kind: Literal["request", "poll", "hold"] = "request"
    started_at: datetime | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """Request and response for display: sanitised, redacted, limited in size."""

    request: dict[str, Any] = {}
    """`{method, url, headers, body}`, `{service, operation, params}` or similar."""
    response: Any = None
    phases_ms: dict[str, float] = {}
    """Milliseconds by phase, in order: dns, connect, tls, ttfb, download, as far as they took place."""
    curl: str | None = None
    """Equivalent curl command; None without one."""
    aws_cli: str | None = None
    """Equivalent `aws …` command; None without one."""
    truncated: bool = False


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Ids by which the request can be found in traces and logs."""

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
    """`flaky`, `unattested`, `stalled`."""
    reason_code: Reason | None = None
    message: str | None = None
    started_at: datetime | None = None
    duration_ms: int = 0
    attempts: tuple[AttemptResult, ...] = ()
    assertions: tuple[AssertionResult, ...] = ()
    captured: dict[str, Any] = {}
    version: str | None = None
    """The version that responded, where the response proves it."""
    exchange: Exchange | None = None
    correlation: Correlation = Correlation()
    leftovers: tuple[str, ...] = ()
    """Ids that a cleanup step could not remove."""
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
    """`flaky`, `advisory`, `critical`, `muted`, `unattested`, `mutating`, `stalled`."""
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
    """Exchange of a plain check; those of a flow are in its steps."""
    diagnosed_by: tuple[CheckResult, ...] = ()
    correlation: Correlation = Correlation()
    members: tuple[str, ...] = ()
    """Ids of a composite's members."""
    links: dict[str, str] = {}
    source: SourcePosition


class SignalResult(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluated `[[metric]]` or alarm: evidence in addition to the checks."""

    kind: Literal["metric", "alarm"]
    id: str
    """Unique among the signals of a kind: name, with account and region if they are not the environment's own."""
    name: str
    """Name of the metric or alarm; `prefix*` for a prefix without any alarm."""
    status: Status
    """`fail`: `expect` is false or the alarm is firing; `skipped`: no data, where that does not matter."""
    reason_code: Reason | None = None
    message: str | None = None
    """One sentence without the name; None without anything to add."""
    gate: bool = True
    """False: shown, but never part of the verdict."""
    value: float | str | None = None
    """Latest settled value in `unit`, or the alarm's state; None when nothing was read."""
    unit: str | None = None
    at: datetime | None = None
    """End of the period of `value`."""
    since: datetime | None = None
    """Time of the alarm's last change of state."""
    assertions: tuple[AssertionResult, ...] = ()


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """The program that wrote the document."""

    name: str = "prodwatch"
    version: str


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Time and place of a run."""

    id: str
    mode: Literal["check", "gate", "dashboard", "serve", "merge"]
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    host: str
    ci: str | None = None
    shard: str | None = None
    """`i/n` for a shard, else None."""
    digest: str | None = None
    """Equal in all shards of one run: of files, selection, environment and options. None: not made by `check`."""


class EnvironmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The checked environment."""

    name: str
    title: str
    account: str | None = None
    region: str | None = None


class ReleaseInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The release under test, as known at the end of the run."""

    version: str | None = None
    previous: str | None = None
    started_at: datetime | None = None
    state: str | None = None
    weights: dict[str, float] = {}
    """Version → share of traffic, 0 to 1."""
    change: Literal["code", "configuration"] | None = None
    """Difference from the previous version: `configuration` alone, or `code`; None where they were not compared."""
    attested: bool | None = None
    code_sha256: str | None = None
    """SHA-256 of the version's code or image in hex; None where it is not known."""
    configuration_sha256: str | None = None
    """SHA-256 of the version's configuration in hex; None where Lambda does not report it."""


class Blocking(msgspec.Struct, frozen=True, kw_only=True):
    """One item that prevents a green verdict."""

    kind: Literal["check", "metric", "alarm", "signature", "comparison", "source", "release", "run"]
    id: str
    status: Status
    message: str | None = None

    @property
    def sentence(self) -> str:
        """Return the item and its message, or its status without one."""
        return f"{self.id}: {self.message or self.status}"


VerdictStatus = Literal["pass", "degraded", "fail", "error", "inconclusive", "empty", "aborted"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict and its exit code."""

    status: VerdictStatus
    exit_code: int
    reason_code: Reason | None = None
    reason: str
    blocking: tuple[Blocking, ...] = ()

    @property
    def further(self) -> tuple[Blocking, ...]:
        """Return the blocking items that the reason does not state."""
        return tuple(each for each in self.blocking if not each.message or each.message not in self.reason)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Number of selected checks by status, without diagnostics that only explain."""

    passed: int = msgspec.field(name="pass", default=0)
    degraded: int = 0
    fail: int = 0
    error: int = 0
    inconclusive: int = 0
    skipped: int = 0
    flaky: int = 0
    total: int = 0


class RoundCount(msgspec.Struct, frozen=True, kw_only=True):
    """Rounds of one check within a bake."""

    check: str
    planned: int
    """Rounds that fit into the bake so far."""
    finished: int
    measured: int
    """Finished rounds that passed, were degraded or failed: errors and skipped ones measured nothing."""
    failed: int


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A message for the reader that is not a check's result."""

    code: str
    message: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of AWS: calls by `service:Operation`, throttles, US dollars at list price."""

    calls: dict[str, int] = {}
    throttles: int = 0
    cost_usd: float = 0.0
    unpriced: tuple[str, ...] = ()
    """Calls whose price is not known, so that `cost_usd` is the least that was spent."""


class RecordingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The session file that was recorded."""

    file: str
    bytes: int
    digest: str
    """Digest of its last frame in hex, by which a rewritten file is recognised."""
    ended: str | None = None
    """Why it ended before the run did; null when it is complete."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """The complete document."""

    schema: str = SCHEMA
    tool: Tool
    run: RunInfo
    environment: EnvironmentInfo
    release: ReleaseInfo | None = None
    verdict: Verdict
    summary: Summary
    checks: tuple[CheckResult, ...] = ()
    signals: tuple[SignalResult, ...] = ()
    comparisons: tuple[ComparisonResult, ...] = ()
    """Comparisons of the new version with the old one; empty in a `check`."""
    signatures: tuple[SignatureResult, ...] = ()
    """Error signatures of the new version; empty in a `check`."""
    coverage: Coverage | None = None
    """Routes that the new version has served; null in a `check`."""
    rounds: tuple[RoundCount, ...] = ()
    """Rounds of a gate; empty in a `check`."""
    notices: tuple[Notice, ...] = ()
    usage: Usage = Usage()
    recording: RecordingInfo | msgspec.UnsetType = msgspec.UNSET
    """Absent unless the run was recorded."""
