"""Random streams of requests through the store and the comparisons of a session, counted again by hand."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from prodwatch.model.comparison import BATCH_MS
from prodwatch.model.environment import Compare
from prodwatch.model.signal import (
    Batch,
    LambdaReport,
    Level,
    LogRecord,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock

START = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
SECONDS = 400
GROUP = "/aws/lambda/shared"
EXCLUDED = ("route:GET /health", "client:10.0.0.0/8", "stream:*canary*")
ROUTES = ("GET /orders", "POST /refunds", "GET /health", None)


class Event(msgspec.Struct, frozen=True, order=True):
    """One record and the second at which it becomes visible."""

    seen_s: float
    number: int
    record: LogRecord | TraceSummary


class Stream:
    """A random stream of one function, and what is to be counted of it."""

    def __init__(self, rng: random.Random, function: str) -> None:
        self.events: list[Event] = []
        self.own: list[str] = []
        self.expected: Counter[tuple[int, str, str]] = Counter()
        """Start of the batch, version and kind → requests."""
        self.routes: Counter[tuple[str, str]] = Counter()
        self._rng = rng
        self._function = function
        for number in range(rng.randrange(300, 900)):
            self._request(number)

    def _request(self, number: int) -> None:
        rng = self._rng
        at_s = rng.uniform(-120, SECONDS)
        late_s = rng.choice((0, 0, 0, 5, 40, 90))
        version = rng.choice(("41", "41", "41", "42"))
        stream = f"{'canary' if rng.random() < 0.05 else 'env'}-{version}-{rng.randrange(4)}"
        request_id, trace_id = f"{self._function}-{number}", f"t-{self._function}-{number}"
        route, client = rng.choice(ROUTES), rng.choice(("192.0.2.7", "10.1.2.3", "192.0.2.8", "192.0.2.9"))
        status = rng.choice((200, 200, 200, 404, 409, 503)) if route is not None else None
        crashed, has_error, is_own = rng.random() < 0.1, rng.random() < 0.1, rng.random() < 0.05
        line = LogRecord(
            START_MS + int(at_s * 1000),
            "",
            GROUP,
            stream=stream,
            version=version,
            request_id=request_id,
            trace_id=trace_id,
            function=self._function,
        )
        replace = msgspec.structs.replace
        if has_error:
            self._emit(at_s + late_s, replace(line, level=Level.ERROR, message="careful"))
        if status is not None:
            if rng.random() < 0.5:
                fields = {"status": str(status), "routeKey": route, "ip": client}
                response: LogRecord | TraceSummary = replace(line, group="/api", request_id=None, fields=fields)
            else:
                method, _, path = (route or "").partition(" ")
                response = TraceSummary(
                    id=trace_id,
                    start_ms=line.timestamp_ms,
                    duration_s=0.1,
                    method=method,
                    url=f"https://shop{path}?q=1",
                    status=status,
                    client=client,
                )
            self._emit(at_s + rng.uniform(0, late_s), response)
        report = LambdaReport(duration_ms=10.0, status="error" if crashed else None)
        for _ in range(1 + (rng.random() < 0.05)):  # a page may be delivered twice
            self._emit(at_s + late_s, replace(line, kind="report", level=Level.PLATFORM, report=report))
        if crashed and rng.random() < 0.5:
            again = replace(line, timestamp_ms=line.timestamp_ms + 60_000, version="42", stream="env-42-0")
            retried = replace(again, kind="report", level=Level.PLATFORM, report=LambdaReport(duration_ms=5.0))
            self._emit(at_s + 60 + late_s, retried)
        if is_own:
            self.own.append(rng.choice((request_id, trace_id)))
        known = status is not None
        if is_own or "canary" in stream or (known and (route == "GET /health" or client.startswith("10."))):
            return
        start = line.timestamp_ms // BATCH_MS * BATCH_MS
        failed = crashed or status == 503
        self.expected[start, version, "requests"] += 1
        self.expected[start, version, "failed"] += failed
        self.expected[start, version, "error_lines"] += has_error and not failed
        self.expected[start, version, "client_errors"] += status in {404, 409}
        if route is not None and status != 404:
            self.routes[version, route] += 1

    def _emit(self, seen_s: float, record: LogRecord | TraceSummary) -> None:
        self.events.append(Event(seen_s, self._rng.randrange(1 << 30), record))


@pytest.mark.parametrize("seed", range(12))
def test_every_request_counts_once_for_its_own_function_and_version(seed: int) -> None:
    rng = random.Random(seed)
    streams = {name: Stream(rng, name) for name in ("pay", "ship", "of-another-team")}
    store = Store(FakeClock(START))
    store.own.learn([id_ for each in streams.values() for id_ in each.own])
    comparisons = ReleaseComparisons(store, Compare(exclude=EXCLUDED), 2)
    for name in ("pay", "ship"):
        state = ReleaseState(
            function=name,
            phase=ReleasePhase.SHIFTING,
            version="42",
            previous="41",
            weights={"41": 0.75, "42": 0.25},
            started_at=START,
            log_group=GROUP,
        )
        store.apply(Batch(source="release", records=(state,)))
    events = sorted(each for stream in streams.values() for each in stream.events)
    found: dict[str, Counter[tuple[int, str, str]]] = {"pay": Counter(), "ship": Counter()}
    routes: dict[str, Counter[tuple[str, str]]] = {"pay": Counter(), "ship": Counter()}
    second, index = -120.0, 0
    while second < SECONDS + 400:
        second += rng.choice((1, 5, 20, 120))
        until = index
        while until < len(events) and events[until].seen_s <= second:
            until += 1
        store.apply(Batch(source="logs", records=tuple(each.record for each in events[index:until])))
        index = until
        name = f"logs:{GROUP}"
        fresh_at = START + timedelta(seconds=second)
        status = SourceStatus(source=name, phase=SourcePhase.LIVE, fresh_at=fresh_at)
        store.apply(Batch(source=name, status=status))
        comparisons.update(fresh_at)
        for batch in comparisons.batches:
            for version, counts in batch.versions.items():
                for kind in ("requests", "failed", "error_lines", "client_errors"):
                    found[batch.function][batch.start_ms, version, kind] += getattr(counts, kind)
                for route, count in counts.routes.items():
                    routes[batch.function][version, route] += count
    assert index == len(events)
    for name in ("pay", "ship"):
        assert +found[name] == +streams[name].expected
        assert routes[name] == streams[name].routes
        errors = next(each for each in store.comparisons if each.id == f"{name} errors")
        since = [key for key in streams[name].expected if key[0] >= START_MS and key[1] == "42"]
        assert errors.canary.requests == sum(streams[name].expected[key] for key in since if key[2] == "requests")
        assert errors.canary.bad == sum(streams[name].expected[key] for key in since if key[2] == "failed")
