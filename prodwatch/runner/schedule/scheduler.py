"""Runs checks side by side in one order: each when what it needs is known, none waiting for a stranger."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from prodwatch.assertions import AssertionSyntaxError
from prodwatch.model.check import CheckDefinition
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent, RunProgress
from prodwatch.model.result import AssertionResult, CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.bounds.concurrency import ConcurrencySlot
from prodwatch.runner.bounds.serial_groups import LockError, SerialGroups
from prodwatch.runner.check.composite import compose, counts
from prodwatch.runner.check.prerequisites import (
    blocked_by_needs,
    dependency_cycle,
    missing_requirement,
    reason_not_to_run,
)
from prodwatch.runner.check.run_check import judge_whole, result_without_run, run_check
from prodwatch.runner.options import RunOptions
from prodwatch.runner.schedule.network_self_check import NetworkSelfCheck
from prodwatch.runner.step.compiled import COMPOSITES, FIXED, CheckCompiler
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.run_step import GREEN
from prodwatch.runner.step.stop_reason import StopCause, StopSignal
from prodwatch.runner.verdict import ADVISORY, SUPPORTING
from prodwatch.settings.template import TemplateSyntaxError, UnresolvedError

MUTED = "muted"
_RED = frozenset({Status.FAIL, Status.ERROR, Status.INCONCLUSIVE, Status.DEGRADED})
_STOPPING = frozenset({Status.FAIL, Status.ERROR})


class Scheduler:
    """One run of some checks."""

    def __init__(
        self,
        tools: RunContext,
        definitions: Mapping[str, CheckDefinition],
        compiler: CheckCompiler,
        options: RunOptions,
        *,
        serial: SerialGroups,
        self_check: NetworkSelfCheck,
        stop: StopSignal,
        listener: Callable[[RunEvent], None],
    ) -> None:
        self._tools = tools
        self._definitions = definitions
        self._compiler = compiler
        self._options = options
        self._serial = serial
        self._self_check = self_check
        self._stop = stop
        self._listener = listener
        self._measured: dict[str, CheckResult] = {}
        """Results as measured, before diagnostics are added."""
        self._final: dict[str, CheckResult] = {}
        self._waiting: dict[str, asyncio.Future[CheckResult]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._selected: dict[str, None] = {}
        self._behind: Mapping[str, int] = {}
        """How many checks wait behind each other for this one."""
        self._supporting: dict[str, None] = {}
        """Checks that run only because a selected one refers to them."""
        self._done = 0
        self._running = 0
        self._idle: asyncio.Future[None] | None = None

    def start(self, selected: Sequence[CheckDefinition]) -> None:
        """Begin with the selected checks in their order, but first with those that others wait for.

        What they refer to besides follows when it is needed. The check with the longest row of others behind it goes
        first of all: a run should take no longer than its slowest chain.
        """
        self._selected = {check.id: None for check in selected}
        self._behind = _behind(selected)
        waited_for = sorted(filter(self._behind.__contains__, self._selected), key=lambda id_: -self._behind[id_])
        for id_ in (*waited_for, *self._selected):
            self._start(id_)

    async def wait(self) -> None:
        """Wait until every check is done, those included that were begun on the way."""
        if self._running:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    @property
    def busy(self) -> bool:
        """Whether a check is still to be done."""
        return self._running > 0

    def cancel(self, *, begun_too: bool = True) -> None:
        """Cancel what is not done; each check then cleans up after itself and says why it ended."""
        for id_, task in self._tasks.items():
            if not task.done() and (begun_too or id_ not in self._begun) and id_ not in self._measured:
                task.cancel()

    def results(self) -> tuple[CheckResult, ...]:
        """Return what was selected, in order, then what those checks refer to, by id."""
        selected = [self._final[id_] for id_ in self._selected if id_ in self._final]
        supporting = sorted(id_ for id_ in self._supporting if id_ not in self._selected and id_ in self._final)
        return (*selected, *(self._flagged(self._final[id_]) for id_ in supporting))

    def _flagged(self, result: CheckResult) -> CheckResult:
        if result.id in self._selected or result.id not in self._supporting or SUPPORTING in result.flags:
            return result
        return replace(result, flags=(*result.flags, SUPPORTING))

    def _start(self, id_: str) -> None:
        if id_ not in self._tasks:
            task = self._tasks[id_] = asyncio.create_task(self._run(self._definitions[id_]), name=id_)
            task.add_done_callback(self._settle)
            self._running += 1

    def _settle(self, task: asyncio.Task[None]) -> None:
        """Note that a task is over; one that was cancelled before it could begin still needs a result."""
        id_ = task.get_name()
        self._running -= 1
        if not self._running and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if id_ not in self._final:
            definition = self._definitions[id_]
            self._finish(result_without_run(definition, self._stop.conclusion(begun=id_ in self._begun)))

    async def _result_of(self, id_: str) -> CheckResult | None:
        """Return another check's result as soon as it is measured, running it when nobody else does."""
        if id_ in self._measured:
            return self._measured[id_]
        if id_ not in self._definitions:
            return None
        self._start(id_)
        if id_ not in self._waiting:
            self._waiting[id_] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiting[id_])

    async def _results_of(self, ids: Iterable[str]) -> dict[str, CheckResult | None]:
        """Return results of checks a check refers to."""
        for id_ in ids:
            self._supporting.setdefault(id_)
            if id_ in self._definitions:
                self._start(id_)
        return {id_: await self._result_of(id_) for id_ in ids}

    async def _run(self, definition: CheckDefinition) -> None:
        try:
            result = await self._measure(definition)
        except asyncio.CancelledError:
            result = result_without_run(definition, self._stop.conclusion(begun=definition.id in self._begun))
        except Exception as error:  # noqa: BLE001 -- a bug must cost one check, never the run or its verdict
            result = _bug(definition, error)
        if self._self_check.may_change(result):
            with contextlib.suppress(asyncio.CancelledError):
                result = await self._self_check.apply(result)
        self._publish(result)
        if definition.diagnose and result.status in _RED:
            with contextlib.suppress(asyncio.CancelledError):
                result = await self._diagnosed(definition, result)
        self._finish(result)

    def _publish(self, result: CheckResult) -> None:
        """Let those who wait for this check go on."""
        self._measured[result.id] = result
        waiting = self._waiting.get(result.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    def _finish(self, result: CheckResult) -> None:
        if result.id not in self._measured:
            self._publish(result)
        self._final[result.id] = result
        self._listener(CheckFinished(result=self._flagged(result)))
        if result.id in self._selected:
            self._done += 1
            self._listener(RunProgress(done=self._done, total=len(self._selected)))
            self._perhaps_stop(result)

    def _perhaps_stop(self, result: CheckResult) -> None:
        if self._options.fail_fast and result.status in _STOPPING and ADVISORY not in result.flags:
            self._stop.set(StopCause.FAIL_FAST, result.id)
            self.cancel(begun_too=False)

    async def _diagnosed(self, definition: CheckDefinition, result: CheckResult) -> CheckResult:
        """Run the diagnostics of a smoke check that is not green and put their results under it."""
        if self._options.no_diagnose or definition.kind != "smoke" or self._stop.why is not None:
            return result
        known = [id_ for id_ in definition.diagnose if id_ in self._definitions]
        for id_ in known:
            self._start(id_)
        found = [await self._result_of(id_) for id_ in known]
        return replace(result, diagnosed_by=tuple(each for each in found if each is not None))

    async def _measure(self, definition: CheckDefinition) -> CheckResult:
        off = self._off(definition)
        if off is None and definition.needs:
            off = blocked_by_needs(definition.needs, await self._results_of(definition.needs))
        if off is not None:
            return result_without_run(definition, off, flags=(MUTED,) if off.reason is Reason.MUTED else ())
        if definition.type in FIXED:
            return self._fixed(definition)
        if definition.type in COMPOSITES:
            return await self._composite(definition)
        # Whoever waits or is waited for, or explains what is already red, does not queue behind all the rest.
        urgent = bool(definition.needs) or definition.id in self._behind or definition.id not in self._selected
        turn = ConcurrencySlot(self._tools.gate, urgent=urgent)
        await turn.take()
        try:
            return await self._admitted(definition, turn)
        finally:
            turn.give()

    async def _admitted(self, definition: CheckDefinition, turn: ConcurrencySlot) -> CheckResult:
        try:
            compiled = self._compiler.compile(definition)
        except (AssertionSyntaxError, TemplateSyntaxError) as error:
            message = f"{definition.source}: it cannot be read: {error}"
            return result_without_run(definition, Conclusion(Status.ERROR, Reason.INVALID, message))
        if compiled.remote:
            await turn.away(self._tools.inputs.ensure(compiled.references))
        execution = Execution(self._tools, compiled, turn, lambda at: self._begin(definition.id, at))
        if compiled.requires:
            missing = await missing_requirement(compiled, execution.scope)
            if missing is not None:
                return result_without_run(definition, _cleaned(execution, missing))
        if definition.serial is not None:
            return await self._in_turn(execution, definition.serial)
        return await run_check(execution, self._stop)

    def _off(self, definition: CheckDefinition) -> Conclusion | None:
        """Return why the check is not run at all, whatever those it needs say."""
        if self._stop.why is not None:
            return self._stop.conclusion(begun=False)
        tools = self._tools
        off = reason_not_to_run(
            definition,
            tools.environment,
            now=tools.clock.now,
            allow_writes=self._options.allow_writes,
            vantage=tools.inputs.vantage,
        )
        if off is None and (definition.needs or definition.of):
            off = dependency_cycle(definition, self._definitions)
        return off

    def _begin(self, id_: str, at: datetime) -> None:
        self._begun.add(id_)
        self._listener(CheckStarted(id=id_, at=at))

    async def _in_turn(self, execution: Execution, serial: str) -> CheckResult:
        """Run a check of a serial group when nobody else of its group runs."""
        definition = execution.compiled.definition
        try:
            group = str(execution.scope.fill(serial))
            execution.turn.give()
            async with self._serial.hold(group):
                await execution.turn.take(urgent=True)
                return await run_check(execution, self._stop)
        except UnresolvedError as error:
            found = Conclusion(Status.ERROR, Reason.UNRESOLVED, error.message)
        except LockError as error:
            found = Conclusion(Status.ERROR, Reason.UNAVAILABLE, str(error))
        return result_without_run(definition, _cleaned(execution, found))

    def _fixed(self, definition: CheckDefinition) -> CheckResult:
        """`pass`, `fail` and `skip` say what their author wrote."""
        at = self._tools.clock.now()
        self._begin(definition.id, at)
        written = definition.steps[0].params.get("reason") if definition.steps else None
        message = None if written is None else self._tools.redactor.text(str(written))
        found = {
            "pass": Conclusion(Status.PASS, None, message),
            "fail": Conclusion(Status.FAIL, Reason.EXPLICIT, message or "a check of type fail always fails"),
            "skip": Conclusion(Status.SKIPPED, Reason.EXPLICIT, message or "a check of type skip is never run"),
        }[definition.type]
        return result_without_run(definition, found, at=at)

    async def _composite(self, definition: CheckDefinition) -> CheckResult:
        compiled = self._compiler.compile(definition)
        execution = Execution(
            self._tools, compiled, ConcurrencySlot(self._tools.gate), lambda at: self._begin(definition.id, at)
        )
        missing = await missing_requirement(compiled, execution.scope)
        if missing is not None:
            return result_without_run(definition, _cleaned(execution, missing))
        execution.begin()
        results = await self._results_of(definition.of)
        members = [each for each in results.values() if each is not None]
        own: tuple[AssertionResult, ...] = ()
        found = compose(definition.type, members)
        if found.status in GREEN and (definition.expect or definition.warn):
            judged, own = await judge_whole(execution, counts(members))
            found = judged if judged.status is not Status.PASS else found
        result = result_without_run(definition, _cleaned(execution, found), at=execution.started_at)
        elapsed_s = self._tools.clock.monotonic_s() - execution.started_s
        return replace(result, assertions=own, duration_ms=round(elapsed_s * 1000))


def _cleaned(execution: Execution, found: Conclusion) -> Conclusion:
    return Conclusion(found.status, found.reason, execution.out.maybe(found.message))


def _bug(definition: CheckDefinition, error: Exception) -> CheckResult:
    # The text of an unforeseen error may hold anything, so only its kind is told.
    message = f"a bug in prodwatch kept this check from being measured ({type(error).__name__})"
    return result_without_run(definition, Conclusion(Status.ERROR, Reason.INTERNAL, message))


def _behind(selected: Sequence[CheckDefinition]) -> dict[str, int]:
    """Return, for each check that others need, how many of them wait behind each other in the longest row."""
    needs = {check.id: check.needs for check in selected if check.needs}
    unknown: Counter[str] = Counter(needed for ids in needs.values() for needed in ids)
    rows = dict.fromkeys(unknown, 1)
    ends = [id_ for id_ in needs if id_ not in unknown]
    # From the end of each row backwards; checks that wait for each other in a circle have none and are told elsewhere.
    while ends:
        last = ends.pop()
        for needed in needs.get(last, ()):
            rows[needed] = max(rows[needed], rows.get(last, 0) + 1)
            unknown[needed] -= 1
            if not unknown[needed]:
                ends.append(needed)
    return rows
