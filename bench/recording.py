"""What a recording costs, beside gzip of the same lines, and how soon a long one opens, is moved and played.

Time of the processor, not of the clock; the cost is that of everything the recorder adds to a store that takes the
same lines: noting, encoding, searching for secrets, compressing, hashing, writing, and the snapshots.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment
from prodwatch.model.evidence import Opened
from prodwatch.model.signal import Batch, LambdaReport, Level, LogRecord, SourcePhase, SourceStatus
from prodwatch.session.moments import moments
from prodwatch.session.recorder import Recorder, open_recorder
from prodwatch.session.replay import Player, ReplayClock
from prodwatch.session.replay_session import opening
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.store import Store
from prodwatch.testing.clock import START
from prodwatch.text.redact import Redactor

BUSY_LINES_PER_S = 2_000
BUSY_S = 30
BUDGET_SHARE = 0.10
LONG_LINES_PER_S = 500
OPEN_BUDGET_S = 1.0
SEEK_BUDGET_S = 0.3
SEEKS = 20
MARK_EVERY = 4 * 60
"""Batches between two notes, which a replay finds."""
BACK_US = 10_000_000
PLAYED_S = 20
FLAT = 1.25
"""Growth of memory by moves that still counts as flat."""
T = TypeVar("T")
GROUP = "/aws/lambda/shop-orders"
SECRETS = ("a-token-of-the-shop", "database-password-1", "key-of-the-partner")
ENVIRONMENT = Environment(name="bench", title="Bench", source=SourcePosition("bench"))


class BenchClock:
    """Virtual time that the benchmark moves."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        """Return the virtual wall time."""
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        """Return virtual seconds."""
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Do not sleep: nothing here waits."""


