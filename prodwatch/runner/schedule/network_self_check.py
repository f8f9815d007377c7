"""Tells an unreachable target from a failure of our own network, with one request per run or round."""

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
    """`[limits] self_check`: requested at most once, at the first target that cannot be reached."""

    def __init__(self, context: RunContext, url: str | None) -> None:
        self._context = context
        self._url = url
        self._request: asyncio.Task[str | None] | None = None

    def may_change(self, result: CheckResult) -> bool:
        """Return whether the target could not be reached and a self-check is configured."""
        return self._url is not None and result.status is Status.FAIL and result.reason_code in _TRANSPORT

    async def apply(self, result: CheckResult) -> CheckResult:
        """Return the result; a target's failure becomes an error when our own network failed too."""
        if self._url is None or not self.may_change(result):
            return result
        if self._request is None:
            self._request = asyncio.create_task(self._send(self._url))
        problem = await asyncio.shield(self._request)
        if problem is None:
            return result
        return replace(
            result,
            status=Status.ERROR,
            reason_code=Reason.NETWORK,
            message=f"our own network failed: {problem}; this check reported: {result.message}",
            steps=tuple(map(_as_network_error, result.steps)),
        )

    async def close(self) -> None:
        """Cancel a pending request."""
        if self._request is not None:
            self._request.cancel()
            await asyncio.gather(self._request, return_exceptions=True)

    async def _send(self, url: str) -> str | None:
        """Return why the neutral URL cannot be reached, None when it can."""
        context = self._context
        probe_context = ProbeContext(
            clock=context.clock,
            environment=context.environment,
            timeout_s=TIMEOUT_S,
            http=context.http,
            aws=context.aws,
            trace_id=context.fresh_ids()[1],
            run_id=context.run_id,
            root=context.root,
        )
        try:
            observation = await bounded(
                context.clock, TIMEOUT_S + 0.1, context.probes("http")({"url": url, "trace": False}, probe_context)
            )
        except TimeoutError:
            return f"the self-check {url} did not answer within {TIMEOUT_S:g} s"
        return None if observation.failure is None else f"the self-check {url}: {observation.failure.message}"


def _as_network_error(step: StepResult) -> StepResult:
    if step.status is Status.FAIL and step.reason_code in _TRANSPORT:
        return replace(step, status=Status.ERROR, reason_code=Reason.NETWORK)
    return step
