"""The embedded AWS for `logs.py`: `backlog N` holds N events of each form, `live RATE` writes RATE lines a second.

`uneven RATE` does so with the pages that CloudWatch serves: each scan begins and ends with an empty one, the others are
partial.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from typing import Any

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.api_call import Raw
from prodwatch.demo.aws.faults import Fault
from prodwatch.demo.aws.logs.read_operations import Reader

STREAM = "2026/11/20/[7]0123456789abcdef0123456789abcdef"
CALLS_PER_S = 5.0
TICK_S = 0.05
MEMORY = "Memory Size: 256 MB\tMax Memory Used: 71 MB"


def request_id(number: int) -> str:
    return f"{number:08x}-1111-4222-8333-{number:012x}"


def text_line(number: int) -> str:
    id_ = request_id(number // 4)
    return (
        f"START RequestId: {id_} Version: 7\n",
        f"[INFO]\t2026-11-20T12:00:00.123Z\t{id_}\torder {number} placed for 3 items by customer {number % 977}\n",
        f"END RequestId: {id_}\n",
        f"REPORT RequestId: {id_}\tDuration: 12.34 ms\tBilled Duration: 13 ms\t{MEMORY}\t\n",
    )[number % 4]


def json_line(number: int) -> str:
    return json.dumps(
        {
            "timestamp": "2026-11-20T12:00:00.123Z",
            "level": "INFO",
            "message": f"order {number} placed",
            "service": "orders",
            "function_request_id": request_id(number),
            "xray_trace_id": f"1-65a0b0c0-{number:024x}",
            "items": 3,
            "customer": number % 977,
        }
    )


def remember_pages() -> None:
    """Compute each page once: how fast this server is must not hide how fast its readers are."""
    compute, pages = Reader.filter_log_events, {}

    def filter_log_events(self: Reader, call: Any) -> Any:
        asked = call.params
        key = (asked.get("logGroupName") or asked["logGroupIdentifier"], asked.get("nextToken"), asked.get("limit"))
        if key not in pages:
            pages[key] = compute(self, call)
        return pages[key]

    Reader.filter_log_events = filter_log_events  # type: ignore[method-assign]


def serve_uneven_pages() -> None:
    """Begin and end every scan with an empty page, and fill the others to two thirds."""
    compute = Reader.filter_log_events

    def filter_log_events(self: Reader, call: Any) -> Any:
        token = call.params.get("nextToken")
        if token in {None, "last"}:
            return Raw(json.dumps({"events": []} | ({} if token else {"nextToken": "first"})).encode())
        limit = int(call.params.get("limit") or 10_000) * 2 // 3
        params = {**call.params, "nextToken": None if token == "first" else token, "limit": limit}
        page = json.loads(compute(self, dataclasses.replace(call, params=params)).body)
        return Raw(json.dumps({"nextToken": "last", **page}).encode())

    Reader.filter_log_events = filter_log_events  # type: ignore[method-assign]


def fill(aws: EmbeddedAws, count: int) -> None:
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - 600_000
    for form, line in (("text", text_line), ("json", json_line)):
        aws.logs.put(f"/bench/{form}", STREAM, [(start_ms + n * 500_000 // count, line(n)) for n in range(count)])
    aws.logs.create_group("/bench/empty")


async def write(aws: EmbeddedAws, rate: int) -> None:
    """Write `rate` lines a second for ever, each with the moment it became visible in its text."""
    started, written = time.time(), 0
    while True:
        await asyncio.sleep(TICK_S)
        now_s = time.time()
        due = int((now_s - started) * rate)
        if due > written:
            lines = [(int(now_s * 1000), f"[INFO] {now_s:.6f} line {n}") for n in range(written, due)]
            aws.logs.put("/bench/live", STREAM, lines)
            written = due


async def main() -> None:
    if sys.argv[1] == "uneven":
        # Before the handlers are bound.
        serve_uneven_pages()
    aws = EmbeddedAws()
    if sys.argv[1] == "backlog":
        remember_pages()
        fill(aws, int(sys.argv[2]))
    else:
        aws.logs.create_group("/bench/live")
        aws.faults.add(Fault(operation="logs:FilterLogEvents", kind="rate", per_s=CALLS_PER_S))
    print(await aws.start(), flush=True)
    if sys.argv[1] != "backlog":
        await write(aws, int(sys.argv[2]))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
