"""Sends one request within its limits and judges the response; a probe that breaks is an error, never a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from prodwatch.assertions import MISSING
from prodwatch.aws.call_time_limits import OWN_LIMIT_S, QUEUE_LIMIT_S
from prodwatch.errors import CannotVerifyError, UnavailableFeatureError
from prodwatch.model.environment import in_own_region, place_of
from prodwatch.model.identity import Place
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.probes import registry
from prodwatch.probes.base import Failure, Observation, Probe, ProbeContext
from prodwatch.runner.bounds.concurrency import limit_key
from prodwatch.runner.bounds.time_limits import bounded
from prodwatch.runner.step.attempts import Attempt
from prodwatch.runner.step.attestation import NOT_ATTESTED, Attestation, attest, attest_function, with_certain_headers
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import NOT_JUDGED, Judgement, JudgingContext, judge, judge_any, rest_on_time

GRACE_S = 0.1
"""Time beyond its own timeout that a probe has to report which phase timed out."""


class RequestSender:
    """Sends the requests of one step of one execution; called once per attempt."""

    __slots__ = (
        "_execution",
        "_limit_key",
        "_probe",
        "_probe_context",
        "_releases",
        "_step",
        "_wait_ends_s",
        "in_flight",
        "params",
        "values",
    )

    def __init__(
        self,
        execution: Execution,
        step: CompiledStep,
        params: Mapping[str, Any],
        *,
        probe: Probe,
        probe_context: ProbeContext,
        values: Mapping[str, Any],
        releases: Sequence[ReleaseState],
    ) -> None:
        """Prepare; `values` holds the values of the assertions' `${…}` by their text."""
        self._execution = execution
        self._step = step
        self.params = params
        self.values = values
        self._probe = probe
        self._probe_context = probe_context
        self._releases = releases
        self._wait_ends_s: float | None = None
        self.in_flight: tuple[datetime, float] | None = None
        """When the request was sent that has no response yet, by the wall clock and the monotonic one."""
        self._limit_key = limit_key(step.service, params, probe_context.account, probe_context.region)

    async def __call__(self, timeout_s: float, met: Judgement | None) -> Attempt:
        """Send once and judge the response; an `until` that is `met` is not judged again."""
        execution, key = self._execution, self._limit_key
        slot, clock = execution.slot, execution.context.clock
        # Imports, certificates and credentials are this machine's business and take no time of the target.
        unsendable = await self._prepared()
        if not slot.try_enter(key):
            await slot.enter(key, urgent=execution.begun)
        try:
            started_at, started_s = self.in_flight = clock.now(), clock.monotonic_s()
            if not execution.begun:
                execution.begin(started_at, started_s)
            if execution.deadline_s is not None:
                timeout_s = min(timeout_s, execution.deadline_s - started_s)
            observation = unsendable or await self._send(timeout_s)
            ended_s = clock.monotonic_s()
            self.in_flight = None
            if self._probe_context.first_request_at is None:
                began_at = execution.started_at
                self._probe_context = replace(self._probe_context, first_request_at=started_at, started_at=began_at)
            stall = execution.context.lag.stall(started_s, ended_s)
        finally:
            slot.leave(key)
        attempt = Attempt(
            observation=observation,
            failure=self._failure(observation),
            stall=stall,
            spoiled=stall is not None and _is_timeout(observation.failure),
            started_at=started_at,
            started_s=started_s,
            ended_s=ended_s,
        )
        return attempt if attempt.failure is not None else self._judged(attempt, met)

    async def _prepared(self) -> Observation | None:
        """Let the probe do its part of the work before the clock starts; an observation when it cannot send."""
        prepare = registry.preparation(self._probe)
        if prepare is None:
            return None
        try:
            return await prepare(self.params, self._probe_context)
        except Exception as error:  # noqa: BLE001 -- a broken probe must cost one check, not the run
            return self._broken(error)

    def _broken(self, error: Exception) -> Observation:
        detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"The {self._step.type} probe broke ({detail}); this is a bug in prodwatch or in the probe."
        return Observation(failure=Failure(status=Status.ERROR, reason=Reason.INTERNAL, message=message))

    async def _send(self, timeout_s: float) -> Observation:
        probe_context, context = self._probe_context, self._execution.context
        if timeout_s < probe_context.timeout_s:
            probe_context = replace(probe_context, timeout_s=timeout_s)
        poll, hold_s = self._step.definition.poll, self._step.definition.hold_s
        if poll is not None or hold_s is not None:
            now_s = context.clock.monotonic_s()
            if self._wait_ends_s is None:
                self._wait_ends_s = now_s + (poll.within_s if poll else 0.0) + (hold_s or 0.0)
            probe_context = replace(probe_context, wait_left_s=max(0.0, self._wait_ends_s - now_s))
        # The probes of AWS types measure their own time: what a call waits in this process is not the target's.
        limit_s = timeout_s + GRACE_S + (OWN_LIMIT_S + QUEUE_LIMIT_S if self._step.service is not None else 0.0)
        try:
            if context.timeouts is None:
                return await bounded(context.clock, limit_s, self._probe(self.params, probe_context))
            with context.timeouts.limit(limit_s):
                return await self._probe(self.params, probe_context)
        except TimeoutError:
            return Observation(failure=_timed_out(self._step, timeout_s))
        except CannotVerifyError as error:
            return Observation(failure=Failure(status=Status.ERROR, reason=error.reason, message=str(error)))
        except UnavailableFeatureError as error:
            return Observation(failure=Failure(status=Status.ERROR, reason=Reason.UNAVAILABLE, message=str(error)))
        except Exception as error:  # noqa: BLE001 -- a broken probe must cost one check, not the run
            return self._broken(error)

    def _failure(self, observation: Observation) -> Failure | None:
        """Return why there is no document that the step's assertions can be judged on; None when there is one."""
        failure, mentions = observation.failure, self._step.mentions
        if failure is not None and not (observation.document and any(map(mentions, failure.answered_by))):
            return failure
        return next((each for field, each in observation.unreadable.items() if mentions(field)), None)

    def _judged(self, attempt: Attempt, met: Judgement | None) -> Attempt:
        step, observation = self._step, attempt.observation
        attestation = self._attestation(observation)
        if step.attest is not None and (version := attestation.version or observation.version) is not None:
            # Assertions may read the version that responded.
            with_version = {**observation.document, "version": version}
            observation = replace(observation, document=with_version, version=version)
        document = observation.document
        context = JudgingContext(
            values=self.values,
            now=attempt.started_at - timedelta(seconds=observation.skew_s),
            complete=observation.complete,
            doubt=observation.doubt,
            remarks=observation.remarks,
            load_schema=self._execution.context.schemas.load,
            redact=self._execution.output.masked,
        )
        until = met
        if until is None and step.until:
            until = judge(step.until, document, context)
        awaited = until is None or until.ok is True
        judged = Attempt(
            observation=observation,
            aside=None if observation.failure is None else observation.failure.message,
            unread=observation.unread,
            expect=judge(step.expect, document, context) if awaited else NOT_JUDGED,
            warn=judge(step.warn, document, context) if awaited and step.warn else NOT_JUDGED,
            until=until,
            stop=judge_any(step.stop_when, document, context) if step.stop_when else None,
            repeat=judge(step.repeat_when, document, context) if step.repeat_when else None,
            attestation=attestation,
            stall=attempt.stall,
            started_at=attempt.started_at,
            started_s=attempt.started_s,
            ended_s=attempt.ended_s,
        )
        spoiled = attempt.stall is not None and _rests_on_time(step, judged, met)
        return replace(judged, spoiled=True) if spoiled else judged

    def _attestation(self, observation: Observation) -> Attestation:
        """Return which version responded, where the step asks for it or Lambda reports it."""
        step, release = self._step, self._probe_context.environment.release
        if step.attest is not None:
            holes = [self.values[hole] for hole in step.attest.holes]
            value = step.attest.read(with_certain_headers(observation.document), holes=holes)
            text = None if value is MISSING or value is None else str(value)
            place = step.definition.attest or release.attest or ""
            problem = self._execution.context.inputs.known_releases().problem
            return attest(text, place, release.match, self._releases, problem=problem)
        if observation.version is not None and step.type == "lambda":
            function, qualifier = str(self.params.get("function", "")), self.params.get("qualifier")
            qualifier = None if qualifier is None else str(qualifier)
            return attest_function(observation.version, function, qualifier, self._releases, place=self._place())
        return NOT_ATTESTED

    def _place(self) -> Place:
        """Return the account and region of the step's calls."""
        return place_of(in_own_region(self._step.definition, self._execution.context.inputs.region_of))


