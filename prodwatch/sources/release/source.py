"""Watches aliases, deployments and stacks, and tells every change once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment, FunctionTarget, StackReference
from prodwatch.model.signal import Record, ReleaseEvent, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.polling import PollingSource
from prodwatch.sources.release.codedeploy import recent_deployments
from prodwatch.sources.release.state import AliasNow, DeploymentNow, events_of, release_state

EVERY_S = 5.0
STACKS_EVERY_S = 60.0
STACKS_BUSY_EVERY_S = 5.0


class ReleaseSource(PollingSource):
    """Polls each watched alias every five seconds, and what else tells of a release as often as it can change."""

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
        self._environment = environment
        self._since = since
        self._clean = clean
        self._aliases: dict[str, AliasNow] = {}
        self._told: set[tuple[datetime, str, str]] = set()
        self._stacks_due_s = 0.0
        self._notes: list[str] = []
        self.versions: dict[str, tuple[str, ...]] = {}
        """Function name → versions under its alias now or in the latest deployment; the metric source reads it."""
        self.states: dict[str, ReleaseState] = {}
        """Function name → state of its release; the service map reads when it began."""

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Say which part of the picture is missing, and why."""
        return "; ".join(self._notes) or None

    async def poll(self) -> list[Record]:
        """Return the state of every watched function and whatever is new on the time line."""
        self._notes = []
        records: list[Record] = []
        deployments = await self._deployments()
        for function in self._environment.functions:
            records += await self._function(function, deployments)
        for deployment in deployments:
            records += self._new(events_of(deployment))
        if self._now_s() >= self._stacks_due_s:
            records += await self._stacks()
        return records

    async def _deployments(self) -> list[DeploymentNow]:
        application = self._environment.release.codedeploy
        if not application:
            return []
        try:
            return await recent_deployments(self._aws, application, clean=self._clean)
        except AwsError as caught:
            if caught.reason in {Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS}:
                raise
            # Alias weights still tell most of the story; what is missing is said.
            self._notes.append(f"CodeDeploy: {caught.message}")
            return []

    async def _function(self, function: FunctionTarget, deployments: list[DeploymentNow]) -> list[Record]:
        if function.alias is None:
            return []
        answer = await self._aws.call(
            "lambda",
            "GetAlias",
            {"FunctionName": function.name, "Name": function.alias},
            account=function.account,
            region=function.region,
        )
        routing = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        now = AliasNow(answer["FunctionVersion"], {version: float(share) for version, share in routing.items()})
        own = [each for each in deployments if (each.function, each.alias) == (function.name, function.alias)]
        state = release_state(function.name, function.alias, now, own, at=self._clock.now())
        seen = dict.fromkeys([now.primary, *now.weights, *filter(None, (state.version, state.previous))])
        self.versions[function.name] = tuple(seen)
        before = self._aliases.get(function.name)
        self._aliases[function.name] = now
        self.states[function.name] = state
        return [*self._weight_events(function, before, now), state]

    def _weight_events(self, function: FunctionTarget, before: AliasNow | None, now: AliasNow) -> list[Record]:
        if before is None or before == now:
            return []
        newest = next(iter(now.weights), now.primary)
        return [
            ReleaseEvent(
                at=self._clock.now(),
                source="lambda",
                subject=f"{function.name}:{function.alias}",
                what="alias moved" if before.primary != now.primary else "weights changed",
                from_=now.primary if now.weights else before.primary,
                to=newest,
                weight=now.weights.get(newest, 1.0),
            )
        ]

    def _new(self, events: list[ReleaseEvent]) -> list[Record]:
        fresh: list[Record] = []
        for event in events:
            mark = (event.at, event.subject, event.what)
            if event.at >= self._since and mark not in self._told:
                self._told.add(mark)
                fresh.append(event)
        return fresh

    async def _stacks(self) -> list[Record]:
        records: list[Record] = []
        busy = False
        for stack in self._environment.stacks.values():
            try:
                changing, events = await self._stack(stack)
            except AwsError as caught:
                if caught.reason in {Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS}:
                    raise
                self._notes.append(f"stack {stack.name}: {caught.message}")
                continue
            busy |= changing
            records += self._new(events)
        self._stacks_due_s = self._now_s() + (STACKS_BUSY_EVERY_S if busy else STACKS_EVERY_S)
        return records

    async def _stack(self, stack: StackReference) -> tuple[bool, list[ReleaseEvent]]:
        """Return whether the stack is changing, and its events since the session's start."""
        events: list[ReleaseEvent] = []
        busy = False
        first = True
        pages = self._aws.pages(
            "cloudformation",
            "DescribeStackEvents",
            {"StackName": stack.name},
            account=stack.account,
            region=stack.region,
        )
        async for page in pages:
            for item in page.get("StackEvents", ()):
                if first:
                    busy = str(item.get("ResourceStatus", "")).endswith("_IN_PROGRESS")
                    first = False
                if item["Timestamp"] < self._since:
                    return busy, events
                events.append(self._stack_event(stack, item))
        return busy, events

    def _stack_event(self, stack: StackReference, item: dict[str, Any]) -> ReleaseEvent:
        reason = item.get("ResourceStatusReason")
        return ReleaseEvent(
            at=item["Timestamp"],
            source="cloudformation",
            subject=self._clean(f"{stack.name}/{item.get('LogicalResourceId', '')}"),
            what=self._clean(str(item.get("ResourceStatus", "changed"))),
            detail=self._clean(reason) if reason else None,
        )
