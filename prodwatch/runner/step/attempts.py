"""The attempts of one step: retry, poll and hold, within the step's limits and the flow's deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Literal

import msgspec
from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.model.check import Poll
from prodwatch.model.result import AttemptResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.runner.bounds.loop_lag import Stall
from prodwatch.runner.step.attestation import NOT_ATTESTED, Attestation
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.expectations import NOT_JUDGED, Judgement

MIN_DELAY_S = 0.01
"""Shortest pause between two requests, whatever the check asks for."""
LONGEST_PAUSE_S = 2.0
"""Longest pause between the repeats of a cleanup step."""
_EPSILON_S = 1e-6
_TEMPORARY = frozenset({408, 425, 429})
"""HTTP statuses below 500 that a repeat may change."""

AttemptKind = Literal["request", "poll", "hold"]


class Ending(StrEnum):
    """End of a step's attempts; the values are words of its message."""

    ANSWERED = "answered"
    """A response arrived, to be judged as it is."""
    NEVER = "never appeared"
    WRONG = "appeared but wrong"
    LOST = "right, then wrong"
    FAILED = "request failed"
    STALLED = "this machine was too slow"
    """The last attempt is spoiled."""
    STOPPED = "stopped"
    """`stop_when` became true."""
    OUT_OF_TIME = "out of time"
    """The flow's own timeout came before a response could be judged, or before `hold` was over."""
    CUT_OFF = "cut off"
    """The run ended before the outcome was known."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and its response judged."""

    observation: Observation
    failure: Failure | None = None
    """Why there is nothing to judge; None when the document was judged."""
    aside: str | None = None
    """The probe's own finding about a response that is judged all the same; added when an assertion is not met."""
    unread: Failure | None = None
    """Why the response is only a part: the outcome where that part decides nothing."""
    expect: Judgement = NOT_JUDGED
    warn: Judgement = NOT_JUDGED
    until: Judgement | None = None
    """None when the step has no `until`; while it is not met, `expect` and `warn` are not judged."""
    stop: Judgement | None = None
    repeat: Judgement | None = None
    """The step's `repeat.when`; None when the step has none."""
    attestation: Attestation = NOT_ATTESTED
    stall: Stall | None = None
    """The time this machine was stalled meanwhile; None when that was too short to matter."""
    spoiled: bool = False
    """Only a timeout or measured times decide it, and this machine was stalled: no evidence about the target."""
    started_at: datetime
    started_s: float
    """When the request was sent, on the monotonic clock: queueing is not included."""
    ended_s: float

    @property
    def holds(self) -> bool:
        """Whether a response arrived and `expect` is true."""
        return self.failure is None and self.expect.ok is True


Sleep = Callable[[float], Awaitable[None]]
SendRequest = Callable[[float, Judgement | None], Awaitable[Attempt]]
"""`await send(timeout_s, met)`: sends once and judges; never raises for anything a target does.

`met` is the `until` that an earlier attempt has met and that is not judged again, None before.
"""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All attempts of one step, and how they ended."""

    ending: Ending
    last: Attempt | None
    """None when the flow's time was over before the first request."""
    attempts: tuple[AttemptResult, ...]
    retried: bool
    """A request had to be repeated before a response arrived."""
    stalled: bool
    """An attempt was spoiled."""
    elapsed_s: float
    waited: bool
    """The step polls or holds."""
    warned: Attempt | None = None
    """The first attempt that found the expected state, and a `warn` that is not met; None without one."""
    held: tuple[datetime, datetime] | None = None
    """When the first and the last attempt of `hold` were sent that found the expected state; None without one."""


