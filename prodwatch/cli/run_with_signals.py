"""Runs checks in an event loop under signal handling: the first signal lets cleanups finish, the second ends them."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from prodwatch.cli.options import Common
from prodwatch.cli.recording_options import Recording, report_recording
from prodwatch.cli.stderr import can_redraw, say, say_in_handler
from prodwatch.clock import AwsClock, Clock
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import DemoTarget
from prodwatch.model.event import RunEvent
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import RunResult
from prodwatch.model.status import Reason
from prodwatch.session.engine import Engine, open_engine
from prodwatch.text.redact import Redactor

if TYPE_CHECKING:
    from prodwatch.runner import RunOptions
    from prodwatch.settings import Project

KEYBOARD = frozenset((signal.SIGINT, signal.SIGQUIT))
_INTERRUPTED = "interrupted: cleaning up; press Ctrl-C again to abandon the cleanup and list what is left"
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def exit_code_of(number: int) -> ExitCode:
    """Return the exit code of a command that this signal has ended."""
    return ExitCode.INTERRUPTED if number in KEYBOARD else ExitCode.TERMINATED


class RunSignals:
    """Context that handles the signals of one command, from before its run until its result is written.

    Each signal goes to the attached work. While there is none, the first signal is kept for it and the second one ends
    the command at once.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._kept: list[int] = []
        self._delivered = False
        """Whether a signal has been passed on."""
        self._cancel: Callable[[int], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._words = ""
        self._kept_words = "the run ends as soon as it has started"
        self._on_kept: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        for number in HANDLED:
            # Ignored at the start: by `nohup`, or as a script's job in the background.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def attach(self, cancel: Callable[[int], object], *, words: str = "") -> None:
        """Call `cancel` with the number of each signal from now on, in the running event loop.

        `words` go to stderr with the first signal.
        """
        self._cancel, self._loop, self._words = cancel, asyncio.get_running_loop(), words
        for number in self._kept:
            # Not at once: a task that is cancelled before its first step never runs.
            self._loop.call_soon(cancel, number)
        self._kept = []

    @contextmanager
    def shortening(self, end: Callable[[], object]) -> Iterator[None]:
        """Context that `end` ends early: it is called once a signal is kept, in the running event loop."""
        self._loop, self._on_kept = asyncio.get_running_loop(), end
        if self._kept:
            self._loop.call_soon(end)
        try:
            yield
        finally:
            self._on_kept = None

    def detach(self) -> None:
        """Keep signals again: the work is done, and its result is about to be written."""
        self._cancel = None
        self._kept_words = "the result is being written"

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._cancel is not None and self._loop is not None:
            words, self._words = self._words, ""
            if words:
                say_in_handler(words)
            loop, cancel = self._loop, self._cancel
            if self._delivered:
                # Two cancellations in one step of the loop would count as one: this one comes a step later.
                loop.call_soon_threadsafe(loop.call_soon, cancel, number)
            else:
                loop.call_soon_threadsafe(cancel, number)
            self._delivered = True
        elif not self._kept:
            self._kept.append(number)
            if self._on_kept is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._on_kept)
            say_in_handler(f"interrupted: {self._kept_words}; a second interruption ends prodwatch at once")
        else:
            # The start is stuck, or the reader of the result takes no more of it.
            raise SystemExit(int(exit_code_of(number)))


def run_to_end(
    project: Project,
    chosen: Sequence[CheckDefinition],
    options: RunOptions,
    common: Common,
    *,
    listener: Callable[[RunEvent], None],
    signals: RunSignals,
    recording: Recording,
    afterwards: Callable[[Engine, RunResult], Awaitable[None]] | None = None,
) -> RunResult:
    """Run the checks and return the result, also after an interruption; raises ProdwatchError.

    `afterwards` is called before the connections are closed, unless the run was interrupted.
    """
    clock, redactor = AwsClock(), Redactor()
    recorder = recording.open(clock, redactor, mode="check", environment=project.environment)
    recorded = None
    if recorder is not None:
        from prodwatch.session.recorded_run import RecordedRun

        recorded = RecordedRun(recorder, clock, project.environment, chosen, listener, say=say)
    # A run creates little cyclic garbage and the process ends soon: frequent collections only cost time.
    gc.set_threshold(100_000, 50, 100)

    since_s = clock.monotonic_s()

    async def main() -> RunResult:
        async with open_engine(
            project,
            listener=recorded or listener,
            demo=demo_target(project, common),
            clock=clock,
            redactor=redactor,
            reading=lambda abandon: _bounded_reading(abandon, signals, clock, options.deadline_s, since_s),
        ) as engine:
            result = await under_signals(engine.runner.run(chosen, options, since_s=since_s), signals)
            if afterwards is not None and result.verdict.status != "aborted":
                await afterwards(engine, result)
            return result

    try:
        result = asyncio.run(main())
        return recorded.conclude(result) if recorded is not None else result
    finally:
        if recorder is not None:
            report_recording(recorder.close())


@contextmanager
def _bounded_reading(
    abandon: Callable[[Reason], None], signals: RunSignals, clock: Clock, deadline_s: float | None, since_s: float
) -> Iterator[None]:
    """Context of a reading before the run, which the first signal and the run's deadline end."""

    async def expire(left_s: float) -> None:
        await clock.sleep(left_s)
        abandon(Reason.DEADLINE)

    timer = None
    if deadline_s is not None:
        timer = asyncio.create_task(expire(deadline_s - (clock.monotonic_s() - since_s)))
    try:
        with signals.shortening(lambda: abandon(Reason.INTERRUPTED)):
            yield
    finally:
        if timer is not None:
            timer.cancel()


async def under_signals(work: Any, signals: RunSignals) -> RunResult:
    """Return the result of a run, which each signal cancels."""
    from prodwatch.runner import TERMINATED

    task: asyncio.Task[RunResult] = asyncio.create_task(work)

    def cancel(number: int) -> None:
        if exit_code_of(number) is ExitCode.TERMINATED:
            task.cancel(TERMINATED)
        else:
            task.cancel()

    signals.attach(cancel, words=_INTERRUPTED)
    try:
        return await task
    finally:
        signals.detach()


def demo_target(project: Project, common: Common) -> DemoTarget | None:
    """Return the environment's demo with `--at` and `--scenario` applied; None for one without `[demo]`."""
    target = project.environment.demo
    if target is None:
        return None
    return replace(target, at=common.at or target.at, scenario=common.scenario or target.scenario)


def announced_demo(project: Project, common: Common) -> DemoTarget | None:
    """Return `demo_target`, after a line on a terminal that the demo is being started, which takes seconds."""
    target = demo_target(project, common)
    if target is not None and can_redraw():
        say("starting the demo …")
    return target