def _is_timeout(failure: Failure | None) -> bool:
    """Return whether only the time limit counts against the target."""
    return failure is not None and failure.status is Status.FAIL and failure.reason is Reason.TIMEOUT


def _rests_on_time(step: CompiledStep, attempt: Attempt, met: Judgement | None) -> bool:
    """Return whether measured times alone decide the attempt; an `until` met before is not looked at again."""
    if attempt.stop is not None and attempt.stop.ok is True:
        true = [each for each, result in zip(step.stop_when, attempt.stop.results, strict=True) if result.ok]
        return all(each.fields & step.timed for each in true)
    judged = list(zip(step.expect, attempt.expect.results, strict=False))  # not judged before `until` is met
    judged += zip(step.warn, attempt.warn.results, strict=False)
    if attempt.until is not None and attempt.until is not met:
        judged += zip(step.until, attempt.until.results, strict=True)
    return rest_on_time(judged, lambda expectation: bool(expectation.fields & step.timed))


def _timed_out(step: CompiledStep, timeout_s: float) -> Failure:
    within = f"within {timeout_s:g} s"
    if step.service is None or step.type == "lambda":
        message = f"no response to the {step.type} request {within}"
        return Failure(status=Status.FAIL, reason=Reason.TIMEOUT, message=message, transient=True)
    message = f"AWS did not answer the {step.type} call {within}: nothing was measured; try again or raise `timeout`"
    return Failure(status=Status.ERROR, reason=Reason.SERVICE, message=message, transient=True)
