"""Hooks on every request: check the limits, wait for the rate limiter, count calls and throttles, prove the response.

They are botocore event handlers, so clients obtained from `Aws.client` follow the same rules as `Aws.call`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from prodwatch.aws.always_present_members import always_present, missing_member
from prodwatch.aws.call_time_limits import CALL_TIME, clock_skew_s
from prodwatch.aws.error_codes import is_throttle
from prodwatch.aws.foreign_responses import ForeignResponseError, check_envelope, check_readable
from prodwatch.aws.rate_limiter import Bucket, RateLimiter
from prodwatch.aws.usage_meter import Meter, request_units
from prodwatch.clock import AwsClock, Clock

_UNITS = "prodwatch_units"
_PARAMS = "prodwatch_params"
WIRE_S = "ProdwatchWireSeconds"
"""Key in `ResponseMetadata`: seconds from sending to response, without queueing, client creation and retries."""
BODY_BYTES = "ProdwatchBodyBytes"
"""Key in `ResponseMetadata`: size of the response's body, 0 for a stream."""
SKEW_S = "ProdwatchSkewSeconds"
"""Key in `ResponseMetadata`: the session's clock minus AWS's in seconds, None without a `Date` header."""


_UNPARSED_OPERATION: ContextVar[str | None] = ContextVar("prodwatch_unparsed", default=None)
RAW_BODY = "ProdwatchRawBody"
"""Key under which an `unparsed` call returns its body."""
_SENT_S: ContextVar[float] = ContextVar("prodwatch_sent_s")
"""When the current task's request left, on the monotonic clock."""
_BODY_BYTES: ContextVar[int] = ContextVar("prodwatch_body_bytes", default=0)
"""Size of the body that the current task's request was answered with."""
_SENT_TO: ContextVar[str] = ContextVar("prodwatch_sent_to", default="")
"""Host and port that the current task's request went to."""
_TRACE: ContextVar[str | None] = ContextVar("prodwatch_trace", default=None)


@contextmanager
def traced(trace_id: str | None) -> Iterator[None]:
    """Send the calls inside with this X-Ray trace id, sampled; None sends no header."""
    token = _TRACE.set(trace_id)
    try:
        yield
    finally:
        _TRACE.reset(token)


@contextmanager
def unparsed(operation: str) -> Iterator[None]:
    """Return successful responses of `operation` as bytes under `RAW_BODY`; for services with JSON responses.

    Only for this operation, because the call may first need others (identity, credentials) that botocore must parse.
    """
    token = _UNPARSED_OPERATION.set(operation)
    try:
        yield
    finally:
        _UNPARSED_OPERATION.reset(token)


class RequestHooks:
    """Registers the hooks on clients."""

    def __init__(self, meter: Meter, limiter: RateLimiter, clock: Clock) -> None:
        self.meter = meter
        self.limiter = limiter
        self.clock = clock

    def register(self, client: Any, *, service: str, account: str) -> None:
        """Register the hooks for every call of `client`."""
        handlers = _Handlers(self, service, account, client.meta.region_name)
        client.meta.events.register("before-parameter-build", handlers.before_build)
        client.meta.events.register("before-call", handlers.before_call)
        client.meta.events.register("before-send", handlers.before_send)
        client.meta.events.register("before-parse", handlers.before_parse)
        client.meta.events.register("after-call", handlers.after_call)


class _Handlers:
    """Event handlers of one client."""

    def __init__(self, hooks: RequestHooks, service: str, account: str, region: str) -> None:
        self._hooks = hooks
        self._service = service
        self._account = account
        self._region = region

    def before_build(self, *, params: Any, model: Any, context: Any = None, **_: Any) -> None:
        if context is not None:
            context[_PARAMS] = dict(params)
            context[_UNITS] = request_units(f"{self._service}:{model.name}", params)

    async def before_call(self, *, model: Any, params: Any, context: Any, **_: Any) -> None:
        self._hooks.meter.admit(self._service, model.name, context.get(_UNITS, 1.0))
        trace_id = _TRACE.get()
        if trace_id:
            params["headers"]["X-Amzn-Trace-Id"] = f"Root={trace_id};Sampled=1"
        call = CALL_TIME.get()
        turn = self._bucket(model.name).acquire()
        await (turn if call is None else call.queue(turn))

    def before_send(self, *, request: Any, **_: Any) -> None:
        """Start the clock: client, queue, credentials and signature are behind the request."""
        _SENT_TO.set(urlsplit(request.url).netloc)
        _SENT_S.set(self._hooks.clock.monotonic_s())
        call = CALL_TIME.get()
        if call is not None:
            call.sent()

    def before_parse(
        self, *, operation_model: Any, response_dict: Any, customized_response_dict: Any, **_: Any
    ) -> None:
        """Prove the response; store the body of an `unparsed` call and give the parser an empty document instead."""
        status, body = response_dict["status_code"], response_dict["body"]
        raw = _UNPARSED_OPERATION.get() == operation_model.name and status < 300
        try:
            names = check_envelope(operation_model, status, response_dict["headers"], body)
            if not raw:
                check_readable(operation_model, status, response_dict["headers"], body)
        except ForeignResponseError as error:
            if not isinstance(body, bytes):
                body.close()  # nothing will read this stream
            raise ForeignResponseError(f"{error}; it came from {_SENT_TO.get()}", transient=error.transient) from error
        _BODY_BYTES.set(len(body) if isinstance(body, bytes) else 0)
        if raw:
            absent = always_present(f"{self._service}:{operation_model.name}") - (names or frozenset())
            if absent:
                raise ForeignResponseError(_incomplete(f"it has no `{min(absent)}`"))
            customized_response_dict[RAW_BODY] = body
            response_dict["body"] = b"{}"

    def after_call(self, *, http_response: Any, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        status = http_response.status_code
        error = parsed.get("Error") or {}
        metadata = parsed.setdefault("ResponseMetadata", {})
        metadata[BODY_BYTES] = _BODY_BYTES.get()
        metadata[WIRE_S] = self._hooks.clock.monotonic_s() - _SENT_S.get()
        skew_s = metadata[SKEW_S] = clock_skew_s(parsed, self._hooks.clock.now())
        if skew_s is not None and isinstance(self._hooks.clock, AwsClock):
            self._hooks.clock.correct(skew_s)
        reason = parsed.get("Reason") if self._service == "lambda" else None
        if status >= 300 and is_throttle(str(error.get("Code")), status, reason=reason):
            self._hooks.meter.throttled()
            self._bucket(model.name).throttled()
            call = CALL_TIME.get()
            if call is not None:
                call.throttled = True
            return
        self._bucket(model.name).accepted()
        if status < 300:
            if RAW_BODY not in parsed:
                name = f"{self._service}:{model.name}"
                absent = missing_member(name, model.output_shape, context.get(_PARAMS) or {}, parsed)
                if absent is not None:
                    raise ForeignResponseError(_incomplete(absent))
            self._hooks.meter.answered(f"{self._service}:{model.name}", context.get(_PARAMS) or {}, parsed)

    def _bucket(self, operation: str) -> Bucket:
        return self._hooks.limiter.bucket(self._account, self._region, self._service, operation)


def _incomplete(absent: str) -> str:
    return f"the response is not AWS's document of this operation: {absent}"
