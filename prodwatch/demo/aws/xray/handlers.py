"""The operations of X-Ray."""

from __future__ import annotations

import json
from typing import Any

from prodwatch.demo.aws.api_call import ApiCall, Document, Routes, ServiceError
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.paging import digest, issue, redeem
from prodwatch.demo.aws.xray.filter_expressions import Filter, parse_filter
from prodwatch.demo.aws.xray.filter_scope import trace_scope
from prodwatch.demo.aws.xray.service_graph import tally_of
from prodwatch.demo.aws.xray.store import Position, TimeRange, TraceStore, position
from prodwatch.demo.aws.xray.trace import Trace
from prodwatch.demo.aws.xray.trace_summary import summary

MAX_WINDOW_S = 6 * 3600.0
MAX_IDS = 5
MAX_TRACE_BYTES = 500_000
PAGE_SIZE = 100
SERVICES_A_PAGE = 50
MAX_SCANNED = 5_000
"""Traces scanned for one page; a page of a rare condition may therefore be empty."""


class TraceHandlers:
    """X-Ray over one store."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """Return the operations implemented here."""
        return Routes(
            "xray",
            sync={
                "PutTraceSegments": self.put_trace_segments,
                "PutTelemetryRecords": lambda _call: {},
                "GetTraceSummaries": self.get_trace_summaries,
                "BatchGetTraces": self.batch_get_traces,
                "GetServiceGraph": self.get_service_graph,
                "GetTraceGraph": self.get_trace_graph,
                "GetTraceSegmentDestination": self.get_trace_segment_destination,
                "GetIndexingRules": self.get_indexing_rules,
            },
        )

    def put_trace_segments(self, call: ApiCall) -> Document:
        """PutTraceSegments; unreadable segments are reported, the others are kept."""
        unprocessed = []
        for text in call.params["TraceSegmentDocuments"]:
            document: Any = None
            try:
                document = json.loads(text)
                _check_segment(document)
                self._store.put(document)
            except (ValueError, TypeError) as error:
                segment_id = document.get("id") if isinstance(document, dict) else None
                entry = {"ErrorCode": "ParseError", "Message": f"Invalid segment. {error}"}
                unprocessed.append(entry | ({"Id": str(segment_id)} if segment_id else {}))
        return {"UnprocessedTraceSegments": unprocessed}

    def get_trace_summaries(self, call: ApiCall) -> Document:
        """GetTraceSummaries, the latest first; TracesProcessedCount counts the traces scanned for this page."""
        start_s, end_s, kind = _window(call)
        query = digest(call.params, without=frozenset({"NextToken"}))
        after = _position(call, query)
        predicate = _predicate(call.params.get("FilterExpression"))
        output: Document = {"ApproximateTime": call.now_s, "TracesProcessedCount": 0, "TraceSummaries": []}
        if call.effects.empty_page:
            return output | {"NextToken": issue(after, query, call.now_s)}
        size = PAGE_SIZE // 3 if call.effects.short_page else PAGE_SIZE
        page: list[Trace] = []
        scanned, last = 0, after
        for trace in self._store.newest_first(start_s, end_s, kind, after=after):
            if len(page) == size or scanned == MAX_SCANNED:
                output["NextToken"] = issue(last, query, call.now_s)
                break
            scanned, last = scanned + 1, position(trace)
            if predicate is None or predicate(trace_scope(trace)):
                page.append(trace)
        output["TracesProcessedCount"] = scanned
        output["TraceSummaries"] = [
            summary(listed, call.account) | ({"MatchedEventTime": listed.updated_s} if kind == "Event" else {})
            for listed in page
        ]
        return output

    def batch_get_traces(self, call: ApiCall) -> Document:
        """BatchGetTraces: at most five ids; unknown ids and ids that are not visible yet are unprocessed."""
        ids = list(dict.fromkeys(call.params["TraceIds"]))
        if len(ids) > MAX_IDS:
            raise ServiceError("InvalidRequestException", f"At most {MAX_IDS} trace ids can be asked for at once.")
        if self._store.destination[0] == "CloudWatchLogs" or call.effects.empty_page:
            return {"Traces": [], "UnprocessedTraceIds": ids}
        traces = {
            trace_id: trace for trace_id in ids if (trace := self._store.get(trace_id)) is not None and trace.segments
        }
        return {
            "Traces": [_trace(trace) for trace in traces.values()],
            "UnprocessedTraceIds": [trace_id for trace_id in ids if trace_id not in traces],
        }

    def get_service_graph(self, call: ApiCall) -> Document:
        """GetServiceGraph of a window of at most six hours."""
        start_s, end_s, _ = _window(call)
        query = digest(call.params, without=frozenset({"NextToken"}))
        first = _redeemed(call, query) or 0
        services = self._store.tally(start_s, end_s).services(call.account)
        size = 0 if call.effects.empty_page else SERVICES_A_PAGE // 10 if call.effects.short_page else SERVICES_A_PAGE
        more = {"NextToken": issue(first + size, query, call.now_s)} if first + size < len(services) else {}
        return {
            "StartTime": start_s,
            "EndTime": end_s,
            "Services": services[first : first + size],
            "ContainsOldGroupVersions": False,
            **more,
        }

    def get_trace_graph(self, call: ApiCall) -> Document:
        """GetTraceGraph of the given traces."""
        traces = [trace for trace_id in call.params["TraceIds"] if (trace := self._store.get(trace_id)) is not None]
        return {"Services": tally_of(traces).services(call.account)}

    def get_trace_segment_destination(self, _call: ApiCall) -> Document:
        """GetTraceSegmentDestination."""
        destination, status = self._store.destination
        return {"Destination": destination, "Status": status}

    def get_indexing_rules(self, call: ApiCall) -> Document:
        """GetIndexingRules: the one rule that every account has."""
        share = self._store.sampling_percent
        rule = {"Probabilistic": {"DesiredSamplingPercentage": share, "ActualSamplingPercentage": share}}
        return {"IndexingRules": [{"Name": "Default", "ModifiedAt": call.now_s, "Rule": rule}]}


def _window(call: ApiCall) -> tuple[float, float, TimeRange]:
    start_s, end_s = float(call.params["StartTime"]), float(call.params["EndTime"])
    if end_s < start_s:
        raise ServiceError("InvalidRequestException", "The end time must not be before the start time.")
    if end_s - start_s > MAX_WINDOW_S:
        raise ServiceError("InvalidRequestException", "The time range must not be longer than 6 hours.")
    kind = call.params.get("TimeRangeType", "TraceId")
    if kind not in {"TraceId", "Event", "Service"}:
        raise ServiceError("InvalidRequestException", f"{kind} is not a TimeRangeType.")
    return start_s, end_s, kind


def _position(call: ApiCall, query: int) -> Position | None:
    content = _redeemed(call, query)
    return (float(content[0]), str(content[1])) if content is not None else None


def _redeemed(call: ApiCall, query: int) -> Any:
    """Return the content of the request's token, None without a token."""
    token = call.params.get("NextToken")
    if not token:
        return None
    try:
        return redeem(token, query, call.now_s)
    except (ValueError, TypeError) as error:
        raise ServiceError("InvalidRequestException", "The specified NextToken is invalid.") from error


