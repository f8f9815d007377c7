"""Exceptions in the traces of red checks, read once after a run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prodwatch.aws.interface import AwsError
from prodwatch.model.result import CheckResult
from prodwatch.model.signal import Trace
from prodwatch.model.status import Status
from prodwatch.session.engine import Engine
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.traces import fetch_traces

MAX_TRACES = 5
"""Most traces that are read, which is one call of BatchGetTraces."""
WITHIN_S = 3.0
"""Time for which a trace that X-Ray does not have yet is asked for again."""
TIMEOUT_S = 6.0
"""Time after which the result is written without the exceptions."""


async def trace_exceptions(engine: Engine, checks: Iterable[CheckResult]) -> dict[str, str]:
    """Return check id → exception and its service, for the first red checks; those that cannot be read are left out."""
    red = [each for each in checks if each.status is Status.FAIL and each.correlation.trace_id][:MAX_TRACES]
    # Without an earlier call nothing shows that there is an AWS account to ask.
    if not red or not engine.aws.usage().calls:
        return {}
    wanted = {str(each.correlation.trace_id): each.id for each in red}
    try:
        traces = await asyncio.wait_for(
            fetch_traces(
                engine.aws,
                wanted,
                SignalRedactor(engine.redactor),
                clock=engine.clock,
                within_s=WITHIN_S,
                places=engine.environment.trace_places,
            ),
            TIMEOUT_S,
        )
    except (AwsError, TimeoutError):
        # More detail on a failure that is reported in any case.
        return {}
    found = {wanted[id_]: exception_of(trace) for id_, trace in traces.items()}
    return {id_: exception for id_, exception in found.items() if exception is not None}


def exception_of(trace: Trace) -> str | None:
    """Return the exception of the deepest span that has one, with its name and its parent's; None without one."""
    thrown = [each for each in trace.spans if each.exceptions]
    if not thrown:
        return None
    names = {each.id: each.name for each in trace.spans}
    parent = names.get(thrown[-1].parent_id or "")
    return f"{thrown[-1].exceptions[0]} in {f'{parent} → ' if parent else ''}{thrown[-1].name}"
