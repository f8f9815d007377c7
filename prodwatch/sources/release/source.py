"""Watches aliases, deployments and stacks, and tells every change once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment, FunctionTarget, place_of
from prodwatch.model.signal import Record, ReleaseEvent, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.sources.lambda_metrics import Behind
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.release.alias_weights import AliasNow, AliasSeen, newest, shares
from prodwatch.sources.release.codedeploy import Deployments
from prodwatch.sources.release.function_code import LATEST, Code, CodeBook, changed_event, plain_state, published_event
from prodwatch.sources.release.release_state import DeploymentNow, events_of, release_state
from prodwatch.sources.release.stacks import StackFollower
from prodwatch.sources.release.version_history import serving

EVERY_S = 5.0
PLAIN_EVERY_S = 15.0
"""How often a function without an alias is asked for its code."""
MAX_SEEN = 50
"""Changes of one alias that are remembered."""
_EVERYBODYS = frozenset((Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS, Reason.LIMIT))
"""Troubles that one part of the picture shares with all others."""


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
        self._functions = environment.functions
        self._since = since
        self._clean = clean
        application = environment.release.codedeploy
        self._deployments = Deployments(aws, application, clean=clean) if application else None
        self._shipped: list[DeploymentNow] = []
        """As last read: what CodeDeploy said stays true while it cannot be asked."""
        self._deployments_due_s = float("-inf")
        self._trouble: str | None = None
        self._stacks = [StackFollower(aws, each, since=since, clean=clean) for each in environment.stacks.values()]
        self._code = CodeBook(aws, clean)
        self._seen: dict[FunctionTarget, list[AliasSeen]] = {}
        self._plain: dict[FunctionTarget, Code] = {}
        self._earlier: dict[FunctionTarget, Code] = {}
        self._plain_due_s: dict[FunctionTarget, float] = {}
        self._told: set[tuple[datetime, str, str, str | None]] = set()
        self._behind: dict[FunctionTarget, Behind] = {}
        self.states: dict[FunctionTarget, ReleaseState] = {}
        """Function → state of its release; the service map reads when it began."""
        self._notes: list[str] = []
        self._unread: str | None = None
        """Why CodeDeploy could not be asked."""
        self._outbox: list[ReleaseEvent] = []
        """Events on their way out: when one part of a poll fails, the next poll still tells them."""

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Say which part of the picture is missing and why, and how far a stack has come."""
        told = [*self._notes, self._trouble, *(each.note() for each in self._stacks)]
        return "; ".join(filter(None, told)) or None

    def unread(self) -> tuple[str, ...]:
        """Return which functions could not be looked at, and why CodeDeploy could not be asked."""
        return (*self._notes, *filter(None, (self._unread,)))

    def behind(self, function: FunctionTarget) -> Behind:
        """Return what is known of a function's versions and who served when; the metric source reads it."""
        return self._behind.get(function, Behind())

    async def poll(self) -> list[Record]:
        """Return the state of every watched function and whatever is new on the time line."""
        self._notes = []
        looks = asyncio.gather(*(self._look(each) for each in self._functions), return_exceptions=True)
        try:
            deployments = await self._read_deployments()
        finally:
            found = await looks
        records: list[Record] = []
        failed: list[AwsError] = []
        for function, look in zip(self._functions, found, strict=True):
            if isinstance(look, AwsError):
                failed.append(look)
            elif isinstance(look, BaseException):
                raise look
            else:
                records += look
            if function.alias is not None:
                records += await self._state(function, deployments, readable=not isinstance(look, AwsError))
        for id_ in dict.fromkeys(each.id for each in deployments):
            several = [each for each in deployments if each.id == id_]
            for deployment in several:
                self._tell(events_of(deployment, named=len(several) > 1))
        self._judge(failed, everything=len(failed) == len(found) and not records)
        for stack in self._stacks:
            await self._follow(stack)
        events, self._outbox = sorted(self._outbox, key=lambda each: each.at), []
        return [*records, *events]

    def _judge(self, failed: Sequence[AwsError], *, everything: bool) -> None:
        """Raise what went wrong when nothing can be told, else note it: other functions are worth telling."""
        for caught in failed:
            if everything or caught.reason in _EVERYBODYS:
                raise caught
        self._notes += dict.fromkeys(caught.message for caught in failed)

    async def _read_deployments(self) -> list[DeploymentNow]:
        if self._deployments is None or self._now_s() < self._deployments_due_s:
            return self._shipped
        try:
            self._shipped = await self._deployments.read(self._now_s(), self._clock.now())
        except AwsError as caught:
            if caught.reason in _EVERYBODYS:
                raise
            # Alias weights still tell most of the story; what is missing is said.
            self._trouble = self._unread = f"CodeDeploy: {caught.message}"
            denied = caught.reason is Reason.ACCESS_DENIED
            self._deployments_due_s = self._now_s() + (DENIED_EVERY_S if denied else 0.0)
        else:
            self._trouble, self._unread = self._deployments.note, None
        return self._shipped

    async def _look(self, function: FunctionTarget) -> list[Record]:
        """Ask how a function is now, and return what has changed since; raises AwsError."""
        if function.alias is None:
            return await self._look_plain(function)
        answer = await self._aws.call(
            "lambda",
            "GetAlias",
            {"FunctionName": function.name, "Name": function.alias},
            account=function.account,
            region=function.region,
        )
        routing = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        now = AliasNow(answer["FunctionVersion"], {version: float(share) for version, share in routing.items()})
        seen = self._seen.setdefault(function, [])
        before = seen[-1].now if seen else None
        if before == now:
            return []
        seen.append(AliasSeen(self._clock.now(), now))
        del seen[:-MAX_SEEN]
        if self._deployments is not None:
            self._deployments.look_now()
        if before is not None:
            self._outbox.append(self._moved(function, before, now))
        return []

    async def _look_plain(self, function: FunctionTarget) -> list[Record]:
        now_s = self._now_s()
        if now_s < self._plain_due_s.get(function, float("-inf")):
            return []
        self._plain_due_s[function] = now_s + PLAIN_EVERY_S
        at = self._clock.now()
        code = await self._code.read(function, LATEST)
        before = self._plain.get(function)
        self._plain[function] = code
        if before is not None and before.sha256 != code.sha256:
            self._earlier[function] = before
            self._outbox.append(changed_event(function, before, code, at))
        self._behind[function] = Behind(timeout_s=code.timeout_s)
        return [replace(plain_state(function, code, self._earlier.get(function), at), place=place_of(function))]

    async def _state(
        self, function: FunctionTarget, deployments: Sequence[DeploymentNow], *, readable: bool
    ) -> list[Record]:
        own = [each for each in deployments if (each.function, each.alias) == (function.name, function.alias)]
        seen = self._seen.get(function, [])
        now = seen[-1].now if seen and readable else None
        if now is None and not own:
            return []
        state = release_state(function.name, function.alias, now, own, at=self._clock.now(), seen=seen)
        served = [*shares(now), *now.weights] if now is not None else []
        versions = list(dict.fromkeys([*served, *filter(None, (state.version, state.previous))]))
        code = [each for version in versions if (each := await self._code.of(function, version)) is not None]
        self._behind[function] = Behind(
            versions=tuple(versions),
            shifts=serving(
                now,
                seen,
                own,
                published_s={each.version: each.published_at.timestamp() for each in code if each.published_at},
            ),
            timeout_s=max((each.timeout_s for each in code if each.timeout_s is not None), default=None),
        )
        self._tell_published(function, code)
        hashes = {each.version: each.sha256 for each in code if each.sha256}
        state = replace(state, code=hashes, place=place_of(function))
        self.states[function] = state
        return [state]

    def _tell_published(self, function: FunctionTarget, code: Sequence[Code]) -> None:
        if not code:
            return
        latest = newest(each.version for each in code)
        new = next(each for each in code if each.version == latest)
        previous = next((each for each in code if each.version != latest), None)
        event = published_event(function, new, previous)
        self._tell([event] if event else [])

    def _moved(self, function: FunctionTarget, before: AliasNow, now: AliasNow) -> ReleaseEvent:
        to = next(iter(now.weights), now.primary)
        from_ = now.primary if now.weights else before.primary
        if from_ == to:
            from_ = next(iter(before.weights), before.primary)  # the split was taken back
        return ReleaseEvent(
            at=self._clock.now(),
            source="lambda",
            subject=f"{function.name}:{function.alias}",
            what="alias moved" if before.primary != now.primary else "weights changed",
            from_=from_,
            to=to,
            weight=now.weights.get(to, 1.0),
        )

    def _tell(self, events: Iterable[ReleaseEvent]) -> None:
        """Put what nobody has been told of on its way out."""
        for event in events:
            mark = (event.at, event.subject, event.what, event.to)
            if event.at >= self._since and mark not in self._told:
                self._told.add(mark)
                self._outbox.append(event)

    async def _follow(self, stack: StackFollower) -> None:
        if not stack.is_due(self._now_s()):
            return
        try:
            self._tell(await stack.read(self._now_s()))
        except AwsError as caught:
            if caught.reason in _EVERYBODYS:
                raise
            stack.trouble = caught.message
