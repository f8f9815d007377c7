"""CloudWatch Logs operations that describe and write."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import ApiCall, Document, Routes, ServiceError
from prodwatch.demo.aws.logs.identifiers import group_arn, group_name, missing_group, missing_stream
from prodwatch.demo.aws.logs.insights import Insights
from prodwatch.demo.aws.logs.read_operations import Reader
from prodwatch.demo.aws.logs.store import GroupState, LogStore
from prodwatch.demo.aws.paging import Pager

_GROUPS = Pager(cursor="nextToken", limit="limit", default=50, maximum=50, refusal="InvalidParameterException")
_STREAMS = _GROUPS
_PUT_MAX_EVENTS = 10_000
_PUT_MAX_BYTES = 1_048_576
_DAY_MS = 86_400_000


class LogHandlers:
    """CloudWatch Logs over one store."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._reader = Reader(store)
        self._insights = Insights(store)

    def routes(self) -> Routes:
        """Return the operations implemented here."""
        return Routes(
            "logs",
            sync={
                "FilterLogEvents": self._reader.filter_log_events,
                "GetLogEvents": self._reader.get_log_events,
                "PutLogEvents": self.put_log_events,
                "CreateLogGroup": self.create_log_group,
                "DeleteLogGroup": self.delete_log_group,
                "CreateLogStream": self.create_log_stream,
                "DeleteLogStream": self.delete_log_stream,
                "DescribeLogGroups": self.describe_log_groups,
                "DescribeLogStreams": self.describe_log_streams,
                "PutRetentionPolicy": self.put_retention_policy,
                "StartQuery": self._insights.start,
                "GetQueryResults": self._insights.results,
                "StopQuery": self._insights.stop,
            },
        )

    def create_log_group(self, call: ApiCall) -> Document:
        """CreateLogGroup."""
        log_class = call.params.get("logGroupClass", "STANDARD")
        if not self._store.create_group(call.params["logGroupName"], log_class=log_class):
            raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
        return {}

    def delete_log_group(self, call: ApiCall) -> Document:
        """DeleteLogGroup."""
        if not self._store.delete_group(group_name(call.params["logGroupName"])):
            raise missing_group()
        return {}

    def create_log_stream(self, call: ApiCall) -> Document:
        """CreateLogStream."""
        try:
            created = self._store.create_stream(group_name(call.params["logGroupName"]), call.params["logStreamName"])
        except KeyError:
            raise missing_group() from None
        if not created:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")
        return {}

    def delete_log_stream(self, call: ApiCall) -> Document:
        """DeleteLogStream."""
        try:
            deleted = self._store.delete_stream(group_name(call.params["logGroupName"]), call.params["logStreamName"])
        except KeyError:
            raise missing_group() from None
        if not deleted:
            raise missing_stream()
        return {}

    def put_retention_policy(self, call: ApiCall) -> Document:
        """PutRetentionPolicy."""
        state = self._group(call.params["logGroupName"])
        state.retention_days = call.params["retentionInDays"]
        return {}

    def put_log_events(self, call: ApiCall) -> Document:
        """PutLogEvents, with the limits on a batch that the real service enforces."""
        name, stream = group_name(call.params["logGroupName"]), call.params["logStreamName"]
        if stream not in self._group(name).streams:
            raise missing_stream()
        events = [(int(event["timestamp"]), str(event["message"])) for event in call.params["logEvents"]]
        stamps = [stamp for stamp, _ in events]
        if stamps != sorted(stamps):
            raise ServiceError(
                "InvalidParameterException",
                "Log events in a single PutLogEvents request must be in chronological order.",
            )
        if len(events) > _PUT_MAX_EVENTS or sum(len(text.encode()) + 26 for _, text in events) > _PUT_MAX_BYTES:
            raise ServiceError("InvalidParameterException", "Upload too large: at most 10000 events and 1048576 bytes.")
        if stamps and stamps[-1] - stamps[0] > _DAY_MS:
            raise ServiceError(
                "InvalidParameterException",
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            )
        now_ms = int(call.now_s * 1000)
        too_old = sum(1 for stamp in stamps if stamp < now_ms - 14 * _DAY_MS)
        too_new_from = next((index for index, stamp in enumerate(stamps) if stamp > now_ms + 7_200_000), None)
        self._store.put(name, stream, events[too_old:too_new_from])
        rejected: Document = {}
        if too_old:
            rejected["tooOldLogEventEndIndex"] = too_old
        if too_new_from is not None:
            rejected["tooNewLogEventStartIndex"] = too_new_from
        output: Document = {"nextSequenceToken": f"{self._group(name).stored_bytes:056d}"}
        if rejected:
            output["rejectedLogEventsInfo"] = rejected
        return output

    def describe_log_groups(self, call: ApiCall) -> Document:
        """DescribeLogGroups by prefix, by pattern (case-insensitive substring) or by identifiers."""
        prefix, pattern = call.params.get("logGroupNamePrefix"), call.params.get("logGroupNamePattern")
        if prefix and pattern:
            raise ServiceError(
                "InvalidParameterException", "LogGroup name prefix and LogGroup name pattern are mutually exclusive."
            )
        names = {group_name(identifier) for identifier in call.params.get("logGroupIdentifiers", [])}
        groups = [
            self._group_document(call, state)
            for state in self._store.groups()
            if state.name.startswith(prefix or "")
            and (pattern or "").lower() in state.name.lower()
            and (not names or state.name in names)
        ]
        return _GROUPS.page(call, groups, "logGroups")

    def describe_log_streams(self, call: ApiCall) -> Document:
        """DescribeLogStreams by name or by last event."""
        name = group_name(call.params.get("logGroupName") or call.params.get("logGroupIdentifier") or "")
        self._group(name)
        prefix = call.params.get("logStreamNamePrefix", "")
        by_time = call.params.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise ServiceError("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
        arn = group_arn(call.region, call.account, name)
        documents = []
        for stream, state in self._store.streams(name).items():
            if not stream.startswith(prefix):
                continue
            document: Document = {
                "logStreamName": stream,
                "creationTime": state.created_ms,
                "uploadSequenceToken": f"{state.stored_bytes:056d}",
                "arn": f"{arn}:log-stream:{stream}",
                "storedBytes": 0,
            }
            if state.last_ms is not None:
                document |= {
                    "firstEventTimestamp": state.first_ms,
                    "lastEventTimestamp": state.last_ms,
                    "lastIngestionTime": state.ingested_ms,
                }
            documents.append(document)
        key = (lambda item: (item.get("lastEventTimestamp", 0), item["logStreamName"])) if by_time else _stream_name
        documents.sort(key=key, reverse=bool(call.params.get("descending")))
        return _STREAMS.page(call, documents, "logStreams")

    def _group(self, identifier: str) -> GroupState:
        state = self._store.group(group_name(identifier))
        if state is None:
            raise missing_group()
        return state

    def _group_document(self, call: ApiCall, state: GroupState) -> Document:
        arn = group_arn(call.region, call.account, state.name)
        document: Document = {
            "logGroupName": state.name,
            "creationTime": state.created_ms,
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "storedBytes": state.stored_bytes,
            "logGroupClass": state.log_class,
        }
        if state.retention_days is not None:
            document["retentionInDays"] = state.retention_days
        return document


def _stream_name(document: Document) -> tuple[int, str]:
    return 0, str(document["logStreamName"])
