"""The steps of one check in order, each with its repetitions; the first that is not green ends the check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_step import GREEN, StepRun, UnsendableError, check_known_values, run_step
from prodwatch.runner.values.template_scope import NO_VALUE
from prodwatch.settings.template import UnresolvedError


def refusal(execution: Execution) -> Conclusion | None:
    """Return why a flow that changes something must not start; None when it may.

    Every value that is known before the first request is filled into all steps, assertions and cleanup steps: what
    can never be filled must not be found out after the first mutation.
    """
    compiled = execution.compiled
    roles = [("step", step) for step in compiled.steps] + [("cleanup", step) for step in compiled.cleanup]
    if not any(step.mutates for _, step in roles):
        return None
    for role, step in roles:
        try:
            check_known_values(execution, step)
        except UnsendableError as error:
            found = error.conclusion
            message = execution.output.text(f"nothing was sent, because of {role} {step.name}: {found.message}")
            return Conclusion(found.status, found.reason, message)
    return None


async def run_steps(execution: Execution) -> None:
    """Run every step until one is not green; results go to `execution.step_results`, the rest as skipped."""
    steps = execution.compiled.steps
    for position, step in enumerate(steps):
        results = await run_with_repeats(execution, step)
        execution.step_results.extend(results)
        bad = next((result for result in results if result.status not in GREEN), None)
        if bad is not None:
            why = f"the flow ended at step {bad.name}"
            execution.step_results.extend(not_reached(later, why) for later in steps[position + 1 :])
            return


def not_reached(step: CompiledStep, why: str) -> StepResult:
    """Return the result of a step that the flow did not reach."""
    return StepResult(
        name=step.name,
        type=step.type,
        status=Status.SKIPPED,
        reason_code=Reason.PREREQUISITE,
        message=f"not reached: {why}",
        source=step.definition.source,
    )


async def run_with_repeats(execution: Execution, step: CompiledStep) -> list[StepResult]:
    """Run one step: once per element of its `for_each`, and again while its `repeat.when` holds."""
    if step.definition.for_each is not None:
        return await run_for_each(execution, step)
    results: list[StepResult] = []
    step_run = await _run_repeating(execution, step, results)
    _keep(execution, step, step_run)
    await execution.remember()
    return [*results, step_run.result]


async def _run_repeating(execution: Execution, step: CompiledStep, results: list[StepResult]) -> StepRun:
    """Run a step, and while `repeat.when` holds, the step it names and this one again; those go to `results`."""
    step_run = await run_step(execution, step)
    repeat = step.definition.repeat
    if repeat is None:
        return step_run
    earlier = next(other for other in execution.compiled.steps if other.name == repeat.after)
    for _ in range(repeat.times):
        if not step_run.repeat:
            break
        attempts = step_run.result.attempts
        refreshed = await run_step(execution, earlier)
        _keep(execution, earlier, refreshed)
        results.append(replace(refreshed.result, name=f"{earlier.name} (again)"))
        if refreshed.result.status not in GREEN:
            break
        step_run = await run_step(execution, step)
        renumbered = (replace(attempt, n=attempt.n + len(attempts)) for attempt in step_run.result.attempts)
        step_run.result = replace(step_run.result, attempts=(*attempts, *renumbered))
    return step_run


def _keep(execution: Execution, step: CompiledStep, step_run: StepRun) -> None:
    """Make a step's document and captures available to later steps."""
    if step_run.document is not None:
        execution.scope.documents[step.name] = step_run.document
    execution.scope.captured.update(step_run.captured)


async def run_for_each(execution: Execution, step: CompiledStep, *, cleanup: bool = False) -> list[StepResult]:
    """Run a step once per element; an empty list measures nothing, which is green in a cleanup only."""
    scope = execution.scope
    elements = await _elements(execution, step, cleanup=cleanup)
    if isinstance(elements, StepResult):
        return [elements]
    results: list[StepResult] = []
    documents: list[Mapping[str, Any]] = []
    captured: dict[str, list[Any]] = {}
    for number, element in enumerate(elements):
        scope.each = element
        try:
            step_run = (
                await _run_repeating(execution, step, results)
                if not cleanup
                else await run_step(execution, step, cleanup=True)
            )
        finally:
            scope.each = NO_VALUE
        results.append(replace(step_run.result, name=f"{step.name}[{number}]"))
        if step_run.document is not None:
            documents.append(step_run.document)
        for name, value in step_run.captured.items():
            captured.setdefault(name, []).append(value)
        if step_run.result.status not in GREEN and not cleanup:
            break
    if partial := _partial_list(execution, step, cleanup=cleanup):
        results.append(partial)
    scope.documents[step.name] = documents
    scope.captured.update(captured)
    await execution.remember()
    return results


async def _elements(
    execution: Execution, step: CompiledStep, *, cleanup: bool
) -> list[Any] | tuple[Any, ...] | StepResult:
    """Return the elements of a step's `for_each`, or the step's result when there are none to run."""
    scope = execution.scope
    try:
        await scope.ensure(step.references)
        elements = scope.fill(step.definition.for_each)
    except UnresolvedError as error:
        return _problem(execution, step, Status.ERROR, error.reason, error.message)
    if not isinstance(elements, list | tuple):
        message = f"`for_each` needs a list, {step.definition.for_each} is not a list"
        return _problem(execution, step, Status.ERROR, Reason.INVALID, message)
    if elements:
        return elements
    if partial := _partial_list(execution, step, cleanup=cleanup):
        return partial
    if cleanup:
        return _problem(execution, step, Status.PASS, None, "nothing to do: the list of `for_each` is empty")
    message = "the list of `for_each` is empty, so nothing was measured"
    return _problem(execution, step, Status.INCONCLUSIVE, Reason.NO_DATA, message)


def _partial_list(execution: Execution, step: CompiledStep, *, cleanup: bool) -> StepResult | None:
    """Return the result of a `for_each` over a list that was not read to its end; None when it was."""
    if not any(reference.scope == "steps" and reference.path[0] in execution.partial for reference in step.references):
        return None
    done = "cleaned up" if cleanup else "checked"
    message = f"the list of `for_each` was not read to its end, so not every element was {done}"
    found = _problem(execution, step, Status.INCONCLUSIVE, Reason.NO_DATA, message)
    if not cleanup:
        return found
    return replace(found, leftovers=(f"{step.type}: elements that {step.definition.for_each} may lack",))


def _problem(
    execution: Execution, step: CompiledStep, status: Status, reason: Reason | None, message: str
) -> StepResult:
    return StepResult(
        name=step.name,
        type=step.type,
        status=status,
        reason_code=reason,
        message=execution.output.text(message),
        source=step.definition.source,
    )
