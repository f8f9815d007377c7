"""One gate: watches a release until its bake ends, and decides by the same judge as every other front end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch import __version__
from prodwatch.clock import Clock
from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Decision, Rule
from prodwatch.judge.facts import CheckFact, Facts
from prodwatch.model.environment import DemoTarget, Environment
from prodwatch.model.release import UNDER_WAY, WENT_WRONG, current_release, present_releases, serving_share
from prodwatch.model.result import (
    Blocking,
    CheckResult,
    EnvironmentInfo,
    Notice,
    ReleaseInfo,
    RoundCount,
    RunInfo,
    RunResult,
    Tool,
)
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Status
from prodwatch.runner.run_result_document import summarize
from prodwatch.session.engine import ci_name, host_name
from prodwatch.session.live import LiveSession
from prodwatch.settings import Project
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Store
from prodwatch.views.verdict_facts import session_facts

LOOK_S = 1.0
"""Time between two looks at the evidence."""
RESOLVE_S = 60.0
"""Longest wait for the first reading of the release and of the alarms."""
ATTEST_S = 600.0
"""Longest wait for the expected version to serve."""
SETTLE_S = 60.0
"""Time after the shift from which checks count: connections and caches of the old version are gone by then."""
LINES_BEFORE = timedelta(minutes=20)
"""History of log lines, from which the old version's usual errors and durations are learnt."""
_MEASURED = frozenset((Status.PASS, Status.DEGRADED, Status.FAIL))
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
    allow_writes: bool = False
    strict: bool = False


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """State of a gate at one look, for front ends to show."""

    phase: GatePhase
    at: datetime
    ends_at: datetime | None
    """End of the bake; None before it begins."""
    facts: Facts
    decision: Decision


Listener = Callable[[GateState], None]