class Attempts:
    """Sends the requests of one step until its outcome is known."""

    def __init__(
        self,
        step: CompiledStep,
        send: SendRequest,
        *,
        clock: Clock,
        sleep: Sleep,
        random: Random,
        deadline: Callable[[], float | None],
    ) -> None:
        """Prepare; `deadline` returns the flow's end on the monotonic clock, which the first request may set."""
        self._step = step
        self._poll = step.definition.poll
        self._send = send
        self._clock = clock
        self._sleep_s = sleep
        self._random = random
        self._deadline = deadline
        self._results: list[AttemptResult] = []
        self._last: Attempt | None = None
        self._began_s: float | None = None
        self._retried = False
        self._kind: AttemptKind = "request"
        self._stalled = False
        self._held: tuple[datetime, datetime] | None = None
        self._warned: Attempt | None = None

    async def run(self) -> Outcome:
        """Send, retry, poll and hold as the step asks for."""
        hold_s = self._step.definition.hold_s
        ending = await self._first()
        if self._step.persists:
            ending = await self._persist(ending)
        if hold_s is not None and self._last is not None and (self._right(ending) or self._has_gap(ending)):
            ending = await self._hold(hold_s)
        return self._outcome(ending)

    def cut_off(self, in_flight: tuple[datetime, float] | None) -> Outcome:
        """Return the outcome of a cancelled `run`.

        `in_flight` is the moment, by both clocks, at which the request was sent that has no response yet.
        """
        outcome = self._outcome(Ending.CUT_OFF)
        if in_flight is None:
            return outcome
        started_at, started_s = in_flight
        now_s = self._clock.monotonic_s()
        unanswered = AttemptResult(
            n=len(self._results) + 1,
            status=Status.INCONCLUSIVE,
            duration_ms=round((now_s - started_s) * 1000),
            message="cut off before its response",
            kind=self._kind,
            started_at=started_at,
        )
        return replace(
            outcome,
            attempts=(*outcome.attempts, unanswered),
            elapsed_s=now_s - (started_s if self._began_s is None else self._began_s),
        )

    def _outcome(self, ending: Ending) -> Outcome:
        last, hold_s = self._last, self._step.definition.hold_s
        return Outcome(
            ending=ending,
            last=last,
            attempts=tuple(self._results),
            retried=self._retried,
            stalled=self._stalled,
            elapsed_s=0.0 if last is None or self._began_s is None else last.ended_s - self._began_s,
            waited=self._poll is not None or hold_s is not None,
            warned=self._warned,
            held=self._held,
        )

    async def _first(self) -> Ending:
        return await (self._request("request") if self._poll is None else self._wait(self._poll))

    async def _persist(self, ending: Ending) -> Ending:
        """Repeat with growing pauses while the failure may be temporary and there is time."""
        pause_s = self._step.retry_delay_s
        while _may_be_temporary(self._step, self._last) and await self._sleep(max(pause_s, MIN_DELAY_S)):
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            ending = await self._first()
            self._retried = self._retried or ending is Ending.ANSWERED
        return ending

    def _request_timeout_s(self) -> float | None:
        """Return how long the next request may take, None when the flow has no time left."""
        left_s = self._left_s()
        if left_s is None:
            return self._step.timeout_s
        return None if left_s <= _EPSILON_S else min(self._step.timeout_s, left_s)

    def _record(self, attempt: Attempt, kind: AttemptKind) -> None:
        if self._last is None:
            self._began_s = attempt.started_s
        self._last = attempt
        if self._warned is None and not attempt.spoiled and attempt.holds and attempt.warn.ok is not True:
            self._warned = attempt
        self._stalled = self._stalled or attempt.spoiled
        self._results.append(_result(len(self._results) + 1, attempt, kind))

    async def _request(self, kind: AttemptKind, met: Judgement | None = None) -> Ending:
        """Send, and repeat only a request that got no response or is spoiled; `met` as in SendRequest."""
        retries = self._step.retries
        unanswered = False
        for repeat in range(retries + 1):
            timeout_s = self._request_timeout_s()
            if timeout_s is None:
                return Ending.OUT_OF_TIME
            self._kind = kind
            attempt = await self._send(timeout_s, met)
            self._record(attempt, kind)
            if attempt.spoiled:
                if repeat == retries or self._step.mutates:
                    return Ending.STALLED
            elif attempt.failure is None:
                self._retried = self._retried or unanswered
                return Ending.ANSWERED
            elif repeat == retries or not self._worth_repeating(attempt.failure):
                return Ending.FAILED
            else:
                # A request that our own limits or AWS's throttling kept back is not evidence about the target.
                unanswered = unanswered or attempt.failure.status is Status.FAIL
            await self._sleep(self._step.retry_delay_s)
        raise AssertionError("unreachable: the last repeat returns")

    def _worth_repeating(self, failure: Failure) -> bool:
        return failure.transient and (self._step.retry_timeouts or failure.reason is not Reason.TIMEOUT)

    async def _wait(self, poll: Poll) -> Ending:
        """Poll until `until`, or else `expect`, holds; the last attempt is at the very end of the budget."""
        judged: Attempt | None = None
        extra = False
        while True:
            timeout_s = self._request_timeout_s()
            if timeout_s is None:
                return Ending.OUT_OF_TIME
            self._kind = "poll"
            attempt = await self._send(timeout_s, None)
            self._record(attempt, "poll")
            if attempt.spoiled:
                pass  # the next attempt decides, after the end of the budget too
            elif attempt.failure is None:
                judged = attempt
                if attempt.stop is not None and attempt.stop.ok is True:
                    return Ending.STOPPED
                if (attempt.until or attempt.expect).ok is True:
                    # The awaited state is reached; `expect` is judged on this very response.
                    return Ending.ANSWERED if attempt.expect.ok is not False else Ending.WRONG
            elif _permanent(attempt.failure):
                return Ending.FAILED
            assert self._began_s is not None
            left_s = poll.within_s - (self._clock.monotonic_s() - self._began_s)
            if left_s <= _EPSILON_S:
                if extra or not attempt.spoiled or self._step.mutates:
                    return self._gave_up(judged)
                extra, left_s = True, self._step.retry_delay_s
            pause_s = max(delay_s(poll, len(self._results), self._random), attempt.observation.pause_s)
            await self._sleep(min(pause_s, left_s))

    def _gave_up(self, judged: Attempt | None) -> Ending:
        if self._last is not None and self._last.spoiled:
            return Ending.STALLED
        if judged is None or self._last is not judged:
            return Ending.FAILED
        return Ending.NEVER if (judged.until or judged.expect).nothing_there else Ending.WRONG

    def _right(self, ending: Ending) -> bool:
        """Return whether the last attempt found the expected state."""
        return ending is Ending.ANSWERED and self._last is not None and self._last.holds

    def _has_gap(self, ending: Ending) -> bool:
        """Return whether the last attempt decided nothing and a later look of the hold reads what it did not."""
        if not self._step.definition.hold_accumulates or self._last is None:
            return False
        failure = self._last.failure
        if ending is Ending.ANSWERED:
            return self._last.expect.ok is None
        return ending in {Ending.FAILED, Ending.STALLED} and failure is not None and not _permanent(failure)

    async def _hold(self, hold_s: float) -> Ending:
        """Sample until `expect` has stayed true for `hold_s` since the first look; the last look has to be true."""
        assert self._last is not None
        since_s, met = self._last.ended_s, self._last.until
        ending = Ending.ANSWERED
        self._note_right(ending)
        while (left_s := hold_s - (self._clock.monotonic_s() - since_s)) > _EPSILON_S:
            pause_s = max(self._step.hold_every_s, MIN_DELAY_S, self._last.observation.pause_s)
            if not await self._sleep(min(pause_s, left_s)):
                return Ending.OUT_OF_TIME
            ending = await self._request("hold", met)
            if not self._right(ending) and not self._has_gap(ending):
                wrong = ending is Ending.ANSWERED and self._last.expect.ok is False
                return Ending.LOST if wrong and self._held is not None else ending
            self._note_right(ending)
        return ending

    def _note_right(self, ending: Ending) -> None:
        """Remember when the last attempt of a hold was sent, if it found the expected state."""
        if self._right(ending):
            assert self._last is not None
            first_at = self._last.started_at if self._held is None else self._held[0]
            self._held = first_at, self._last.started_at

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
    """Return the pause after `attempts` attempts; with jitter a random share of it ("full jitter")."""
    factor = 1.0
    if poll.backoff == "exponential":
        factor = 2.0 ** min(attempts - 1, 60)
    elif poll.backoff == "fibonacci":
        before, factor = 0.0, 1.0
        for _ in range(min(attempts - 1, 80)):
            before, factor = factor, before + factor
    longest_s = poll.every_s * factor
    if poll.max_every_s is not None:
        longest_s = min(longest_s, poll.max_every_s)
    return max(MIN_DELAY_S, random.uniform(0.0, longest_s) if poll.jitter else longest_s)


