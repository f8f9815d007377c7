"""Whole traces by id: five a call, those that X-Ray does not show yet asked for again."""

from __future__ import annotations

from collections.abc import Iterable

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.xray_documents import parse_trace, trace_id_of
from prodwatch.model.signal import Trace
from prodwatch.sources.redaction import Cleaner

IDS_PER_CALL = 5
"""What X-Ray takes in one call."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 8.0


async def fetch_trace(aws: AwsApi, trace_id: str, cleaner: Cleaner) -> Trace | None:
    """Return one whole trace, None when X-Ray does not have it (yet); raises AwsError."""
    return (await _once(aws, [trace_id], cleaner)).get(trace_id)


async def fetch_traces(
    aws: AwsApi, trace_ids: Iterable[str], cleaner: Cleaner, *, clock: Clock, within_s: float = 0.0
) -> dict[str, Trace]:
    """Return whole traces by id, in the order asked for; raises AwsError.

    Ids that X-Ray has not processed are asked for again after 1, 2, 4, 8, 8 … seconds, for `within_s` in all; those
    still missing then are left out.
    """
    wanted = list(dict.fromkeys(trace_ids))
    found = await _once(aws, wanted, cleaner)
    deadline_s, pause_s = clock.monotonic_s() + within_s, FIRST_PAUSE_S
    while (missing := [each for each in wanted if each not in found]) and clock.monotonic_s() < deadline_s:
        await clock.sleep(min(pause_s, deadline_s - clock.monotonic_s()))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        found |= await _once(aws, missing, cleaner)
    return {each: found[each] for each in wanted if each in found}


async def _once(aws: AwsApi, trace_ids: list[str], cleaner: Cleaner) -> dict[str, Trace]:
    """Return what X-Ray has of these ids now, by the id as it was asked for."""
    found: dict[str, Trace] = {}
    for start in range(0, len(trace_ids), IDS_PER_CALL):
        asked = {trace_id_of(each) or each: each for each in trace_ids[start : start + IDS_PER_CALL]}
        async for page in aws.pages("xray", "BatchGetTraces", {"TraceIds": list(asked)}):
            for answer in page.get("Traces") or ():
                trace = cleaner.trace(parse_trace(answer))
                found[asked.get(trace_id_of(trace.id) or trace.id, trace.id)] = trace
    return found
