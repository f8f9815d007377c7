"""One gate: watches a release until its bake ends, and decides by the same judge as every other front end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.judge.comparison.metric_comparison import FEWEST_PERIODS
from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Decision, Rule
from prodwatch.judge.facts import Facts
from prodwatch.judge.signals import gating_signals
from prodwatch.model.environment import DemoTarget, Environment
from prodwatch.model.evidence import GateLooked, GateOpened
from prodwatch.model.release import present_releases
from prodwatch.model.result import Blocking, CheckResult, RunResult
from prodwatch.model.signal import SETTLED_AFTER_S, AlarmState, ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status
from prodwatch.session.gate_evidence import GateEvidence
from prodwatch.session.gate_result import GateRecord, gate_result
from prodwatch.session.gate_subject import Subject, Watched, replaced, subject_of, watched_releases
from prodwatch.session.live import LiveSession
from prodwatch.session.metric_comparisons import SERIES_S
from prodwatch.session.recorder import Recorder
from prodwatch.settings import Project
from prodwatch.store.store import Store
from prodwatch.text.redact import Redactor

LOOK_S = 1.0
"""Time between two looks at the evidence."""
RESOLVE_S = 60.0
"""Longest wait for the first reading of the release and of the alarms."""
ATTEST_S = 600.0
"""Longest wait for the expected version to serve."""
SETTLE_S = 60.0
"""Time after the shift from which checks count: connections and caches of the old version are gone by then."""
SERIES_READ_S = 60.0
"""Longest time between two readings of the metrics."""
ASLEEP_S = 30.0
"""Time between two looks from which it was not measured: the machine slept, or was too busy."""
LINES_BEFORE = timedelta(minutes=20)
"""History of log lines, from which the old version's usual errors and durations are learnt."""
_NEEDED_FIRST = ("release", "alarms")


