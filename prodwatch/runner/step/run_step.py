"""One step: filled, journalled, sent, judged, captured; whatever goes wrong becomes a result, none green by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodwatch.model.result import AssertionResult, StepResult
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation, Probe, ProbeContext
from prodwatch.runner.step.attempts import NOT_JUDGED, Attempts, Ending, Outcome
from prodwatch.runner.step.attestation import Proof
from prodwatch.runner.step.captures import NO_CAPTURES, Captures, take
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import PASSED, Conclusion, conclude
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import judge
from prodwatch.runner.step.journal import JournalError
from prodwatch.runner.step.judgement import Judgement
from prodwatch.runner.step.request_sender import RequestSender
from prodwatch.runner.step.result_redaction import StepRedactor, hides_answer, learn_from
from prodwatch.settings import fit_params
from prodwatch.settings.template import UnresolvedError, fill, parse_template
from prodwatch.text.units import parse_duration

FLAKY = "flaky"
UNATTESTED = "unattested"
GREEN = frozenset({Status.PASS, Status.DEGRADED})


class UnsendableError(Exception):
    """The step cannot be sent: a conclusion without an answer."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.conclusion = Conclusion(Status.ERROR, reason, message)


class StepRun(msgspec.Struct):
    """What running a step gave: its result, and what the steps that follow may read, raw."""

    result: StepResult
    document: Mapping[str, Any] | None = None
    captured: Mapping[str, Any] | None = None
    repeat: bool = False
    """Its `repeat.when` holds."""


async def run_step(execution: Execution, step: CompiledStep, *, cleanup: bool = False) -> StepRun:
    """Run one step once; never raises but for cancellation.

    A cleanup's requests are not journalled: the need for them already is.
    """
    clock = execution.tools.clock
    try:
        if step.remote:
            await execution.scope.ensure(step.references)
        params, values = _fill(execution, step)
        if step.type != "wait":
            if step.mutates and not cleanup:
                await _journal(execution, step, params)
            return await _ask(execution, step, params, values)
        started_at, started_s = clock.now(), clock.monotonic_s()
        found = await _pause(execution, params)
        duration_ms = round((clock.monotonic_s() - started_s) * 1000)
    except UnsendableError as error:
        found, started_at, duration_ms = error.conclusion, clock.now(), 0
    return StepRun(
        StepResult(
            name=step.name,
            type=step.type,
            status=found.status,
            reason_code=found.reason,
            message=execution.out.maybe(found.message),
            started_at=started_at,
            duration_ms=duration_ms,
            source=step.definition.source,
        )
    )


