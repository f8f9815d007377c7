"""Fetches whole traces by id, retrying ids that X-Ray does not have yet."""

from __future__ import annotations

from collections.abc import Iterable

from prodwatch.aws.interface import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.xray_documents import parse_trace, trace_id_of
from prodwatch.model.signal import Trace
from prodwatch.sources.redaction import SignalRedactor

IDS_PER_CALL = 5
"""X-Ray's limit of ids per request."""
FIRST_PAUSE_S = 1.0
"""Pause before the first retry; doubles with every further retry."""
LONGEST_PAUSE_S = 8.0
"""Longest pause between retries."""


async def fetch_trace(aws: AwsApi, trace_id: str, cleaner: SignalRedactor) -> Trace | None:
    """Return one trace; None when X-Ray does not have it (yet). Raises AwsError."""
    return (await _fetch_available(aws, [trace_id], cleaner)).get(trace_id)


async def fetch_traces(
    aws: AwsApi, trace_ids: Iterable[str], cleaner: SignalRedactor, *, clock: Clock, within_s: float = 0.0
) -> dict[str, Trace]:
    """Return traces by id, in the order of `trace_ids`; raises AwsError.

    Missing ids are retried after 1, 2, 4, 8, 8 … s for `within_s` seconds in all, then left out.
    """
    ids = list(dict.fromkeys(trace_ids))
    traces = await _fetch_available(aws, ids, cleaner)
    deadline_s, pause_s = clock.monotonic_s() + within_s, FIRST_PAUSE_S
    while (missing := [id_ for id_ in ids if id_ not in traces]) and clock.monotonic_s() < deadline_s:
        await clock.sleep(min(pause_s, deadline_s - clock.monotonic_s()))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        traces |= await _fetch_available(aws, missing, cleaner)
    return {id_: traces[id_] for id_ in ids if id_ in traces}


async def _fetch_available(aws: AwsApi, trace_ids: list[str], cleaner: SignalRedactor) -> dict[str, Trace]:
    """Return the traces that X-Ray has now, by the id as requested."""
    traces: dict[str, Trace] = {}
    for start in range(0, len(trace_ids), IDS_PER_CALL):
        requested = {trace_id_of(id_) or id_: id_ for id_ in trace_ids[start : start + IDS_PER_CALL]}
        async for page in aws.pages("xray", "BatchGetTraces", {"TraceIds": list(requested)}):
            for document in page.get("Traces") or ():
                trace = cleaner.trace(parse_trace(document))
                traces[requested.get(trace_id_of(trace.id) or trace.id, trace.id)] = trace
    return traces
