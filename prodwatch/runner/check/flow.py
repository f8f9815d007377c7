"""The steps of one check in order, each with its repetitions; the first that is not green ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import StepResult
from prodwatch.model.status import Reason, Status, worst
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_step import GREEN, StepRun, run_step
from prodwatch.runner.values.scopes import NO_VALUE
from prodwatch.settings.template import UnresolvedError


async def run_steps(execution: Execution) -> None:
    """Run every step until one is not green; results stand in `execution.step_results`, the rest as skipped."""
    steps = execution.compiled.steps
    for place, step in enumerate(steps):
        results = await run_with_repeats(execution, step)
        execution.step_results.extend(results)
        bad = next((each for each in results if each.status not in GREEN), None)
        if bad is not None:
            execution.step_results.extend(not_reached(later, bad.name) for later in steps[place + 1 :])
            return


def not_reached(step: CompiledStep, after: str) -> StepResult:
    """Return the result of a step the flow did not come to."""
    return StepResult(
        name=step.name,
        type=step.type,
        status=Status.SKIPPED,
        reason_code=Reason.PREREQUISITE,
        message=f"not reached: the flow ended at step {after}",
        source=step.definition.source,
    )


async def run_with_repeats(execution: Execution, step: CompiledStep) -> list[StepResult]:
    """Run one step: per element of its `for_each`, and again while its `repeat` says so."""
    if step.definition.for_each is not None:
        return await run_for_each(execution, step)
    results: list[StepResult] = []
    ran = await _run_repeating(execution, step, results)
    _keep(execution, step, ran)
    await execution.remember()
    return [*results, ran.result]


async def _run_repeating(execution: Execution, step: CompiledStep, results: list[StepResult]) -> StepRun:
    """Run a step, and while `repeat.when` holds the step it names and this one again; those go to `results`."""
    ran = await run_step(execution, step)
    repeat = step.definition.repeat
    if repeat is None:
        return ran
    before = next(each for each in execution.compiled.steps if each.name == repeat.after)
    for _ in range(repeat.times):
        if not ran.repeat:
            break
        attempts = ran.result.attempts
        refreshed = await run_step(execution, before)
        _keep(execution, before, refreshed)
        results.append(replace(refreshed.result, name=f"{before.name} (again)"))
        if refreshed.result.status not in GREEN:
            break
        ran = await run_step(execution, step)
        again = (replace(each, n=each.n + len(attempts)) for each in ran.result.attempts)
        ran.result = replace(ran.result, attempts=(*attempts, *again))
    return ran


def _keep(execution: Execution, step: CompiledStep, ran: StepRun) -> None:
    """Let later steps read what this one saw."""
    if ran.document is not None:
        execution.scope.documents[step.name] = ran.document
    if ran.captured:
        execution.scope.captured.update(ran.captured)


async def run_for_each(execution: Execution, step: CompiledStep, *, cleanup: bool = False) -> list[StepResult]:
    """Run a step once per element; an empty list measures nothing, which only a cleanup may call done."""
    scope = execution.scope
    try:
        await scope.ensure(step.references)
        elements = scope.fill(step.definition.for_each)
    except UnresolvedError as error:
        return [_problem(execution, step, Status.ERROR, Reason.UNRESOLVED, error.message)]
    if not isinstance(elements, list | tuple):
        message = f"`for_each` needs a list, {step.definition.for_each} is none"
        return [_problem(execution, step, Status.ERROR, Reason.INVALID, message)]
    if not elements:
        if cleanup:
            return [_problem(execution, step, Status.PASS, None, "nothing to do: the list of `for_each` is empty")]
        message = "the list of `for_each` is empty, so nothing was measured"
        return [_problem(execution, step, Status.INCONCLUSIVE, Reason.NO_DATA, message)]
    results: list[StepResult] = []
    documents: list[Mapping[str, Any]] = []
    captured: dict[str, list[Any]] = {}
    for number, element in enumerate(elements):
        scope.each = element
        try:
            ran = (
                await _run_repeating(execution, step, results)
                if not cleanup
                else await run_step(execution, step, cleanup=True)
            )
        finally:
            scope.each = NO_VALUE
        results.append(replace(ran.result, name=f"{step.name}[{number}]"))
        if ran.document is not None:
            documents.append(ran.document)
        for name, value in (ran.captured or {}).items():
            captured.setdefault(name, []).append(value)
        if ran.result.status not in GREEN and not cleanup:
            break
    if not cleanup and any(each.scope == "steps" and each.path[0] in execution.partial for each in step.references):
        message = "the list of `for_each` was not read to its end, so not every element was looked at"
        results.append(_problem(execution, step, Status.INCONCLUSIVE, Reason.NO_DATA, message))
    scope.documents[step.name] = documents
    scope.captured.update(captured)
    await execution.remember()
    return results


def _problem(
    execution: Execution, step: CompiledStep, status: Status, reason: Reason | None, message: str
) -> StepResult:
    return StepResult(
        name=step.name,
        type=step.type,
        status=status,
        reason_code=reason,
        message=execution.out.text(message),
        source=step.definition.source,
    )


def heaviest(results: list[StepResult]) -> StepResult | None:
    """Return the first result of the worst status, None when there are none."""
    status = worst(each.status for each in results)
    return next((each for each in results if each.status is status), None)
