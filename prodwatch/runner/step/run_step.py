"""One step: filled, journalled, sent, judged, captured; every problem becomes a result and none is green by default."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.assertions.errors import PathError
from prodwatch.errors import UnusableError
from prodwatch.model.result import AssertionResult, StepResult
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation, Probe, ProbeContext
from prodwatch.probes.project_files import inside
from prodwatch.runner.step.attempts import Attempts, Ending, Outcome
from prodwatch.runner.step.attestation import NOT_ATTESTED, Attestation
from prodwatch.runner.step.captures import NO_CAPTURES, read_captures
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import PASSED, Conclusion, conclude, stalled, undecided_repeat, with_unread
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import Expectation, Judgement
from prodwatch.runner.step.facts import with_facts
from prodwatch.runner.step.journal import JournalError
from prodwatch.runner.step.request_sender import RequestSender
from prodwatch.runner.step.result_redaction import StepRedactor, hides_response, learn_from
from prodwatch.settings import fit_params
from prodwatch.settings.template import UnresolvedError, fill, parse_template
from prodwatch.text.units import parse_duration

FLAKY = "flaky"
UNATTESTED = "unattested"
STALLED = "stalled"
GREEN = frozenset({Status.PASS, Status.DEGRADED})


_FILES = frozenset({"body_file", "payload_file"})
"""Keys that name a file of the project, whose content is sent."""


class UnsendableError(Exception):
    """The step cannot be sent; `conclusion` is its outcome."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.conclusion = Conclusion(Status.ERROR, reason, message)


class StepRun(msgspec.Struct):
    """A step's result, and the raw values that later steps may read."""

    result: StepResult
    document: Mapping[str, Any] | None = None
    """None when nothing was judged."""
    captured: Mapping[str, Any] = {}
    repeat: bool = False
    """The step's `repeat.when` holds."""


async def run_step(execution: Execution, step: CompiledStep, *, cleanup: bool = False) -> StepRun:
    """Run one step once; raises nothing but CancelledError.

    Requests of a cleanup are not journalled: the need for them already is.
    """
    clock = execution.context.clock
    try:
        if step.remote:
            await execution.scope.ensure(step.references)
        params, values = _fill(execution, step)
        if step.type != "wait":
            if step.mutates and not cleanup:
                check_schemas(execution, step.assertions)
                await _journal(execution, step, params)
            return await _send(execution, step, params, values)
        started_at, started_s = clock.now(), clock.monotonic_s()
        try:
            conclusion = await _pause(execution, params)
        except asyncio.CancelledError:
            duration_ms = round((clock.monotonic_s() - started_s) * 1000)
            cut_off = Conclusion(Status.INCONCLUSIVE, Reason.INTERRUPTED)
            execution.cut_off = _waited(execution, step, cut_off, started_at, duration_ms)
            raise
        duration_ms = round((clock.monotonic_s() - started_s) * 1000)
    except UnsendableError as error:
        conclusion, started_at, duration_ms = error.conclusion, clock.now(), 0
    return StepRun(_waited(execution, step, conclusion, started_at, duration_ms))


def _waited(
    execution: Execution, step: CompiledStep, conclusion: Conclusion, started_at: datetime, duration_ms: int
) -> StepResult:
    """Return the result of a step that sent nothing."""
    return StepResult(
        name=step.name,
        type=step.type,
        status=conclusion.status,
        reason_code=conclusion.reason,
        message=execution.output.maybe(conclusion.message),
        started_at=started_at,
        duration_ms=duration_ms,
        source=step.definition.source,
    )


