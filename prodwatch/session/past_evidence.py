"""Reads everything that a gate needs of a window that is over: each source once, priced before the first paid call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import convert
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.aws.usage_meter import shipped_prices
from prodwatch.clock import Clock
from prodwatch.formats.lambda_record import LineParser
from prodwatch.judge.signals import alarm_signal, is_judged, metric_signal
from prodwatch.model.comparison import RequestBatch
from prodwatch.model.environment import Environment, FunctionTarget, LogTarget, place_of
from prodwatch.model.identity import GroupId, unique_name
from prodwatch.model.release import UNDER_WAY, WENT_WRONG, first_release, serving_share
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import (
    NO_HISTORY,
    SETTLED_AFTER_S,
    AlarmState,
    EvaluatedSignals,
    MetricSeries,
    Record,
    ReleaseEvent,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Status
from prodwatch.session.engine import Engine
from prodwatch.session.last_week import read_last_week
from prodwatch.session.past import DEPLOYMENTS_BEFORE, BoundedReads, FixedClock, PastAlarms
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.build_sources import log_targets, unfilled_sources
from prodwatch.sources.error_status import error_status
from prodwatch.sources.lambda_metrics import MINUTE_S, RAW_METRICS, FunctionVersions
from prodwatch.sources.logs.discovery import discover_groups
from prodwatch.sources.logs.events import Occurrences, RawEvent
from prodwatch.sources.metrics import TIMEOUT_MARGIN_S, MetricSource, configured_keys
from prodwatch.sources.release.codedeploy import Reading, deployment_reader, read_places
from prodwatch.sources.release.event_sources import OrderedSourceReader
from prodwatch.sources.release.function_code import FunctionCodeCache
from prodwatch.sources.release.past_releases import past_states, unknown_steps
from prodwatch.sources.release.release_state import Deployment, events_of
from prodwatch.sources.release.rollback_alarms import RollbackAlarmReader
from prodwatch.sources.release.stack_events import StackEventReader
from prodwatch.sources.release.version_history import traffic_shifts
from prodwatch.text.units import format_usd
from prodwatch.views.time_window import Window

LINES_BEFORE = timedelta(minutes=10)
"""Lines from before the window, from which the old version's usual errors and durations are learnt."""
SIGNALS_BEFORE = timedelta(minutes=60)
"""Metrics and alarms from before the window."""
MAX_LINES = 300_000
"""Most log lines that are read of one group; the requests of a busier one are compared by CloudWatch's counts."""
MAX_READ_S = 300.0
"""Longest time for reading the lines of one group."""
HIGH_RESOLUTION_KEPT = timedelta(hours=3)
"""Retention of points that are finer than a minute."""
_METRIC_CALL, _ALARM_CALL = "cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms"


class Timed(NamedTuple):
    """A record, and when a session of that time would have received it."""

    at_ms: int
    source: str
    record: Record


class PastEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read of a window."""

    window: Window
    environment: Environment
    timeline: tuple[Timed, ...] = ()
    """In the order of time."""
    statuses: tuple[SourceStatus, ...] = ()
    """Each source as it was read; its `fresh_at` is set as the time of the window passes."""
    last_week: tuple[tuple[ReleaseState, tuple[RequestBatch, ...]], ...] = ()
    """Releases whose new version has served alone, and the same time a week before."""
    versions: Mapping[str, str] = {}
    """Function → version of the release that is judged."""
    shifted_at: datetime | None = None
    """When traffic was shifted to the last of them; None without a release."""
    refused: str | None = None
    """Why nothing can be judged, as the beginning of a sentence."""


class _Release(NamedTuple):
    """The releases of one function in the window."""

    function: FunctionTarget
    states: tuple[tuple[datetime, ReleaseState], ...]
    versions: FunctionVersions

    def judged(self, start: datetime, expected: str | None) -> ReleaseState | None:
        """Return the first state of the release that is judged: one under way at the start, or one that began later."""
        return next(
            (
                state
                for _, state in self.states
                if state.started_at is not None
                and (state.started_at >= start or state.phase in UNDER_WAY)
                and (serving_share(state) or state.phase in WENT_WRONG)
                and expected in {None, state.version}
            ),
            None,
        )


class PastEvidenceReader:
    """Reads one window of one environment; what cannot be read becomes a status, which the judge weighs."""

    def __init__(
        self,
        engine: Engine,
        environment: Environment,
        window: Window,
        clock: Clock,
        *,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        """`clock` shows the present; `say` receives the price before the first paid call."""
        self._engine = engine
        self._environment = environment
        self._window = window
        self._clock = clock
        self._say = say
        self._end = window.until(clock.now())
        self._aws = BoundedReads(engine.aws, window, self._end)
        self._timeline: list[Timed] = []
        self._statuses: dict[str, SourceStatus] = {}
        self._rollback = RollbackAlarmReader(engine.aws, clock, engine.clean)

    async def read(self, expected: Mapping[str, str]) -> PastEvidence:
        """Read everything; `expected` is function → version, `""` for the only function."""
        environment, window = self._environment, self._window
        for source in unfilled_sources(environment, self._engine.redactor):
            batch = await anext(source.batches())
            if batch.status is not None:
                self._statuses[source.name] = batch.status
        releases = await self._releases()
        judged = {
            release.function: state
            for release in releases
            if (state := release.judged(window.start, _expected(expected, release.function))) is not None
        }
        last_week = [each for release in releases if (each := _alone(release, judged)) is not None]
        refused = self._refusal(judged) or self._price(releases, len(last_week))
        if refused is None:
            await asyncio.gather(self._metrics(releases, judged), self._alarms(), self._stacks(), self._logs())
        weeks = [await self._last_week(function, state) for function, state in last_week] if refused is None else []
        return PastEvidence(
            window=replace(window, end=self._end),
            environment=environment,
            timeline=tuple(sorted(self._timeline, key=lambda each: each.at_ms)),
            statuses=tuple(self._statuses.values()),
            last_week=tuple(each for each in weeks if each is not None),
            versions={function.name: state.version or "" for function, state in judged.items()},
            shifted_at=max((each.started_at for each in judged.values() if each.started_at), default=None),
            refused=refused,
        )

    def _refusal(self, judged: Mapping[FunctionTarget, ReleaseState]) -> str | None:
        if not self._environment.functions or judged:
            return None
        span = f"between {self._window.start:%Y-%m-%d %H:%M} and {self._end:%Y-%m-%d %H:%M} UTC"
        unread = self._statuses["release"]
        why = "; ".join(filter(None, (unread.message, *unread.unread)))
        if why:
            return f"the releases {span} could not be read: {why}"
        return f"CodeDeploy shows no release of a watched function that served {span}, so nothing can be compared"

    def _price(self, releases: Sequence[_Release], weeks: int) -> str | None:
        """State the price of the paid calls; return why they are not made when they cost more than is allowed."""
        environment = self._environment
        by_function = sum(len(RAW_METRICS) * (1 + len(each.versions.versions)) for each in releases)
        configured = sum(2 if each.by_version else 1 for each in environment.metrics)
        series = by_function + configured + weeks * len(RAW_METRICS)
        alarms = sum(1 + len(each.names) for each in (*environment.alarms, *self._rollback.targets()))
        usd = series * self._price_of(_METRIC_CALL) + alarms * self._price_of(_ALARM_CALL)
        limit_usd = environment.limits.api_cost_usd
        left_usd = float("inf") if limit_usd is None else max(0.0, limit_usd - self._engine.aws.usage().cost_usd)
        about = f"about {format_usd(usd)} for {series} metric series and {alarms} alarm requests"
        if usd > left_usd:
            return f"reading the window costs {about}, and [limits] api_cost_usd leaves {format_usd(left_usd)}"
        self._say(f"reading {self._window.start:%Y-%m-%d %H:%M} to {self._end:%H:%M} UTC costs {about}; lines are free")
        return None

    def _price_of(self, call: str) -> float:
        return self._environment.limits.prices.get(call, shipped_prices()[call].usd)

    def _add(self, at: datetime, source: str, record: Record) -> None:
        if at <= self._end:
            self._timeline.append(Timed(round(at.timestamp() * 1000), source, record))

    def _note(self, source: str, *unread: str) -> None:
        known = self._statuses.get(source) or SourceStatus(source=source, phase=SourcePhase.LIVE)
        clean = tuple(map(self._engine.clean, unread))
        self._statuses[source] = replace(known, unread=tuple(dict.fromkeys((*known.unread, *clean))))

    def _failed(self, source: str, error: AwsError) -> None:
        status = error_status(source, error, self._clock.now().timestamp())
        message = self._engine.clean(status.message or "")
        self._statuses[source] = replace(status, message=message, retry_at=None)

    async def _releases(self) -> list[_Release]:
        """Read the deployments and add every state of a release to the time line."""
        environment, start = self._environment, self._window.start
        if not environment.functions:
            return []
        self._note("release")
        if environment.release.appconfig:
            self._note("release", "deployments of AppConfig are not read for a window that is over")
        readers = {
            (place, application): deployment_reader(self._aws, application, self._clock, place)
            for place in environment.deployment_places
            for application in environment.release.codedeploy
        }
        since = start - DEPLOYMENTS_BEFORE
        outcomes = await read_places(readers, lambda reader: reader.read(clean=self._engine.clean, since=since))
        deployments: list[Deployment] = []
        for outcome in outcomes.values():
            if isinstance(outcome, Reading):
                deployments += outcome.deployments
                self._note("release", *outcome.unread)
            else:
                self._note("release", f"CodeDeploy: {outcome.message}")
        for id_ in unknown_steps(deployments):
            self._note("release", f"GetDeploymentConfig: the steps of deployment {id_} could not be read")
        releases = [await self._release(each, deployments) for each in environment.functions]
        self._note("release", *self._rollback.unread())
        return releases

    async def _release(self, function: FunctionTarget, deployments: Sequence[Deployment]) -> _Release:
        engine = self._engine
        own = [each for each in deployments if each.owner == function.id]
        states = past_states(own, self._window.start, self._end)
        names = {name for _, state in states for name in (state.version, state.previous) if name}
        codes_of = FunctionCodeCache(engine.aws, engine.clean)
        codes = [code for each in sorted(names) if (code := await codes_of.of(function, each)) is not None]
        newest = next((each for each in own if each.rollback_of is None), None)
        try:
            rollback = await self._rollback.of(newest) if newest is not None else None
            ordered = await OrderedSourceReader(engine.aws, self._clock, engine.clean).of(function) if states else ()
        except AwsError as error:
            self._failed("release", error)
            rollback, ordered = None, ()
        place = place_of(function)
        filled = tuple(
            (
                at,
                replace(
                    state,
                    rollback=rollback,
                    ordered_sources=ordered,
                    code={each.version: each.sha256 for each in codes if each.sha256},
                    configuration={each.version: each.configuration for each in codes if each.configuration},
                    place=place,
                    suffix=self._environment.function_names.suffix(function.name, place),
                    log_group=function.log_group,
                ),
            )
            for at, state in states
        )
        for at, state in filled:
            self._add(at, "release", state)
        for each in own:
            for event in events_of(each):
                self._add(event.at, "release", event)
        versions = FunctionVersions(
            versions=tuple(sorted(names)),
            shifts=traffic_shifts(None, (), own) if own else (),
            timeout_s=max((each.timeout_s for each in codes if each.timeout_s is not None), default=None),
        )
        return _Release(function, filled, versions)

    async def _stacks(self) -> None:
        for stack in self._environment.stacks.values():
            reader = StackEventReader(self._engine.aws, stack, since=self._window.start, clean=self._engine.clean)
            try:
                events = await reader.read(self._clock.monotonic_s())
            except AwsError as error:
                self._note("release", f"stack {stack.name}: {error.message}")
            else:
                for each in events:
                    self._add(each.at, "release", each)

    async def _metrics(self, releases: Sequence[_Release], judged: Mapping[FunctionTarget, ReleaseState]) -> None:
        environment, start, now = self._environment, self._window.start, self._clock.now()
        if not environment.functions and not environment.metrics:
            return
        self._note("metrics")
        fine = [each for each in environment.metrics if each.period_s % MINUTE_S]
        if now - start > HIGH_RESOLUTION_KEPT:
            self._note("metrics", *(f"CloudWatch keeps points of {each.name} for three hours only" for each in fine))
        versions = {each.function: each.versions for each in releases}
        settles_s = max((each.timeout_s or 0.0 for each in versions.values()), default=0.0) + TIMEOUT_MARGIN_S
        longest_s = max((each.period_s for each in environment.metrics), default=MINUTE_S)
        # Every point of the window has settled by then.
        settled_at = self._end + timedelta(seconds=max(SETTLED_AFTER_S, settles_s) + max(MINUTE_S, longest_s))
        source = MetricSource(
            self._engine.aws,
            environment.functions,
            environment.metrics,
            clock=FixedClock(min(now, settled_at), self._clock),
            since=start - SIGNALS_BEFORE,
            versions_of=lambda function: versions.get(function, FunctionVersions()),
            release_of=lambda: first_release(judged.values()),
        )
        try:
            records = await source.poll()
        except AwsError as error:
            self._failed("metrics", error)
            return
        self._note("metrics", *source.unread())
        series = [each for each in records if isinstance(each, MetricSeries)]
        polled = {each.id: each for found in records if isinstance(found, EvaluatedSignals) for each in found.results}
        for each in series:
            for at_s, part in self._parts(each):
                self._add(datetime.fromtimestamp(at_s, UTC), "metrics", part)
        for at in self._minutes():
            results = tuple(self._judged_metrics(series, polled, at))
            self._add(at, "metrics", EvaluatedSignals(kind="metric", results=results))

    def _minutes(self) -> Iterator[datetime]:
        """Yield the start of the window, then each full minute."""
        yield self._window.start
        at_s = int(self._window.start.timestamp()) // MINUTE_S * MINUTE_S + MINUTE_S
        while at_s <= self._end.timestamp():
            yield datetime.fromtimestamp(at_s, UTC)
            at_s += MINUTE_S

    def _parts(self, series: MetricSeries) -> Iterator[tuple[int, MetricSeries]]:
        """Yield a series as it grew: what was known at the start of the window, then each period at its end."""
        before_s = int(self._window.start.timestamp())
        for at in self._minutes():
            at_s = int(at.timestamp())
            first = at_s <= before_s
            points = tuple(
                each
                for each in series.points
                if each.timestamp_s + series.period_s <= at_s
                and (first or each.timestamp_s + series.period_s > before_s)
            )
            read = tuple((start_s, min(end_s, at_s)) for start_s, end_s in series.read if start_s < at_s)
            if points or read:
                yield at_s, replace(series, points=points, read=read)
            before_s = at_s

    def _judged_metrics(
        self, series: Sequence[MetricSeries], polled: Mapping[str, SignalResult], at: datetime
    ) -> Iterator[SignalResult]:
        """Yield the assertions of the configured metrics as they were at a moment."""
        environment, at_s = self._environment, at.timestamp()
        for target, key in zip(environment.metrics, configured_keys(environment.metrics), strict=True):
            if not is_judged(target):
                continue
            # Of a metric that is read for both versions the new one's comes first.
            own = next((each for each in series if (each.key.label, each.key.metric) == (key.label, key.metric)), None)
            if own is None:
                yield polled[unique_name(target.name, place_of(target))]
                continue
            points = tuple(each for each in own.points if each.timestamp_s + own.period_s <= at_s)
            yield metric_signal(target, replace(own, points=points), at)

    async def _alarms(self) -> None:
        environment, start = self._environment, self._window.start
        targets = self._rollback.targets()
        if not environment.alarms and not targets:
            return
        self._note("alarms")
        source = AlarmSource(
            self._engine.aws,
            environment.alarms,
            clock=self._clock,
            since=start - SIGNALS_BEFORE,
            clean=self._engine.clean,
            rollback_targets=lambda: targets,
        )
        try:
            records = await source.poll()
        except AwsError as error:
            self._failed("alarms", error)
            return
        self._note("alarms", *source.unread())
        if NO_HISTORY in source.status(self._clock.monotonic_s()).notes:
            self._note("alarms", source.note() or "the history of the alarms could not be read")
        changes = [each for each in records if isinstance(each, ReleaseEvent)]
        for each in changes:
            self._add(each.at, "alarms", each)
        polled = [each for found in records if isinstance(found, EvaluatedSignals) for each in found.results]
        alarms = [each for each in records if isinstance(each, AlarmState)]
        # The history of an alarm does not contain its first state.
        began = [each.since for each in alarms if each.since is not None]
        for at in (
            start,
            *sorted({each for each in (*began, *(each.at for each in changes)) if start < each <= self._end}),
        ):
            then = PastAlarms(at)
            for alarm in alarms:
                then.add(alarm)
            for change in changes:
                then.add_change(change)
            states = then.states()
            for state in states:
                self._add(at, "alarms", state)
            known = {unique_name(each.name, each.place): each for each in states}
            results = tuple(_alarm_then(each, known.get(each.id)) for each in polled)
            self._add(at, "alarms", EvaluatedSignals(kind="alarm", results=results))

    async def _logs(self) -> None:
        await asyncio.gather(*(self._log_target(each) for each in log_targets(self._environment)))

    async def _log_target(self, target: LogTarget) -> None:
        try:
            names = await discover_groups(self._aws, target) if target.group.endswith("*") else [target.group]
        except AwsError as error:
            self._failed(f"logs:{target.id.key}", error)
            return
        for name in names:
            source = f"logs:{GroupId(name, place_of(target)).key}"
            try:
                why = await self._log_group(target, name, source)
            except AwsError as error:
                self._failed(source, error)
            else:
                phase = SourcePhase.LIVE if why is None else SourcePhase.FAILED
                self._statuses[source] = SourceStatus(
                    source=source, phase=phase, message=why, read_from=self._window.start - LINES_BEFORE
                )

    async def _log_group(self, target: LogTarget, name: str, source: str) -> str | None:
        """Add the lines of a group; return why not all could be read, in which case none is added. Raises AwsError."""
        query = {
            "logGroupName": name,
            "startTime": int((self._window.start - LINES_BEFORE).timestamp() * 1000),
            "endTime": int(self._end.timestamp() * 1000) - 1,
            **({"filterPattern": target.filter} if target.filter else {}),
        }
        lines, occurrences = LineParser(self._engine.redactor), Occurrences()
        until_s = self._clock.monotonic_s() + MAX_READ_S
        found: list[Timed] = []
        place = place_of(target)
        pages = self._aws.pages("logs", "FilterLogEvents", query, account=target.account, region=target.region)
        async for page in pages:
            events = occurrences.identified([convert(each, RawEvent) for each in page.get("events", ())])
            found += [
                Timed(record.timestamp_ms, source, replace(record, place=place))
                for record in lines.parse_all(events, name)
            ]
            if len(found) > MAX_LINES:
                return f"the window has more than {MAX_LINES:,} lines: requests are compared by count"
            if page.get("nextToken") and self._clock.monotonic_s() > until_s:
                return (
                    f"its lines could not be read within {round(MAX_READ_S / 60)} min: requests are compared by count"
                )
        self._timeline += found
        return None

    async def _last_week(
        self, function: FunctionTarget, state: ReleaseState
    ) -> tuple[ReleaseState, tuple[RequestBatch, ...]] | None:
        try:
            return state, await read_last_week(self._engine.aws, function, state, self._clock)
        except AwsError as error:
            self._note("metrics", f"the week before the release could not be read: {error.message}")
            return None


def _expected(versions: Mapping[str, str], function: FunctionTarget) -> str | None:
    return versions.get(function.name, versions.get(""))


def _alone(
    release: _Release, judged: Mapping[FunctionTarget, ReleaseState]
) -> tuple[FunctionTarget, ReleaseState] | None:
    """Return a function and the first state in which the version that is judged serves alone; None without one."""
    first = judged.get(release.function)
    if first is None:
        return None
    for _, state in release.states:
        serving = {version for version, weight in state.weights.items() if weight > 0}
        if state.version == first.version and serving == {first.version} and state.phase not in WENT_WRONG:
            return release.function, state
    return None


def _alarm_then(now: SignalResult, then: AlarmState | None) -> SignalResult:
    """Return an alarm's signal as it was, None of which is known as it is now."""
    if then is None:
        return now
    without_data = Status.SKIPPED if now.status is Status.SKIPPED else Status.INCONCLUSIVE
    return alarm_signal(then, gate=now.gate, without_data=without_data)
