"""One check from its first request to its result, cleanup included, whether or not it is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import AssertionResult, CheckResult, Correlation, StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.check.cleanup import clean_up
from prodwatch.runner.check.flow import not_reached, refusal, run_steps
from prodwatch.runner.step.conclusion import PASSED, Conclusion, conclude_judged, stalled_claims
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import JudgingContext, judge, reads_time, rest_on_time
from prodwatch.runner.step.facts import with_facts
from prodwatch.runner.step.result_redaction import StepRedactor
from prodwatch.runner.step.run_step import GREEN, STALLED, UNATTESTED, run_step
from prodwatch.runner.step.stop_reason import StopSignal
from prodwatch.settings.template import UnresolvedError, fill, parse_template, resolve
from prodwatch.settings.template_filters import TemplateFilterError

NOTHING_EXPECTED = Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, "it has no expectation, so nothing is proven")


async def run_check(execution: Execution, stop: StopSignal) -> CheckResult:
    """Run the check and its cleanup; raises nothing, not even when cancelled."""
    cut_off: Conclusion | None = None
    own: tuple[AssertionResult, ...] = ()
    try:
        if execution.compiled.is_flow:
            refused = refusal(execution)
            if refused is None:
                await run_steps(execution)
                conclusion, own = await _conclude(execution)
            else:
                conclusion = refused
                execution.step_results.extend(
                    not_reached(step, "nothing was sent") for step in execution.compiled.steps
                )
        else:
            step_run = await run_step(execution, execution.compiled.steps[0])
            execution.step_results.append(step_run.result)
            conclusion = _conclude_plain(step_run.result)
    except asyncio.CancelledError:
        _take_cancellation()
        cut_off = conclusion = _cut_off(execution, stop)
    except Exception as error:  # noqa: BLE001 -- a bug must cost one check, and never its cleanup
        conclusion = internal_error(error)
    clock = execution.context.clock
    duration_ms = round((clock.monotonic_s() - execution.started_s) * 1000) if execution.begun else 0
    if cut_off is not None and execution.compiled.is_flow:
        missing = execution.compiled.steps[execution.reached :]
        execution.step_results.extend(not_reached(step, "the run ended") for step in missing)
    if execution.begun and (execution.compiled.cleanup or execution.mutated):
        conclusion = await _after_cleanup(execution, conclusion, stop)
    return execution.output.finished(_result(execution, conclusion, own, duration_ms))


def _take_cancellation() -> None:
    """Consume one cancellation, so that the cleanup can run; a second cancellation still arrives."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _cut_off(execution: Execution, stop: StopSignal) -> Conclusion:
    """Return the conclusion of a check that the run's end has cut off; the running step keeps what it measured."""
    conclusion = stop.conclusion(begun=execution.begun)
    running = execution.cut_off
    if running is None:
        return conclusion
    if running.message is not None:
        conclusion = Conclusion(conclusion.status, conclusion.reason, f"{conclusion.message}; {running.message}")
    execution.step_results.append(
        replace(running, status=conclusion.status, reason_code=conclusion.reason, message=conclusion.message)
    )
    return conclusion


def internal_error(error: Exception) -> Conclusion:
    """Return the conclusion of a check that a bug of ours kept from being measured."""
    # The text of an unforeseen error may hold a secret, so only its type is reported.
    message = f"a bug in prodwatch kept this check from being measured ({type(error).__name__})"
    return Conclusion(Status.ERROR, Reason.INTERNAL, message)


