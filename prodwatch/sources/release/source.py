"""Watches aliases, deployments, function code and stacks; reports every change once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import AlarmTarget, Environment, FunctionTarget, place_of
from prodwatch.model.identity import Place
from prodwatch.model.signal import Record, ReleaseEvent, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import DENIED_EVERY_S, error_of_all
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.release.alias_weights import (
    AliasObservation,
    AliasState,
    alias_state_of,
    newest_version,
    split_versions,
    traffic_shares,
)
from prodwatch.sources.release.appconfig import ConfigurationReader
from prodwatch.sources.release.codedeploy import Reading, deployment_reader, read_places
from prodwatch.sources.release.event_sources import OrderedSourceReader
from prodwatch.sources.release.function_code import (
    LATEST,
    FunctionCode,
    FunctionCodeCache,
    code_changed_event,
    published_event,
    unaliased_state,
)
from prodwatch.sources.release.release_state import Deployment, events_of, release_state
from prodwatch.sources.release.rollback_alarms import RollbackAlarmReader
from prodwatch.sources.release.stack_events import StackEventReader
from prodwatch.sources.release.version_history import traffic_shifts

EVERY_S = 5.0
"""Pause between polls of aliases."""
UNALIASED_EVERY_S = 15.0
"""Pause between reads of a function without an alias."""
MAX_SEEN = 50
"""Changes remembered per alias."""
_SHARED_CAUSES = frozenset((Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS))
"""Causes of errors that affect all parts of an account and region alike."""


class ReleaseSource(PollingSource):
    """Polls each watched alias every 5 s, and deployments, stacks and unaliased functions at intervals of their own."""

    name = "release"

    def __init__(
        self,
        aws: AwsApi,
        environment: Environment,
        *,
        clock: Clock,
        since: datetime,
        clean: Callable[[str], str],
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._functions = environment.functions
        self._names = environment.function_names
        self._since = since
        self._clean = clean
        self._deployments = {
            (place, application): deployment_reader(aws, application, clock, place)
            for place in environment.deployment_places
            for application in environment.release.codedeploy
        }
        self._readings: dict[tuple[Place, str], Reading] = {}
        """Place and application → as last read; they remain valid while CodeDeploy cannot be read."""
        self._deployments_due_s: dict[tuple[Place, str], float] = {}
        self._deployment_errors: dict[tuple[Place, str], str] = {}
        """Place and application → why the deployments could not be read."""
        self._stacks = [StackEventReader(aws, stack, since=since, clean=clean) for stack in environment.stacks.values()]
        self._code = FunctionCodeCache(aws, clean)
        self._configurations = ConfigurationReader(
            aws, environment.release.appconfig, clock=clock, since=since, clean=clean
        )
        self._rollback = RollbackAlarmReader(aws, clock, clean)
        self._ordered_sources = OrderedSourceReader(aws, clock, clean)
        self._has_polled = False
        self._alias_history: dict[FunctionTarget, list[AliasObservation]] = {}
        self._latest_code: dict[FunctionTarget, FunctionCode] = {}
        self._previous_code: dict[FunctionTarget, FunctionCode] = {}
        self._unaliased_due_s: dict[FunctionTarget, float] = {}
        self._reported: set[tuple[datetime, str, Place, str, str | None]] = set()
        self._versions: dict[FunctionTarget, FunctionVersions] = {}
        self.states: dict[FunctionTarget, ReleaseState] = {}
        """Function → state of its release; the service graph source reads its start."""
        self._notes: list[str] = []
        self._outbox: list[ReleaseEvent] = []
        """Unsent events: when one part of a poll fails, the next poll still sends them."""

    def pause_s(self) -> float:
        """Return the seconds between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Return what is missing and why, and the progress of stack updates; None without any."""
        parts = [note for reading in self._readings.values() for note in (*reading.notes, *reading.unread)]
        errors = self._deployment_errors.values()
        notes = [
            *self._notes,
            *dict.fromkeys((*errors, *parts)),
            *self._rollback.unread(),
            *self._configurations.unread(),
            *self._ordered_sources.notes(),
            *(stack.note() for stack in self._stacks),
        ]
        return "; ".join(filter(None, notes)) or None

    def unread(self) -> tuple[str, ...]:
        """Return the errors of functions that could not be read, of CodeDeploy and of AppConfig."""
        parts = [part for reading in self._readings.values() for part in reading.unread]
        deployments = dict.fromkeys((*self._deployment_errors.values(), *parts))
        return (*self._notes, *deployments, *self._rollback.unread(), *self._configurations.unread())

    def versions_of(self, function: FunctionTarget) -> FunctionVersions:
        """Return the known versions of a function and its traffic shifts, for the metric source."""
        return self._versions.get(function, FunctionVersions())

    def rollback_targets(self) -> tuple[AlarmTarget, ...] | None:
        """Return the alarms that stop the watched deployments; None before the first poll has ended."""
        return (*self._rollback.targets(), *self._configurations.targets()) if self._has_polled else None

    async def poll(self) -> list[Record]:
        """Return the release state of every watched function, and new events."""
        try:
            return await self._poll()
        finally:
            self._has_polled = True

    async def _poll(self) -> list[Record]:
        self._notes = []
        reads = asyncio.gather(*(self._read_function(function) for function in self._functions), return_exceptions=True)
        try:
            deployments = await self._read_deployments()
        finally:
            outcomes = await reads
        records: list[Record] = []
        failed: list[AwsError] = []
        for function, outcome in zip(self._functions, outcomes, strict=True):
            if isinstance(outcome, AwsError):
                failed.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                records += outcome
            if function.alias is not None:
                records += await self._state(function, deployments, readable=not isinstance(outcome, AwsError))
        for id_ in dict.fromkeys((deployment.place, deployment.id) for deployment in deployments):
            parts = [part for part in deployments if (part.place, part.id) == id_]
            for deployment in parts:
                self._report(events_of(deployment, named=len(parts) > 1))
        configurations, configuration_events = await self._configurations.read()
        records += configurations
        self._report(configuration_events)
        self._raise_or_note(failed, everything=len(failed) == len(outcomes) and not records)
        for stack in self._stacks:
            await self._read_stack(stack)
        events, self._outbox = sorted(self._outbox, key=lambda event: event.at), []
        return [*records, *events]

    def _raise_or_note(self, failed: Sequence[AwsError], *, everything: bool) -> None:
        """Raise an error when nothing could be read or the user's limit is exhausted; otherwise note it."""
        for error in failed:
            if error.reason is Reason.LIMIT:
                raise error
        if failed and everything:
            raise error_of_all(failed, self._deployment_errors.values())
        self._notes += dict.fromkeys(error.message for error in failed)

    async def _read_deployments(self) -> list[Deployment]:
        """Return the deployments of all accounts and regions; those of one that cannot be read as last known."""
        now_s = self._now_s()
        due = {
            key: reader
            for key, reader in self._deployments.items()
            if now_s >= self._deployments_due_s.get(key, float("-inf"))
        }
        outcomes = await read_places(due, lambda reader: reader.read(clean=self._clean, since=self._since))
        failed = [outcome for outcome in outcomes.values() if isinstance(outcome, AwsError)]
        for error in failed:
            alone = len(failed) == len(self._deployments)
            if error.reason is Reason.LIMIT or (alone and error.reason in _SHARED_CAUSES):
                raise error
        for key, outcome in outcomes.items():
            if isinstance(outcome, Reading):
                self._readings[key] = outcome
                self._deployment_errors.pop(key, None)
                continue
            # Alias weights still show most of the release; the note reports the missing part.
            place = key[0]
            self._deployment_errors[key] = f"CodeDeploy{f' in {place}' if place else ''}: {outcome.message}"
            denied = outcome.reason is Reason.ACCESS_DENIED
            self._deployments_due_s[key] = now_s + (DENIED_EVERY_S if denied else 0.0)
        return [deployment for reading in self._readings.values() for deployment in reading.deployments]

    async def _read_function(self, function: FunctionTarget) -> list[Record]:
        """Read a function's alias or code, and return its state if it has no alias; raises AwsError."""
        if function.alias is None:
            return await self._read_unaliased(function)
        response = await self._aws.call(
            "lambda",
            "GetAlias",
            {"FunctionName": function.name, "Name": function.alias},
            account=function.account,
            region=function.region,
        )
        now = alias_state_of(response)
        history = self._alias_history.setdefault(function, [])
        before = history[-1].state if history else None
        if before == now:
            return []
        history.append(AliasObservation(self._clock.now(), now))
        del history[:-MAX_SEEN]
        for (place, _), reader in self._deployments.items():
            if place == place_of(function):
                reader.request_listing()
        if before is not None:
            self._outbox.append(self._alias_event(function, before, now))
        return []

    async def _read_unaliased(self, function: FunctionTarget) -> list[Record]:
        now_s = self._now_s()
        if now_s < self._unaliased_due_s.get(function, float("-inf")):
            return []
        self._unaliased_due_s[function] = now_s + UNALIASED_EVERY_S
        at = self._clock.now()
        code = await self._code.read(function, LATEST)
        before = self._latest_code.get(function)
        self._latest_code[function] = code
        if before is not None and (before.sha256, before.configuration) != (code.sha256, code.configuration):
            self._previous_code[function] = before
            self._outbox.append(code_changed_event(function, before, code, at))
        self._versions[function] = FunctionVersions(timeout_s=code.timeout_s)
        state = unaliased_state(function, code, self._previous_code.get(function), at)
        return [replace(state, suffix=self._names.suffix(function.name, state.place))]

    async def _state(
        self, function: FunctionTarget, deployments: Sequence[Deployment], *, readable: bool
    ) -> list[Record]:
        own_deployments = [deployment for deployment in deployments if deployment.owner == function.id]
        history = self._alias_history.get(function, [])
        now = history[-1].state if history and readable else None
        if now is None and not own_deployments:
            return []
        state = release_state(
            function.name, function.alias, now, own_deployments, at=self._clock.now(), history=history
        )
        served = [*traffic_shares(now), *now.weights] if now is not None else []
        versions = list(dict.fromkeys([*served, *filter(None, (state.version, state.previous))]))
        codes = [code for version in versions if (code := await self._code.of(function, version)) is not None]
        self._versions[function] = FunctionVersions(
            versions=tuple(versions),
            shifts=traffic_shifts(
                now,
                history,
                own_deployments,
                published_s={code.version: code.published_at.timestamp() for code in codes if code.published_at},
            ),
            timeout_s=max((code.timeout_s for code in codes if code.timeout_s is not None), default=None),
        )
        self._report_published(function, codes)
        deployment = next((each for each in own_deployments if each.id == state.deployment), None)
        state = replace(
            state,
            rollback=await self._rollback.of(deployment) if deployment is not None else None,
            ordered_sources=await self._ordered_sources.of(function),
            code={code.version: code.sha256 for code in codes if code.sha256},
            configuration={code.version: code.configuration for code in codes if code.configuration},
            place=place_of(function),
            suffix=self._names.suffix(function.name, place_of(function)),
            log_group=function.log_group,
        )
        self.states[function] = state
        return [state]

    def _report_published(self, function: FunctionTarget, codes: Sequence[FunctionCode]) -> None:
        if not codes:
            return
        latest = newest_version(code.version for code in codes)
        new = next(code for code in codes if code.version == latest)
        previous = next((code for code in codes if code.version != latest), None)
        event = published_event(function, new, previous)
        self._report([event] if event else [])

    def _alias_event(self, function: FunctionTarget, before: AliasState, now: AliasState) -> ReleaseEvent:
        to = now.sole_version
        if to is None:
            to, from_ = split_versions(now)
        else:
            # A split that ended leaves from the version that lost its traffic.
            versions = (before.primary,) if before.sole_version is not None else split_versions(before)
            from_ = next(version for version in versions if version != to)
        return ReleaseEvent(
            at=self._clock.now(),
            source="lambda",
            subject=f"{function.name}:{function.alias}",
            what="alias moved" if now.sole_version is not None and before.primary != to else "weights changed",
            from_=from_,
            to=to,
            weight=traffic_shares(now)[to],
            place=place_of(function),
        )

    def _report(self, events: Iterable[ReleaseEvent]) -> None:
        """Queue events that have not been reported."""
        for event in events:
            mark = (event.at, event.subject, event.place, event.what, event.to)
            if event.at >= self._since and mark not in self._reported:
                self._reported.add(mark)
                self._outbox.append(event)

    async def _read_stack(self, stack: StackEventReader) -> None:
        if not stack.is_due(self._now_s()):
            return
        try:
            self._report(await stack.read(self._now_s()))
        except AwsError as error:
            if error.reason is Reason.LIMIT:
                raise
            stack.error = error.message