def batches(lines_per_s: int, seconds: float, dice: random.Random) -> Iterator[Batch]:
    """Yield the lines of requests, in batches of 250 ms: a line of JSON, a line of text and a REPORT per request."""
    number = 0
    for quarter in range(int(seconds * 4)):
        begin_ms = int(START.timestamp() * 1000) + quarter * 250
        lines = []
        for index in range(lines_per_s // 4):
            if index % 3 == 0:
                request_id = str(UUID(int=dice.getrandbits(128)))
                version = "42" if dice.random() < 0.1 else "41"
                stream = f"2026/01/15/[{version}]{dice.randrange(20):032x}"
            at_ms = begin_ms + index * 250 // max(1, lines_per_s // 4)
            lines.append(_line(index % 3, number, at_ms, stream, version, request_id, dice))
            number += 1
        fresh_at = datetime.fromtimestamp(begin_ms / 1000, UTC)
        status = SourceStatus(source=f"logs:{GROUP}", phase=SourcePhase.LIVE, fresh_at=fresh_at)
        yield Batch(source=f"logs:{GROUP}", records=tuple(lines), status=status)


def _line(
    kind: int, number: int, at_ms: int, stream: str, version: str, request_id: str, dice: random.Random
) -> LogRecord:
    values = {"version": version, "request_id": request_id, "event_id": f"{dice.getrandbits(180):056d}"}
    if kind == 0:
        message = f"order {number} of customer {dice.randrange(100_000)} over {dice.random() * 90:.2f} EUR"
        fields = {"level": "INFO", "message": message, "order": number, "ms": dice.random() * 50}
        return LogRecord(at_ms, message, GROUP, stream, Level.INFO, fields=fields, ingested_ms=at_ms + 800, **values)
    if kind == 1:
        level = Level.ERROR if dice.random() < 0.02 else Level.INFO
        message = f"payment of order {number} took {dice.random() * 80:.1f} ms"
        return LogRecord(at_ms, message, GROUP, stream, level, ingested_ms=at_ms + 800, **values)
    report = LambdaReport(duration_ms=dice.random() * 200, billed_ms=200, memory_mb=512, used_mb=130)
    message = f"REPORT RequestId: {request_id} Duration: {report.duration_ms:.2f} ms"
    return LogRecord(
        at_ms, message, GROUP, stream, Level.PLATFORM, kind="report", report=report, ingested_ms=at_ms + 800, **values
    )


def record(path: Path, lines_per_s: int, seconds: float) -> tuple[float, int]:
    """Record and return the processor's seconds of the store alone with the recorder, and the bytes of the file."""
    clock = BenchClock()
    store = Store(clock)
    recorder: Recorder = open_recorder(
        path, Redaction(Redactor(SECRETS)), clock, mode="record", environment=ENVIRONMENT
    )
    recorder.subscribe(store)
    store.note(Opened(environment=ENVIRONMENT))
    taken_s = 0.0
    for number, batch in enumerate(batches(lines_per_s, seconds, random.Random(7))):
        clock.elapsed_s = number / 4
        began_s = time.process_time()
        store.apply(batch)
        if number % MARK_EVERY == 0:
            store.mark("a note")
        if number % 4 == 3:
            recorder.flush()
        taken_s += time.process_time() - began_s
    recorder.close()
    return taken_s, path.stat().st_size


def store_alone(lines_per_s: int, seconds: float) -> float:
    """Return the processor's seconds of a store that takes the same lines and is not recorded."""
    clock = BenchClock()
    store = Store(clock)
    taken_s = 0.0
    for number, batch in enumerate(batches(lines_per_s, seconds, random.Random(7))):
        clock.elapsed_s = number / 4
        began_s = time.process_time()
        store.apply(batch)
        taken_s += time.process_time() - began_s
    return taken_s


def gzip_alone(lines_per_s: int, seconds: float) -> tuple[float, int]:
    """Return the processor's seconds and the bytes of encoding the same lines as NDJSON and of gzip, level 1."""
    encoder = msgspec.json.Encoder()
    taken_s, size = 0.0, 0
    waiting: list[bytes] = []
    for number, batch in enumerate(batches(lines_per_s, seconds, random.Random(7))):
        began_s = time.process_time()
        waiting += [encoder.encode(line) for line in batch.records]
        if number % 4 == 3:
            size += len(gzip.compress(b"\n".join(waiting), 1))
            waiting = []
        taken_s += time.process_time() - began_s
    return taken_s, size


def cost(folder: Path) -> bool:
    """Print the cost of recording; return whether it is within the budget."""
    recorded_s, size = record(folder / "busy.pw", BUSY_LINES_PER_S, BUSY_S)
    alone_s = store_alone(BUSY_LINES_PER_S, BUSY_S)
    gzip_s, gzip_size = gzip_alone(BUSY_LINES_PER_S, BUSY_S)
    share = (recorded_s - alone_s) / BUSY_S
    met = share <= BUDGET_SHARE
    print(f"Recording of {BUSY_LINES_PER_S:,} lines/s for {BUSY_S} s")
    print(f"  {'':36} {'share of a core':>16} {'bytes/line':>11} {'ratio':>8}")
    lines = BUSY_LINES_PER_S * BUSY_S
    print(f"  {'gzip -1 of the same lines as NDJSON':36} {gzip_s / BUSY_S:15.1%} {gzip_size / lines:11.0f} {1:7.2f}×")
    ratio = (recorded_s - alone_s) / gzip_s
    print(f"  {'recorder, beside the store':36} {share:15.1%} {size / lines:11.0f} {ratio:7.2f}×")
    print(f"  at most {BUDGET_SHARE:.0%} of a core: {'met' if met else 'not met'}")
    return met


def moves(folder: Path, minutes: float) -> bool:
    """Print how soon a long file opens, is moved and played; return whether it is within the budget."""
    path = folder / "long.pw"
    record(path, LONG_LINES_PER_S, minutes * 60)
    with gzip.open(path) as file:
        unpacked_s, _ = timed(lambda: deque(iter(lambda: file.read(1 << 20), b""), maxlen=0))
    opened_s, file = timed(lambda: SessionFile(path))
    named_s, _ = timed(lambda: opening(file))
    clock = ReplayClock(file.header.started_at)
    player = Player(file, clock, Store(clock))
    dice = random.Random(7)
    places = [dice.randrange(file.duration_us) for _ in range(SEEKS)]
    player.seek(file.duration_us // 2)
    first_mb = resident_mb()
    moved_s = sorted(timed(lambda to_us=to_us: player.seek(to_us))[0] for to_us in places)  # type: ignore[misc]
    player.seek(file.duration_us // 2)
    back_s = sorted(
        timed(lambda: player.seek(player.position_us - BACK_US))[0]  # a step of playing backwards at 20x
        for _ in range(SEEKS)
    )
    last_mb = resident_mb()
    player.seek(file.duration_us // 4)
    played_s, _ = timed(lambda: player.play(player.position_us + PLAYED_S * 1_000_000))
    scanned_s, count = timed(lambda: sum(1 for _ in moments(file)))
    file.close()
    met = opened_s + named_s <= OPEN_BUDGET_S and moved_s[-1] <= SEEK_BUDGET_S and last_mb <= first_mb * FLAT
    print(f"\nA recording of {minutes:g} min at {LONG_LINES_PER_S} lines/s, {path.stat().st_size / 1e6:.0f} MB")
    print(f"  {'':52} {'ms':>7} {'at most':>8} {'ratio':>9}")
    for name, seconds, most_s in (
        ("gunzip of the whole file", unpacked_s, None),
        ("opening", opened_s + named_s, OPEN_BUDGET_S),
        (f"moving, median of {SEEKS}", moved_s[SEEKS // 2], None),
        ("moving, slowest", moved_s[-1], SEEK_BUDGET_S),
        (f"a step of {BACK_US / 1e6:g} s back, median", back_s[SEEKS // 2], None),
        (f"events of the whole file, in the background: {count}", scanned_s, None),
    ):
        most = "" if most_s is None else f"{most_s * 1000:.0f}"
        print(f"  {name:52} {seconds * 1000:7.0f} {most:>8} {seconds / unpacked_s:8.3f}×")
    share = played_s / PLAYED_S
    print(f"  playing takes {share:.1%} of a core at its own speed, {min(1.0, 20 * share):.0%} at 20×")
    print(f"  memory {first_mb:.0f} MB after the first move, {last_mb:.0f} MB after {2 * SEEKS} more")
    print(f"  {'met' if met else 'not met'}")
    return met


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the processor's seconds of a piece of work, and its result."""
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


def resident_mb() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="length of the long recording")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        met = [cost(Path(folder)), moves(Path(folder), minutes)]
    if not all(met):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
