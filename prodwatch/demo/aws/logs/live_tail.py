"""StartLiveTail: an event stream that follows the store, samples above its rate limit, and times out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from threading import Lock
from typing import Any

import msgspec

from prodwatch.demo.aws import eventstream
from prodwatch.demo.aws.api_call import ApiCall, ServiceError
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.faults import Active, FaultPlan
from prodwatch.demo.aws.logs.filter_patterns import Predicate, compile_pattern
from prodwatch.demo.aws.logs.identifiers import group_name, missing_group
from prodwatch.demo.aws.logs.store import LogStore
from prodwatch.demo.aws.logs.stored_event import StoredEvent

MAX_PER_UPDATE = 500
MAX_WAITING = 5_000
"""Events kept for a slow reader; above it the oldest are dropped without notice, as by the real service."""
MAX_GROUPS = 10
_ENCODE = msgspec.json.Encoder().encode


class DroppedError(Exception):
    """The fault plan closes the connection in the middle of the stream."""


class LiveTail:
    """Live tail sessions over one store."""

    def __init__(
        self,
        store: LogStore,
        *,
        faults: FaultPlan,
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        interval_s: float = 1.0,
        session_s: float = 3 * 3600.0,
        seed: int = 0,
    ) -> None:
        self._store = store
        self._faults = faults
        self._wall = wall
        self._sleep = sleep
        self._random = Random(seed)  # noqa: S311 -- samples of a demo, not secrets
        self.interval_s = interval_s
        self.session_s = session_s

    def open(self, call: ApiCall) -> AsyncIterator[bytes]:
        """Return the frames of a new session. Raises ServiceError for parameters the service refuses."""
        groups = self._groups(call.params)
        names, prefixes = call.params.get("logStreamNames", []), call.params.get("logStreamNamePrefixes", [])
        if (names or prefixes) and len(groups) > 1:
            raise ServiceError("InvalidParameterException", "Log streams can be chosen only for a single log group.")
        if names and prefixes:
            raise ServiceError(
                "InvalidParameterException", "logStreamNames and logStreamNamePrefixes cannot be used together."
            )
        pattern = call.params.get("logEventFilterPattern", "")
        try:
            matches = compile_pattern(pattern)
        except ExpressionError as error:
            raise ServiceError("InvalidParameterException", f"Invalid filter pattern: {error}.") from error
        return self._frames(call, _Session(groups, set(names), tuple(prefixes), matches))

    def _groups(self, params: dict[str, Any]) -> dict[str, str]:
        identifiers = params.get("logGroupIdentifiers", [])
        if not 1 <= len(identifiers) <= MAX_GROUPS:
            raise ServiceError("InvalidParameterException", f"Between 1 and {MAX_GROUPS} log groups are needed.")
        groups = {}
        for identifier in identifiers:
            if not identifier.startswith("arn:") or identifier.endswith(":*"):
                raise ServiceError(
                    "InvalidParameterException", "logGroupIdentifiers must be log group ARNs without a trailing :*."
                )
            if self._store.group(group_name(identifier)) is None:
                raise missing_group()
            groups[group_name(identifier)] = identifier
        return groups

    async def _frames(self, call: ApiCall, session: _Session) -> AsyncIterator[bytes]:
        stop = self._store.listen(session.offer)
        try:
            yield eventstream.event("initial-response", b"{}")
            yield eventstream.event("sessionStart", _ENCODE(self._start_document(call, session)))
            now_s = self._wall()
            ends_s = now_s + self.session_s
            while True:
                await self._sleep(self.interval_s)
                before_s, now_s = now_s, self._wall()
                if now_s >= ends_s:
                    yield _exception("SessionTimeoutException", "The Live Tail session has reached its time limit.")
                    return
                active = self._faults.draw("logs", "SessionUpdate", now_s)
                if (frame := await self._apply_faults(active)) is not None:
                    yield frame
                    return
                await asyncio.to_thread(self._collect, session, int(before_s * 1000), int(now_s * 1000))
                events, sampled = session.take(int(now_s * 1000), self._random)
                results = [] if active.has("empty_page") else [_document(event, arn) for arn, event in events]
                yield eventstream.event(
                    "sessionUpdate", _ENCODE({"sessionMetadata": {"sampled": sampled}, "sessionResults": results})
                )
        finally:
            stop()

    def _collect(self, session: _Session, after_ms: int, until_ms: int) -> None:
        """Offer the session the history events that have become visible meanwhile."""
        for group in session.groups:
            session.offer(group, self._store.becoming_visible(group, after_ms, until_ms))

    async def _apply_faults(self, active: Active) -> bytes | None:
        """Wait, raise DroppedError or return an exception frame, as the faults require."""
        if active.delay_s:
            await self._sleep(active.delay_s)
        if active.has("drop"):
            raise DroppedError
        if active.has("error_5xx") or active.has("throttle"):
            return _exception("SessionStreamingException", "The Live Tail session failed.")
        if active.has("expired_token"):
            return _exception("SessionTimeoutException", "The Live Tail session has reached its time limit.")
        return None

    @staticmethod
    def _start_document(call: ApiCall, session: _Session) -> dict[str, Any]:
        return {
            "requestId": call.request_id,
            "sessionId": call.request_id,
            "logGroupIdentifiers": list(session.groups.values()),
            "logStreamNames": sorted(session.names),
            "logStreamNamePrefixes": list(session.prefixes),
            "logEventFilterPattern": call.params.get("logEventFilterPattern", ""),
        }


class _Session:
    """Events that one session has not sent yet; filled by the threads that put events."""

    def __init__(
        self, groups: dict[str, str], names: set[str], prefixes: tuple[str, ...], matches: Predicate | None
    ) -> None:
        self.groups = groups
        self.names = names
        self.prefixes = prefixes
        self._matches = matches
        self._lock = Lock()
        self._waiting: deque[tuple[str, StoredEvent]] = deque(maxlen=MAX_WAITING)

    def offer(self, group: str, events: list[StoredEvent]) -> None:
        arn = self.groups.get(group)
        if arn is None:
            return
        for event in events:
            if self.names and event.stream not in self.names:
                continue
            if self.prefixes and not event.stream.startswith(self.prefixes):
                continue
            if self._matches is None or self._matches(event.message):
                with self._lock:
                    self._waiting.append((arn, event))

    def take(self, now_ms: int, random: Random) -> tuple[list[tuple[str, StoredEvent]], bool]:
        """Return the visible events in order, at most one update's worth, and whether they are a sample."""
        with self._lock:
            ready = [waiting for waiting in self._waiting if waiting[1].visible_ms <= now_ms]
            later = [waiting for waiting in self._waiting if waiting[1].visible_ms > now_ms]
            self._waiting.clear()
            self._waiting.extend(later)
        sampled = len(ready) > MAX_PER_UPDATE
        if sampled:
            ready = random.sample(ready, MAX_PER_UPDATE)
        return sorted(ready, key=lambda waiting: waiting[1][:3]), sampled


def _exception(name: str, message: str) -> bytes:
    return eventstream.exception(name, _ENCODE({"message": message}))


def _document(event: StoredEvent, arn: str) -> dict[str, Any]:
    account, name = arn.split(":")[4], group_name(arn)
    return {
        "logStreamName": event.stream,
        "logGroupIdentifier": f"{account}:{name}",
        "message": event.message,
        "timestamp": event.timestamp_ms,
        "ingestionTime": event.ingested_ms,
    }
