"""Asking until the answer is there: retry, poll and hold, each exactly as long and as often as written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Literal

import msgspec

from prodwatch.clock import Clock
from prodwatch.model.check import Poll
from prodwatch.model.result import AttemptResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.runner.step.expectations import JudgingContext
from prodwatch.runner.step.judgement import Judgement

MIN_DELAY_S = 0.01
"""Nobody is asked more often than this, whatever is written."""
_EPSILON_S = 1e-6

NOT_JUDGED = Judgement()

AttemptKind = Literal["request", "poll", "hold"]


class Ending(StrEnum):
    """How it ended."""

    ANSWERED = "answered"
    """One answer, to be judged as it is."""
    NEVER = "never appeared"
    WRONG = "appeared but wrong"
    LOST = "right, then wrong"
    FAILED = "request failed"
    STOPPED = "stopped"
    """`stop_when` came true."""
    OUT_OF_TIME = "out of time"
    """The flow's own timeout came before anything could be judged, or before `hold` was over."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one step asks."""

    timeout_s: float
    """Of one request."""
    retries: int = 0
    """How often a transport failure or a throttle is repeated; 0 for what must be sent once."""
    retry_delay_s: float = 0.2
    retry_timeouts: bool = False
    """Repeat a request that timed out too; off by default, so that a hung endpoint costs its timeout once."""
    poll: Poll | None = None
    hold_s: float | None = None
    hold_every_s: float = 1.0


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request, answered or not, and what its answer is worth."""

    observation: Observation
    failure: Failure | None
    """Why there is nothing to judge; None when the document was judged."""
    aside: str | None = None
    """What the probe itself found wrong with an answer that is judged all the same: said when it is found wanting."""
    expect: Judgement = NOT_JUDGED
    until: Judgement | None = None
    stop: Judgement | None = None
    judging: JudgingContext | None = None
    """What the answer was judged with; None when there was nothing to judge."""
    started_at: datetime
    started_s: float
    """When the request was sent, on the monotonic clock: queueing is not in it."""
    ended_s: float


Sleep = Callable[[float], Awaitable[None]]
SendRequest = Callable[[float], Awaitable[Attempt]]
"""`await ask(timeout_s)`: send once and judge; never raises for anything a target does."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was asked, and how it ended."""

    ending: Ending
    last: Attempt | None
    """None when the flow's time was over before the first request."""
    attempts: tuple[AttemptResult, ...]
    retried: bool
    """A request had to be repeated before it was answered."""
    elapsed_s: float
    waited: bool
    """Something was polled for or held."""


