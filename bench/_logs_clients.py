"""The readers that `logs.py` compares: `NAME URL GROUP EVENTS-or-SECONDS`; lines on stdout, measurements on stderr."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from asyncio import events as loop_events
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

SINCE_S = 3600


def ours(url: str, group: str) -> tuple[Any, Any]:
    """Return the door and the source, wired as the dashboard does it."""
    from prodwatch.aws.aws_calls import Aws
    from prodwatch.clock import SystemClock
    from prodwatch.model.check import SourcePosition
    from prodwatch.model.environment import AwsTarget, Environment, LogTarget
    from prodwatch.sources.build_sources import build_sources
    from prodwatch.sources.logs.source import LogSource
    from prodwatch.text.redact import Redactor

    environment = Environment(
        name="bench",
        title="Bench",
        source=SourcePosition("bench.toml"),
        aws=AwsTarget(region="eu-west-1", endpoint_url=url),
        logs=(LogTarget(group=group),),
        traces_enabled=False,
    )
    clock = SystemClock()
    aws = Aws(environment, os.environ, clock)
    since = datetime.now(UTC) - timedelta(seconds=SINCE_S)
    redactor = Redactor(["a-secret-of-the-bench"])
    found = build_sources(environment, aws, clock=clock, redactor=redactor, logs_since=since, since=since)
    return aws, next(source for source in found if isinstance(source, LogSource))


async def run_ours(url: str, group: str, count: int) -> dict[str, Any]:
    """Read a backlog with everything done, at whatever rate of calls."""
    aws, source = ours(url, group)
    bucket = aws.limiter.bucket("", "eu-west-1", "logs", "FilterLogEvents")
    bucket.rate_per_s = 1e6
    encoder, out, shown = msgspec.json.Encoder(), sys.stdout.buffer, 0
    async with aws:
        await aws.client("logs")
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        async with aclosing(source.batches()) as batches:
            async for batch in batches:
                if batch.records:
                    out.write(encoder.encode_lines(batch.records))
                    shown += len(batch.records)
                    if shown >= count:
                        break
            took = time.perf_counter() - wall_s, time.process_time() - cpu_s
    assert shown == count, shown
    return {"events": shown, "wall_s": took[0], "cpu_s": took[1]}


async def run_block(url: str, group: str, count: int) -> dict[str, Any]:
    """Read the backlog with the CPU time of every turn of the event loop measured."""
    longest, run = 0.0, loop_events.Handle._run  # noqa: SLF001 -- asyncio has no other place to measure a turn

    def measured(self: Any) -> None:
        nonlocal longest
        before = time.thread_time()
        run(self)
        longest = max(longest, time.thread_time() - before)

    await (await asyncio.to_thread(ours, url, group))[0].client("logs")
    loop_events.Handle._run = measured  # type: ignore[method-assign]  # noqa: SLF001 -- as above
    await run_ours(url, group, count)
    return {"block_ms": longest * 1000}


async def run_live(url: str, group: str, seconds: int) -> dict[str, Any]:
    """Follow lines that tell when they became visible."""
    aws, source = ours(url, group)
    waits: list[float] = []
    async with aws:
        await aws.client("logs")
        began, cpu_s = time.time(), time.process_time()
        try:
            async with asyncio.timeout(seconds), aclosing(source.batches()) as batches:
                async for batch in batches:
                    now = time.time()
                    for record in batch.records:
                        visible = float(record.message.split()[1 if record.message[0] == "[" else 0])
                        # What was there before is backlog, not latency.
                        if visible > began + 2:
                            waits.append(now - visible)
        except TimeoutError:
            pass
        cpu = (time.process_time() - cpu_s) / seconds
        usage = aws.usage()
    waits.sort()
    return {
        "events": len(waits),
        "p50_s": statistics.median(waits),
        "p99_s": waits[int(len(waits) * 0.99)],
        "max_s": waits[-1],
        "calls_s": usage.calls["logs:FilterLogEvents"] / seconds,
        "throttles": usage.throttles,
        "cpu": cpu,
    }


async def run_aiobotocore(url: str, group: str, count: int) -> dict[str, Any]:
    """The loop people write: paginate, look up the id, print the event."""
    from aiobotocore.session import get_session

    seen: set[str] = set()
    async with get_session().create_client("logs", endpoint_url=url) as client:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int((time.time() - SINCE_S) * 1000), PaginationConfig={"PageSize": 10_000}
        )
        async for page in pages:
            for event in page["events"]:
                if event["eventId"] not in seen:
                    seen.add(event["eventId"])
                    sys.stdout.write(event["message"])
        took = time.perf_counter() - wall_s, time.process_time() - cpu_s
    assert len(seen) == count, len(seen)
    return {"events": len(seen), "wall_s": took[0], "cpu_s": took[1]}


async def run_decoding(url: str, group: str, count: int, decode: Any) -> dict[str, Any]:
    """Nothing but the requests and the decoding."""
    import aiohttp

    read = 0
    headers = {
        "X-Amz-Target": "Logs_20140328.FilterLogEvents",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=bench/20261120/eu-west-1/logs/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
    asked: dict[str, Any] = {
        "logGroupName": group,
        "startTime": int((time.time() - SINCE_S) * 1000),
        "limit": 10_000,
    }
    async with aiohttp.ClientSession(headers=headers) as session:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        while True:
            async with session.post(url, data=json.dumps(asked)) as answer:
                page = decode(await answer.read())
            read += len(page["events"])
            if "nextToken" not in page:
                break
            asked["nextToken"] = page["nextToken"]
        took = time.perf_counter() - wall_s, time.process_time() - cpu_s
    assert read == count, read
    return {"events": read, "wall_s": took[0], "cpu_s": took[1]}


async def main() -> None:
    name, url, group, amount = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    if name in {"json", "msgspec"}:
        measured = await run_decoding(url, group, amount, json.loads if name == "json" else msgspec.json.decode)
    else:
        run = {"ours": run_ours, "block": run_block, "live": run_live, "aiobotocore": run_aiobotocore}[name]
        measured = await run(url, group, amount)
    print(json.dumps(measured), file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