def _fill(execution: Execution, step: CompiledStep) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the step's keys and the values of its assertions' `${…}`; UnsendableError when one has no value."""
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
        raise UnsendableError(error.reason, error.message) from error
    except ValueError as error:
        raise UnsendableError(Reason.INVALID, str(error)) from error
    return params, values


def check_known_values(execution: Execution, step: CompiledStep) -> None:
    """Raise UnsendableError when a value that is known before the flow starts can never be filled into this step."""
    if step.type != "wait":
        _probe(execution, step)
    definition, scope = step.definition, execution.scope
    try:
        scope.check_known((definition.params, step.holes, definition.for_each))
        if not any(map(scope.is_later, step.references)):
            _fill(execution, step)
        for name in _FILES & definition.params.keys():
            _check_file(execution, name, definition.params[name])
        check_schemas(execution, step.assertions)
    except UnresolvedError as error:
        raise UnsendableError(error.reason, error.message) from error
    except ValueError as error:
        raise UnsendableError(Reason.INVALID, str(error)) from error


def check_schemas(execution: Execution, expectations: Iterable[Expectation]) -> None:
    """Raise UnsendableError when a JSON Schema file of `satisfies` cannot be read, as far as its name is known."""
    for expectation in expectations:
        assertion = expectation.assertion
        if assertion.operator != "satisfies":
            continue
        try:
            holes = [fill(parse_template(hole), execution.scope.lookup) for hole in assertion.holes]
            name = str(assertion.expected(holes))
        except (UnresolvedError, PathError):
            continue  # a step provides it, or judging reports it
        try:
            execution.context.schemas.load(name)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UnsendableError(Reason.INVALID, f'the schema "{name}" cannot be read: {why}') from error


def _check_file(execution: Execution, key: str, name: Any) -> None:
    """Raise UnsendableError when the file that a key names is known by now and cannot be read."""
    try:
        path = str(execution.scope.fill(name))
    except UnresolvedError:
        return  # a step provides its name
    try:
        file = inside(execution.context.root, path)
    except UnusableError as error:
        raise UnsendableError(Reason.INVALID, str(error)) from error
    if not os.access(file, os.R_OK) or not file.is_file():
        raise UnsendableError(Reason.INVALID, f'`{key}` names "{path}", which is not a readable file of the project')


async def _journal(execution: Execution, step: CompiledStep, params: Mapping[str, Any]) -> None:
    try:
        await execution.record(step, params)
    except JournalError as error:
        raise UnsendableError(Reason.JOURNAL, str(error)) from error


async def _pause(execution: Execution, params: Mapping[str, Any]) -> Conclusion:
    execution.begin()
    requested_s = parse_duration(str(params["for"])).s
    left_s = execution.left_s()
    await execution.sleep(max(0.0, min(requested_s, left_s)))
    if left_s < requested_s:
        message = f"{execution.limit} was over before {params['for']} had passed"
        return _unless_stalled(execution, Conclusion(Status.FAIL, Reason.TIMEOUT, message))
    return PASSED


def _unless_stalled(execution: Execution, conclusion: Conclusion) -> Conclusion:
    """Return the conclusion of a flow whose time is over; a flow during which this machine was stalled proves nothing.

    A flow as a whole is not repeated: its steps may have changed something.
    """
    context = execution.context
    stall = context.lag.stall(execution.started_s, context.clock.monotonic_s())
    if stall is None or conclusion.status is not Status.FAIL or conclusion.reason is not Reason.TIMEOUT:
        return conclusion
    return stalled(stall, conclusion.message or "the flow's time was over")


async def _send(
    execution: Execution,
    step: CompiledStep,
    params: Mapping[str, Any],
    values: Mapping[str, Any],
) -> StepRun:
    context = execution.context
    releases: Sequence[ReleaseState] = ()
    if step.attest is not None or step.type == "lambda":
        releases = await context.inputs.releases()
    sender = RequestSender(
        execution,
        step,
        params,
        probe=_probe(execution, step),
        probe_context=_probe_context(execution, step),
        values=values,
        releases=releases,
    )
    attempts = Attempts(
        step,
        sender,
        clock=context.clock,
        sleep=execution.sleep,
        random=context.random,
        deadline=lambda: execution.deadline_s,
    )
    try:
        outcome = await attempts.run()
    except asyncio.CancelledError:
        outcome = attempts.cut_off(sender.in_flight)
        if outcome.attempts:
            execution.cut_off = _step_run(execution, step, outcome, sender).result
        raise
    last = outcome.last
    failure = None if last is None else last.observation.failure
    if step.mutates and len(outcome.attempts) == 1 and failure is not None:
        execution.settle(step, unsent=failure.unsent)
    return _step_run(execution, step, outcome, sender)


def _probe(execution: Execution, step: CompiledStep) -> Probe:
    try:
        return execution.context.probes(step.type)
    except (KeyError, ImportError) as error:
        raise UnsendableError(Reason.UNAVAILABLE, f'check type "{step.type}" cannot be loaded here: {error}') from error


def _probe_context(execution: Execution, step: CompiledStep) -> ProbeContext:
    context = execution.context
    releases = context.inputs.known_releases().states
    return ProbeContext(
        clock=context.clock,
        environment=context.environment,
        timeout_s=step.timeout_s,
        http=context.http,
        aws=context.aws,
        trace_id=execution.scope.trace_id,
        run_id=context.run_id,
        root=context.root,
        memory=context.memory,
        account=step.definition.account,
        region=step.definition.region,
        own_marks=(execution.scope.uid,),
        mutates=step.mutates,
        holds_secret=execution.output.holds_secret,
        started_at=execution.started_at,
        release_started_at=next((state.started_at for state in releases if state.started_at is not None), None),
    )


def _step_run(execution: Execution, step: CompiledStep, outcome: Outcome, sender: RequestSender) -> StepRun:
    """Turn the outcome of all attempts into the step's result, redacted."""
    output, last = execution.output, outcome.last
    observation = last.observation if last is not None else Observation()
    attestation = last.attestation if last is not None else NOT_ATTESTED
    secret = hides_response(step.type, sender.params)
    learn_from(output, observation, secret=secret)
    if not observation.complete or observation.doubt is not None:
        execution.partial.add(step.name)
    if last is not None and last.stall is not None:
        execution.spoiled[step.name] = last.stall, step.timed
    judged = last is not None and last.failure is None
    captures = NO_CAPTURES
    if judged and last is not None and step.captures:
        captures = read_captures(
            step,
            observation.document,
            output,
            values=sender.values,
            now=last.started_at,
            all_secret=secret,
            complete=observation.complete,
            doubt=observation.doubt,
        )
    conclusion = PASSED if _is_gone(step, outcome) else conclude(outcome, execution.limit)
    if outcome.ending is Ending.OUT_OF_TIME:
        conclusion = _unless_stalled(execution, conclusion)
    if captures.problem is not None and conclusion.status in GREEN:
        conclusion = with_unread(captures.problem, observation.unread)
    repeat = None if last is None else last.repeat
    if repeat is not None and repeat.ok is None and conclusion.status in GREEN:
        conclusion = with_unread(undecided_repeat(repeat), observation.unread)
    for notice in observation.notices:
        execution.context.notice("probe", output.text(f"{execution.compiled.definition.id}: {notice}"))
    redactor = StepRedactor(
        output, secret=secret, exchange=observation.exchange, assertions=_assertions(execution, step, outcome, sender)
    )
    result = StepResult(
        name=step.name,
        type=step.type,
        status=conclusion.status,
        flags=_flags(execution, outcome, attestation, conclusion),
        reason_code=conclusion.reason,
        message=redactor.message(conclusion.message),
        started_at=outcome.attempts[0].started_at if outcome.attempts else None,
        duration_ms=round(outcome.elapsed_s * 1000),
        attempts=redactor.attempts(outcome.attempts),
        assertions=redactor.assertions(),
        captured=dict(captures.shown),
        version=output.maybe(attestation.version or observation.version),
        exchange=redactor.exchange(),
        correlation=output.correlation(observation.correlation),
        leftovers=tuple(map(output.text, observation.leftovers)) if observation.leftovers else (),
        source=step.definition.source,
    )
    return StepRun(
        result,
        document=observation.document if judged else None,
        captured=captures.raw,
        repeat=repeat is not None and repeat.ok is True,
    )


