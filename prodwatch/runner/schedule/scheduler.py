"""Runs checks concurrently, each as soon as its prerequisites have finished."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from prodwatch.assertions import AssertionSyntaxError
from prodwatch.judge.facts import ADVISORY, MUTED, SUPPORTING
from prodwatch.model.check import CheckDefinition
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent, RunProgress
from prodwatch.model.result import AssertionResult, CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.bounds.concurrency import ConcurrencySlot
from prodwatch.runner.bounds.serial_groups import LockError, SerialGroups
from prodwatch.runner.check.composite import compose, member_counts
from prodwatch.runner.check.prerequisites import (
    blocked_by_needs,
    dependency_cycle,
    missing_requirement,
    reason_not_to_run,
)
from prodwatch.runner.check.run_check import internal_error, judge_whole, result_without_run, run_check
from prodwatch.runner.options import RunOptions
from prodwatch.runner.schedule.network_self_check import NetworkSelfCheck
from prodwatch.runner.schedule.rounds import RoundPlan
from prodwatch.runner.step.compiled import COMPOSITES, FIXED, CheckCompiler
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.run_step import GREEN
from prodwatch.runner.step.stop_reason import StopCause, StopSignal
from prodwatch.settings.template import TemplateSyntaxError, UnresolvedError

_RED = frozenset({Status.FAIL, Status.ERROR, Status.INCONCLUSIVE, Status.DEGRADED})
_STOPPING = frozenset({Status.FAIL, Status.ERROR})


class Scheduler:
    """Runs one selection of checks, with the checks they refer to."""

    def __init__(
        self,
        context: RunContext,
        definitions: Mapping[str, CheckDefinition],
        compiler: CheckCompiler,
        options: RunOptions,
        *,
        serial: SerialGroups,
        self_check: NetworkSelfCheck,
        stop: StopSignal,
        listener: Callable[[RunEvent], None],
        plan: RoundPlan | None = None,
        requested: bool = False,
    ) -> None:
        """Prepare; `plan` is that of a session of rounds, and `requested` runs selected checks that are not due."""
        self._context = context
        self._definitions = definitions
        self._compiler = compiler
        self._options = options
        self._serial = serial
        self._self_check = self_check
        self._stop = stop
        self._listener = listener
        self._plan = plan
        self._requested = requested
        self._allowed: set[str] = set()
        """Checks whose execution the plan has allowed and that have no result yet."""
        self._measured: dict[str, CheckResult] = {}
        """Results before diagnostics are added."""
        self._final: dict[str, CheckResult] = {}
        self._waiting: dict[str, asyncio.Future[CheckResult]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._selected: dict[str, None] = {}
        self._longest_chains: Mapping[str, int] = {}
        """Length of the longest chain of checks that wait for this one."""
        self._supporting: dict[str, None] = {}
        """Checks that run only because a selected check refers to them."""
        self._done = 0
        self._running = 0
        self._idle: asyncio.Future[None] | None = None

    def start(self, selected: Sequence[CheckDefinition]) -> None:
        """Start the selected checks in their order, those that others need first.

        Checks they refer to start when they are needed. The check with the longest chain of others waiting for it
        starts first of all: a run should take no longer than its slowest chain.
        """
        self._selected = {check.id: None for check in selected}
        self._longest_chains = _longest_chains(selected)
        needed = sorted(
            filter(self._longest_chains.__contains__, self._selected), key=lambda id_: -self._longest_chains[id_]
        )
        for id_ in (*needed, *self._selected):
            self._start(id_)

    async def wait(self) -> None:
        """Wait until every check is done, including those that were started meanwhile."""
        if self._running:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    @property
    def busy(self) -> bool:
        """Whether a check is not done yet."""
        return self._running > 0

    def cancel(self, *, begun_too: bool = True) -> None:
        """Cancel the checks that are not done; each cleans up after itself and reports why it ended."""
        for id_, task in self._tasks.items():
            if not task.done() and (begun_too or id_ not in self._begun) and id_ not in self._measured:
                task.cancel()

    def results(self) -> tuple[CheckResult, ...]:
        """Return the selected checks' results in order, then those of the checks they refer to, by id."""
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
        """Record that a task is over; a task cancelled before it could begin still needs a result."""
        id_ = task.get_name()
        self._running -= 1
        if not self._running and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if id_ not in self._final:
            definition = self._definitions[id_]
            self._finish(result_without_run(definition, self._stop.conclusion(begun=id_ in self._begun)))

    async def _result_of(self, id_: str) -> CheckResult | None:
        """Return another check's result as soon as it is measured; starts the check if it has not started."""
        if id_ in self._measured:
            return self._measured[id_]
        if id_ not in self._definitions:
            return None
        self._start(id_)
        if id_ not in self._waiting:
            self._waiting[id_] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._waiting[id_])

    async def _results_of(self, ids: Iterable[str]) -> dict[str, CheckResult | None]:
        """Return the results of checks that another check refers to."""
        for id_ in ids:
            self._supporting.setdefault(id_)
            if id_ in self._definitions:
                self._start(id_)
        return {id_: await self._result_of(id_) for id_ in ids}

    async def _run(self, definition: CheckDefinition) -> None:
        try:
            earlier = await self._instead(definition)
            if earlier is not None:
                self._take(earlier)
                return
            result = await self._measure(definition)
        except asyncio.CancelledError:
            result = result_without_run(definition, self._stop.conclusion(begun=definition.id in self._begun))
        except Exception as error:  # noqa: BLE001 -- a bug must cost one check, never the run or its verdict
            result = result_without_run(definition, internal_error(error))
        if self._self_check.may_change(result):
            with contextlib.suppress(asyncio.CancelledError):
                result = await self._self_check.apply(result)
        self._publish(result)
        if definition.diagnose and result.status in _RED:
            with contextlib.suppress(asyncio.CancelledError):
                result = await self._diagnosed(definition, result)
        self._finish(result)

    async def _instead(self, definition: CheckDefinition) -> CheckResult | None:
        """Return a result of the session to use instead of running the check; None when it is to run."""
        if self._plan is None:
            return None
        now_s = self._context.clock.monotonic_s()
        requested = self._requested and definition.id in self._selected
        earlier = await self._plan.instead(definition, now_s, requested=requested)
        if earlier is None:
            self._allowed.add(definition.id)
        return earlier

    def _take(self, earlier: CheckResult) -> None:
        """Use a result that is already filed: it is not an event of this round."""
        self._publish(earlier)
        self._final[earlier.id] = earlier
        if earlier.id in self._selected:
            self._done += 1
            self._listener(RunProgress(done=self._done, total=len(self._selected)))

    def _publish(self, result: CheckResult) -> None:
        """Make the result available to the checks that wait for it; nothing starts after a red one of `--fail-fast`."""
        self._measured[result.id] = result
        if result.id in self._selected:
            self._stop_if_failed_fast(result)
        if self._plan is not None and result.id in self._allowed:
            self._allowed.discard(result.id)
            self._plan.finished(self._definitions[result.id], result, self._context.clock.monotonic_s())
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

    def _stop_if_failed_fast(self, result: CheckResult) -> None:
        if self._options.fail_fast and result.status in _STOPPING and ADVISORY not in result.flags:
            self._stop.set(StopCause.FAIL_FAST, result.id)
            self.cancel(begun_too=False)

    async def _diagnosed(self, definition: CheckDefinition, result: CheckResult) -> CheckResult:
        """Run the diagnostics of a smoke check that is not green and attach their results."""
        if self._options.no_diagnose or definition.kind != "smoke" or self._stop.cause is not None:
            return result
        ids = [id_ for id_ in definition.diagnose if id_ in self._definitions]
        for id_ in ids:
            self._start(id_)
        diagnostics = [await self._result_of(id_) for id_ in ids]
        return replace(result, diagnosed_by=tuple(diagnostic for diagnostic in diagnostics if diagnostic is not None))

    async def _measure(self, definition: CheckDefinition) -> CheckResult:
        refusal = self._reason_not_to_run(definition)
        if refusal is None and definition.needs:
            refusal = blocked_by_needs(definition.needs, await self._results_of(definition.needs))
        if refusal is not None:
            return result_without_run(definition, refusal, flags=(MUTED,) if refusal.reason is Reason.MUTED else ())
        if definition.type in FIXED:
            return self._fixed(definition)
        if definition.type in COMPOSITES:
            return await self._composite(definition)
        # A check that waits, is waited for, or diagnoses a red one does not queue behind all others.
        urgent = bool(definition.needs) or definition.id in self._longest_chains or definition.id not in self._selected
        slot = ConcurrencySlot(self._context.concurrency, urgent=urgent)
        await slot.acquire()
        try:
            return await self._admitted(definition, slot)
        finally:
            slot.release()

    async def _admitted(self, definition: CheckDefinition, slot: ConcurrencySlot) -> CheckResult:
        try:
            compiled = self._compiler.compile(definition)
        except (AssertionSyntaxError, TemplateSyntaxError) as error:
            message = f"{definition.source}: it cannot be read: {error}"
            return result_without_run(definition, Conclusion(Status.ERROR, Reason.INVALID, message))
        if not self._context.inputs.knows_secrets:
            # A response may hold a secret that no check uses.
            await slot.released_while(self._context.inputs.learn_secrets())
        if compiled.remote:
            await slot.released_while(self._context.inputs.ensure(compiled.references))
        execution = Execution(
            self._context, compiled, slot, lambda at: self._begin(definition.id, at, execution.scope.trace_id)
        )
        if compiled.requires:
            missing = await missing_requirement(compiled, execution.scope, self._context.notice)
            if missing is not None:
                return result_without_run(definition, _redacted(execution, missing))
        if definition.serial is not None:
            return await self._in_turn(execution, definition.serial)
        return await run_check(execution, self._stop)

    def _reason_not_to_run(self, definition: CheckDefinition) -> Conclusion | None:
        """Return why the check must not run, whatever the results of the checks it needs."""
        if self._stop.cause is not None:
            return self._stop.conclusion(begun=False)
        context = self._context
        refusal = reason_not_to_run(
            definition,
            context.environment,
            now=context.clock.now,
            allow_writes=self._options.allow_writes,
            vantage=context.inputs.vantage,
        )
        if refusal is None and (definition.needs or definition.of):
            refusal = dependency_cycle(definition, self._definitions)
        return refusal

    def _begin(self, id_: str, at: datetime, trace_id: str | None = None) -> None:
        self._begun.add(id_)
        self._listener(CheckStarted(id=id_, at=at, trace_id=trace_id))

    async def _in_turn(self, execution: Execution, serial: str) -> CheckResult:
        """Run a check of a serial group while no other check of the group runs."""
        definition = execution.compiled.definition
        try:
            group = str(execution.scope.fill(serial))
            execution.slot.release()
            async with self._serial.hold(group):
                await execution.slot.acquire(urgent=True)
                return await run_check(execution, self._stop)
        except UnresolvedError as error:
            conclusion = Conclusion(Status.ERROR, error.reason, error.message)
        except LockError as error:
            conclusion = Conclusion(Status.ERROR, Reason.UNAVAILABLE, str(error))
        return result_without_run(definition, _redacted(execution, conclusion))

    def _fixed(self, definition: CheckDefinition) -> CheckResult:
        """Return the result of a `pass`, `fail` or `skip` check: its type, with its author's `reason`."""
        at = self._context.clock.now()
        self._begin(definition.id, at)
        reason = definition.steps[0].params.get("reason") if definition.steps else None
        message = None if reason is None else self._context.redactor.text(str(reason))
        conclusion = {
            "pass": Conclusion(Status.PASS, None, message),
            "fail": Conclusion(Status.FAIL, Reason.EXPLICIT, message or "a check of type fail always fails"),
            "skip": Conclusion(Status.SKIPPED, Reason.EXPLICIT, message or "a check of type skip is never run"),
        }[definition.type]
        return result_without_run(definition, conclusion, at=at)

    async def _composite(self, definition: CheckDefinition) -> CheckResult:
        compiled = self._compiler.compile(definition)
        execution = Execution(
            self._context,
            compiled,
            ConcurrencySlot(self._context.concurrency),
            lambda at: self._begin(definition.id, at),
        )
        missing = await missing_requirement(compiled, execution.scope, self._context.notice)
        if missing is not None:
            return result_without_run(definition, _redacted(execution, missing))
        execution.begin()
        results = await self._results_of(definition.of)
        members = [member for member in results.values() if member is not None]
        own: tuple[AssertionResult, ...] = ()
        conclusion = compose(definition.type, members)
        if conclusion.status in GREEN and (definition.expect or definition.warn):
            judged, own = await judge_whole(execution, member_counts(members))
            conclusion = judged if judged.status is not Status.PASS else conclusion
        result = result_without_run(definition, _redacted(execution, conclusion), at=execution.started_at)
        elapsed_s = self._context.clock.monotonic_s() - execution.started_s
        return replace(result, assertions=own, duration_ms=round(elapsed_s * 1000))


def _redacted(execution: Execution, conclusion: Conclusion) -> Conclusion:
    return Conclusion(conclusion.status, conclusion.reason, execution.output.maybe(conclusion.message))


def _longest_chains(selected: Sequence[CheckDefinition]) -> dict[str, int]:
    """Return, for each check that others need, the length of the longest chain of checks that wait for it."""
    needs = {check.id: check.needs for check in selected if check.needs}
    waiting: Counter[str] = Counter(needed for ids in needs.values() for needed in ids)
    lengths = dict.fromkeys(waiting, 1)
    ends = [id_ for id_ in needs if id_ not in waiting]
    # From the end of each chain backwards. A cycle has no end; its checks are refused before they run.
    while ends:
        last = ends.pop()
        for needed in needs.get(last, ()):
            lengths[needed] = max(lengths[needed], lengths.get(last, 0) + 1)
            waiting[needed] -= 1
            if not waiting[needed]:
                ends.append(needed)
    return lengths
