"""A gate over a window that is over: the same gate and the same judge as live, in virtual time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.evidence import FunctionsWatched, LastWeekRead, Looked, Opened
from prodwatch.model.release import release_id
from prodwatch.model.result import CheckResult, Notice, RunResult
from prodwatch.model.signal import Batch, Record, ReleaseState, SourcePhase
from prodwatch.session.engine import Engine
from prodwatch.session.function_log_groups import find_function_groups
from prodwatch.session.gate import EvidenceEndedError, Gate, GateOptions, Listener
from prodwatch.session.past_evidence import PastEvidence, PastEvidenceReader
from prodwatch.session.replay import Replay
from prodwatch.store.store import Store, StoreLimits
from prodwatch.views.time_window import Window

STEP_S = 5.0
"""Virtual time between two looks at the evidence."""
CLOSED_AFTER = timedelta(seconds=60)
"""Virtual time after the end of the window until the last batch of requests is closed."""
LEAD = timedelta(seconds=60)
"""Virtual time before the first shift at which a gate begins that would wait for it too long."""
_LIMITS = StoreLimits(points_per_series=2_880)
"""Two days of minutes: the window, the hour before, and metrics of several periods."""


class WindowEndedError(EvidenceEndedError):
    """The window has ended, or nothing of it can be judged."""

    source = "window"


class PastGateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Subject of a gate over a window that is over."""

    versions: Mapping[str, str] = {}
    """Function → expected version, `""` for the only function; without any, the first release of each function."""
    strict: bool = False


async def judge_past(
    engine: Engine,
    window: Window,
    clock: Clock,
    options: PastGateOptions,
    *,
    say: Callable[[str], None] = lambda _sentence: None,
    listener: Listener = lambda _state: None,
) -> Gate:
    """Read a window and return the gate that has judged it.

    `clock` shows the present; `say` receives the price before the first paid call, and what is taken for granted.
    """
    environment = await find_function_groups(engine, warn=say)
    reader = PastEvidenceReader(engine, environment, window, clock, say=say)
    gate = past_gate(await reader.read(options.versions), options, listener=listener)
    gate.store.set_usage(engine.aws.usage())
    for sentence in engine.project.notices:
        gate.store.notice(Notice(code="configuration", message=sentence))
    await gate.run()
    return gate


def past_gate(evidence: PastEvidence, options: PastGateOptions, *, listener: Listener = lambda _state: None) -> Gate:
    """Return a gate over a window that was read; its bake is from the shift of traffic to the end of the window."""
    end = evidence.window.until(evidence.window.start)
    session = _PastSession(evidence, end)
    store = Store(session, limits=_LIMITS)
    session.feed_into(store)
    began = evidence.shifted_at or evidence.window.start
    return Gate(
        evidence.environment,
        store,
        session,
        session,
        GateOptions(
            bake_s=max(0.0, (end + CLOSED_AFTER - began).total_seconds()),
            versions=evidence.versions,
            strict=options.strict,
            runs_checks=False,
        ),
        listener=listener,
    )


def unread_gate(environment: Environment, window: Window, options: PastGateOptions) -> Gate:
    """Return a gate over a window whose reading was interrupted."""
    why = "the window was not read to its end"
    return past_gate(PastEvidence(window=window, environment=environment, refused=why), options)


def in_window(result: RunResult, window: Window) -> RunResult:
    """Return the document of a past gate with the times of its window."""
    end = window.until(result.run.ended_at)
    duration_ms = round((end - window.start).total_seconds() * 1000)
    run = replace(result.run, started_at=window.start, ended_at=end, duration_ms=duration_ms)
    return replace(result, run=run)


class _PastSession:
    """Session and clock of a gate: to sleep is to receive what the window brought in the next seconds."""

    def __init__(self, evidence: PastEvidence, end: datetime) -> None:
        self._evidence = evidence
        self._end = end
        self._taken = 0
        """Records of the time line that were received."""
        self._weeks = list(evidence.last_week)
        self._replay: Replay | None = None
        self._store: Store | None = None
        window = evidence.window
        # A gate that begins with the window would give up before a late release serves.
        self._began = max(window.start, (evidence.shifted_at or window.start) - LEAD)
        self._now = self._began

    def feed_into(self, store: Store) -> None:
        """Apply the evidence to a store, which has this clock."""
        self._store = store
        self._replay = Replay(store, compares=True, limits=self._evidence.environment.compare)

    def now(self) -> datetime:
        """Return the virtual time."""
        return self._now

    def monotonic_s(self) -> float:
        """Return the virtual seconds since the gate began."""
        return (self._now - self._began).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Receive what comes next. Raises WindowEndedError after the end of the window."""
        await asyncio.sleep(0)
        if self._now >= self._end + CLOSED_AFTER:
            raise WindowEndedError(f"the window ends at {self._end:%H:%M:%S} UTC, before the bake does")
        self._now = min(self._now + timedelta(seconds=max(seconds, STEP_S)), self._end + CLOSED_AFTER)
        self._receive()

    async def start(self) -> None:
        """Receive everything up to the beginning. Raises WindowEndedError when nothing can be judged."""
        if self._evidence.refused is not None:
            raise WindowEndedError(self._evidence.refused)
        environment = self._evidence.environment
        assert self._replay is not None
        self._replay.feed(Opened(environment=environment))
        self._replay.feed(FunctionsWatched(functions=environment.functions, metrics=environment.metrics))
        self._receive()

    def begin_rounds(self) -> None:
        """Do nothing: no check runs."""

    async def stop(self) -> tuple[CheckResult, ...]:
        """Return no check: none ran."""
        return ()

    def _receive(self) -> None:
        """Apply the records up to now with the status of their sources, and compare the versions."""
        assert self._store is not None
        assert self._replay is not None
        now_ms = self._now.timestamp() * 1000
        records: dict[str, list[Record]] = defaultdict(list)
        timeline = self._evidence.timeline
        while self._taken < len(timeline) and timeline[self._taken].at_ms <= now_ms:
            timed = timeline[self._taken]
            records[timed.source].append(timed.record)
            self._taken += 1
        for status in self._evidence.statuses:
            shown = replace(status, fresh_at=self._now) if status.phase is SourcePhase.LIVE else status
            own = tuple(records.pop(status.source, ()))
            self._store.apply(Batch(source=status.source, records=own, status=shown))
        for source, rest in records.items():
            self._store.apply(Batch(source=source, records=tuple(rest)))
        self._replay.feed(Looked(at=self._now))
        for each in [each for each in self._weeks if self._is_alone(each[0])]:
            self._weeks.remove(each)
            self._replay.feed(LastWeekRead(release=each[0], minutes=each[1]))

    def _is_alone(self, release: ReleaseState) -> bool:
        """Return whether the state is shown from which the new version of a release has served alone."""
        assert self._store is not None
        shown = self._store.release.states.get(release.id)
        return shown is not None and release_id(shown) == release_id(release) and shown.weights == release.weights
