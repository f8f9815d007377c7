"""Runs sources into a stream until it is complete or interrupted, and returns the exit code."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Protocol

from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.source_status import SourceStatusReporter
from prodwatch.cli.log_file import log_to_file
from prodwatch.cli.options import Common
from prodwatch.cli.run_with_signals import announced_demo
from prodwatch.cli.stderr import error
from prodwatch.clock import Clock
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.signal import Batch, Record, SourcePhase
from prodwatch.session.engine import Engine, open_engine, require_credentials, require_secrets
from prodwatch.session.stream_completion import StreamCompletion
from prodwatch.settings import Project
from prodwatch.sources.base import Source
from prodwatch.sources.supervisor import Supervisor

TICK_S = 0.1
STUCK_S = 1.0
"""Seconds that an interrupted stream waits for a reader that has stopped reading."""


class Stream(Protocol):
    """Writes records as lines to stdout."""

    problem: str | None
    """Reason for which the output is not the one that was asked for, None without one."""

    def take(self, records: Sequence[Record]) -> int:
        """Write or hold the selected records of a batch; return their number."""
        ...

    def tick(self, *, caught_up: bool) -> None:
        """Write what has been held long enough; called every `TICK_S`."""
        ...

    def finish(self) -> None:
        """Write what is still held."""
        ...

    def summary(self) -> str:
        """Return the number of written records as text: `812 lines`."""
        ...

    def shortcomings(self) -> dict[str, int]:
        """Return counts of records that were not shown, reason → count."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Sources, output and end condition of one command."""

    sources: Sequence[Source]
    stream: Stream
    completion: StreamCompletion
    must_exist: frozenset[str] = field(default_factory=frozenset)
    """Sources that the user named, so that their absence is a failure."""
    absent: tuple[str, ...] = ()
    """Prefixes that the user named and no log group begins with."""


Prepare = Callable[[Engine, LineWriter], Awaitable[Live]]


def run_live(project: Project, common: Common, prepare: Prepare, *, clock: Clock | None = None) -> int:
    """Stream until complete or interrupted; the exit code is 0, 3 when a source could not be read, 130 or 143.

    Ctrl-C is the regular end of a stream that follows, and exits 0. Raises ProdwatchError.
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
    """Handles SIGINT, SIGTERM and SIGHUP: the first signal ends the stream in order, the second at once."""

    def __init__(self, sink: LineWriter) -> None:
        self._sink = sink
        self._end: Callable[[], None] = lambda: None
        self.received: int | None = None

    def ends(self, end: Callable[[], None]) -> None:
        """Call `end` (in the event loop's thread) on the first signal."""
        self._end = end

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Install the handlers and restore the previous ones afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {number: signal.signal(number, self._handle) for number in numbers}
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
            # Finish the line being written, and write no more.
            self._sink.stop()
        # Held lines are written too, unless the reader has stopped reading.
        signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, STUCK_S)
        self._end()

    def _give_up(self, _number: int, _frame: Any) -> None:
        if self._sink.busy:
            # The write blocks the event loop; only an exception ends it.
            raise KeyboardInterrupt


class _Run:
    """One stream, from start to exit code."""

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
        demo = announced_demo(self._project, self._common)
        async with open_engine(self._project, demo=demo, clock=clock) as engine:
            await require_credentials(engine)
            for note in await require_secrets(engine):
                error(note)
            live = await prepare(engine, self._sink)
            self._follows = live.completion.follows
            reporter = SourceStatusReporter(error, engine.clock)
            supervisor = Supervisor(
                live.sources, lambda batch: _take(batch, live, reporter), clock=engine.clock, clean=engine.clean
            )
            supervisor.start()
            try:
                while not live.completion.done():
                    await engine.clock.sleep(TICK_S)
                    live.stream.tick(caught_up=live.completion.caught_up)
                self._complete = True
            finally:
                await supervisor.stop()
                with suppress(KeyboardInterrupt):
                    live.stream.finish()
                self._conclude(live, reporter, engine)

    def _conclude(self, live: Live, reporter: SourceStatusReporter, engine: Engine) -> None:
        if self._sink.gone:
            return
        # A function's group may be absent until its first invocation; a group that the user named may not.
        absent = {name for name, status in reporter.statuses.items() if status.phase is SourcePhase.WAITING}
        unread = [*sorted(set(live.completion.unread()) - (absent - live.must_exist)), *live.absent]
        late_unread = [] if not self._complete else live.completion.unswept()
        self._failed = [*unread, *late_unread] if self._complete else []
        error(reporter.summary(live.stream.summary(), engine.aws.usage(), live.stream.shortcomings()))
        if reach := live.completion.reach():
            read_to, late_to = (f"{at.astimezone(UTC):%H:%M:%S}" for at in reach)
            late = "" if read_to == late_to else f", late lines up to {late_to}"
            error(f"read up to {read_to} UTC{late}; lines that become visible later are not included")
        if live.stream.problem:
            error(live.stream.problem)
            self._failed = [*self._failed, live.stream.problem]
        if unread:
            error(f"not read completely: {_names(unread)}{_hint(unread)}")
        if late_unread:
            error(f"not searched for late lines: {_names(late_unread)}")

    def exit_code(self) -> int:
        """Return the exit code; call it after `run`."""
        if self._sink.gone:
            return ExitCode.OK
        if self._signals.received is not None:
            if self._signals.received == signal.SIGINT:
                return ExitCode.OK if self._follows else ExitCode.INTERRUPTED
            return ExitCode.TERMINATED
        return ExitCode.ERROR if self._failed else ExitCode.OK


def _names(sources: Sequence[str]) -> str:
    return ", ".join(source.removeprefix("logs:") for source in sources)


def _hint(sources: Sequence[str]) -> str:
    """Return a suggestion when a log group looks like the bare name of a function."""
    bare = [name for source in sources if (name := source.removeprefix("logs:")) != source and "/" not in name]
    return f" (the group of a Lambda function is /aws/lambda/{bare[0]})" if bare else ""


def _take(batch: Batch, live: Live, reporter: SourceStatusReporter) -> None:
    live.completion.update(batch)
    if batch.status is not None:
        reporter.update(batch.status)
    if batch.records and live.stream.take(batch.records):
        live.completion.restart_idle()