def _predicate(expression: str | None) -> Filter | None:
    if not expression or not expression.strip():
        return None
    try:
        return parse_filter(expression)
    except ExpressionError as error:
        raise ServiceError("InvalidRequestException", f"Invalid filter expression: {error}.") from error


def _check_segment(document: Any) -> None:
    if not isinstance(document, dict):
        raise TypeError("The document is not an object.")
    for key in ("name", "id", "trace_id"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise ValueError(f"ErrorCode: Missing{key.title().replace('_', '')}")
    if not isinstance(document.get("start_time"), int | float):
        raise ValueError("ErrorCode: MissingStartTime")  # noqa: TRY004 -- as X-Ray words it
    if document.get("end_time") is None and not document.get("in_progress"):
        raise ValueError("ErrorCode: MissingEndTime")


def _trace(trace: Trace) -> Document:
    documents = [(str(segment["id"]), json.dumps(segment)) for segment in (*trace.segments, *trace.inferred)]
    segments, size = [], 0
    for key, text in documents:
        size += len(text)
        if size > MAX_TRACE_BYTES:
            break
        segments.append({"Id": key, "Document": text})
    return {
        "Id": trace.id,
        "Duration": round(trace.duration_s, 3),
        "LimitExceeded": len(segments) < len(documents),
        "Segments": segments,
    }
