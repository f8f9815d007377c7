"""Fetches whole traces by id, retrying ids that X-Ray does not have yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.default_account_and_region import in_place
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.formats.xray_documents import parse_trace, trace_id_of
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import Trace
from prodwatch.sources.redaction import SignalRedactor

IDS_PER_CALL = 5
"""X-Ray's limit of ids per request."""
FIRST_PAUSE_S = 1.0
"""Pause before the first retry; doubles with every further retry."""
LONGEST_PAUSE_S = 8.0
"""Longest pause between retries."""


async def fetch_trace(
    aws: AwsApi, trace_id: str, cleaner: SignalRedactor, places: Sequence[Place] = (HOME,)
) -> Trace | None:
    """Return one trace; None when X-Ray does not have it (yet) in any of the places. Raises AwsError."""
    return (await _fetch_available(aws, [trace_id], cleaner, places)).get(trace_id)


async def fetch_traces(
    aws: AwsApi,
    trace_ids: Iterable[str],
    cleaner: SignalRedactor,
    *,
    clock: Clock,
    within_s: float = 0.0,
    places: Sequence[Place] = (HOME,),
) -> dict[str, Trace]:
    """Return traces by id, in the order of `trace_ids`; raises AwsError.

    Missing ids are retried after 1, 2, 4, 8, 8 … s for `within_s` seconds in all, then left out.
    """
    ids = list(dict.fromkeys(trace_ids))
    traces = await _fetch_available(aws, ids, cleaner, places)
    deadline_s, pause_s = clock.monotonic_s() + within_s, FIRST_PAUSE_S
    while (missing := [id_ for id_ in ids if id_ not in traces]) and clock.monotonic_s() < deadline_s:
        await clock.sleep(min(pause_s, deadline_s - clock.monotonic_s()))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        traces |= await _fetch_available(aws, missing, cleaner, places)
    return {id_: traces[id_] for id_ in ids if id_ in traces}


async def _fetch_available(
    aws: AwsApi, trace_ids: list[str], cleaner: SignalRedactor, places: Sequence[Place]
) -> dict[str, Trace]:
    """Return the traces that X-Ray has now, by the id as requested, joined from all places.

    A trace is not complete while one of the places cannot be read; raises AwsError when none can be.
    """
    outcomes = await asyncio.gather(
        *(_documents(in_place(aws, place), trace_ids) for place in places), return_exceptions=True
    )
    joined: dict[str, dict[str, Any]] = {}
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for error in failed:
        if not isinstance(error, AwsError) or len(failed) == len(outcomes):
            raise error
    for outcome in outcomes:
        for id_, document in outcome.items() if isinstance(outcome, dict) else ():
            joined[id_] = _joined(joined[id_], document) if id_ in joined else document
    requested = {trace_id_of(id_) or id_: id_ for id_ in trace_ids}
    traces: dict[str, Trace] = {}
    for document in joined.values():
        trace = cleaner.trace(parse_trace(document))
        if failed:
            trace = replace(trace, complete=False)
        traces[requested.get(trace_id_of(trace.id) or trace.id, trace.id)] = trace
    return traces


async def _documents(aws: AwsApi, trace_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return X-Ray's document of each trace by its id."""
    documents: dict[str, dict[str, Any]] = {}
    for start in range(0, len(trace_ids), IDS_PER_CALL):
        requested = [trace_id_of(id_) or id_ for id_ in trace_ids[start : start + IDS_PER_CALL]]
        async for page in aws.pages("xray", "BatchGetTraces", {"TraceIds": requested}):
            documents |= {str(document.get("Id") or ""): document for document in page.get("Traces") or ()}
    return documents


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a trace with the segments of two places; its duration follows from them."""
    return {
        "Id": one.get("Id"),
        "LimitExceeded": bool(one.get("LimitExceeded") or other.get("LimitExceeded")),
        "Segments": [*(one.get("Segments") or ()), *(other.get("Segments") or ())],
    }
