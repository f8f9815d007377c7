"""The embedded AWS's log service without the wire, on a virtual clock, for machines whose own clock may be wrong."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsError, RawAnswer
from prodwatch.demo.aws.api_call import ApiCall, Effects, Raw, ServiceError
from prodwatch.demo.aws.faults import Active, FaultPlan
from prodwatch.demo.aws.logs.live_tail import DroppedError
from prodwatch.demo.aws.region import Region, RegionDependencies
from prodwatch.model.status import Reason
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock

CALL_S = 0.05
"""Virtual time one call takes."""


class SkewedClock:
    """The clock of a machine that is wrong, by the true clock's seconds since the start."""

    def __init__(self, clock: FakeClock, ahead_s: float = 0.0, *, step_s: float = 0.0, step_at_s: float = 0.0) -> None:
        """Be `ahead_s` ahead, and so much more from `step_at_s` on that the step is `step_s`."""
        self._clock = clock
        self._ahead_s = ahead_s
        self._step = step_at_s, step_s
        self.sleep = clock.sleep
        self.monotonic_s = clock.monotonic_s

    def ahead_s(self) -> float:
        """Return how far this clock is ahead of the true one now."""
        at_s, by_s = self._step
        return self._ahead_s + (by_s if self._clock.monotonic_s() >= at_s else 0.0)

    def now(self) -> datetime:
        """Return what this machine takes for the present."""
        return self._clock.now() + timedelta(seconds=self.ahead_s())


class LogDoor(ScriptedAws):
    """The way to the log service; its fault plan strikes as the server lets it strike."""

    def __init__(self, clock: FakeClock, plan: FaultPlan | None = None, *, machine: SkewedClock | None = None) -> None:
        super().__init__()
        self.machine = machine or SkewedClock(clock)
        self.plan = plan = plan or FaultPlan()
        self.clock = clock
        around = RegionDependencies(account="123456789012", faults=plan, wall=self.wall, sleep=clock.sleep)
        self.region = Region("eu-west-1", around, None)

    def wall(self) -> float:
        """Return AWS's own time, epoch seconds."""
        return self.clock.now().timestamp()

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        """Call an operation."""
        answer = await self.answer(service, operation, params or {})
        assert isinstance(answer, Mapping)
        return dict(answer)

    async def raw(self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any) -> RawAnswer:
        """Call an operation; the answer tells how far the machine's clock is off."""
        answer = await self.answer(service, operation, params or {})
        assert isinstance(answer, Raw)
        return RawAnswer(answer.body, self.machine.ahead_s())

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield pages until there is no further token."""
        asked = dict(params or {})
        while True:
            page = await self.call(service, operation, asked)
            yield page
            if "nextToken" not in page:
                return
            asked["nextToken"] = page["nextToken"]

    async def answer(self, service: str, operation: str, params: Mapping[str, Any]) -> Any:
        """Let the faults strike, then answer as the service does."""
        self.calls.append((f"{service}:{operation}", {}))
        active = self.plan.draw(service, operation, self.wall())
        await self.clock.sleep(CALL_S + active.delay_s)
        self.strike(active, service, operation)
        asked = dict(params)
        if active.has("invalid_token") and "nextToken" in asked:
            asked["nextToken"] = "refused"
        try:
            return self.region.sync[service, operation](self.api_call(service, operation, asked, active))
        except ServiceError as fault:
            raise error(fault.code, Reason.API_ERROR, service, operation) from fault

    async def events(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a live tail's updates."""
        active = self.plan.draw(service, operation, self.wall())
        self.strike(active, service, operation)
        frames = self.region.live_tail.open(self.api_call(service, operation, dict(params or {}), active))
        assert isinstance(frames, AsyncGenerator)
        async with aclosing(frames):
            try:
                async for frame in frames:
                    _, headers = struct.unpack(">II", frame[:8])
                    head, payload = frame[12 : 12 + headers], msgspec.json.decode(frame[12 + headers : -4])
                    if b":exception-type" in head:
                        raise error("EventStreamError", Reason.SERVICE, service, operation)
                    if b"initial-response" not in head:
                        yield {"sessionUpdate" if b"sessionUpdate" in head else "sessionStart": payload}
            except DroppedError:
                raise error("ClientPayloadError", Reason.NETWORK, service, operation) from None

    def api_call(self, service: str, operation: str, params: dict[str, Any], active: Active) -> ApiCall:
        """Return the call as the server reads it."""
        return ApiCall(
            service=service,
            operation=operation,
            params=params,
            region="eu-west-1",
            account="123456789012",
            now_s=self.wall(),
            effects=Effects(empty_page=active.has("empty_page"), short_page=active.has("short_page")),
        )

    @staticmethod
    def strike(active: Active, service: str, operation: str) -> None:
        """Raise what a fault stands for."""
        for kind, code, reason in (
            ("drop", "ClientPayloadError", Reason.NETWORK),
            ("expired_token", "ExpiredTokenException", Reason.EXPIRED_CREDENTIALS),
            ("throttle", "ThrottlingException", Reason.THROTTLED),
            ("access_denied", "AccessDeniedException", Reason.ACCESS_DENIED),
            ("error_5xx", "ServiceUnavailable", Reason.SERVICE),
        ):
            if active.has(kind):  # type: ignore[arg-type]
                raise error(code, reason, service, operation)


def error(code: str, reason: Reason, service: str, operation: str) -> AwsError:
    """Return an error as the session behind `AwsApi` raises it."""
    return AwsError(code, code=code, reason=reason, service=service, operation=operation, transient=True)
