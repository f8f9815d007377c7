"""FilterLogEvents and GetLogEvents, with the real service's page limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from prodwatch.demo.aws.api_call import ApiCall, Raw, ServiceError
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.logs.filter_patterns import Predicate, compile_pattern
from prodwatch.demo.aws.logs.identifiers import group_name, missing_group, missing_stream
from prodwatch.demo.aws.logs.store import LogStore
from prodwatch.demo.aws.logs.stored_event import StoredEvent
from prodwatch.demo.aws.paging import digest, issue, redeem

_MAX_EVENTS = 10_000
_MAX_BYTES = 1_048_576
_MAX_SCANNED = 100_000
"""Events scanned for one page; a page of a rare pattern may therefore be empty."""
_FOREVER_MS = 1 << 53
_UNBOUND = frozenset({"nextToken", "limit"})
_ENCODE = msgspec.json.Encoder().encode


class Reader:
    """Reads pages of one store."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def filter_log_events(self, call: ApiCall) -> Raw:
        """FilterLogEvents: interleaved, ≤ 10,000 events and 1 MB a page, only a missing token marks the end."""
        params = call.params
        query = digest(params, without=_UNBOUND)
        after = self._position(call, query)
        is_selected = self._selection(params)
        events = self._window(call, after)
        limit = min(int(params.get("limit") or _MAX_EVENTS), _MAX_EVENTS)
        if call.effects.empty_page:
            return Raw(_ENCODE({"events": [], "searchedLogStreams": [], "nextToken": issue(after, query, call.now_s)}))
        if call.effects.short_page:
            limit = max(1, limit // 3)
        page, position = _cut(events, is_selected, limit)
        output: dict[str, Any] = {"events": [_filtered(event) for event in page], "searchedLogStreams": []}
        if position is not None:
            output["nextToken"] = issue(position, query, call.now_s)
        return Raw(_ENCODE(output))

    def _position(self, call: ApiCall, query: int) -> tuple[int, int, int] | None:
        token = call.params.get("nextToken")
        if not token:
            return None
        try:
            position = redeem(token, query, call.now_s)
        except (ValueError, TypeError) as error:
            raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.") from error
        return tuple(position) if position is not None else None

    def _window(self, call: ApiCall, after: tuple[int, int, int] | None) -> Iterator[StoredEvent]:
        params = call.params
        name = _group_of(params)
        if self._store.group(name) is None:
            raise missing_group()
        start_ms, end_ms = int(params.get("startTime", 0)), int(params.get("endTime", _FOREVER_MS))
        if start_ms > end_ms:
            raise ServiceError("InvalidParameterException", "startTime must not be after endTime")
        if params.get("startFromHead", True):
            return self._store.read(name, start_ms, end_ms, after=after)
        newest_first = reversed(list(self._store.read(name, start_ms, end_ms)))
        return (event for event in newest_first if after is None or event[:3] < after)

    def _selection(self, params: dict[str, Any]) -> Callable[[StoredEvent], bool]:
        names, prefix = set(params.get("logStreamNames", [])), params.get("logStreamNamePrefix")
        if names and prefix:
            raise ServiceError(
                "InvalidParameterException", "logStreamNames and logStreamNamePrefix cannot be used together."
            )
        name = _group_of(params)
        group_exists = names and self._store.group(name) is not None
        if group_exists and not any(self._store.has_stream(name, stream) for stream in names):
            raise missing_stream()
        matches = _predicate(params.get("filterPattern", ""))
        return lambda event: (
            (not names or event.stream in names)
            and (not prefix or event.stream.startswith(prefix))
            and (matches is None or matches(event.message))
        )

    def get_log_events(self, call: ApiCall) -> Raw:
        """GetLogEvents: one stream, tokens never null, at the end the same forward token is returned."""
        params = call.params
        name, stream = _group_of(params), params["logStreamName"]
        if self._store.group(name) is None:
            raise missing_group()
        if not self._store.has_stream(name, stream):
            raise missing_stream()
        start_ms, end_ms = int(params.get("startTime", 0)), int(params.get("endTime", _FOREVER_MS)) - 1
        limit = min(int(params.get("limit") or _MAX_EVENTS), _MAX_EVENTS)
        query = digest(params, without=frozenset({"nextToken", "limit", "startFromHead"}))
        direction, at = _one_stream_token(call, query)
        forward = direction == "f" or (not direction and bool(params.get("startFromHead")))
        if forward:
            read = self._store.read(name, start_ms, end_ms, after=at)
            page = list(islice((event for event in read if event.stream == stream), limit))
        else:
            page = self._store.tail(name, stream, start_ms, end_ms, limit, before=at)
        first = page[0][:3] if page else at or (_FOREVER_MS, 0, 0)
        last = page[-1][:3] if page else at or (0, 0, 0)
        return Raw(
            _ENCODE(
                {
                    "events": [_plain(event) for event in page],
                    "nextForwardToken": "f/" + issue(last, query, 0.0),
                    "nextBackwardToken": "b/" + issue(first, query, 0.0),
                }
            )
        )


def _one_stream_token(call: ApiCall, query: int) -> tuple[str, tuple[int, int, int] | None]:
    """Return direction (`f`, `b` or empty) and position of a GetLogEvents token."""
    token = call.params.get("nextToken")
    if not token:
        return "", None
    try:
        direction, _, rest = token.partition("/")
        timestamp_ms, ingested_ms, sequence = redeem(rest, query, 0.0)
    except (ValueError, TypeError) as error:
        raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.") from error
    return direction, (timestamp_ms, ingested_ms, sequence)


def _group_of(params: dict[str, Any]) -> str:
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if name and identifier:
        raise ServiceError("InvalidParameterException", "logGroupName and logGroupIdentifier cannot be used together.")
    if not name and not identifier:
        raise ServiceError("InvalidParameterException", "Either logGroupName or logGroupIdentifier is needed.")
    return group_name(str(name or identifier))


def _predicate(pattern: str) -> Predicate | None:
    try:
        return compile_pattern(pattern)
    except ExpressionError as error:
        raise ServiceError("InvalidParameterException", f"Invalid filter pattern: {error}.") from error


def _cut(
    events: Iterable[StoredEvent], is_selected: Callable[[StoredEvent], bool], limit: int
) -> tuple[list[StoredEvent], tuple[int, int, int] | None]:
    """Return one page and the position after which the next one starts, None at the end."""
    page: list[StoredEvent] = []
    size = 0
    last: StoredEvent | None = None
    iterator = iter(events)
    for event in islice(iterator, _MAX_SCANNED):
        if is_selected(event):
            size += _size(event.message) + 26
            if len(page) == limit or (page and size > _MAX_BYTES):
                assert last is not None
                return page, last[:3]
            page.append(event)
        last = event
    more = next(iterator, None)
    return page, last[:3] if more is not None and last is not None else None


def _filtered(event: StoredEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": event.event_id,
    }


def _plain(event: StoredEvent) -> dict[str, Any]:
    return {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms}


def _size(message: str) -> int:
    return len(message) if message.isascii() else len(message.encode())