class Gate:
    """Drives a session through the phases of one gate."""

    def __init__(
        self,
        project: Project,
        clock: Clock,
        options: GateOptions,
        *,
        demo: DemoTarget | None = None,
        listener: Listener = lambda _state: None,
    ) -> None:
        self._project = project
        self._clock = clock
        self._options = options
        self._listener = listener
        self.store = Store(clock)
        self._session = LiveSession(
            project, self.store, clock, demo=demo, allow_writes=options.allow_writes, lines_before=LINES_BEFORE
        )
        self._phase = GatePhase.RESOLVE
        self._ends_at: datetime | None = None
        self._refused: Blocking | None = None
        self._interrupted: int | None = None
        self._baked_from: datetime | None = None
        """When checks began to count."""
        self._final = False
        self._started_at = clock.now()

    async def run(self) -> None:
        """Watch until the evidence suffices or the bake is over; cancelling it is an interruption."""
        await self._session.start()
        try:
            await self._resolve()
            if self._refused is None:
                await self._attest()
            if self._refused is None and not self._is_decided():
                await self._bake()
        finally:
            self._final = True
            self._phase = GatePhase.DECIDE
            self._look()
            await self._session.stop()

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal has ended it."""
        return self._interrupted is not None

    def interrupt(self, exit_code: int) -> None:
        """Note that the run was interrupted, so that nothing of it passes."""
        self._interrupted = exit_code

    def result(self, run_id: str) -> RunResult:
        """Return the document of the gate after `run`."""
        now = self._clock.now()
        decision = decide(self._facts(now))
        checks = tuple(track.latest for track in self.store.checks.tracks.values() if track.latest is not None)
        environment = self._project.environment
        usage = self.store.usage
        return RunResult(
            tool=Tool(version=__version__),
            run=RunInfo(
                id=run_id,
                mode="gate",
                started_at=self._started_at,
                ended_at=now,
                duration_ms=round((now - self._started_at).total_seconds() * 1000),
                host=host_name(),
                ci=ci_name(),
            ),
            environment=EnvironmentInfo(
                name=environment.name,
                title=environment.title,
                account=environment.aws.account,
                region=environment.aws.region,
            ),
            release=_release_info(self._release(now)),
            verdict=decision.verdict,
            summary=summarize(_selected(checks)),
            checks=checks,
            signals=tuple(each for results in self.store.signals.values() for each in results),
            comparisons=self.store.comparisons,
            signatures=self.store.compared_signatures,
            coverage=self.store.coverage,
            rounds=tuple(self._rounds(track) for track in self.store.checks.tracks.values()),
            notices=tuple(self.store.notices) + self._rollback_notices(),
            usage=usage,
        )

    async def _resolve(self) -> None:
        """Wait for the first reading of everything that the gate rests on."""
        until = self._clock.now() + timedelta(seconds=RESOLVE_S)
        while self._clock.now() < until and not self._is_read():
            self._look()
            await self._clock.sleep(LOOK_S)
        release = self._release(self._clock.now())
        if release is not None and serving_share(release):
            return
        firing = [each for each in self.store.release.alarms.values() if each.gate and each.state == "ALARM"]
        if firing:
            names = ", ".join(each.name for each in firing)
            message = f"before the new version gets any traffic, an alarm is already firing: {names}"
            self._refuse("prerequisite", Status.INCONCLUSIVE, message)

    async def _attest(self) -> None:
        """Wait until the expected versions serve."""
        self._phase = GatePhase.ATTEST
        if not self._project.environment.functions:
            return
        until = self._clock.now() + timedelta(seconds=ATTEST_S)
        while True:
            decision = self._look()
            missing = self._not_serving()
            if not missing or decision.verdict.status == "fail":
                return
            if self._clock.now() >= until:
                minutes = round(ATTEST_S / 60)
                self._refuse("release", Status.INCONCLUSIVE, f"{missing} within {minutes} min")
                return
            await self._clock.sleep(LOOK_S)

    async def _bake(self) -> None:
        now = self._clock.now()
        release = self._release(now)
        shifted_at = (release.started_at if release is not None else None) or now
        settled_at = max(now, shifted_at + timedelta(seconds=SETTLE_S)) if release is not None else now
        self._phase = GatePhase.SETTLE
        # A gate that is restarted ends when the first one would have; a late one still sees two rounds.
        rounds = timedelta(seconds=2 * self._project.environment.rounds.every_s)
        self._ends_at = max(shifted_at + timedelta(seconds=self._options.bake_s), settled_at + rounds)
        while not self._is_over():
            now = self._clock.now()
            if self._phase is GatePhase.SETTLE and now >= settled_at:
                self._phase = GatePhase.BAKE
                self._baked_from = now
                if settled_at > self._started_at:
                    self.store.checks.forget_results()
            if self._look().verdict.status == "fail" and self._phase is GatePhase.BAKE:
                return
            if self._is_decided():
                return
            await self._clock.sleep(LOOK_S)

    def _is_over(self) -> bool:
        now = self._clock.now()
        if self._ends_at is not None and now >= self._ends_at:
            return True
        release = self._release(now)
        return self._options.until_deployed and release is not None and release.phase is ReleasePhase.SUCCEEDED

    def _is_decided(self) -> bool:
        """Return whether the release itself went wrong or its versions differ, which needs no round of checks."""
        decision = decide(self._facts(self._clock.now()))
        return decision.of(Rule.WORSE) is not None or decision.of(Rule.WENT_WRONG) is not None

    def _is_read(self) -> bool:
        sources = self.store.sources
        session = sources.get("session")
        if session is not None and session.phase is SourcePhase.FAILED:
            self._refuse("session", Status.ERROR, session.message or "the session could not be started")
            return True
        needed = [sources[name] for name in _NEEDED_FIRST if name in sources]
        return bool(needed) and all(each.phase is not SourcePhase.STARTING for each in needed)

    def _not_serving(self) -> str | None:
        """Return which expected version does not serve, as the beginning of a sentence; None when all do."""
        states = present_releases(self.store.release.states.values(), self._clock.now())
        expected = dict(self._options.versions)
        if not expected:
            release = self._release(self._clock.now())
            if release is not None and (release.phase in WENT_WRONG or serving_share(release)):
                return None
            if release is not None:
                return f"version {release.version} of {release.function} has not served"
            return "no release has begun"
        for name, version in expected.items():
            found = [each for each in states if not name or each.function == name]
            if not any(each.version == version and serving_share(each) for each in found):
                return f"version {version}{f' of {name}' if name else ''} has not served"
        return None

    def _refuse(self, id_: str, status: Status, message: str) -> None:
        self._refused = Blocking(kind="run", id=id_, status=status, message=f"{message[:1].upper()}{message[1:]}.")

    def _look(self) -> Decision:
        """Judge this moment and tell the listener."""
        now = self._clock.now()
        facts = self._facts(now)
        decision = decide(facts)
        self._listener(GateState(phase=self._phase, at=now, ends_at=self._ends_at, facts=facts, decision=decision))
        return decision

    def _facts(self, now: datetime) -> Facts:
        environment = self._project.environment
        facts = session_facts(self.store, now, every_s=environment.rounds.every_s)
        return replace(
            facts,
            mode="gate",
            checks=tuple(self._counted(each) for each in facts.checks),
            require=_required(environment),
            refused=self._refused,
            interrupted=self._interrupted,
            strict=self._options.strict,
            final=self._final,
        )

    def _counted(self, check: CheckFact) -> CheckFact:
        track = self.store.checks.get(check.id)
        if track is None:
            return check
        count = self._rounds(track)
        return replace(check, rounds=count.measured, planned=count.planned)

    def _rounds(self, track: CheckTrack) -> RoundCount:
        """Return how many rounds of a check fit into the bake, and how many of them measured something."""
        planned = 0
        if self._baked_from is not None and self._ends_at is not None:
            definition = track.definition
            every_s = definition.every_s if definition is not None else None
            once = definition is not None and definition.mutates and every_s is None
            seconds = (min(self._ends_at, self._clock.now()) - self._baked_from).total_seconds()
            planned = 1 if once else int(seconds // (every_s or self._project.environment.rounds.every_s))
        return RoundCount(
            check=track.id,
            planned=planned,
            finished=len(track.history),
            measured=sum(each.status in _MEASURED for each in track.history),
            failed=sum(each.status is Status.FAIL for each in track.history),
        )

    def _release(self, now: datetime) -> ReleaseState | None:
        return current_release(self.store.release.states.values(), now)

    def _rollback_notices(self) -> tuple[Notice, ...]:
        release = self._release(self._clock.now())
        if release is None or release.phase not in UNDER_WAY or self.store.release.alarms:
            return ()
        message = "no alarm is watched, so nothing rolls this release back by itself"
        return (Notice(code="rollback_alarm", message=message),)


def _required(environment: Environment) -> Literal["errors", "none"]:
    is_compared = environment.functions and environment.release.baseline == "auto" and environment.compare.errors
    return environment.compare.require or ("errors" if is_compared else "none")


def _selected(checks: tuple[CheckResult, ...]) -> tuple[CheckResult, ...]:
    return tuple(each for each in checks if each.kind == "smoke")


def _release_info(release: ReleaseState | None) -> ReleaseInfo | None:
    if release is None:
        return None
    return ReleaseInfo(
        version=release.version,
        previous=release.previous,
        started_at=release.started_at,
        state=release.phase.value,
        weights=release.weights,
    )
