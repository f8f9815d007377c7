"""One run from selection to verdict: nothing a target or AWS does makes it raise, and nothing is green by default."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock, SystemClock
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.event import RunEvent
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import Blocking, CheckResult, Notice, RunResult, SignalResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes import registry
from prodwatch.probes.base import HttpPool
from prodwatch.runner.bounds.concurrency import ConcurrencyLimits
from prodwatch.runner.bounds.loop_lag import LoopLag
from prodwatch.runner.bounds.serial_groups import SerialGroups
from prodwatch.runner.bounds.time_limits import TaskTimeouts, bounded
from prodwatch.runner.check.crash_cleanup import finish_cleanup
from prodwatch.runner.check.run_check import result_without_run
from prodwatch.runner.dry_run import PlannedCall, plan
from prodwatch.runner.early_end import EarlyEnd
from prodwatch.runner.expired_credentials import RenewalAdvice
from prodwatch.runner.options import RunOptions, fresh_run_id, reads_signals
from prodwatch.runner.run_result_document import RunRecord, assemble, summarize
from prodwatch.runner.schedule.network_self_check import NetworkSelfCheck
from prodwatch.runner.schedule.rounds import RoundPlan
from prodwatch.runner.schedule.scheduler import Scheduler
from prodwatch.runner.signal_reading import SignalReading
from prodwatch.runner.step.compiled import CheckCompiler, Specs
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.journal import ReopenedJournal, RunEntry, RunJournal, UnfinishedJournal
from prodwatch.runner.step.run_context import JsonSchemas, Probes, RunContext
from prodwatch.runner.step.stop_reason import StopSignal
from prodwatch.runner.values.fill_known_values import StaticValues
from prodwatch.runner.values.redaction import WithheldResults, masked_struct
from prodwatch.runner.values.remote_inputs import RemoteInputs, run_inputs
from prodwatch.settings.template import TemplateSyntaxError
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import sanitize_line

_INPUTS_LIVE_S = 300.0
"""Age at which a session of rounds reads stack outputs and secrets again."""
_RELEASE_WAIT_S = 3.0
"""Longest wait of a finished run for a release that no check needs."""
_ACCOUNT_WAIT_S = 20.0
"""Longest wait for the account of the credentials before the first check."""


class Runner:
    """Runs the checks of one environment, once or round by round."""

    def __init__(
        self,
        environment: Environment,
        definitions: Sequence[CheckDefinition],
        *,
        root: str,
        clock: Clock,
        random: Random,
        http: HttpPool,
        aws: AwsApi,
        redactor: Redactor,
        journal_dir: Path,
        version: str,
        environ: Mapping[str, str],
        listener: Callable[[RunEvent], None] = lambda _event: None,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
        probes: Probes = registry.probe,
        specs: Specs = registry.spec,
        memory: dict[str, Any] | None = None,
        lag: LoopLag | None = None,
    ) -> None:
        """Prepare; `definitions` are all loaded checks, so that diagnostics and members can be found.

        `journal_dir` is the machine's, not the project's: journals and the locks of serial groups live in it. `lag` is
        started and stopped by the caller; None for a run that takes no account of stalls of this machine. `memory` is
        what the probes of an earlier runner of the same session remember. `on_notice` receives the notices of rounds,
        sanitised and masked; those of a single run are in its result.
        """
        self._environment = environment
        self._definitions = {check.id: check for check in definitions}
        self._root = str(Path(root).resolve())
        self._clock = clock
        self._random = random
        self._http = http
        self._aws = aws
        self._redactor = redactor
        self._journal_dir = journal_dir
        self._version = version
        self._environ = environ
        self._listener = listener
        self._on_notice = on_notice
        self._probes = probes
        self._specs = specs
        self._memory = {} if memory is None else memory
        self._lag = lag or LoopLag(clock)
        self._compiler = CheckCompiler(environment, specs)
        self._serial = SerialGroups(journal_dir / "locks", environment.name, clock)
        self._session: tuple[RunContext, float] | None = None
        """The means all rounds share, and when their inputs were created (monotonic seconds)."""
        self._session_stack = AsyncExitStack()

    async def run(
        self, selected: Sequence[CheckDefinition], options: RunOptions, *, since_s: float | None = None
    ) -> RunResult:
        """Run the selected checks once and return all results.

        The deadline counts from `since_s` (monotonic seconds), the begin of the preparation; None: from this call.
        Cancelling the task once ends the run early: checks that had started are cleaned up and the result is returned,
        with verdict `aborted`. Cancelling it again ends the cleanups, too; the journal keeps the leftovers.
        """
        end = EarlyEnd(self._clock, options.deadline_s, since_s=since_s)
        return await end.guard(self._run(selected, options, end))

    async def _run(self, selected: Sequence[CheckDefinition], options: RunOptions, end: EarlyEnd) -> RunResult:
        started_at, started_s = self._clock.now(), self._clock.monotonic_s()
        signals: tuple[SignalResult, ...] = ()
        async with self._opened(options, self._journal(options)) as context:
            context.captured_secrets = set()
            refused = await self._refused(selected, options, end)
            if refused is not None:
                results = tuple(result_without_run(check, refused) for check in selected)
            else:
                if any(function.alias is not None for function in self._environment.functions):
                    context.inputs.start_release()
                reading = SignalReading(context, end.stop) if self._reads_signals(selected, options) else None
                if reading is not None:
                    end.on_stop(reading.cancel)
                results = await self._measured(context, selected, options, end)
                if reading is not None:
                    await reading.wait()
                    signals = reading.results()
                if end.stop.cause is None:
                    settling = asyncio.create_task(context.inputs.settle(self._clock, _RELEASE_WAIT_S))
                    end.on_stop(settling.cancel)
                    await asyncio.wait((settling,))
        return self._assembled(
            context,
            results,
            options,
            started_at,
            started_s,
            signals=signals,
            interrupted=end.exit_code,
            refused=None if refused is None else _run_problem(refused),
        )

    async def _measured(
        self,
        context: RunContext,
        selected: Sequence[CheckDefinition],
        options: RunOptions,
        end: EarlyEnd,
        plan: RoundPlan | None = None,
        *,
        requested: bool = False,
    ) -> tuple[CheckResult, ...]:
        """Run the checks and return the results of all of them, also after a stop."""
        self_check = NetworkSelfCheck(context, self._environment.limits.self_check)
        withheld = None
        if context.captured_secrets is not None:
            withheld = WithheldResults(self._listener, selected, context.captured_secrets)
        listener = withheld or self._listener
        if context.captured_secrets is not None:
            listener = RenewalAdvice(context.notice).listener(listener)
        scheduler = self._scheduler(context, options, end.stop, self_check, plan, listener, requested=requested)
        self._warm(selected)
        if services := self._compiler.services(selected):
            await self._aws.load(services)
        scheduler.start(selected)
        end.on_stop(scheduler.cancel)
        await scheduler.wait()
        if withheld is not None:
            withheld.release()
        await self_check.close()
        return scheduler.results()

    def _warm(self, selected: Sequence[CheckDefinition]) -> None:
        """Load what the checks need, so that no import delays a measured request."""
        shared: Callable[[str], Any] | None = None
        for check in selected:
            own = bool(check.vars or check.matrix)
            fill = None if own else shared
            if fill is None:
                fill = cache(StaticValues(check, self._environment, self._environ).fill)
            if not own:
                shared = fill
            try:
                registry.warm(((step.type, step.params) for step in (*check.steps, *check.cleanup)), fill)
            except TemplateSyntaxError:
                continue  # it will never send anything

    async def clean_up(self, run_id: str, options: RunOptions) -> RunResult:
        """Finish the cleanups that a killed run left in its journal; one result per check with a cleanup.

        ConfigurationError when the journal does not exist, or while its run is still going on. Cancelling ends it
        early: the result, with verdict `aborted`, is returned, and the journal keeps the leftovers.
        """
        end = EarlyEnd(self._clock, options.deadline_s)
        return await end.guard(self._clean_up(run_id, options, end))

    async def _clean_up(self, run_id: str, options: RunOptions, end: EarlyEnd) -> RunResult:
        started_at, started_s = self._clock.now(), self._clock.monotonic_s()
        journal = ReopenedJournal(self._journal_dir, run_id)
        options = replace(options, run_id=run_id, allow_empty=True)
        results: list[CheckResult] = []
        async with self._opened(options, journal) as context:
            for execution in journal.journal.unfinished:
                if end.stop.cause is not None:
                    break
                work = finish_cleanup(execution, self._definitions, self._compiler, context, end.stop)
                finishing = asyncio.create_task(work)
                end.on_stop(finishing.cancel)
                await asyncio.wait((finishing,))
                if not finishing.cancelled():
                    results.append(finishing.result())
        damaged = _damage(journal.journal)
        unclean = [result for result in results if result.status is not Status.SKIPPED]
        found = self._assembled(
            context, unclean, options, started_at, started_s, interrupted=end.exit_code, refused=damaged
        )
        verdict = found.verdict
        if verdict.exit_code == ExitCode.OK:
            verdict = replace(verdict, reason=f"every cleanup of run {run_id} is done")
        # Its notices have the advice already.
        advice = RenewalAdvice(lambda _code, _message: None)
        return replace(found, checks=tuple(map(advice.check, results)), summary=summarize(results), verdict=verdict)

    def _assembled(
        self,
        context: RunContext,
        results: Sequence[CheckResult],
        options: RunOptions,
        started_at: datetime,
        started_s: float,
        *,
        signals: tuple[SignalResult, ...] = (),
        interrupted: int | None = None,
        refused: Blocking | None = None,
    ) -> RunResult:
        if context.captured_secrets:
            captured = Redactor(context.captured_secrets)
            results = [masked_struct(result, captured) for result in results]
        advice = RenewalAdvice(context.notice)
        results = list(map(advice.check, results))
        signals = tuple(map(advice.signal, signals))
        record = RunRecord(
            run_id=context.run_id,
            version=self._version,
            started_at=started_at,
            ended_at=self._clock.now(),
            duration_s=self._clock.monotonic_s() - started_s,
            interrupted=interrupted,
            refused=None if refused is None else replace(refused, message=advice.short(refused.message)),
        )
        result = assemble(context, results, signals, options, record)
        return replace(result, notices=advice.notices(result.notices))

    async def run_round(
        self, ids: Collection[str], options: RunOptions, plan: RoundPlan | None = None, *, requested: bool = False
    ) -> tuple[CheckResult, ...]:
        """Run these checks once, in the order they were loaded; results also go to the listener as they come.

        With a `plan`, a check that is not due is not run, and its latest result is used where another check refers to
        it; `requested` runs these checks even so. All rounds of a Runner share one run id and one journal. Cancelling
        cleans up first and then raises.
        """
        context = await self._session_context(options)
        selected = [check for check in self._definitions.values() if check.id in ids]
        end = EarlyEnd(self._clock, options.deadline_s)
        results = await end.guard(self._measured(context, selected, options, end, plan, requested=requested))
        if end.exit_code is not None:
            raise asyncio.CancelledError
        return results

    async def close(self) -> None:
        """End a session of rounds."""
        self._session = None
        await self._session_stack.aclose()

    def plan(self, selected: Sequence[CheckDefinition], options: RunOptions) -> tuple[PlannedCall, ...]:
        """Return every call a run would make, in order, without sending anything."""
        return plan(
            selected,
            self._definitions,
            self._compiler,
            environment=self._environment,
            options=options,
            environ=self._environ,
            redactor=self._redactor,
            now=self._clock.now(),
        )

    def _reads_signals(self, selected: Sequence[CheckDefinition], options: RunOptions) -> bool:
        # A shard without checks leaves the signals to the others.
        return bool(selected) and reads_signals(self._environment, options)

    async def _refused(
        self, selected: Sequence[CheckDefinition], options: RunOptions, end: EarlyEnd
    ) -> Conclusion | None:
        """Return why no request may be sent: the credentials belong to another account; None when they do not.

        Also None when the account could not be read: every call of a check asks for it again.
        """
        needs_aws = self._reads_signals(selected, options) or self._compiler.needs_aws(selected)
        if self._environment.aws.account is None or not needs_aws:
            return None
        question = asyncio.create_task(bounded(self._clock, _ACCOUNT_WAIT_S, self._aws.account_id()))
        end.on_stop(question.cancel)
        await asyncio.wait((question,))
        error = None if question.cancelled() else question.exception()
        if error is None or isinstance(error, TimeoutError):
            return None
        if not isinstance(error, AwsError):
            raise error
        if error.reason is not Reason.WRONG_ACCOUNT:
            return None
        return Conclusion(Status.ERROR, error.reason, self._redactor.text(error.message))

    def _scheduler(
        self,
        context: RunContext,
        options: RunOptions,
        stop: StopSignal,
        self_check: NetworkSelfCheck,
        plan: RoundPlan | None,
        listener: Callable[[RunEvent], None],
        *,
        requested: bool,
    ) -> Scheduler:
        return Scheduler(
            context,
            self._definitions,
            self._compiler,
            options,
            serial=self._serial,
            self_check=self_check,
            stop=stop,
            listener=listener,
            plan=plan,
            requested=requested,
        )

    async def _session_context(self, options: RunOptions) -> RunContext:
        now_s = self._clock.monotonic_s()
        if self._session is None:
            opened = self._opened(options, self._journal(options))
            # Entering never suspends, so two rounds that begin together share one session.
            self._session = (await self._session_stack.enter_async_context(opened), now_s)
            self._session[0].on_notice = self._pass_on_notice
        context, since_s = self._session
        if now_s - since_s > _INPUTS_LIVE_S:
            context.inputs = self._inputs(options)
            self._session = (context, now_s)
        context.inputs.forget("release")
        return context

    @asynccontextmanager
    async def _opened(self, options: RunOptions, journal: RunJournal | ReopenedJournal) -> AsyncIterator[RunContext]:
        """Provide the means of one run or session; cancel pending lookups and finish the journal at its end."""
        context = self._context(options, journal)
        try:
            yield context
        finally:
            try:
                await context.inputs.close()
            finally:
                await journal.finish()
                if context.timeouts is not None:
                    context.timeouts.close()

    def _pass_on_notice(self, notice: Notice) -> None:
        self._on_notice(replace(notice, message=sanitize_line(self._redactor.text(notice.message))))

    def _journal(self, options: RunOptions) -> RunJournal:
        header = RunEntry(
            run_id=options.run_id or fresh_run_id(self._clock.now(), self._random),
            environment=self._environment.name,
            root=self._root,
            started_at=self._clock.now(),
            host=options.host,
            pid=os.getpid(),
        )
        return RunJournal(self._journal_dir, header)

    def _context(self, options: RunOptions, journal: RunJournal | ReopenedJournal) -> RunContext:
        return RunContext(
            environment=self._environment,
            clock=self._clock,
            random=self._random,
            http=self._http,
            aws=self._aws,
            probes=self._probes,
            specs=self._specs,
            concurrency=ConcurrencyLimits(self._environment.limits, options.jobs),
            inputs=self._inputs(options),
            redactor=self._redactor,
            journal=journal,
            schemas=JsonSchemas(self._root),
            timeouts=TaskTimeouts() if isinstance(self._clock, SystemClock) else None,
            lag=self._lag,
            root=self._root,
            run_id=journal.run_id,
            memory=self._memory,
        )

    def _inputs(self, options: RunOptions) -> RemoteInputs:
        return run_inputs(
            self._environment,
            aws=self._aws,
            env=self._environ,
            redactor=self._redactor,
            override=options.release,
            clock=self._clock,
        )


def _run_problem(refused: Conclusion) -> Blocking:
    return Blocking(kind="run", id="account", status=refused.status, message=refused.message)


def _damage(journal: UnfinishedJournal) -> Blocking | None:
    """Return why the cleanup of a damaged journal is not the whole of it; None when every line could be read."""
    if not journal.damaged:
        return None
    message = f"{journal.path}: lines that cannot be read: {journal.damaged}; they may name more that the run sent"
    return Blocking(kind="run", id="journal", status=Status.ERROR, message=message)