def _fill(execution: Execution, step: CompiledStep) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the step's keys and its assertions' holes, filled; UnsendableError when something has no value."""
    definition = step.definition
    if not step.references and step.static:
        return definition.params, {}
    scope = execution.scope
    try:
        params = scope.fill(definition.params)
        values = {hole: fill(parse_template(hole), scope.lookup) for hole in step.holes}
        execution.learn_derived(step.references)
        if not step.static and step.spec is not None:
            params = fit_params(step.spec, params)
    except UnresolvedError as error:
        raise UnsendableError(Reason.UNRESOLVED, error.message) from error
    except ValueError as error:
        raise UnsendableError(Reason.INVALID, str(error)) from error
    return params, values


async def _journal(execution: Execution, step: CompiledStep, params: Mapping[str, Any]) -> None:
    try:
        await execution.record(step, params)
    except JournalError as error:
        raise UnsendableError(Reason.JOURNAL, str(error)) from error


async def _pause(execution: Execution, params: Mapping[str, Any]) -> Conclusion:
    execution.begin()
    wanted_s = parse_duration(str(params["for"])).s
    left_s = execution.left_s()
    await execution.sleep(max(0.0, min(wanted_s, left_s)))
    if left_s < wanted_s:
        return Conclusion(Status.FAIL, Reason.TIMEOUT, f"the flow's time was over before {params['for']} had passed")
    return PASSED


async def _ask(
    execution: Execution,
    step: CompiledStep,
    params: Mapping[str, Any],
    values: Mapping[str, Any],
) -> StepRun:
    tools = execution.tools
    releases: Sequence[ReleaseState] = ()
    if step.attest is not None or step.type == "lambda":
        releases = await tools.inputs.releases()
    sender = RequestSender(
        execution,
        step,
        params,
        probe=_probe(execution, step),
        context=_context(execution, step),
        values=values,
        releases=releases,
    )
    attempts_made = Attempts(
        step.plan,
        sender,
        clock=tools.clock,
        sleep=execution.sleep,
        random=tools.random,
        deadline=lambda: execution.deadline_s,
    )
    outcome = await attempts_made.run()
    return _concluded(execution, step, outcome, sender)


def _probe(execution: Execution, step: CompiledStep) -> Probe:
    try:
        return execution.tools.probes(step.type)
    except (KeyError, ImportError) as error:
        raise UnsendableError(Reason.UNAVAILABLE, f'check type "{step.type}" cannot be loaded here: {error}') from error


def _context(execution: Execution, step: CompiledStep) -> ProbeContext:
    tools = execution.tools
    releases = tools.inputs.known_releases()
    return ProbeContext(
        clock=tools.clock,
        environment=tools.environment,
        timeout_s=step.plan.timeout_s,
        http=tools.http,
        aws=tools.aws,
        trace_id=execution.scope.trace_id,
        run_id=tools.run_id,
        root=tools.root,
        account=step.definition.account,
        region=step.definition.region,
        own_marks=(execution.scope.uid,),
        mutates=step.mutates,
        holds_secret=execution.out.holds_secret,
        release_started_at=next((each.started_at for each in releases if each.started_at is not None), None),
    )


def _concluded(execution: Execution, step: CompiledStep, outcome: Outcome, sender: RequestSender) -> StepRun:
    """Turn what was asked and answered into the step's result; everything in it is fit to leave."""
    out, last = execution.out, outcome.last
    observation = last.observation if last is not None else Observation()
    secret = hides_answer(step.type, sender.params)
    learn_from(out, observation, secret=secret)
    judging = last.judging if last is not None else None
    warn, taken, repeat = NOT_JUDGED, NO_CAPTURES, False
    if not observation.complete or observation.doubt is not None:
        execution.partial.add(step.name)
    if judging is not None:
        document = observation.document
        if step.warn and outcome.ending is Ending.ANSWERED:
            warn = judge(step.warn, document, judging)
        if step.repeat_when:
            repeat = judge(step.repeat_when, document, judging).ok is True
        if step.captures:
            taken = take(step.captures, document, judging, out, all_secret=secret)
    found = _with_captures(conclude(outcome, warn, sender.attestation), taken)
    for sentence in observation.notices:
        execution.tools.notice("probe", out.text(f"{execution.compiled.definition.id}: {sentence}"))
    judged = _assertions(outcome, warn)
    cleaner = StepRedactor(out, secret=secret, exchange=observation.exchange, assertions=judged)
    result = StepResult(
        name=step.name,
        type=step.type,
        status=found.status,
        flags=_flags(execution, outcome, sender, found),
        reason_code=found.reason,
        message=cleaner.message(found.message),
        started_at=last.started_at if last is not None else None,
        duration_ms=round(outcome.elapsed_s * 1000),
        attempts=cleaner.attempts(outcome.attempts),
        assertions=cleaner.assertions(),
        captured=taken.shown,
        version=out.maybe(sender.attestation.version or observation.version),
        exchange=cleaner.exchange(),
        correlation=out.correlation(observation.correlation),
        leftovers=tuple(map(out.text, observation.leftovers)) if observation.leftovers else (),
        source=step.definition.source,
    )
    return StepRun(result, None if judging is None else observation.document, taken.raw, repeat)


def _assertions(outcome: Outcome, warn: Judgement) -> tuple[AssertionResult, ...]:
    """Return every assertion that says something about how it ended."""
    last = outcome.last
    if last is None or last.failure is not None:
        return ()
    results = last.expect.results + warn.results if warn.results else last.expect.results
    if last.until is not None:
        results = last.until.results + results
    if last.stop is not None and outcome.ending is Ending.STOPPED:
        results = last.stop.results + results
    return results


def _with_captures(found: Conclusion, taken: Captures) -> Conclusion:
    if found.status not in GREEN:
        return found
    if taken.unmaskable:
        return Conclusion(Status.ERROR, Reason.INVALID, taken.unmaskable[0])
    if taken.missing:
        return Conclusion(Status.FAIL, Reason.ASSERTION, taken.missing[0])
    return found


def _flags(execution: Execution, outcome: Outcome, sender: RequestSender, found: Conclusion) -> tuple[str, ...]:
    flags = []
    if outcome.retried and found.status in GREEN:
        flags.append(FLAKY)
    if execution.tools.environment.functions and sender.attestation.proof is not Proof.PROVEN:
        flags.append(UNATTESTED)
    return tuple(flags)
