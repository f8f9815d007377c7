"""When a target cannot be reached, was it the target or our own network? One request per round decides."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from prodwatch.model.result import CheckResult, StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import ProbeContext
from prodwatch.runner.bounds.time_limits import bounded
from prodwatch.runner.step.run_context import RunContext

TIMEOUT_S = 5.0
_TRANSPORT = frozenset({Reason.TIMEOUT, Reason.CONNECT, Reason.DNS, Reason.TLS})


class NetworkSelfCheck:
    """`[limits] self_check`: asked at most once, at the first target that cannot be reached."""

    def __init__(self, tools: RunContext, url: str | None) -> None:
        self._tools = tools
        self._url = url
        self._asked: asyncio.Task[str | None] | None = None

    def may_change(self, result: CheckResult) -> bool:
        """Return whether this is the failure of a target that could not be reached, and there is somebody to ask."""
        return self._url is not None and result.status is Status.FAIL and result.reason_code in _TRANSPORT

    async def apply(self, result: CheckResult) -> CheckResult:
        """Return the result, a target's failure turned into an error when our own network failed too."""
        if self._url is None or not self.may_change(result):
            return result
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask(self._url))
        problem = await asyncio.shield(self._asked)
        if problem is None:
            return result
        return replace(
            result,
            status=Status.ERROR,
            reason_code=Reason.NETWORK,
            message=f"our own network failed: {problem}; this check saw: {result.message}",
            steps=tuple(map(_own_fault, result.steps)),
        )

    async def close(self) -> None:
        """Give up what is still being asked."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    async def _ask(self, url: str) -> str | None:
        """Return why the neutral address cannot be reached, None when it can."""
        tools = self._tools
        context = ProbeContext(
            clock=tools.clock,
            environment=tools.environment,
            timeout_s=TIMEOUT_S,
            http=tools.http,
            aws=tools.aws,
            trace_id=tools.fresh_ids()[1],
            run_id=tools.run_id,
            root=tools.root,
        )
        try:
            observation = await bounded(
                tools.clock, TIMEOUT_S + 0.1, tools.probes("http")({"url": url, "trace": False}, context)
            )
        except TimeoutError:
            return f"the self-check {url} did not answer within {TIMEOUT_S:g} s"
        return None if observation.failure is None else f"the self-check {url}: {observation.failure.message}"


def _own_fault(step: StepResult) -> StepResult:
    if step.status is Status.FAIL and step.reason_code in _TRANSPORT:
        return replace(step, status=Status.ERROR, reason_code=Reason.NETWORK)
    return step
