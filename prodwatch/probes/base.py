"""The contract between the runner and a check type's probe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from prodwatch.aws.api import AwsApi
    from prodwatch.probes.connect import Timings
    from prodwatch.probes.http_pool import HttpConnection


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no document to judge, or why the document alone cannot be a pass."""

    status: Status
    """`fail`: the target is to blame; `error`: we could not measure; `inconclusive` and `skipped` as they say."""
    reason: Reason
    message: str
    """One sentence: what happened, to which resource, what to do."""
    transient: bool = False
    """True for transport failures and throttles: the only things a retry repeats."""
    answered_by: tuple[str, ...] = ()
    """Leading fields of the document that tell this failure too (`error` for an AWS API error): when an
    assertion of the step mentions one of them the document alone is judged, otherwise the failure stands."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one request saw, raw: assertions read it as it is; whatever leaves is redacted later."""

    document: Mapping[str, Any] = {}
    """The document of the type's reference page; durations are `Duration`, times aware datetimes, headers `Headers`."""
    failure: Failure | None = None
    complete: bool = True
    """False when the source could not be read to its end: absence proves nothing."""
    doubt: str | None = None
    """Why what is not there proves nothing although all was read: nothing read has the field that was asked for."""
    exchange: Exchange | None = None
    correlation: Correlation = Correlation()
    version: str | None = None
    """The version that answered, where the probe itself knows it (Lambda's ExecutedVersion)."""
    notices: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Texts of the answer that must never be shown, such as what GetSecretValue returned: the runner masks them."""
    leftovers: tuple[str, ...] = ()
    """Things this probe made that outlive it, for cleanup and its journal."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Where a mutation is written down before it is sent."""

    record: Callable[[str, Mapping[str, Any]], Awaitable[None]]
    """`await record("sqs.send", {...})`: fsynced on return; raises when it cannot be, and then nothing may be sent."""


class HttpPool(Protocol):
    """HTTP connections all checks of a run share."""

    def session(self, *, verify_tls: bool = True) -> ClientSession:
        """Return an aiohttp session for checks that want one; never close it."""
        ...

    async def connection(
        self, host: str, port: int, timings: Timings, *, tls: bool, verify_tls: bool = True, fresh: bool = False
    ) -> HttpConnection:
        """Return a connection, a kept-alive one if there is any and it need not be `fresh`.

        `timings` is filled on the way. OSError, socket.gaierror and ssl.SSLError as the network raises them.
        """
        ...


class ProbeContext(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a probe may use; nothing is global."""

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
    account: str | None = None
    region: str | None = None
    mutates: bool = False
    """The check says `mutates = true`: only then may a probe make a change last that it could also undo."""
    own_marks: tuple[str, ...] = ()
    """Texts unique to this execution (its uid): data carrying one is ours."""
    holds_secret: Callable[[str], bool] = lambda _text: False
    """Whether a text carries a secret of this run: such a text goes to no host but the one it was written for."""
    release_started_at: Any = None
    """datetime of the release's start, or None: `since = "release"`."""


Probe = Callable[[Mapping[str, Any], ProbeContext], Awaitable[Observation]]
"""`probe(params, context)`: params are the type's keys, every `${…}` filled, types already checked.

A probe raises only on bugs and on cancellation; anything about the target or AWS is a `Failure`.
"""
