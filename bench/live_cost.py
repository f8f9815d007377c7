"""What watching ten functions costs in calls and US dollars, and what the store's log lines cost in memory.

The calls are made on a virtual clock, behind the rate limiter that stands before AWS; dollars are list prices before
any free tier. Memory is what Python has allocated, beside a plain list of the same raw strings.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import time
import tracemalloc
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from prodwatch.aws.rate_limiter import Bucket, family
from prodwatch.aws.usage_meter import Meter, request_units, response_units, shipped_prices
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AlarmTarget, Environment, FunctionTarget, Limits, ReleaseTarget
from prodwatch.model.signal import Batch
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.logs.events import Page, RawEvent
from prodwatch.sources.supervisor import Supervisor
from prodwatch.store.store import Store, StoreLimits
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor

FUNCTIONS = 10
MINUTES = 30
BEFORE_S = 600
"""Traces of so long before are read at the start."""
BUDGET_USD = 0.10
RECORDS = 100_000
PAGE_LINES = 1_000
START_MS = int(START.timestamp() * 1000)
STREAM = "2026/01/15/[42]0123456789abcdef0123456789abcdef"


class Case(NamedTuple):
    """What goes on in the account while it is watched."""

    name: str
    lines_per_s: int
    """In each of the log groups."""
    traces_per_s: int
    """In all that X-Ray keeps."""
    weighted: int
    """How many functions have an alias that is split between two versions."""


CASES = (
    Case("quiet, no release", 0, 0, 0),
    Case("1 line/s each, 1 trace/s, one of ten in a canary", 1, 1, 1),
    Case("1 line/s each, 1 trace/s, all ten in a canary", 1, 1, FUNCTIONS),
    Case("1 line/s each, 10 traces/s, all ten in a canary", 1, 10, FUNCTIONS),
    Case("1 line/s each, 100 traces/s, all ten in a canary", 1, 100, FUNCTIONS),
)
TRACES_A_PAGE = 100


class MeteredAws(ScriptedAws):
    """A script behind the limiter and the meter that the real session uses."""

    def __init__(self, clock: FakeClock, case: Case) -> None:
        super().__init__()
        self.meter = Meter(Limits())
        self.usd: defaultdict[str, float] = defaultdict(float)
        """Dollars by operation; the meter has only their sum."""
        self.clock = clock
        self.case = case
        self.buckets: dict[str, Bucket] = {}
        self.answers = {
            "logs:FilterLogEvents": self.lines,
            "xray:GetTraceSummaries": self.traces,
            "lambda:GetAlias": self.alias,
            "cloudwatch:GetMetricData": self.metrics,
            "cloudwatch:DescribeAlarms": lambda _: {"MetricAlarms": [{"AlarmName": "shop-errors", "StateValue": "OK"}]},
            "codedeploy:ListDeploymentGroups": lambda _: {"deploymentGroups": []},
        }

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Wait for the limiter, count, and answer by the script."""
        name, asked = f"{service}:{operation}", params or {}
        kind = family(service, operation)
        bucket = self.buckets.setdefault(kind.name, Bucket(kind, self.clock))
        await bucket.acquire()
        units = request_units(name, asked)
        self.meter.admit(service, operation, units)
        answer = await super().call(service, operation, params, **more)
        bucket.accepted()
        told = response_units(name, asked, answer)
        self.meter.add(name, told)
        self.usd[name] += self.meter.price_usd(name) * (units + told)
        # The meter has counted them; their parameters need not be kept.
        self.calls.clear()
        return answer

    def lines(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return every line written since the scan's start."""
        now_ms, rate = int(self.clock.now().timestamp() * 1000), self.case.lines_per_s
        first = max(START_MS, params["startTime"])
        stamps = range(first + -first % 1000, now_ms, 1000 // rate) if rate else ()
        return {"events": [event(stamp, f"[INFO] order {stamp} placed", f"{stamp:056}") for stamp in stamps]}

    def traces(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page of the traces begun in the window, the newest first; each is billed."""
        rate = self.case.traces_per_s
        begin, end = (int((params[name] - START).total_seconds() * rate) for name in ("StartTime", "EndTime"))
        newest = int(params.get("NextToken", end))
        oldest = max(begin, newest - TRACES_A_PAGE)
        found = [
            {"Id": f"1-5f000000-{n + 10**9:024x}", "StartTime": START + timedelta(seconds=n / rate), "Duration": 0.1}
            for n in reversed(range(oldest, newest))
        ]
        more = {"NextToken": str(oldest)} if oldest > begin else {}
        return {"TraceSummaries": found, "TracesProcessedCount": len(found), **more}

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Follow the tokens of trace summaries; everything else has one page."""
        asked = dict(params or {})
        while True:
            page = await self.call(service, operation, asked, **more)
            yield page
            if operation != "GetTraceSummaries" or "NextToken" not in page:
                return
            asked["NextToken"] = page["NextToken"]

    def alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the alias, split between two versions or not."""
        split = int(params["FunctionName"].rpartition("-")[2]) < self.case.weighted
        return {
            "FunctionVersion": "41",
            "RoutingConfig": {"AdditionalVersionWeights": {"42": 0.1} if split else {}},
        }

    def metrics(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return one point for each series asked for."""
        minute = self.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Timestamps": [minute], "Values": [1.0]} for query in params["MetricDataQueries"]
            ]
        }


def event(stamp_ms: int, message: str, id_: str) -> dict[str, Any]:
    return {
        "timestamp": stamp_ms,
        "message": message,
        "eventId": id_,
        "logStreamName": STREAM,
        "ingestionTime": stamp_ms + 200,
    }


async def watch(case: Case) -> tuple[MeteredAws, str, float]:
    """Watch for `MINUTES` of virtual time; returns the AWS that counted, how traces were read, and wall seconds."""
    started = time.perf_counter()
    clock = FakeClock()
    aws = MeteredAws(clock, case)
    environment = Environment(
        name="bench",
        title="Bench",
        source=SourcePosition("config/bench.toml"),
        functions=tuple(FunctionTarget(name=f"shop-{n}", alias="live") for n in range(FUNCTIONS)),
        alarms=(AlarmTarget(prefix="shop-"),),
        release=ReleaseTarget(codedeploy="shop"),
    )
    since = START - timedelta(seconds=BEFORE_S)
    sources = build_sources(environment, aws, clock=clock, redactor=Redactor(), logs_since=since, since=since)
    store = Store(clock)
    supervisor = Supervisor(sources, store.apply, clock=clock)
    supervisor.start()
    await clock.advance(MINUTES * 60)
    await supervisor.stop()
    ill = [status for status in store.sources.values() if status.phase.value != "live"]
    written = case.lines_per_s * FUNCTIONS * MINUTES * 60
    missing = written - store.logs.ring.tail
    # The last seconds' lines may still be on their way.
    if ill or not 0 <= missing <= case.lines_per_s * FUNCTIONS * 15:
        raise SystemExit(f"the watch was not whole: {missing} lines missing of {written}, {ill}")
    told = store.sources["traces"]
    read = told.message or "all traces were read"
    if told.sampled:
        read += f" ({told.sampled:,} of {case.traces_per_s * (MINUTES * 60 + BEFORE_S):,} left out)"
    return aws, read, time.perf_counter() - started


def cost(cases: Sequence[Case]) -> None:
    """Print calls per minute and dollars by operation for every case."""
    print(f"\n{FUNCTIONS} functions with aliases watched for {MINUTES} virtual minutes; list prices, no free tier")
    for case in cases:
        aws, read, wall_s = asyncio.run(watch(case))
        usage = aws.meter.usage()
        print(f"\n{case.name}  (simulated in {wall_s:.1f} s)\n  traces: {read}")
        print(f"  {'operation':34} {'calls/min':>10} {'calls':>8} {'USD':>10} {'of budget':>10}")
        for name, calls in sorted(usage.calls.items(), key=lambda each: (-aws.usd[each[0]], each[0])):
            price = f"{aws.usd[name]:10.5f}" if name in shipped_prices() else f"{'free':>10}"
            print(f"  {name:34} {calls / MINUTES:10.1f} {calls:8,} {price} {aws.usd[name] / BUDGET_USD:9.2f}×")
        total, most = sum(usage.calls.values()), usage.cost_usd / BUDGET_USD
        verdict = f"budget ≤ {BUDGET_USD:.2f} USD: {'met' if most <= 1 else 'MISSED'}"
        print(f"  {'all':34} {total / MINUTES:10.1f} {total:8,} {usage.cost_usd:10.5f} {most:9.2f}×  {verdict}")


def messages() -> Iterator[str]:
    """Yield lines as a Lambda writes them: start, JSON with fields, plain text, end and report of one invocation."""
    draw = random.Random(7)
    while True:
        request = f"{draw.getrandbits(32):08x}-0000-4000-8000-{draw.getrandbits(48):012x}"
        trace = f"1-5f{draw.getrandbits(24):06x}-{draw.getrandbits(96):024x}"
        yield f"START RequestId: {request} Version: 42\n"
        order = {"order_id": draw.getrandbits(40), "items": draw.randrange(9), "customer": f"c{draw.getrandbits(30)}"}
        head = {"level": "INFO", "message": "order placed", "service": "shop-orders", "function_request_id": request}
        yield msgspec.json.encode({**head, "xray_trace_id": trace, **order}).decode()
        yield f"[INFO]\t2026-01-15T12:00:00.000Z\t{request}\tstored order {order['order_id']} in 12 ms\n"
        yield f"END RequestId: {request}\n"
        yield (
            f"REPORT RequestId: {request}\tDuration: {draw.random() * 99:.2f} ms\tBilled Duration: 100 ms\t"
            "Memory Size: 256 MB\tMax Memory Used: 91 MB\t\n"
        )


def pages() -> Iterator[list[RawEvent]]:
    """Yield `RECORDS` events, decoded page by page as they come from CloudWatch."""
    lines, decode = messages(), msgspec.json.Decoder(Page).decode
    for start in range(0, RECORDS, PAGE_LINES):
        found = [event(START_MS + n, next(lines), f"{n:056}") for n in range(start, start + PAGE_LINES)]
        yield decode(msgspec.json.encode({"events": found})).events


def raw_strings() -> list[str]:
    """Keep the messages and nothing else."""
    return [each.message for page in pages() for each in page]


def raw_events() -> list[RawEvent]:
    """Keep the events as CloudWatch gives them, with id and stream."""
    return [each for page in pages() for each in page]


def filled_store() -> Store:
    """Keep what the dashboard keeps: parsed, indexed by request and trace, counted by signature."""
    store = Store(FakeClock(), limits=StoreLimits(log_lines=RECORDS))
    parser = LineParser(Redactor())
    for page in pages():
        records = tuple(parser.parse_all(page, "/aws/lambda/shop-orders"))
        store.apply(Batch(source="logs", records=records))
    assert store.logs.ring.tail - store.logs.ring.head == RECORDS
    return store


def held_bytes(fill: Callable[[], object]) -> int:
    """Return what Python has allocated for the result of `fill` and still holds."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = fill()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        del kept
        return held
    finally:
        tracemalloc.stop()


def memory() -> None:
    """Print the memory of the store beside plain lists of the same lines."""
    # What is built on first use (caches, compiled patterns) is nobody's line.
    filled_store()
    print(f"\nMemory of {RECORDS:,} log lines (a fifth each: START, JSON, text, END, REPORT)")
    print(f"  {'':34} {'MB':>8} {'bytes/line':>11} {'ratio':>8}")
    plain = held_bytes(raw_strings)
    kept = {"plain list of raw strings": plain, "list of raw events": held_bytes(raw_events)}
    kept["store: parsed, indexed, counted"] = held_bytes(filled_store)
    for name, held in kept.items():
        print(f"  {name:34} {held / 1e6:8.1f} {held / RECORDS:11.0f} {held / plain:7.2f}×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--traces-per-s", type=int, metavar="N", help="only this: the cost at so many traces a second, all in a canary"
    )
    level = parser.parse_args().traces_per_s
    if level is not None:
        cost([Case(f"1 line/s each, {level} traces/s, all ten in a canary", 1, level, FUNCTIONS)])
        return
    cost(CASES)
    memory()


if __name__ == "__main__":
    main()