async def _after_cleanup(execution: Execution, conclusion: Conclusion, stop: StopSignal) -> Conclusion:
    """Clean up; leftovers make a pass degraded and are reported in any case, also after a bug in the cleanup."""
    try:
        if await clean_up(execution, stop):
            return conclusion
    except Exception as error:  # noqa: BLE001 -- the journal still has what is to be removed, and the user must know
        bug = f"a bug in prodwatch broke the cleanup ({type(error).__name__})"
        message = f"{bug}: its data may be left behind; `prodwatch cleanup {execution.context.run_id}` tries again"
        execution.context.notice("leftovers", f"{execution.compiled.definition.id}: {message}")
        broken = Conclusion(Status.ERROR, Reason.INTERNAL, message)
        return conclusion if conclusion.status is Status.FAIL else broken
    leftovers = [leftover for result in execution.cleanup_results for leftover in result.leftovers]
    retry = f"`prodwatch cleanup {execution.context.run_id}` tries again"
    message = f"cleanup did not finish, left behind: {'; '.join(leftovers)}; {retry}"
    execution.context.notice("leftovers", f"{execution.compiled.definition.id}: {message}")
    if conclusion.status is Status.PASS:
        return Conclusion(Status.DEGRADED, Reason.CLEANUP, message)
    return conclusion


def _conclude_plain(result: StepResult) -> Conclusion:
    if result.status in GREEN and not result.assertions:
        return NOTHING_EXPECTED
    return Conclusion(result.status, result.reason_code, result.message)


async def _conclude(execution: Execution) -> tuple[Conclusion, tuple[AssertionResult, ...]]:
    """Return a flow's conclusion and the results of its own assertions."""
    compiled, results = execution.compiled, execution.step_results
    bad = next((result for result in results if result.status not in GREEN), None)
    if bad is not None:
        return Conclusion(bad.status, bad.reason_code, f"step {bad.name}: {bad.message}"), ()
    if all(result.type == "wait" for result in results):
        return NOTHING_EXPECTED, ()
    own: tuple[AssertionResult, ...] = ()
    conclusion = PASSED
    if compiled.expect or compiled.warn:
        conclusion, own = await judge_whole(execution, {"steps": execution.scope.documents})
    degraded = next((result for result in results if result.status is Status.DEGRADED), None)
    if conclusion.status is Status.PASS and degraded is not None:
        message = f"step {degraded.name}: {degraded.message}"
        conclusion = Conclusion(Status.DEGRADED, degraded.reason_code, message)
    return conclusion, own


async def judge_whole(
    execution: Execution, document: Mapping[str, Any]
) -> tuple[Conclusion, tuple[AssertionResult, ...]]:
    """Judge the assertions of a flow or composite as a whole."""
    compiled, context, output = execution.compiled, execution.context, execution.output
    try:
        await context.inputs.ensure(compiled.references)
        holes = {hole for expectation in (*compiled.expect, *compiled.warn) for hole in expectation.holes}
        values = {hole: fill(parse_template(hole), execution.scope.lookup) for hole in holes}
    except UnresolvedError as error:
        return Conclusion(Status.ERROR, error.reason, output.text(error.message)), ()
    except TemplateFilterError as error:
        return Conclusion(Status.ERROR, Reason.INVALID, output.text(str(error))), ()
    judging = JudgingContext(
        values=values,
        now=context.clock.now(),
        complete=True,
        load_schema=context.schemas.load,
        redact=output.masked,
        partial=frozenset(execution.partial),
    )
    expect, warn = judge(compiled.expect, document, judging), judge(compiled.warn, document, judging)
    conclusion = conclude_judged(expect, warn)
    if execution.spoiled:
        timed = {name: fields for name, (_, fields) in execution.spoiled.items()}
        judged = zip((*compiled.expect, *compiled.warn), (*expect.results, *warn.results), strict=True)
        if rest_on_time(judged, lambda claim: reads_time(str(claim.assertion.path), timed)):
            stall = max((stall for stall, _ in execution.spoiled.values()), key=lambda stall: stall.stalled_s)
            conclusion = stalled_claims(stall, conclusion)
    results = with_facts(
        zip((*compiled.expect, *compiled.warn), (*expect.results, *warn.results), strict=True),
        document,
        None,
        values=values,
        now=judging.now,
        mask=output.masked,
    )
    own = StepRedactor(output, assertions=results).assertions()
    return Conclusion(conclusion.status, conclusion.reason, output.maybe(conclusion.message)), own


