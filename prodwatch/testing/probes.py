"""Probes that answer by script: what a check sees, without any target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext

Answer = Observation | Mapping[str, Any] | Failure | BaseException | Callable[[Mapping[str, Any]], Any]
"""An observation, a bare document, a failure, something to raise, or a function of the request's keys giving one."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request a scripted probe was asked for."""

    params: dict[str, Any]
    at_s: float
    """Monotonic seconds of the clock."""
    context: ProbeContext


class ScriptedProbe:
    """Returns its responses in order, the last one repeatedly; records every request."""

    def __init__(self, *answers: Answer, takes_s: float = 0.0) -> None:
        self._answers = list(answers) or [{}]
        self._takes_s = takes_s
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        """Set with the first request."""
        self.running = 0
        self.most_at_once = 0

    async def __call__(self, params: Mapping[str, Any], context: ProbeContext) -> Observation:
        """Answer as scripted, after `takes_s` on the clock."""
        self.asked.set()
        self.requests.append(Request(dict(params), context.clock.monotonic_s(), context))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            if self._takes_s:
                await context.clock.sleep(self._takes_s)
        finally:
            self.running -= 1
        if callable(answer):
            answer = answer(params)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Failure):
            return Observation(failure=answer)
        return answer if isinstance(answer, Observation) else Observation(document=answer)


def refused(message: str = "shop.example refused the connection") -> Failure:
    """Return the failure of a target that refuses connections."""
    return Failure(status=Status.FAIL, reason=Reason.CONNECT, message=message, transient=True)


def throttled(message: str = "AWS throttled the call") -> Failure:
    """Return the failure of an exhausted call rate."""
    return Failure(status=Status.ERROR, reason=Reason.THROTTLED, message=message, transient=True)


def denied(message: str = "the identity lacks dynamodb:GetItem") -> Failure:
    """Return the failure of a missing permission."""
    return Failure(status=Status.ERROR, reason=Reason.ACCESS_DENIED, message=message)
