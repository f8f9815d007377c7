"""Runs sources into a stream until it is complete or somebody ends it, and says which by the exit code."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol

from prodwatch.cli.event_loop import demo_target
from prodwatch.cli.exit_codes import ExitCode
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.source_status import SourceStatusReporter
from prodwatch.cli.log_file import log_to_file
from prodwatch.cli.options import Common
from prodwatch.cli.stderr import error
from prodwatch.clock import Clock
from prodwatch.model.signal import Batch, Record, SourcePhase
from prodwatch.session.engine import Engine, open_engine, require_credentials
from prodwatch.session.stream_completion import StreamCompletion
from prodwatch.settings import Project
from prodwatch.sources.base import Source
from prodwatch.sources.supervisor import Supervisor

TICK_S = 0.1
STUCK_S = 1.0
"""How long the end waits for a reader that takes nothing."""


class Stream(Protocol):
    """Turns records into lines on stdout."""

    def take(self, records: Sequence[Record]) -> int:
        """Show records, or keep them for a moment; return how many of them are wanted."""
        ...

    def tick(self, *, caught_up: bool) -> None:
        """Show what has been kept long enough; called ten times a second."""
        ...

    def finish(self) -> None:
        """Show whatever is still kept."""
        ...

    def summary(self) -> str:
        """Return what was shown: `812 lines`."""
        ...

    def shortcomings(self) -> dict[str, int]:
        """Return what was not shown and why, word → count."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Everything one command needs to stream."""

    sources: Sequence[Source]
    stream: Stream
    ending: StreamCompletion
    must_exist: frozenset[str] = field(default_factory=frozenset)
    """Sources whose absence is a failure: somebody named them."""
    absent: tuple[str, ...] = ()
    """What somebody named and nothing answers to."""


Prepare = Callable[[Engine, LineWriter], Awaitable[Live]]


def run_live(project: Project, common: Common, prepare: Prepare, *, clock: Clock | None = None) -> int:
    """Stream until complete or ended; the exit code is 0, 3 when something could not be read, 130 or 143.

    An interrupted stream that follows exits 0, as it was meant to end that way; raises ProdwatchError.
    """
    sink = LineWriter()
    signals = Signals(sink)
    run = _Run(project, common, sink, signals)
    try:
        with log_to_file(), signals.handled():
            asyncio.run(run.run(prepare, clock))
    except (KeyboardInterrupt, asyncio.CancelledError):
        if signals.received is None and not sink.gone and sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error
    return run.exit_code()


class Signals:
    """Gives SIGINT, SIGTERM and SIGHUP their meaning: the first ends the stream in order, the second at once."""

    def __init__(self, sink: LineWriter) -> None:
        self._sink = sink
        self._end: Callable[[], None] = lambda: None
        self.received: int | None = None

    def ends(self, end: Callable[[], None]) -> None:
        """Have `end` called (from the event loop's own thread) by the first signal."""
        self._end = end

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take the signals over for a while."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {number: signal.signal(number, self._handle) for number in wanted}
        before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: Any) -> None:
        again = self.received is not None
        self.received = self.received or number
        if again:
            raise KeyboardInterrupt
        if self._sink.busy:
            # The line being written is finished first, and nothing after it.
            self._sink.stop()
        # What waits to be in order is written too, unless its reader has stopped reading.
        signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, STUCK_S)
        self._end()

    def _give_up(self, _number: int, _frame: Any) -> None:
        if self._sink.busy:
            # The write blocks the event loop: only an exception gets out of it.
            raise KeyboardInterrupt


class _Run:
    """One stream from start to exit code."""

    def __init__(self, project: Project, common: Common, sink: LineWriter, signals: Signals) -> None:
        self._project = project
        self._common = common
        self._sink = sink
        self._signals = signals
        self._complete = False
        self._follows = False
        self._failed: list[str] = []

    async def run(self, prepare: Prepare, clock: Clock | None) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            loop.call_soon_threadsafe(task.cancel)

        self._signals.ends(end)
        self._sink.on_end(end)
        demo = demo_target(self._project, self._common)
        async with open_engine(self._project, demo=demo, clock=clock) as engine:
            await require_credentials(engine)
            live = await prepare(engine, self._sink)
            self._follows = live.ending.follows
            teller = SourceStatusReporter(error, engine.clock)
            supervisor = Supervisor(live.sources, lambda batch: _take(batch, live, teller), clock=engine.clock)
            supervisor.start()
            try:
                while not live.ending.done():
                    await engine.clock.sleep(TICK_S)
                    live.stream.tick(caught_up=live.ending.caught_up)
                self._complete = True
            finally:
                await supervisor.stop()
                with suppress(KeyboardInterrupt):
                    live.stream.finish()
                self._conclude(live, teller, engine)

    def _conclude(self, live: Live, teller: SourceStatusReporter, engine: Engine) -> None:
        if self._sink.gone:
            return
        # A group that appears with a function's first invocation may be absent; one that somebody named may not.
        absent = {name for name, status in teller.statuses.items() if status.phase is SourcePhase.WAITING}
        unread = [*sorted(set(live.ending.unread()) - (absent - live.must_exist)), *live.absent]
        late_unread = [] if not self._complete else live.ending.unswept()
        self._failed = [*unread, *late_unread] if self._complete else []
        error(teller.summary(live.stream.summary(), engine.aws.usage(), live.stream.shortcomings()))
        if reach := live.ending.reach():
            read_to, late_to = (f"{at.astimezone(UTC):%H:%M:%S}" for at in reach)
            late = "" if read_to == late_to else f", late lines to {late_to}"
            error(f"read to {read_to} UTC{late}; what CloudWatch shows after that is not in it")
        if unread:
            error(f"not read to the end: {_names(unread)}{_hint(unread)}")
        if late_unread:
            error(f"not looked through for late lines: {_names(late_unread)}")

    def exit_code(self) -> int:
        """Return how it ended."""
        if self._sink.gone:
            return ExitCode.OK
        if self._signals.received is not None:
            if self._signals.received == signal.SIGINT:
                return ExitCode.OK if self._follows else ExitCode.INTERRUPTED
            return ExitCode.TERMINATED
        return ExitCode.ERROR if self._failed else ExitCode.OK


def _names(sources: Sequence[str]) -> str:
    return ", ".join(each.removeprefix("logs:") for each in sources)


def _hint(sources: Sequence[str]) -> str:
    """Return what somebody may have meant by the bare name of a function."""
    bare = [name for each in sources if (name := each.removeprefix("logs:")) != each and "/" not in name]
    return f" (the group of a function is /aws/lambda/{bare[0]})" if bare else ""


def _take(batch: Batch, live: Live, teller: SourceStatusReporter) -> None:
    live.ending.saw(batch)
    if batch.status is not None:
        teller.hear(batch.status)
    if batch.records and live.stream.take(batch.records):
        live.ending.news()