def _result(
    execution: Execution, conclusion: Conclusion, own: tuple[AssertionResult, ...], duration_ms: int
) -> CheckResult:
    compiled, steps = execution.compiled, execution.step_results
    definition = compiled.definition
    plain = steps[0] if steps and not compiled.is_flow else None
    return CheckResult(
        id=definition.id,
        name=definition.name,
        title=definition.title,
        kind=definition.kind,
        type=definition.type,
        tags=definition.tags,
        owner=definition.owner,
        status=conclusion.status,
        flags=flags_of(definition, _step_flags(steps, conclusion)),
        reason_code=conclusion.reason,
        message=conclusion.message,
        started_at=execution.started_at,
        duration_ms=duration_ms,
        attempts=plain.attempts if plain else (),
        assertions=plain.assertions if plain else own,
        steps=() if plain else tuple(steps),
        cleanup=tuple(execution.cleanup_results),
        captured=plain.captured if plain else {name: value for step in steps for name, value in step.captured.items()},
        version=plain.version if plain else next((step.version for step in steps if step.version is not None), None),
        exchange=plain.exchange if plain else None,
        correlation=plain.correlation if plain else _correlation(execution, steps),
        links=_links(execution),
        source=definition.source,
    )


def _correlation(execution: Execution, steps: list[StepResult]) -> Correlation:
    traced = any(step.correlation.trace_id for step in steps)
    return Correlation(
        trace_id=execution.scope.trace_id if traced else None,
        request_ids=tuple(dict.fromkeys(id_ for step in steps for id_ in step.correlation.request_ids)),
        links={title: url for step in steps for title, url in step.correlation.links.items()},
    )


def _links(execution: Execution) -> dict[str, str]:
    templates = execution.compiled.definition.links
    if not templates:
        return {}
    links = {}
    for title, url in templates.items():
        try:
            links[str(resolve(title, execution.scope.lookup))] = str(resolve(url, execution.scope.lookup))
        except (UnresolvedError, TemplateFilterError):
            continue  # a link that cannot be built does not affect the measurement
    return execution.output.links(links)


def _step_flags(steps: list[StepResult], conclusion: Conclusion) -> tuple[str, ...]:
    if conclusion.status is Status.SKIPPED:
        return ()
    if len(steps) == 1 and steps[0].attempts:
        return steps[0].flags
    flags = [flag for step in steps for flag in step.flags if flag != UNATTESTED]
    sent = [step for step in steps if step.attempts]
    # One step that proves its version is proof for the whole check.
    if sent and all(UNATTESTED in step.flags for step in sent):
        flags.append(UNATTESTED)
    if conclusion.reason is Reason.STALLED:
        flags.append(STALLED)
    return tuple(dict.fromkeys(flags))


def flags_of(definition: CheckDefinition, more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a result's flags: what the check is, then what happened."""
    if not (definition.critical or definition.advisory or definition.mutates):
        return more
    own = [name for name in ("critical", "advisory") if getattr(definition, name)]
    if definition.mutates:
        own.append("mutating")
    return (*own, *more)


def result_without_run(
    definition: CheckDefinition, conclusion: Conclusion, *, at: datetime | None = None, flags: tuple[str, ...] = ()
) -> CheckResult:
    """Return the result of a check that sent nothing."""
    return CheckResult(
        id=definition.id,
        name=definition.name,
        title=definition.title,
        kind=definition.kind,
        type=definition.type,
        tags=definition.tags,
        owner=definition.owner,
        status=conclusion.status,
        flags=flags_of(definition, flags),
        reason_code=conclusion.reason,
        message=conclusion.message,
        started_at=at,
        members=definition.of,
        source=definition.source,
    )