class Attempts:
    """Carries out one plan."""

    def __init__(
        self,
        plan: Plan,
        ask: SendRequest,
        *,
        clock: Clock,
        sleep: Sleep,
        random: Random,
        deadline: Callable[[], float | None],
    ) -> None:
        """Prepare; `deadline` tells the flow's end on the monotonic clock, which may become known only on the way."""
        self._plan = plan
        self._ask = ask
        self._clock = clock
        self._sleep_s = sleep
        self._random = random
        self._deadline = deadline
        self._attempts: list[AttemptResult] = []
        self._last: Attempt | None = None
        self._began_s: float | None = None
        self._retried = False

    async def run(self) -> Outcome:
        """Ask as planned."""
        plan = self._plan
        ending = await (self._once("request") if plan.poll is None else self._wait(plan.poll))
        if ending is Ending.ANSWERED and plan.hold_s is not None and self._is_right():
            ending = await self._hold(plan.hold_s)
        last = self._last
        return Outcome(
            ending=ending,
            last=last,
            attempts=tuple(self._attempts),
            retried=self._retried,
            elapsed_s=0.0 if last is None or self._began_s is None else last.ended_s - self._began_s,
            waited=plan.poll is not None or plan.hold_s is not None,
        )

    def _is_right(self) -> bool:
        return self._last is not None and self._last.failure is None and self._last.expect.ok is True

    def _time(self) -> float | None:
        """Return how long the next request may take, None when the flow has no time left."""
        deadline_s = self._deadline()
        if deadline_s is None:
            return self._plan.timeout_s
        left_s = deadline_s - self._clock.monotonic_s()
        return None if left_s <= _EPSILON_S else min(self._plan.timeout_s, left_s)

    def _note(self, look: Attempt, kind: AttemptKind) -> None:
        if self._last is None:
            self._began_s = look.started_s
        self._last = look
        self._attempts.append(_attempt(len(self._attempts) + 1, look, kind))

    async def _once(self, kind: AttemptKind) -> Ending:
        """Ask, repeating only what never got an answer."""
        for repeat in range(self._plan.retries + 1):
            timeout_s = self._time()
            if timeout_s is None:
                return Ending.OUT_OF_TIME
            look = await self._ask(timeout_s)
            self._note(look, kind)
            if look.failure is None:
                self._retried = self._retried or repeat > 0
                return Ending.ANSWERED
            if repeat == self._plan.retries or not self._worth_repeating(look.failure):
                return Ending.FAILED
            await self._sleep(self._plan.retry_delay_s)
        raise AssertionError("unreachable: the last repeat returns")

    def _worth_repeating(self, failure: Failure) -> bool:
        return failure.transient and (self._plan.retry_timeouts or failure.reason is not Reason.TIMEOUT)

    async def _wait(self, poll: Poll) -> Ending:
        """Ask until `until`, or else `expect`, holds; the last look is at the very end of the budget."""
        there: Attempt | None = None
        while True:
            timeout_s = self._time()
            if timeout_s is None:
                return Ending.OUT_OF_TIME if self._last is None else self._gave_up(there)
            look = await self._ask(timeout_s)
            self._note(look, "poll")
            if look.failure is None:
                there = look
                if look.stop is not None and look.stop.ok is True:
                    return Ending.STOPPED
                if (look.until or look.expect).ok is True:
                    # What was waited for is there; `expect` is judged on this very answer.
                    return Ending.ANSWERED if look.expect.ok is not False else Ending.WRONG
            elif _hopeless(look.failure):
                return Ending.FAILED
            assert self._began_s is not None
            left_s = poll.within_s - (self._clock.monotonic_s() - self._began_s)
            if left_s <= _EPSILON_S:
                return self._gave_up(there)
            await self._sleep(min(delay_s(poll, len(self._attempts), self._random), left_s))

    def _gave_up(self, there: Attempt | None) -> Ending:
        if there is None or self._last is not there:
            return Ending.FAILED
        return Ending.NEVER if (there.until or there.expect).nothing_there else Ending.WRONG

    async def _hold(self, hold_s: float) -> Ending:
        """Sample until `expect` has stayed true for `hold_s` since it was first seen true."""
        assert self._last is not None
        since_s = self._last.ended_s
        while (left_s := hold_s - (self._clock.monotonic_s() - since_s)) > _EPSILON_S:
            if not await self._sleep(min(max(self._plan.hold_every_s, MIN_DELAY_S), left_s)):
                return Ending.OUT_OF_TIME
            ending = await self._once("hold")
            if ending is not Ending.ANSWERED:
                return ending
            if self._last.expect.ok is not True:
                return Ending.LOST if self._last.expect.ok is False else Ending.ANSWERED
        return Ending.ANSWERED

    def _left_s(self) -> float | None:
        deadline_s = self._deadline()
        return None if deadline_s is None else deadline_s - self._clock.monotonic_s()

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, but not beyond the flow's end; False when that end came first."""
        left_s = self._left_s()
        if left_s is not None and left_s < seconds:
            await self._sleep_s(max(0.0, left_s))
            return False
        await self._sleep_s(seconds)
        return True


def delay_s(poll: Poll, attempts: int, random: Random) -> float:
    """Return the pause after the `attempts`-th look; with jitter anything from nothing up to it ("full jitter")."""
    factor = 1.0
    if poll.backoff == "exponential":
        factor = 2.0 ** min(attempts - 1, 60)
    elif poll.backoff == "fibonacci":
        before, factor = 0.0, 1.0
        for _ in range(min(attempts - 1, 80)):
            before, factor = factor, before + factor
    longest = poll.every_s * factor
    return max(MIN_DELAY_S, random.uniform(0.0, longest) if poll.jitter else longest)


def _hopeless(failure: Failure) -> bool:
    """Tell whether asking again cannot help: no permission, no credentials, nothing to ask with."""
    return failure.status in {Status.ERROR, Status.SKIPPED} and not failure.transient


def _attempt(n: int, look: Attempt, kind: AttemptKind) -> AttemptResult:
    message: str | None
    if look.failure is not None:
        status, message = look.failure.status, look.failure.message
    else:
        judged = look.expect if look.until is None or kind == "hold" else look.until
        bad = judged.first_bad
        status = Status.PASS if bad is None else Status.FAIL if bad.ok is False else Status.INCONCLUSIVE
        message = None if bad is None else bad.message
    return AttemptResult(
        n=n,
        status=status,
        duration_ms=round((look.ended_s - look.started_s) * 1000),
        message=message,
        kind=kind,
        started_at=look.started_at,
    )