def _permanent(failure: Failure) -> bool:
    """Return whether another request cannot help: no permission, no credentials, a missing feature."""
    return failure.status in {Status.ERROR, Status.SKIPPED} and not failure.transient


def _may_be_temporary(step: CompiledStep, last: Attempt | None) -> bool:
    """Return whether the last request failed in a way that a repeat may change."""
    if last is None:
        return False
    if last.failure is not None:
        return last.failure.transient
    status = last.observation.document.get("status") if step.type == "http" else None
    return isinstance(status, int) and (status in _TEMPORARY or status >= 500) and not last.holds


def _result(n: int, attempt: Attempt, kind: AttemptKind) -> AttemptResult:
    message: str | None
    if attempt.failure is not None:
        status, message = attempt.failure.status, attempt.failure.message
    else:
        reached = attempt.until is None or attempt.until.ok is True or kind == "hold"
        bad = attempt.expect.first_bad if reached or attempt.until is None else attempt.until.first_bad
        status = Status.PASS if bad is None else Status.FAIL if bad.ok is False else Status.INCONCLUSIVE
        message = None if bad is None else bad.message
    return AttemptResult(
        n=n,
        status=status,
        duration_ms=round((attempt.ended_s - attempt.started_s) * 1000),
        message=message,
        kind=kind,
        started_at=attempt.started_at,
    )
