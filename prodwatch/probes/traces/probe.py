"""Reads X-Ray traces by id or by filter; an incomplete trace never counts as complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.formats.xray_documents import parse_summary, parse_trace, trace_id_of
from prodwatch.model.signal import Trace, TraceSummary
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, exact, moment, refuse, too_young
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.traces.trace_statistics import contents, figures, of_each, summary_of

IDS_PER_CALL = 5
LONGEST_WINDOW = timedelta(hours=6)
"""Longest time window of one call; longer windows are read in parts."""
DETAILED = 20
"""Number of traces above which only summaries are read, to limit the number of calls."""
_OF_WHOLE_TRACES = ("metadata", "segments", "subsegments", "slowest", "path", "traces.path", "traces.links")
"""Fields that no summary has."""
VISIBLE_AFTER_S = 30.0
"""Usual delay in seconds before X-Ray shows a trace."""
ROUND_S = 0.5
"""Seconds that one round of calls may take; with less time left, there is no further round."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Return the trace `params["id"]`, or all that `params["filter"]` selects since `params["since"]`."""
    return await ask(params, context, "xray", _by_id if params.get("id") else _by_filter)


async def _by_id(calls: AwsCalls) -> Observation:
    written = str(calls.params["id"])
    id_ = trace_id_of(written)
    if id_ is None:
        message = f'"{written}" is not a trace id: X-Ray uses 1-8hex-24hex, W3C 32 hex digits'
        raise refuse(Status.ERROR, Reason.INVALID, message)
    traces, missing = await _whole(calls, [id_])
    summaries = [summary_of(trace) for trace in traces]
    if missing:
        await _say_why_absent(calls)
    return _observed(calls, summaries, traces, read_all=not missing)


async def _by_filter(calls: AwsCalls) -> Observation:
    start = moment(calls.params.get("since") or "5m", "since", calls)
    settled = not too_young(calls.params.get("since") or "5m", start, calls, lag_s=VISIBLE_AFTER_S)
    if not settled:
        calls.incomplete(f"a window shorter than {VISIBLE_AFTER_S:.0f} s ends before X-Ray shows what was sent in it")
    summaries = await _summaries(calls, start, calls.now())
    if len(summaries) > DETAILED:
        calls.notice(f"{len(summaries)} traces found; above {DETAILED} only summaries are read")
        return _observed(calls, summaries, None, read_all=settled)
    traces, missing = await _whole(calls, [each.id for each in summaries])
    if not summaries or missing:
        await _say_why_absent(calls)
    return _observed(calls, summaries, traces, read_all=not missing and settled)


def _observed(
    calls: AwsCalls, summaries: Sequence[TraceSummary], traces: Sequence[Trace] | None, *, read_all: bool
) -> Observation:
    whole = read_all and not any(each.partial for each in summaries)
    document = figures(summaries)
    unread: dict[str, Failure] = {}
    if traces is None:
        document["annotations"] = _summary_annotations(summaries)
        details = {each.id: {"annotations": _summary_annotations([each])} for each in summaries}
        message = f"of more than {DETAILED} traces only summaries are read, which do not have it"
        unread = {
            name: Failure(status=Status.INCONCLUSIVE, reason=Reason.NO_DATA, message=f"`{name}` is unknown: {message}")
            for name in _OF_WHOLE_TRACES
        }
    else:
        whole = whole and all(trace.complete for trace in traces)
        document |= exact_contents(traces)
        details = exact(of_each(traces))
    document["traces"] = [each | details.get(each["id"], {}) for each in document["traces"]]
    document["complete"] = whole
    least = int(calls.params.get("min", 1))
    failure = None
    if len(summaries) < least:
        what = f"{len(summaries)} of at least {least} traces were found" if summaries or least > 1 else _none(calls)
        # Who asks for the count wants to know it, however small it is.
        failure = Failure(
            status=Status.INCONCLUSIVE,
            reason=Reason.MIN_SAMPLES if summaries else Reason.NO_DATA,
            message=what,
            answered_by=("count",) if read_all else (),
        )
    return calls.answer(document, failure=failure, complete=whole, unreadable=unread)


def exact_contents(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return `contents` with the numbers of annotations and metadata exact."""
    document = contents(traces)
    return document | {"annotations": exact(document["annotations"]), "metadata": exact(document["metadata"])}


def _none(calls: AwsCalls) -> str:
    if calls.params.get("id"):
        return f"trace {calls.params['id']} does not exist (yet): segments arrive seconds after the request"
    return f"no trace matches {calls.params['filter']}"


def _summary_annotations(summaries: Sequence[TraceSummary]) -> dict[str, list[Any]]:
    document: dict[str, list[Any]] = {}
    for summary in summaries:
        for key, value in summary.annotations.items():
            document.setdefault(key, []).append(exact(value))
    return document


async def _summaries(calls: AwsCalls, start: datetime, end: datetime) -> list[TraceSummary]:
    """Return one summary per trace, the newest revision of each, oldest first."""
    summaries: dict[str, TraceSummary] = {}
    while start < end:
        until = min(end, start + LONGEST_WINDOW)
        request = {
            "StartTime": start,
            "EndTime": until,
            "TimeRangeType": "Event",
            "Sampling": False,
            "FilterExpression": calls.params["filter"],
        }
        async for page in calls.pages("GetTraceSummaries", request):
            for each in page.get("TraceSummaries") or ():
                summary = parse_summary(each)
                before = summaries.get(summary.id)
                if before is None or summary.revision >= before.revision:
                    summaries[summary.id] = summary
        start = until
    return sorted(summaries.values(), key=lambda each: (each.start_ms, each.id))


async def _whole(calls: AwsCalls, ids: Sequence[str]) -> tuple[list[Trace], list[str]]:
    """Return the traces with these ids and the ids that X-Ray did not process, after retries while time allows."""
    traces = await _round(calls, ids)
    pause_s = FIRST_PAUSE_S
    while (waiting := [id_ for id_ in ids if id_ not in traces]) and calls.left_s() > pause_s + ROUND_S:
        await calls.context.clock.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        try:
            traces |= await _round(calls, waiting)
        except AwsError as error:
            if not error.transient:
                raise
            # X-Ray has answered before, so the trace was missing then; now it could not be read.
            calls.incomplete(f"X-Ray could not be read again: {error.message}")
            break
    return [traces[id_] for id_ in ids if id_ in traces], [id_ for id_ in ids if id_ not in traces]


async def _round(calls: AwsCalls, ids: Sequence[str]) -> dict[str, Trace]:
    traces: dict[str, Trace] = {}
    for start in range(0, len(ids), IDS_PER_CALL):
        async for page in calls.pages("BatchGetTraces", {"TraceIds": list(ids[start : start + IDS_PER_CALL])}):
            for each in page.get("Traces") or ():
                trace = parse_trace(each)
                if trace.spans:
                    traces[trace_id_of(trace.id) or trace.id] = trace
    return traces


async def _say_why_absent(calls: AwsCalls) -> None:
    """Mark the reading as incomplete when the account sends its spans elsewhere, so that X-Ray lacks the trace."""
    try:
        answer = await calls.call("GetTraceSegmentDestination", {})
    except AwsError as error:
        if error.reason is not Reason.API_ERROR:
            calls.incomplete(f"whether X-Ray has all traces is unknown: {error.message}", reason=error.reason)
        # Otherwise the endpoint does not know the question, so it has no other place for traces.
        return
    if answer.get("Destination") == "CloudWatchLogs":
        calls.incomplete(
            "Transaction Search is on in this account: spans go to the log group aws/spans, "
            "and X-Ray itself has only those it indexes"
        )
