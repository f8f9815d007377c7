"""Reads X-Ray traces by id or by filter; a trace that is not all there yet is never judged as if it were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsError
from prodwatch.formats.xray_documents import parse_summary, parse_trace, trace_id_of
from prodwatch.model.signal import Trace, TraceSummary
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import Talk, ask, exact, moment, refuse, too_young
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.traces.facts import contents, figures, summary_of

IDS_PER_CALL = 5
LONGEST_WINDOW = timedelta(hours=6)
"""X-Ray refuses longer ones: a longer window is asked in parts."""
DETAILED = 20
"""With more traces than this only their summaries are read; whole traces of a crowd would cost too many calls."""
VISIBLE_AFTER_S = 30.0
"""What X-Ray usually needs to show a trace."""
ROUND_S = 0.5
"""What one round of calls may take: less than that left, and asking again would only end in a timeout."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 4.0


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Report one trace by `params["id"]`, or all that `params["filter"]` selects since `params["since"]`."""
    return await ask(params, context, "xray", _by_id if params.get("id") else _by_filter)


async def _by_id(talk: Talk) -> Observation:
    written = str(talk.params["id"])
    id_ = trace_id_of(written)
    if id_ is None:
        message = f'"{written}" is no trace id: X-Ray writes 1-8hex-24hex, W3C 32 hex digits'
        raise refuse(Status.ERROR, Reason.INVALID, message)
    traces, missing = await _whole(talk, [id_])
    summaries = [summary_of(trace) for trace in traces]
    if missing:
        await _say_why_absent(talk)
    return _observed(talk, summaries, traces, read_all=not missing)


async def _by_filter(talk: Talk) -> Observation:
    start = moment(talk.params.get("since") or "5m", "since", talk.context)
    settled = not too_young(talk.params.get("since") or "5m", start, talk.context, lag_s=VISIBLE_AFTER_S)
    if not settled:
        talk.notice(f"a window shorter than {VISIBLE_AFTER_S:.0f} s ends before X-Ray shows what was sent in it")
    summaries = await _summaries(talk, start, talk.context.clock.now())
    if len(summaries) > DETAILED:
        talk.notice(f"{len(summaries)} traces were found: with more than {DETAILED} only their summaries are read")
        return _observed(talk, summaries, None, read_all=settled)
    traces, missing = await _whole(talk, [each.id for each in summaries])
    if not summaries or missing:
        await _say_why_absent(talk)
    return _observed(talk, summaries, traces, read_all=not missing and settled)


def _observed(
    talk: Talk, summaries: Sequence[TraceSummary], traces: Sequence[Trace] | None, *, read_all: bool
) -> Observation:
    whole = read_all and not any(each.partial for each in summaries)
    document = figures(summaries)
    if traces is None:
        document["annotations"] = _summary_annotations(summaries)
    else:
        whole = whole and all(trace.complete for trace in traces)
        document |= exact_contents(traces)
    document["complete"] = whole
    least = int(talk.params.get("min", 1))
    failure = None
    if len(summaries) < least:
        what = f"{len(summaries)} of at least {least} traces were found" if summaries or least > 1 else _none(talk)
        # Who asks for the count wants to know it, however small it is.
        failure = Failure(
            status=Status.INCONCLUSIVE,
            reason=Reason.MIN_SAMPLES if summaries else Reason.NO_DATA,
            message=what,
            answered_by=("count",) if read_all else (),
        )
    return talk.answer(document, failure=failure, complete=whole)


def exact_contents(traces: Sequence[Trace]) -> dict[str, Any]:
    """Return `contents` with the numbers of annotations and metadata exact."""
    told = contents(traces)
    return told | {"annotations": exact(told["annotations"]), "metadata": exact(told["metadata"])}


def _none(talk: Talk) -> str:
    if talk.params.get("id"):
        return f"trace {talk.params['id']} is not there (yet): segments arrive seconds after the request"
    return f"no trace matches {talk.params['filter']}"


def _summary_annotations(summaries: Sequence[TraceSummary]) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for summary in summaries:
        for key, value in summary.annotations.items():
            told.setdefault(key, []).append(exact(value))
    return told


async def _summaries(talk: Talk, start: datetime, end: datetime) -> list[TraceSummary]:
    """Return one summary per trace, the newest revision of each, oldest first."""
    found: dict[str, TraceSummary] = {}
    while start < end:
        until = min(end, start + LONGEST_WINDOW)
        request = {
            "StartTime": start,
            "EndTime": until,
            "TimeRangeType": "Event",
            "Sampling": False,
            "FilterExpression": talk.params["filter"],
        }
        async for page in talk.pages("GetTraceSummaries", request):
            for each in page.get("TraceSummaries") or ():
                summary = parse_summary(each)
                before = found.get(summary.id)
                if before is None or summary.revision >= before.revision:
                    found[summary.id] = summary
        start = until
    return sorted(found.values(), key=lambda each: (each.start_ms, each.id))


async def _whole(talk: Talk, ids: Sequence[str]) -> tuple[list[Trace], list[str]]:
    """Return the traces with these ids and the ids X-Ray did not answer, after asking again while time allows."""
    found = await _round(talk, ids)
    pause_s = FIRST_PAUSE_S
    while (waiting := [id_ for id_ in ids if id_ not in found]) and talk.left_s() > pause_s + ROUND_S:
        await talk.context.clock.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        try:
            found |= await _round(talk, waiting)
        except AwsError as error:
            if not error.transient:
                raise
            # X-Ray has answered before: that the trace was not there is what is known.
            break
    return [found[id_] for id_ in ids if id_ in found], [id_ for id_ in ids if id_ not in found]


async def _round(talk: Talk, ids: Sequence[str]) -> dict[str, Trace]:
    found: dict[str, Trace] = {}
    for start in range(0, len(ids), IDS_PER_CALL):
        async for page in talk.pages("BatchGetTraces", {"TraceIds": list(ids[start : start + IDS_PER_CALL])}):
            for each in page.get("Traces") or ():
                trace = parse_trace(each)
                if trace.spans:
                    found[trace_id_of(trace.id) or trace.id] = trace
    return found


async def _say_why_absent(talk: Talk) -> None:
    """Tell when X-Ray cannot have the trace at all, because the account sends its spans elsewhere."""
    try:
        answer = await talk.call("GetTraceSegmentDestination", {})
    except AwsError:
        # Only an explanation is lost: what is missing is already said.
        return
    if answer.get("Destination") == "CloudWatchLogs":
        talk.notice(
            "Transaction Search is on in this account: spans go to the log group aws/spans, "
            "and X-Ray itself has only those it indexes"
        )
