"""Live Tail as an accelerator: it delivers lines within a second, and polling reads all it leaves out.

One session serves up to ten groups of one account and region. Sessions end, break and sample; polling is informed each
time, and a new session opens after a pause. Every session minute costs money and is charged as it passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import retry_delay_s
from prodwatch.sources.logs.events import RawEvent

MAX_GROUPS = 10
"""Most groups in one session."""
RENEW_S = 170 * 60.0
"""Age at which a session is renewed: AWS ends it after three hours."""
MISSING_EVERY_S = 30.0
"""Interval of searches for groups that do not exist yet."""
SAMPLED_KEPT = 1_000
"""Times of sampled updates remembered."""

Offer = Callable[[str, list[RawEvent]], Awaitable[None]]
"""`await offer(group, events)` passes on the events of one group."""
SessionCallback = Callable[[str], None]
"""`began(group)` and `ended(group)` report the start and the end of a session."""


class LiveTail:
    """Consecutive sessions for groups of one account, region and filter."""

    def __init__(
        self,
        aws: AwsApi,
        target: LogTarget,
        *,
        clock: Clock,
        backoff: Backoff,
        offer: Offer,
        began: SessionCallback,
        ended: SessionCallback,
    ) -> None:
        self._aws = aws
        self._target = target
        self._clock = clock
        self._backoff = backoff
        self._offer = offer
        self._began = began
        self._ended = ended
        self._groups: list[str] = []
        self._renew = False
        self._problem: str | None = None
        self._charged_s = 0.0
        self._sampled_s: deque[float] = deque(maxlen=SAMPLED_KEPT)
        self.live: frozenset[str] = frozenset()
        """Groups of the current session."""

    @property
    def full(self) -> bool:
        """Whether no further group fits into a session."""
        return len(self._groups) >= MAX_GROUPS

    def accepts(self, target: LogTarget) -> bool:
        """Return whether a target's groups can share this session."""
        return (target.account, target.region, target.filter) == (
            self._target.account,
            self._target.region,
            self._target.filter,
        )

    def add(self, group: str) -> None:
        """Add a group; a new session that includes it starts at once."""
        self._groups.append(group)
        self._renew = True

    def state(self) -> str:
        """Return the state of the session in a few words."""
        return "Live Tail on" if self.live else "Live Tail off" if self._problem else "Live Tail starting"

    def note(self) -> str:
        """Return the state of the session and its reason, for the status of its groups."""
        why = "" if self.live or not self._problem else f", polling continues: {self._problem}"
        return self.state() + why

    def sampled_since(self, fresh_s: float | None) -> int:
        """Return the number of sampled updates since epoch second `fresh_s`, up to which polling has read.

        None counts all of them: polling has read nothing yet.
        """
        return sum(fresh_s is None or at_s > fresh_s for at_s in self._sampled_s)

    async def run(self) -> None:
        """Run sessions until cancelled, or until the run's limits are exhausted."""
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self._session()
                self._problem = "AWS ended the session"
            except AwsError as error:
                self._problem = error.message
                if error.reason is Reason.LIMIT:
                    return
                await self._clock.sleep(retry_delay_s(error, self._backoff))
                continue
            if self._clock.monotonic_s() - began_s >= MISSING_EVERY_S:
                self._backoff.reset()
            if not self._renew:
                await self._clock.sleep(max(0.2, self._backoff.next_s()))

    async def _session(self) -> None:
        """Run one session; returns when it has ended or is due for renewal."""
        self._renew = False
        arns = await self._arns()
        if not arns:
            self._problem = "the log group does not exist yet"
            await self._clock.sleep(MISSING_EVERY_S)
            self._renew = True
            return
        renew_s = RENEW_S if len(arns) == len(self._groups) else MISSING_EVERY_S
        query: dict[str, Any] = {"logGroupIdentifiers": list(arns.values())}
        if self._target.filter:
            query["logEventFilterPattern"] = self._target.filter
        location = {"account": self._target.account, "region": self._target.region}
        began_s: float | None = None
        try:
            async with aclosing(self._aws.events("logs", "StartLiveTail", query, **location)) as events:
                async for event in events:
                    if began_s is None:
                        began_s = self._charged_s = self._clock.monotonic_s()
                        self._begin(arns)
                    self._charge()
                    if "sessionUpdate" in event:
                        await self._update(event["sessionUpdate"])
                    self._renew = self._renew or self._clock.monotonic_s() - began_s >= renew_s
                    if self._renew:
                        return
        finally:
            if began_s is not None:
                self._charge()
                self._end()

    def _begin(self, arns: dict[str, str]) -> None:
        self._problem = None
        self.live = frozenset(arns)
        for group in arns:
            self._began(group)

    def _end(self) -> None:
        ended_groups, self.live = self.live, frozenset()
        self._problem = "the session ended"
        for group in ended_groups:
            self._ended(group)

    def _charge(self) -> None:
        now_s = self._clock.monotonic_s()
        self._aws.charge("logs:StartLiveTail", (now_s - self._charged_s) / 60)
        self._charged_s = now_s

    async def _update(self, update: dict[str, Any]) -> None:
        if update.get("sessionMetadata", {}).get("sampled"):
            self._sampled_s.append(self._clock.now().timestamp())
        events_by_group: dict[str, list[RawEvent]] = {}
        for event in update.get("sessionResults", ()):
            # `123456789012:/aws/lambda/f`
            group = event.get("logGroupIdentifier", "").partition(":")[2]
            events_by_group.setdefault(group, []).append(
                RawEvent(
                    timestamp=event.get("timestamp", 0),
                    message=event.get("message", ""),
                    stream=event.get("logStreamName", ""),
                    ingested_ms=event.get("ingestionTime", 0),
                )
            )
        for group, events in events_by_group.items():
            if group in self.live:
                await self._offer(group, events)

    async def _arns(self) -> dict[str, str]:
        """Return name → ARN (the form without `:*`) of the groups that exist; raises AwsError."""
        arns: dict[str, str] = {}
        for name in self._groups:
            pages = self._aws.pages(
                "logs",
                "DescribeLogGroups",
                {"logGroupNamePrefix": name},
                account=self._target.account,
                region=self._target.region,
            )
            async for page in pages:
                for group in page.get("logGroups", ()):
                    if group.get("logGroupName") == name and "logGroupArn" in group:
                        arns[name] = str(group["logGroupArn"])
        return arns
