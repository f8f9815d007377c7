"""What happens around every request of every client: the budget is asked, the rate kept, calls and throttles counted.

Botocore's own events carry it, so that raw clients handed to sources are held to the same rules as `Aws.call`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from prodwatch.aws.codes import is_throttle
from prodwatch.aws.cost import Meter, units_asked, units_told
from prodwatch.aws.limiter import Limiter

_UNITS = "prodwatch_units"


@dataclass(slots=True)
class Attempt:
    """How far the call of the current task has come; tells a timeout in the queue from one on the wire."""

    queued: bool = False
    throttled: bool = False


ATTEMPT: ContextVar[Attempt | None] = ContextVar("prodwatch_attempt", default=None)
_TRACE: ContextVar[str | None] = ContextVar("prodwatch_trace", default=None)


@contextmanager
def traced(trace_id: str | None) -> Iterator[None]:
    """Send the calls inside with this X-Ray trace id, sampled; None sends none."""
    token = _TRACE.set(trace_id)
    try:
        yield
    finally:
        _TRACE.reset(token)


class Hooks:
    """The handlers of one client."""

    def __init__(self, *, service: str, account: str, region: str, meter: Meter, limiter: Limiter) -> None:
        self._service = service
        self._account = account
        self._region = region
        self._meter = meter
        self._limiter = limiter

    def register(self, client: Any) -> None:
        """Listen to every call of `client`."""
        events = client.meta.events
        events.register("before-parameter-build", self._before_build)
        events.register("before-call", self._before_call)
        events.register("after-call", self._after_call)

    def _before_build(self, *, params: Any, model: Any, context: Any = None, **_: Any) -> None:
        if context is not None:
            context[_UNITS] = units_asked(f"{self._service}:{model.name}", params)

    async def _before_call(self, *, model: Any, params: Any, context: Any, **_: Any) -> None:
        self._meter.admit(self._service, model.name, context.get(_UNITS, 1.0))
        trace_id = _TRACE.get()
        if trace_id:
            params["headers"]["X-Amzn-Trace-Id"] = f"Root={trace_id};Sampled=1"
        attempt = ATTEMPT.get()
        if attempt:
            attempt.queued = True
        await self._bucket(model.name).acquire()
        if attempt:
            attempt.queued = False

    def _after_call(self, *, http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
        status = http_response.status_code
        error = parsed.get("Error") or {}
        if status >= 300 and is_throttle(str(error.get("Code")), status):
            self._meter.throttled()
            self._bucket(model.name).throttled()
            attempt = ATTEMPT.get()
            if attempt:
                attempt.throttled = True
            return
        self._bucket(model.name).accepted()
        if status < 300:
            told = units_told(f"{self._service}:{model.name}", parsed)
            if told:
                self._meter.add(f"{self._service}:{model.name}", told)

    def _bucket(self, operation: str) -> Any:
        return self._limiter.bucket(self._account, self._region, self._service, operation)
