"""A gate over a session that plays a script in virtual time: no AWS, no network, no checks that run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition
from prodwatch.model.comparison import ComparedVersion
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, RunResult
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Status
from prodwatch.session.gate import Gate, GateOptions, GateState
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import HERE, environment, plain
from tests.support.verdict_facts import comparison

MOVING = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
    deployment="d-1",
    code={"41": "aa", "42": "bb"},
    configuration={"41": "cc", "42": "cc"},
)
PAY = FunctionTarget(name="pay", alias="live")
SOURCES = ("release", "alarms", "logs:/aws/lambda/pay")
Outcome = Callable[[int], Status]
"""Number of a round, from 0 → its outcome."""


class SleepingClock(FakeClock):
    """Virtual time on a machine that may sleep."""

    def skip(self, seconds: float) -> None:
        """Let time pass in which nothing of the process runs."""
        self._elapsed_s += seconds


class GateWorld:
    """A scripted session, and the gate that it feeds."""

    def __init__(
        self,
        *,
        release: ReleaseState | None = MOVING,
        checks: Mapping[str, Outcome] | None = None,
        definitions: tuple[CheckDefinition, ...] = (),
        began_s: float = 0.0,
        **keys: Any,
    ) -> None:
        """The gate starts `began_s` after the shift of `release`; `keys` are those of its environment."""
        self.clock = SleepingClock(START + timedelta(seconds=began_s), auto=True)
        self.store = Store(self.clock)
        self.checks = checks if checks is not None else {"a": lambda _round: Status.PASS}
        self.definitions = definitions or tuple(plain(each) for each in self.checks)
        self.environment: Environment = environment(**{"functions": (PAY,), **keys})
        self.at: list[tuple[float, Callable[[], object]]] = []
        """Actions by virtual seconds since the gate's start."""
        self.sources = dict.fromkeys(SOURCES, SourcePhase.LIVE)
        self.states: list[GateState] = []
        self.stops = 0
        self.rounds_at: datetime | None = None
        self.proves = True
        """Whether the comparison of errors excludes harm from the second minute on."""
        self.traffic_until_s = float("inf")
        self.gate: Gate | None = None
        self.cleaned: tuple[CheckResult, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        if release is not None:
            self.release(release)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something that long after the gate's start."""
        self.at.append((seconds, act))

    def release(self, state: ReleaseState) -> None:
        """Report the state of a release."""
        self.store.apply(Batch(source="release", records=(state,)))

    def alarm(self, state: Any, *, name: str = "pay errors", **keys: Any) -> None:
        """Report the state of an alarm."""
        values = {"since": self.clock.now(), **keys}
        self.store.apply(Batch(source="alarms", records=(AlarmState(name=name, state=state, **values),)))

    def source(self, name: str, phase: SourcePhase) -> None:
        """Change the phase of a source."""
        self.sources[name] = phase
        self._read_sources()

    async def start(self) -> None:
        """Play everything that is due later in the background."""
        self.store.define(self.definitions)
        self._read_sources()
        for seconds, act in self.at:
            self._tasks.append(asyncio.create_task(self._later(seconds, act)))
        self._tasks.append(asyncio.create_task(self._reading()))

    def begin_rounds(self) -> None:
        """Run the rounds of every check."""
        self.rounds_at = self.clock.now()
        self._tasks += [asyncio.create_task(self._rounds(id_, outcome)) for id_, outcome in self.checks.items()]

    async def stop(self) -> tuple[CheckResult, ...]:
        """End what is played."""
        self.stops += 1
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.cleaned

    async def run(self, bake_s: float = 600.0, **options: Any) -> RunResult:
        """Run the gate to its end."""
        self.gate = Gate(
            self.environment,
            self.store,
            self,
            self.clock,
            GateOptions(bake_s=bake_s, **options),
            listener=self.states.append,
        )
        await self.gate.run()
        return self.gate.result("run")

    @property
    def phases(self) -> list[str]:
        """Phases of the gate, in the order in which it entered them."""
        return list(dict.fromkeys(str(each.phase) for each in self.states))

    @property
    def took_s(self) -> float:
        """Virtual seconds that the gate took."""
        return self.clock.monotonic_s()

    async def _later(self, seconds: float, act: Callable[[], object]) -> None:
        await self.clock.sleep(seconds)
        act()

    async def _reading(self) -> None:
        while True:
            self._read_sources()
            self._compare()
            await self.clock.sleep(10)

    def _read_sources(self) -> None:
        for name, phase in self.sources.items():
            fresh_at = None if phase is SourcePhase.STARTING else self.clock.now()
            self.store.apply(Batch(source=name, status=SourceStatus(source=name, phase=phase, fresh_at=fresh_at)))

    def _compare(self) -> None:
        results = []
        for state in self.store.release.all_states:
            if state.version is None or state.previous is None:
                continue
            since = (self.clock.now() - (state.started_at or START)).total_seconds()
            requests = round(max(0.0, min(since, self.traffic_until_s)) * 10)
            proven = self.proves and requests >= 1200
            results.append(
                comparison(
                    Status.PASS if proven else Status.INCONCLUSIVE,
                    id=f"{state.id.subject} errors",
                    function=state.id.subject,
                    canary=ComparedVersion(version=state.version, requests=requests),
                    baseline=ComparedVersion(version=state.previous, requests=9 * requests),
                )
            )
        self.store.set_comparisons(tuple(results), ())

    async def _rounds(self, id_: str, outcome: Outcome) -> None:
        definition = next(each for each in self.definitions if each.id == id_)
        number = 0
        while True:
            self.finish(definition, outcome(number))
            number += 1
            if definition.mutates:
                return
            await self.clock.sleep(30)

    def finish(self, check: CheckDefinition, status: Status, **keys: Any) -> None:
        """End a round of a check."""
        self.store.apply_event(CheckFinished(result=result_of(check, status, self.clock.now(), **keys)))


def result_of(check: CheckDefinition, status: Status, at: datetime, **keys: Any) -> CheckResult:
    """Return the result of one round of a check."""
    return CheckResult(
        **{
            "id": check.id,
            "name": check.name,
            "title": check.title,
            "kind": check.kind,
            "type": check.type,
            "status": status,
            "message": f"because {check.id}",
            "started_at": at,
            "source": HERE,
            **keys,
        }
    )


def again(state: ReleaseState, **changes: Any) -> ReleaseState:
    """Return a state with changes."""
    return replace(state, **changes)