class GatePhase(StrEnum):
    """Phases of a gate, in their order."""

    RESOLVE = "resolve"
    ATTEST = "attest"
    SETTLE = "settle"
    BAKE = "bake"
    DECIDE = "decide"


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Length and subject of a gate."""

    bake_s: float
    """Length of the bake, counted from the shift of traffic."""
    until_deployed: bool = False
    """Bake until the deployment has succeeded, for `bake_s` at most."""
    versions: Mapping[str, str] = {}
    """Function → expected version; `""` for the only function."""
    strict: bool = False
    runs_checks: bool = True
    """False for a window that is over: no check can run in it."""
    skip_verification: str | None = None
    """The reason why nothing is measured; None for a gate that measures."""


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """State of a gate at one look, for front ends to show."""

    phase: GatePhase
    at: datetime
    ends_at: datetime | None
    """End of the bake; None before it begins."""
    facts: Facts
    decision: Decision
    finished: tuple[CheckResult, ...] = ()
    """Checks whose latest round has finished since the look before."""


class EvidenceEndedError(Exception):
    """No further evidence will come, as at the end of a recording; the text is the beginning of a sentence."""

    source = "recording"
    """Name in the verdict of the evidence that has ended."""


class GateSession(Protocol):
    """Feeds the store of a gate. Errors become statuses in the store, never exceptions."""

    async def start(self) -> None:
        """Start feeding the store; no check runs yet."""
        ...

    def begin_rounds(self) -> None:
        """Run the checks from now on."""
        ...

    async def stop(self) -> tuple[CheckResult, ...]:
        """Stop feeding, clean up, and return the checks that were cleaned up."""
        ...


Listener = Callable[[GateState], None]


class Gate:
    """Drives a session through the phases of one gate."""

    def __init__(
        self,
        environment: Environment,
        store: Store,
        session: GateSession,
        clock: Clock,
        options: GateOptions,
        *,
        listener: Listener = lambda _state: None,
    ) -> None:
        """The session feeds `store`."""
        self._environment = environment
        self._store = store
        self._session = session
        self._clock = clock
        self._options = options
        self._listener = listener
        self._evidence = GateEvidence(environment, store, runs_checks=options.runs_checks)
        self._phase = GatePhase.RESOLVE
        self._ends_at: datetime | None = None
        self._subjects: tuple[Subject, ...] = ()
        self._refused: Blocking | None = None
        self._refused_code: Reason | None = None
        self._interrupted: int | None = None
        self._seen_at: datetime | None = None
        """Time of the latest look of the bake."""
        self._started_at = clock.now()
        self._record: GateRecord | None = None

    async def run(self) -> None:
        """Watch until the evidence suffices or the bake is over; cancelling it is an interruption."""
        if self._options.skip_verification is not None:
            reason = f"verification was skipped: {self._options.skip_verification}"
            self._refuse("verification", Status.INCONCLUSIVE, Reason.EXPLICIT, reason)
            self._conclude()
            return
        options = self._options
        self._store.note(
            GateOpened(
                bake_s=options.bake_s,
                until_deployed=options.until_deployed,
                versions=options.versions,
                strict=options.strict,
            )
        )
        try:
            await self._session.start()
            await self._resolve()
            if self._refused is None:
                await self._attest()
            if self._refused is None and not self._is_lost():
                await self._bake()
        except EvidenceEndedError as ended:
            self._refuse(ended.source, Status.INCONCLUSIVE, Reason.NO_DATA, str(ended))
        finally:
            try:
                # Cleanup takes time, in which evidence would grow stale.
                self._conclude()
            finally:
                cleaned = await self._session.stop()
            self._conclude_cleanup(cleaned)

    @property
    def store(self) -> Store:
        """The evidence, as it was received."""
        return self._store

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal has ended it."""
        return self._interrupted is not None

    def interrupt(self, exit_code: int) -> None:
        """Note that the run was interrupted, so that nothing of it passes."""
        self._interrupted = exit_code

    def result(self, run_id: str) -> RunResult:
        """Return the document of the gate after `run`."""
        assert self._record is not None, "the gate has not run"
        return gate_result(self._record, run_id, self._environment, self._store)

    async def _resolve(self) -> None:
        """Wait for the first reading of everything that the gate rests on."""
        until = self._clock.now() + timedelta(seconds=RESOLVE_S)
        self._look(self._clock.now())
        while not self._is_read() and self._clock.now() < until:
            await self._clock.sleep(LOOK_S)
            self._look(self._clock.now())
        self._check_alarms()

    def _is_read(self) -> bool:
        sources = self._store.sources
        session = sources.get("session")
        if session is not None and session.phase is SourcePhase.FAILED:
            message = session.message or "the session could not be started"
            self._refuse("session", Status.ERROR, None, message)
            return True
        return all(sources[name].phase is not SourcePhase.STARTING for name in _NEEDED_FIRST if name in sources)

    def _check_alarms(self) -> None:
        """Refuse the gate when an alarm was firing before the shift: its later changes would prove nothing."""
        if self._refused is not None:
            return
        watched = self._watched()
        shifted_at = None if watched.missing else _latest([each.started_at for each in watched.states])
        firing = [
            each
            for each in self._store.release.alarms.values()
            if each.gate and each.state == "ALARM" and _fired_before(each, shifted_at, serves=not watched.missing)
        ]
        if firing and self._is_about_releases:
            self._evidence.discount(firing)
            names = ", ".join(each.name for each in firing)
            message = f"an alarm was already firing before the new version got traffic: {names}"
            self._refuse("prerequisite", Status.INCONCLUSIVE, Reason.PREREQUISITE, message)

    async def _attest(self) -> None:
        """Wait until the expected versions serve."""
        self._phase = GatePhase.ATTEST
        if not self._is_about_releases:
            return
        until = self._clock.now() + timedelta(seconds=ATTEST_S)
        while self._refused is None:
            self._look(self._clock.now())
            watched = self._watched()
            if not watched.missing:
                self._subjects = tuple(map(subject_of, watched.states))
                return
            if self._is_lost():
                return
            if self._clock.now() >= until:
                message = f"{watched.missing} within {round(ATTEST_S / 60)} min"
                self._refuse("release", Status.INCONCLUSIVE, Reason.VERSION_MISMATCH, message)
                return
            await self._clock.sleep(LOOK_S)
            self._check_alarms()

    async def _bake(self) -> None:
        now = self._clock.now()
        self._phase = GatePhase.SETTLE
        shifted_at = _latest([each.shifted_at for each in self._subjects]) or now
        settled_at = max(now, shifted_at + timedelta(seconds=SETTLE_S)) if self._subjects else now
        self._plan(shifted_at, settled_at)
        while True:
            now = self._clock.now()
            self._note_gap(now)
            if self._phase is GatePhase.SETTLE and now >= settled_at:
                self._phase = GatePhase.BAKE
                self._evidence.begin(now)
                self._session.begin_rounds()
            if self._look(now).verdict.status == "fail":
                return
            later = replaced(self._subjects, self._states())
            if later is not None:
                self._refuse("release", Status.INCONCLUSIVE, Reason.VERSION_MISMATCH, later)
                return
            if self._is_over(now):
                return
            await self._clock.sleep(LOOK_S)

    def _plan(self, shifted_at: datetime, settled_at: datetime) -> None:
        """Fix the end of the bake. A restarted gate ends when the first one would have; each sees two rounds."""
        ends = [shifted_at + timedelta(seconds=self._options.bake_s)]
        if self._options.runs_checks:
            ends.append(settled_at + timedelta(seconds=2 * self._environment.rounds.every_s))
        metrics, _alarms = gating_signals(self._environment)
        series_from = None
        if self._subjects and metrics:
            period_s = max(each.period_s for each in metrics)
            series_from = shifted_at + timedelta(seconds=SERIES_S + period_s)
            # The first point that counts must have been read.
            ends.append(series_from + timedelta(seconds=SETTLED_AFTER_S + SERIES_READ_S))
        if self._subjects:
            # The fewest periods that two versions are compared on; the first one may begin a period later.
            ends += [
                shifted_at
                + timedelta(seconds=SERIES_S + (FEWEST_PERIODS + 1) * each.period_s + SETTLED_AFTER_S + SERIES_READ_S)
                for each in self._environment.metrics
                if each.gate and each.is_by_version
            ]
        self._ends_at = max(ends)
        self._evidence.plan(self._subjects, shifted_at, self._ends_at, series_from)

    def _note_gap(self, now: datetime) -> None:
        seen_at, self._seen_at = self._seen_at, now
        if seen_at is not None and (now - seen_at).total_seconds() > LOOK_S + ASLEEP_S:
            self._evidence.add_gap(seen_at, now)

    def _is_over(self, now: datetime) -> bool:
        if self._ends_at is not None and now >= self._ends_at:
            return True
        if not self._options.until_deployed or self._phase is not GatePhase.BAKE:
            return False
        states = self._subject_states()
        return bool(states) and all(each.phase is ReleasePhase.SUCCEEDED for each in states)

    def _is_lost(self) -> bool:
        """Return whether a release went wrong, which needs no evidence."""
        return decide(self._facts(self._clock.now())).of(Rule.WENT_WRONG) is not None

    def _states(self) -> tuple[ReleaseState, ...]:
        return present_releases(self._store.release.all_states, self._clock.now())

    @property
    def _is_about_releases(self) -> bool:
        """Whether releases are watched, of functions or of configurations."""
        return bool(self._environment.functions or self._environment.release.appconfig)

    def _watched(self) -> Watched:
        return watched_releases(self._states(), self._options.versions, self._clock.now(), self._options.bake_s)

    def _subject_states(self) -> tuple[ReleaseState, ...]:
        """Return the present states of the gate's releases; before they serve, of those that it waits for."""
        if not self._subjects:
            return self._watched().states
        return tuple(each for each in self._states() if any(subject.is_of(each) for subject in self._subjects))

    def _refuse(self, id_: str, status: Status, code: Reason | None, message: str) -> None:
        self._refused = Blocking(kind="run", id=id_, status=status, message=f"{message[:1].upper()}{message[1:]}.")
        self._refused_code = code

    def _look(self, now: datetime) -> Decision:
        """Judge this moment and report it to the listener."""
        facts = self._facts(now)
        decision = decide(facts)
        self._store.note(GateLooked(at=now, phase=self._phase.value, ends_at=self._ends_at, verdict=decision.verdict))
        self._listener(
            GateState(
                phase=self._phase,
                at=now,
                ends_at=self._ends_at,
                facts=facts,
                decision=decision,
                finished=self._evidence.finished(),
            )
        )
        return decision

    def _facts(self, now: datetime) -> Facts:
        return replace(
            self._evidence.facts(now, self._subject_states(), final=self._phase is GatePhase.DECIDE),
            refused=self._refused,
            refused_code=self._refused_code,
            interrupted=self._interrupted,
            strict=self._options.strict,
        )

    def _conclude(self) -> None:
        self._phase = GatePhase.DECIDE
        now = self._clock.now()
        decision = self._look(now)
        self._record = GateRecord(
            started_at=self._started_at,
            ended_at=now,
            verdict=decision.verdict,
            facts=self._facts(now),
            checks=self._evidence.latest(),
            rounds=self._evidence.rounds(now),
            notices=self._evidence.notices(self._subject_states(), self._options.skip_verification),
        )

    def _conclude_cleanup(self, cleaned: Sequence[CheckResult]) -> None:
        """Judge again when a cleanup at the end has left data behind, or was interrupted."""
        assert self._record is not None
        left = {each.id: each for each in cleaned if any(step.leftovers for step in each.cleanup)}
        facts = self._record.facts
        if not left and facts.interrupted == self._interrupted:
            return
        checks = tuple(replace(each, left_behind=each.left_behind or each.id in left) for each in facts.checks)
        facts = replace(facts, checks=checks, interrupted=self._interrupted)
        by_id = {each.id: each for each in self._record.checks} | left
        self._record = replace(self._record, facts=facts, verdict=decide(facts).verdict, checks=tuple(by_id.values()))


def live_gate(
    project: Project,
    clock: Clock,
    options: GateOptions,
    *,
    allow_writes: bool = False,
    demo: DemoTarget | None = None,
    listener: Listener = lambda _state: None,
    recorder: Recorder | None = None,
    redactor: Redactor | None = None,
) -> Gate:
    """Return a gate over the live sources and the checks of a project.

    `recorder` receives everything; `redactor` is filled with the secrets that are read.
    """
    store = Store(clock)
    if recorder is not None:
        recorder.subscribe(store)
    session = LiveSession(
        project,
        store,
        clock,
        demo=demo,
        allow_writes=allow_writes,
        lines_before=LINES_BEFORE,
        hold_rounds=True,
        redactor=redactor,
    )
    return Gate(project.environment, store, session, clock, options, listener=listener)


def _latest(times: Sequence[datetime | None]) -> datetime | None:
    return max((each for each in times if each is not None), default=None)


def _fired_before(alarm: AlarmState, shifted_at: datetime | None, *, serves: bool) -> bool:
    if not serves:
        return True
    return shifted_at is not None and alarm.since is not None and alarm.since < shifted_at
