"""The live session of the dashboard: sources and rounds of checks feed the store until it is stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.clock import Clock
from prodwatch.errors import ConfigurationError, ProdwatchError
from prodwatch.judge.decide import not_worked_out
from prodwatch.judge.decision import WAITING
from prodwatch.model.check import CheckDefinition, measures_the_same
from prodwatch.model.environment import DemoTarget, Environment
from prodwatch.model.event import CheckFinished, RunEvent
from prodwatch.model.evidence import FunctionsWatched, Opened
from prodwatch.model.result import CheckResult, Notice
from prodwatch.model.signal import Batch, LogRecord, SourcePhase, SourceStatus, Trace
from prodwatch.model.status import Status
from prodwatch.runner import RoundPlan, Runner, RunOptions, Selection, select
from prodwatch.session.engine import Engine, ci_name, host_name, open_engine
from prodwatch.session.function_log_groups import START_S, find_function_groups
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.session.reload import Reload, not_followed
from prodwatch.session.session_history import SessionHistory
from prodwatch.settings import Project
from prodwatch.sources.base import Source
from prodwatch.sources.build_sources import UnfilledSource, build_sources, log_targets
from prodwatch.sources.log_search import find_lines
from prodwatch.sources.logs.source import LogSource, group_key
from prodwatch.sources.supervisor import Supervisor
from prodwatch.sources.traces import fetch_trace
from prodwatch.store.store import Store
from prodwatch.text.redact import Redactor
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import judge_session
from prodwatch.views.window_comparison import directions

TICK_S = 0.5
JUDGE_EVERY_S = 1.0
"""Less often than the screen decides: in triage a verdict compares whole windows of metrics."""
RELOAD_EVERY_S = 2.0
LOGS_BEFORE = timedelta(minutes=5)
"""History of log lines and traces read at the start."""
SIGNALS_BEFORE = timedelta(minutes=60)
"""History of metrics, alarms and releases read at the start."""
SEARCH_BEFORE = timedelta(minutes=15)
"""History searched for the lines of a request."""
_NEEDED_FOR_HEALTHY = frozenset(("release", "alarms", "metrics"))

_LOG = logging.getLogger(__name__)
_RED = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE)


class LiveSession:
    """Owns the engine, the sources and the rounds of one dashboard."""

    def __init__(
        self,
        project: Project,
        store: Store,
        clock: Clock,
        *,
        demo: DemoTarget | None = None,
        allow_writes: bool = False,
        reload: Reload | None = None,
        window: Window | None = None,
        lines_before: timedelta = LOGS_BEFORE,
        hold_rounds: bool = False,
        redactor: Redactor | None = None,
        history: SessionHistory | None = None,
    ) -> None:
        """`clock` shows the present, even when `window` is in the past.

        `lines_before` is the history of log lines that is read at the start, without a window. With `hold_rounds` no
        check runs before `begin_rounds`. The secrets that are read are added to `redactor`. `history` keeps the
        session; it is not kept for None.
        """
        self._redactor = redactor
        self._history = history
        self._lines_before = lines_before
        self._may_run = asyncio.Event()
        if not hold_rounds:
            self._may_run.set()
        self._project = project
        self._store = store
        self._clock = clock
        self._demo = demo
        self._options = RunOptions(mode="dashboard", host=host_name(), ci=ci_name(), allow_writes=allow_writes)
        self._stack = AsyncExitStack()
        self._engine: Engine | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._present: dict[str, CheckDefinition] = {}
        """The checks of the present edition of the project, whose results are filed."""
        self._plan = RoundPlan((), every_s=project.environment.rounds.every_s)
        self._follow(project)
        self._running: set[str] = set()
        self._stopping = False
        self._cleaned: list[CheckResult] = []
        """Checks that were cleaned up while the session was stopped."""
        self._reload = reload
        self._window = window
        self._runner: Runner | None = None
        self._logs: LogSource | None = None
        environment = project.environment
        self._comparisons = ReleaseComparisons(
            store, environment.compare, len(environment.functions), baseline=environment.release.baseline
        )

    async def start(self) -> None:
        """Start feeding the store; an error becomes a status in the store, which the dashboard shows."""
        past = self._window is not None and self._window.is_past
        if not past:
            self._store.define(self._project.checks)
            self._spawn(self._judging())
        for notice in self._project.notices:
            self._store.notice(Notice(code="configuration", message=notice))
        try:
            engine = await self._stack.enter_async_context(
                open_engine(
                    self._project,
                    listener=self._filing(self._project),
                    on_notice=self._store.notice,
                    demo=self._demo,
                    clock=self._clock,
                    redactor=self._redactor,
                )
            )
        except ProdwatchError as caught:
            self._note_opened()
            status = SourceStatus(source="session", phase=SourcePhase.FAILED, message=str(caught))
            self._store.apply(Batch(source="session", status=status))
            return
        environment = await find_function_groups(engine, warn=self._warn_of_logs, within_s=START_S)
        engine = replace(engine, environment=environment)
        if self._stopping:
            return
        self._engine = engine
        self._runner = engine.runner
        await self._learn_secrets(engine)
        self._note_opened()
        self._store.note(FunctionsWatched(functions=environment.functions, metrics=environment.metrics))
        self._comparisons.watch(environment.functions, environment.metrics)
        if self._window is not None and past:
            from prodwatch.session.past import PastReader

            self._spawn(PastReader(engine, self._window, self._store, self._clock).run())
            self._spawn(self._counting(engine))
            return
        sources = self._sources(engine)
        for name in _needed_for_healthy(engine.environment, sources):
            # A source with a status and no data keeps the verdict from "healthy".
            self._store.apply(Batch(source=name, status=SourceStatus(source=name)))
        self._logs = next((each for each in sources if isinstance(each, LogSource)), None)
        supervisor = Supervisor(sources, self._store.apply, clock=self._clock, clean=engine.clean)
        supervisor.start()
        self._stack.push_async_callback(supervisor.stop)
        if self._window is not None:
            self._spawn(self._week_before(engine, self._window, sources))
        else:
            self._spawn(self._last_week(engine))
            if engine.environment.compare.insights:
                self._spawn(self._insights(engine))
        self._begin(engine)

    def _begin(self, engine: Engine) -> None:
        """Begin the rounds, and what accompanies them."""
        self._spawn(self._rounds(engine))
        if self._history is not None:
            self._spawn(self._history.run(engine.clean))
        if self._reload is not None:
            self._spawn(self._reloading(engine, self._reload))

    def _note_opened(self) -> None:
        window = self._window
        start, end = (None, None) if window is None else (window.start, window.end)
        self._store.note(Opened(environment=self._project.environment, window_start=start, window_end=end))

    def _warn_of_logs(self, message: str) -> None:
        self._store.notice(Notice(code="logs", message=message))

    async def _learn_secrets(self, engine: Engine) -> None:
        """Read the secrets before anything remote is shown; those that are not masked become notices."""
        await engine.inputs.learn_secrets()
        for each in engine.inputs.unmasked_secrets():
            self._store.notice(Notice(code="secret", message=engine.clean(f"a secret is not masked: {each.message}")))

    def _sources(self, engine: Engine) -> list[Source]:
        """Return the sources that follow the present, starting as far back as the window."""
        now, window = self._clock.now(), self._window
        return build_sources(
            engine.environment,
            engine.aws,
            clock=self._clock,
            redactor=engine.redactor,
            logs_since=window.lines_from(now) if window else now - self._lines_before,
            since=window.compared_from(now) if window else now - SIGNALS_BEFORE,
            own_traces=self._store.own.traces_between,
            exceedances_of=self._comparisons.exceedances_of,
        )

    async def _week_before(self, engine: Engine, window: Window, sources: Sequence[Source]) -> None:
        """Read last week's metrics once the release, and with it the versions to read, is known."""
        from prodwatch.session.past import read_week_before

        while (status := self._store.sources.get("release")) and status.phase is SourcePhase.STARTING:
            await self._clock.sleep(TICK_S)
        await read_week_before(engine, window, self._clock.now(), sources, self._store, self._clock)

    async def _last_week(self, engine: Engine) -> None:
        """Read last week's counts for releases that only time can be compared with."""
        from prodwatch.session.last_week import follow_last_week

        await follow_last_week(engine.environment, engine.aws, self._comparisons, self._clock)

    async def _insights(self, engine: Engine) -> None:
        """Count the errors of the hour before a release, where it was not read."""
        from prodwatch.formats.lambda_record import LineParser
        from prodwatch.session.insights_before import InsightsCounts

        counts = InsightsCounts(engine.environment, engine.aws, self._store, LineParser(engine.redactor), self._clock)
        await counts.follow()

    async def _counting(self, engine: Engine) -> None:
        """Update calls and cost in the store of a past window, which has no rounds that do so."""
        while True:
            self._store.set_usage(engine.aws.usage())
            await self._clock.sleep(TICK_S)

    async def stop(self) -> tuple[CheckResult, ...]:
        """Cancel the rounds, which runs their cleanups, stop the sources, and end the embedded AWS.

        Returns the checks that were cleaned up meanwhile. Cancelling it abandons the cleanups.
        """
        self._stopping = True
        # Before the rounds are cancelled, because an interrupted check has measured nothing.
        entry = self._history.entry(self._engine.clean) if self._history and self._engine else None
        running = tuple(self._tasks)
        for task in running:
            task.cancel()
        current = asyncio.current_task()
        while running := tuple(task for task in running if not task.done()):
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError:
                if current is not None:
                    current.uncancel()
                for task in running:
                    task.cancel()
        if self._history is not None:
            await self._history.write(entry)
        await self._stack.aclose()
        return tuple(self._cleaned)

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks now."""
        if self._engine is not None and not (self._window and self._window.is_past):
            ids = [each for each in check_ids if each not in self._running]
            # A task of the session: the caller may end before the cleanups of this round.
            await asyncio.shield(self._spawn(self._round(self._engine, ids, requested=True)))

    async def rerun_failed(self) -> None:
        """Run every check now that is not green."""
        await self.rerun([each.id for each in self._store.checks.tracks.values() if each.status in _RED])

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace; None when X-Ray does not have it yet."""
        if self._engine is None:
            return None
        from prodwatch.sources.redaction import SignalRedactor

        try:
            return await fetch_trace(
                self._engine.aws,
                trace_id,
                SignalRedactor(self._engine.redactor),
                self._engine.environment.trace_places,
            )
        except AwsError as caught:
            self._store.notice(Notice(code="traces", message=self._engine.clean(caught.message)))
            return None

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Read these log groups every second, even while they bring no lines."""
        if self._logs is not None:
            self._logs.pin(set(groups))

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return recent lines with any of the ids, from every watched group."""
        if self._engine is None:
            return ()
        lines, problems = await find_lines(
            self._engine.aws,
            log_targets(self._engine.environment),
            [*request_ids, *((trace_id,) if trace_id else ())],
            since=self._window.start if self._window else self._clock.now() - SEARCH_BEFORE,
            redactor=self._engine.redactor,
        )
        for problem in problems:
            self._store.notice(Notice(code="logs", message=self._engine.clean(problem)))
        return lines

    def begin_rounds(self) -> None:
        """Run the checks from now on."""
        self._may_run.set()

    async def _rounds(self, engine: Engine) -> None:
        """Start the checks that are due, each at its own interval; a slow round delays no other."""
        while True:
            now_s = self._clock.monotonic_s()
            due = [each for each in self._plan.due(now_s) if each not in self._running and self._may_run.is_set()]
            if due:
                self._spawn(self._round(engine, due))
            self._store.set_usage(engine.aws.usage())
            self._store.set_slow(engine.lag.slow_ms())
            await self._clock.sleep(TICK_S)

    async def _judging(self) -> None:
        """File the verdict of each moment in the store, where its changes become events of the time line."""
        while True:
            self._judge()
            await self._clock.sleep(JUDGE_EVERY_S)

    def _judge(self) -> None:
        environment, now = self._project.environment, self._clock.now()
        try:
            self._comparisons.update(now)
            decision = judge_session(
                self._store,
                now,
                every_s=environment.rounds.every_s,
                window=self._window,
                better=directions(environment.metrics),
            ).decision
        except Exception as error:  # noqa: BLE001 -- a green verdict must not outlive the facts it rests on
            _LOG.exception("the verdict could not be worked out")
            self._store.set_verdict(not_worked_out(error))
            return
        if self._store.verdict is not None or decision.headline.rule not in WAITING:
            self._store.set_verdict(decision.verdict)

    async def _reloading(self, engine: Engine, reload: Reload) -> None:
        """Reload edited checks; after an invalid edit the old checks still run, with a notice."""
        while True:
            await self._clock.sleep(RELOAD_EVERY_S)
            outcome = await asyncio.to_thread(reload.poll)
            if isinstance(outcome, ConfigurationError):
                first, more = outcome.problems[0], len(outcome.problems) - 1
                problems = f"{first}" + (f" (and {more} more)" if more else "")
                message = f"edit ignored, old checks still run: {problems}"
                self._store.notice(Notice(code="configuration", message=message))
            elif outcome is not None:
                self._adopt(engine, outcome)

    def _adopt(self, engine: Engine, project: Project) -> None:
        unrun = self._follow(project)
        # Running rounds end on the runner they started on.
        self._runner = engine.runner_for(project, self._filing(project))
        self._stack.push_async_callback(self._runner.close)
        self._store.define(project.checks)
        for check in project.checks:
            kept = self._plan.latest(check.id)
            if kept is not None and self._store.checks.tracks[check.id].latest is None:
                # Its file was empty or missing for a moment while it was saved.
                self._store.apply_event(CheckFinished(result=kept))
        message = f"checks reloaded: {len(project.checks)}"
        if unrun:
            message += f"; not run again, because they change data (r runs them): {', '.join(unrun)}"
        tables = not_followed(engine.project.environment, project.environment)
        if tables:
            message += f"; read at the next start: {', '.join(tables)}"
        self._project = project
        self._note_opened()
        self._store.notice(Notice(code="configuration", message=message))

    def _follow(self, project: Project) -> tuple[str, ...]:
        """Adopt a project's checks; return the ids of mutating checks that do not run again by themselves."""
        everything = (*project.checks, *project.referenced)
        self._present = {check.id: check for check in everything}
        chosen = select(project.checks, Selection(), project.environment.name)
        return self._plan.follow(chosen, everything, every_s=project.environment.rounds.every_s)

    def _filing(self, project: Project) -> Callable[[RunEvent], None]:
        """Return a listener for the runs of one edition of the project: it files what is of the present edition."""
        made = {check.id: check for check in (*project.checks, *project.referenced)}

        def is_present(id_: str) -> bool:
            present = self._present.get(id_)
            return present is not None and id_ in made and measures_the_same(made[id_], present)

        def file(event: RunEvent) -> None:
            if isinstance(event, CheckFinished):
                if self._stopping and event.result.cleanup:
                    self._cleaned.append(event.result)
                kept = tuple(each for each in event.result.diagnosed_by if is_present(each.id))
                event = CheckFinished(result=replace(event.result, diagnosed_by=kept))
            id_ = event.result.id if isinstance(event, CheckFinished) else getattr(event, "id", None)
            if id_ is None or is_present(id_):
                self._store.apply_event(event)

        return file

    async def _round(self, engine: Engine, ids: Sequence[str], *, requested: bool = False) -> None:
        self._running.update(ids)
        try:
            runner = self._runner or engine.runner
            await runner.run_round(ids, self._options, self._plan, requested=requested)
        finally:
            self._running.difference_update(ids)

    def _spawn(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("a task of the session failed", exc_info=error)
            status = SourceStatus(
                source="session", phase=SourcePhase.FAILED, message=f"{type(error).__name__}: {error}"
            )
            self._store.apply(Batch(source="session", status=status))


def _needed_for_healthy(environment: Environment, sources: Sequence[Source]) -> list[str]:
    """Return the names of the sources that must have answered, each log group or prefix of groups included."""
    names = [each.name for each in sources if each.name in _NEEDED_FOR_HEALTHY or isinstance(each, UnfilledSource)]
    return [*names, *(f"logs:{group_key(each.group, each)}" for each in log_targets(environment))]
