"""Sends one request within its bounds and judges the answer; a probe that breaks is an error, never a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.errors import UnavailableFeatureError
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, Probe, ProbeContext
from prodwatch.runner.bounds.concurrency import gate_key
from prodwatch.runner.bounds.time_limits import bounded
from prodwatch.runner.step.attempts import NOT_JUDGED, Attempt
from prodwatch.runner.step.attestation import NOT_ASKED, Attestation, attest, attest_function
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import MISSING, JudgingContext, judge, judge_any

GRACE_S = 0.1
"""How much longer than its own timeout a probe may take to say what exactly timed out."""


class RequestSender:
    """Asks for one step of one execution; called once per attempt."""

    __slots__ = ("_context", "_execution", "_key", "_probe", "_releases", "_step", "_values", "attestation", "params")

    def __init__(
        self,
        execution: Execution,
        step: CompiledStep,
        params: Mapping[str, Any],
        *,
        probe: Probe,
        context: ProbeContext,
        values: Mapping[str, Any],
        releases: Sequence[ReleaseState],
    ) -> None:
        """Prepare; `values` are those of the assertions' holes by their text."""
        self._execution = execution
        self._step = step
        self.params = params
        self._probe = probe
        self._context = context
        self._values = values
        self._releases = releases
        self._key = gate_key(step.service, params, context.account, context.region)
        self.attestation: Attestation = NOT_ASKED
        """Of the latest answer."""

    async def __call__(self, timeout_s: float) -> Attempt:
        """Send once and judge."""
        execution, key = self._execution, self._key
        turn, clock = execution.turn, execution.tools.clock
        if not turn.enter_at_once(key):
            await turn.enter(key, urgent=execution.begun)
        try:
            started_at, started_s = clock.now(), clock.monotonic_s()
            if not execution.begun:
                execution.begin(started_at, started_s)
            if execution.deadline_s is not None:
                timeout_s = min(timeout_s, execution.deadline_s - started_s)
            observation = await self._send(timeout_s)
            ended_s = clock.monotonic_s()
        finally:
            turn.leave(key)
        failure = observation.failure
        if failure is not None and not (observation.document and self._step.mentions.intersection(failure.answered_by)):
            return Attempt(
                observation=observation, failure=failure, started_at=started_at, started_s=started_s, ended_s=ended_s
            )
        return self._judged(self._attested(observation), started_at, started_s, ended_s)

    async def _send(self, timeout_s: float) -> Observation:
        context, tools = self._context, self._execution.tools
        if timeout_s < context.timeout_s:
            context = replace(context, timeout_s=timeout_s)
        try:
            if tools.watch is None:
                return await bounded(tools.clock, timeout_s + GRACE_S, self._probe(self.params, context))
            with tools.watch.over(timeout_s + GRACE_S):
                return await self._probe(self.params, context)
        except TimeoutError:
            return Observation(failure=_timed_out(self._step, timeout_s))
        except UnavailableFeatureError as error:
            return Observation(failure=Failure(status=Status.ERROR, reason=Reason.UNAVAILABLE, message=str(error)))
        except Exception as error:  # noqa: BLE001 -- a broken probe must cost one check, not the run
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            message = f"The {self._step.type} probe broke ({what}); this is a bug in prodwatch or in the probe."
            return Observation(failure=Failure(status=Status.ERROR, reason=Reason.INTERNAL, message=message))

    def _judged(self, observation: Observation, started_at: datetime, started_s: float, ended_s: float) -> Attempt:
        step, document = self._step, observation.document
        judging = self.judging(observation, started_at)
        until = stop = None
        expect = NOT_JUDGED
        if step.stop_when:
            stop = judge_any(step.stop_when, document, judging)
        if step.until:
            until = judge(step.until, document, judging)
        if until is None or until.ok is True:
            expect = judge(step.judged, document, judging)
        return Attempt(
            observation=observation,
            failure=None,
            aside=None if observation.failure is None else observation.failure.message,
            expect=expect,
            until=until,
            stop=stop,
            judging=judging,
            started_at=started_at,
            started_s=started_s,
            ended_s=ended_s,
        )

    def judging(self, observation: Observation, now: datetime) -> JudgingContext:
        """Return what judging this answer needs."""
        return JudgingContext(
            values=self._values,
            now=now,
            complete=observation.complete,
            doubt=observation.doubt,
            load_schema=self._execution.tools.schemas.load,
            redact=self._execution.out.masked,
        )

    def _attested(self, observation: Observation) -> Observation:
        """Return the observation with the version that served it in its document, where the answer names one."""
        step = self._step
        if step.attest is not None:
            place = step.definition.attest or self._context.environment.release.attest or ""
            found = step.attest.read(observation.document, holes=[self._values[hole] for hole in step.attest.holes])
            text = None if found is MISSING or found is None else str(found)
            match, problem = self._context.environment.release.match, self._execution.tools.inputs.release_problem()
            self.attestation = attest(text, place, match, self._releases, problem=problem)
        elif observation.version is not None and step.type == "lambda":
            function, qualifier = str(self.params.get("function", "")), self.params.get("qualifier")
            self.attestation = attest_function(observation.version, function, qualifier, self._releases)
        version = self.attestation.version or observation.version
        if step.attest is None or version is None:
            return observation
        return replace(observation, document={**observation.document, "version": version}, version=version)


def _timed_out(step: CompiledStep, timeout_s: float) -> Failure:
    within = f"within {timeout_s:g} s"
    if step.service is None or step.service == "lambda":
        message = f"there was no answer to the {step.type} request {within}"
        return Failure(status=Status.FAIL, reason=Reason.TIMEOUT, message=message, transient=True)
    message = f"AWS did not answer the {step.type} call {within}: nothing was measured; try again or raise `timeout`"
    return Failure(status=Status.ERROR, reason=Reason.SERVICE, message=message, transient=True)
