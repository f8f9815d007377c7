"""Records one run of checks, whose events would otherwise reach no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prodwatch.clock import Clock
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.event import CheckFinished, RunEvent
from prodwatch.model.evidence import Opened
from prodwatch.model.result import RunResult
from prodwatch.model.signal import Batch, EvaluatedSignals
from prodwatch.session.recorder import Recorder
from prodwatch.store.store import Store

SAY_EVERY_S = 60.0
"""Time between two lines about the size of a recording."""


class RecordedRun:
    """Listener of a run that files its events in a store of its own, which is recorded."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        environment: Environment,
        checks: Iterable[CheckDefinition],
        listener: Callable[[RunEvent], None],
        *,
        say: Callable[[str], None],
    ) -> None:
        """`listener` receives the events, too; `say` the size of the recording once a minute."""
        self._clock = clock
        self._say = say
        self._said_s = clock.monotonic_s()
        self._recorder = recorder
        self._environment = environment
        self._listener = listener
        self._store = Store(clock)
        self._opened = False
        recorder.subscribe(self._store)
        recorder.start()
        self._store.define(checks)

    def __call__(self, event: RunEvent) -> None:
        """File one event. The secrets have been read before the first check finishes."""
        if isinstance(event, CheckFinished):
            self._open()
        self._store.apply_event(event)
        self._listener(event)
        now_s = self._clock.monotonic_s()
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            self._say(self._recorder.sentence())

    def conclude(self, result: RunResult) -> RunResult:
        """Record the rest and close the file; return the result with the recording in it."""
        self._open()
        for kind in ("metric", "alarm"):
            signals = tuple(each for each in result.signals if each.kind == kind)
            if signals:
                evaluated = EvaluatedSignals(kind=kind, results=signals)
                self._store.apply(Batch(source=f"{kind}s", records=(evaluated,)))
        for notice in result.notices:
            self._store.notice(notice)
        self._store.set_usage(result.usage)
        self._store.set_verdict(result.verdict)
        return self._recorder.conclude(result)

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._store.note(Opened(environment=self._environment))
