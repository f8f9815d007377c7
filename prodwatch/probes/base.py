"""The contract between the runner and a check type's probe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from prodwatch.aws.interface import AwsApi
    from prodwatch.probes.connect import Timings
    from prodwatch.probes.http_pool import HttpConnection, Means


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a response has no document to judge, or why the document alone cannot be a pass."""

    status: Status
    """`fail` when the target is to blame, `error` when it could not be measured, or `inconclusive` or `skipped`."""
    reason: Reason
    message: str
    """One sentence: what happened, to which resource, what to do."""
    transient: bool = False
    """True for transport failures and throttles: the only failures that a retry repeats."""
    unsent: bool = False
    """The request certainly did not reach its target, so it changed nothing."""
    answered_by: tuple[str, ...] = ()
    """Fields of the document that report this failure too (`error` for an AWS API error, `results.error` for one below
    a leading field): when an assertion of the step mentions one of them, the document is judged, otherwise the failure
    counts."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """Raw result of one request: assertions read it as it is, and the runner redacts everything that leaves it."""

    document: Mapping[str, Any] = {}
    """As the type's reference page describes it; durations are `Duration`, times aware datetimes, headers `Headers`."""
    failure: Failure | None = None
    complete: bool = True
    """False when the source could not be read to its end: absence proves nothing."""
    unread: Failure | None = None
    """Why the source was not read to its end (`complete` is false then): the outcome where the part that was read does
    not decide an assertion. None when the probe gives no reason."""
    doubt: str | None = None
    """Why absence proves nothing although all was read: no element has the requested field; None without doubt."""
    skew_s: float = 0.0
    """Seconds by which the clock of the run was ahead of the target's when the request was sent, as far as known."""
    exchange: Exchange | None = None
    correlation: Correlation = Correlation()
    version: str | None = None
    """The version that responded, where the probe itself knows it (Lambda's ExecutedVersion)."""
    remarks: Mapping[str, str] = {}
    """Addition to the message of a failed assertion by field, such as the reason for the field's absence."""
    unreadable: Mapping[str, Failure] = {}
    """Fields that this machine could not read; the failure counts when an assertion mentions one of them."""
    notices: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Texts of the response that must never be shown, such as a value of GetSecretValue: the runner masks them."""
    leftovers: tuple[str, ...] = ()
    """Descriptions of data that this probe created and could not remove."""
    pause_s: float = 0.0
    """Shortest pause before the step's next request, where requests have an effect on their target."""


class HttpPool(Protocol):
    """HTTP connections shared by all checks of a run."""

    def session(self, *, verify_tls: bool = True) -> ClientSession:
        """Return the shared aiohttp session; never close it."""
        ...

    async def connection(
        self, host: str, port: int, timings: Timings, *, tls: bool, means: Means = ..., fresh: bool = False
    ) -> HttpConnection:
        """Return a connection: a kept-alive one where possible, unless it must be `fresh`.

        `timings` is filled while connecting. OSError, socket.gaierror and ssl.SSLError as the network raises them, and
        ProxyError.
        """
        ...


class ProbeContext(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a probe may use; there is no global state."""

    clock: Clock
    environment: Environment
    timeout_s: float
    """Of this one request; the runner also enforces it from outside."""
    http: HttpPool
    aws: AwsApi
    trace_id: str
    """X-Ray form; sent with the request unless the check says `trace = false`."""
    run_id: str
    root: str
    """Project root: relative paths in checks (`body_file`) start here, and never leave it."""
    memory: dict[str, Any] = msgspec.field(default_factory=dict)
    """Shared by all requests of a run or session: each probe keeps what it has to remember under a key of its own."""
    wait_left_s: float = 0.0
    """Time left in which the step may send requests, by its `poll` and `hold`."""
    account: str | None = None
    region: str | None = None
    mutates: bool = False
    """The step declares `mutates`: only then may a probe leave a change in place that it could undo."""
    own_marks: tuple[str, ...] = ()
    """Texts unique to this execution (its uid): data carrying one is ours."""
    holds_secret: Callable[[str], bool] = lambda _text: False
    """Whether a text contains a secret of this run: such a text is sent only to the host it was meant for."""
    first_request_at: datetime | None = None
    """When the step's first request was sent, by `clock`: relative windows of later looks count from it. None: now."""
    started_at: datetime | None = None
    """When the first request of the check was sent, by `clock`: `since = "start"`. None: this is the first."""
    release_started_at: Any = None
    """datetime of the release's start, or None: `since = "release"`."""


Preparation = Callable[[Mapping[str, Any], ProbeContext], Awaitable[Observation | None]]
"""`prepare(params, context)` of a probe: work on this machine that a request needs, done before its clock starts. An
observation when the request cannot be sent."""
Probe = Callable[[Mapping[str, Any], ProbeContext], Awaitable[Observation]]
"""`probe(params, context)`: params are the type's keys, every `${…}` filled, types already checked.

A probe raises only on bugs and on cancellation; anything about the target or AWS is a `Failure`.
"""