def _is_gone(step: CompiledStep, outcome: Outcome) -> bool:
    """Return whether a repeated HTTP DELETE of a cleanup finds nothing any more: an earlier one was carried out."""
    last = outcome.last
    if last is None or last.failure is not None or not step.persists or len(outcome.attempts) < 2:
        return False
    deletes = step.type == "http" and step.mutates and step.definition.poll is None
    return deletes and last.observation.document.get("status") in {404, 410}


def _assertions(
    execution: Execution, step: CompiledStep, outcome: Outcome, sender: RequestSender
) -> tuple[AssertionResult, ...]:
    """Return the results of the last attempt that explain how the attempts ended, with the facts behind them."""
    last = outcome.last
    if last is None or last.failure is not None:
        return ()
    warned = last if outcome.warned is None or last.warn.ok is not True else outcome.warned
    # Where only a `warn` of an earlier answer is not met, everything else holds.
    shown = warned if last.holds else last

    def judged(expectations: Sequence[Expectation], judgement: Judgement, **how: bool) -> tuple[AssertionResult, ...]:
        if judgement.ok is True and not how:
            return judgement.results
        return with_facts(
            # Assertions that were not judged have no results.
            zip(expectations, judgement.results, strict=False),
            shown.observation.document,
            step.spec,
            values=sender.values,
            now=shown.started_at,
            mask=execution.output.masked,
            **how,
        )

    results = judged(step.expect, last.expect)
    if outcome.ending is Ending.ANSWERED:
        results += judged(step.warn, warned.warn)
    if last.until is not None:
        results = judged(step.until, last.until) + results
    if last.stop is not None and outcome.ending is Ending.STOPPED:
        results = judged(step.stop_when, last.stop, expected=False) + results
    return results


def _flags(execution: Execution, outcome: Outcome, attestation: Attestation, conclusion: Conclusion) -> tuple[str, ...]:
    flags = []
    if outcome.retried and conclusion.status in GREEN:
        flags.append(FLAKY)
    environment = execution.context.environment
    if (environment.functions or environment.unfilled_of("function")) and not attestation.proven:
        flags.append(UNATTESTED)
    if outcome.stalled or conclusion.reason is Reason.STALLED:
        flags.append(STALLED)
    return tuple(flags)
