"""The lines the shop's functions write: mostly orders placed, now and then what went wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

from msgspec.structs import replace

from prodwatch.model.signal import Batch, LambdaReport, Level, LogRecord
from tests.support.scene.checks import FAILED_REQUEST_ID, FAILED_TRACE_ID
from tests.support.scene.release import NEW, OLD, Timing, live

GROUPS = (
    "/aws/lambda/shop-orders",
    "/aws/lambda/shop-inbox",
    "/aws/lambda/shop-worker",
    "/aws/lambda/shop-mailer",
    "/aws/apigateway/shop-api",
)
_GROUP_WEIGHTS = (5, 2, 2, 1, 3)
HISTORY_LINES = 4_100
_READ = timedelta(hours=1)
"""Time before now from which on lines are read."""
_WINDOW_MS = 600_000
_BATCH = 500


def log_line(number: int, timestamp_ms: int, share_of_new: float, dice: random.Random) -> LogRecord:
    """Return one believable line written at `timestamp_ms`."""
    group = dice.choices(GROUPS, _GROUP_WEIGHTS)[0]
    orders = group.endswith("shop-orders")
    version = (NEW if dice.random() < share_of_new else OLD) if orders else "17"
    line = LogRecord(
        timestamp_ms=timestamp_ms,
        message="cache miss for price list, reading s3",
        level=Level.DEBUG,
        group=group,
        stream=f"2026/11/20/[{version}]{number % 7:032x}",
        version=version,
        request_id=f"{dice.getrandbits(32):08x}-{number % 65536:04x}-4{number % 4096:03x}-9000-{number:012x}",
        trace_id=f"1-{timestamp_ms // 1000:08x}-{number:024x}",
        event_id=f"{number:056d}",
        ingested_ms=timestamp_ms + 900,
    )
    fate = dice.random()
    if orders and version == NEW and fate < 0.3:
        return _of_new_version(line, dice, broken=fate < 0.061)
    if fate < 0.72:
        return _placed(line, number, dice)
    if fate < 0.78:
        return line
    if fate < 0.783:
        return replace(line, message="card refused by issuer: insufficient funds", level=Level.ERROR)
    return _report(line, dice)


def _of_new_version(line: LogRecord, dice: random.Random, *, broken: bool) -> LogRecord:
    if broken:
        fields = {"level": "ERROR", "message": "KeyError: 'currency'", "location": "orders.py:88"}
        where = 'File "/var/task/orders.py", line 88, in place'
        message = f"KeyError: 'currency' ⏎ Traceback (most recent call last): ⏎   {where}"
        return replace(line, message=message, level=Level.ERROR, fields=fields)
    took_ms = dice.randint(310, 720)
    fields = {"level": "WARNING", "message": "slow query", "ms": str(took_ms), "table": "orders"}
    return replace(line, message=f"slow query {took_ms} ms table orders", level=Level.WARN, fields=fields)


def _placed(line: LogRecord, number: int, dice: random.Random) -> LogRecord:
    total = dice.randint(390, 9900) / 100
    fields = {"level": "INFO", "message": "order placed", "id": f"o-{number}", "total": total, "currency": "EUR"}
    return replace(line, message=f"order placed id=o-{number} total={total:.2f}", level=Level.INFO, fields=fields)


def _report(line: LogRecord, dice: random.Random) -> LogRecord:
    duration = dice.lognormvariate(5.3 if line.version == NEW else 4.6, 0.5)
    cold = 412.0 if dice.random() < 0.01 else None
    used = dice.randint(88, 141)
    report = LambdaReport(duration_ms=duration, billed_ms=duration + 1, memory_mb=512, used_mb=used, init_ms=cold)
    started = f" Init Duration: {cold} ms" if cold else ""
    message = f"REPORT RequestId: {line.request_id} Duration: {duration:.2f} ms Max Memory Used: {used} MB{started}"
    return replace(line, message=message, level=Level.PLATFORM, kind="report", report=report)


def log_history(timing: Timing, dice: random.Random) -> Iterator[Batch]:
    """Yield the last ten minutes in batches; among the last lines are those of the request the failed check sent."""
    begin_ms = int(timing.now.timestamp() * 1000) - _WINDOW_MS
    step_ms = _WINDOW_MS / HISTORY_LINES
    lines = []
    for number in range(HISTORY_LINES):
        elapsed_ms = int(number * step_ms)
        at = timing.now - timedelta(milliseconds=_WINDOW_MS - elapsed_ms)
        lines.append(log_line(number, begin_ms + elapsed_ms, timing.share_of_new(at), dice))
        if len(lines) == _BATCH:
            yield Batch(source="logs", records=tuple(lines))
            lines = []
    last = sorted((*lines, *_own_lines(timing)), key=lambda line: line.timestamp_ms)
    yield Batch(source="logs", records=tuple(last))
    for group in GROUPS:
        status = replace(live(f"logs:{group}", timing.now), read_from=timing.now - _READ)
        yield Batch(source="logs", status=status)


def _own_lines(timing: Timing) -> tuple[LogRecord, ...]:
    if timing.moment != "during":
        return ()
    at_ms = int(timing.now.timestamp() * 1000) - 2400
    texts = (
        (Level.PLATFORM, f"START RequestId: {FAILED_REQUEST_ID} Version: 42"),
        (Level.INFO, "placing order id=TEST-7f3a"),
        (Level.ERROR, "KeyError: 'currency' ⏎   File \"/var/task/orders.py\", line 88, in place"),
        (Level.PLATFORM, f"REPORT RequestId: {FAILED_REQUEST_ID} Duration: 601.20 ms Billed Duration: 602 ms"),
    )
    return tuple(
        LogRecord(
            timestamp_ms=at_ms + 30 * index,
            message=text,
            level=level,
            group=GROUPS[0],
            version=NEW,
            request_id=FAILED_REQUEST_ID,
            trace_id=FAILED_TRACE_ID,
            event_id=f"own-{index}",
        )
        for index, (level, text) in enumerate(texts)
    )
