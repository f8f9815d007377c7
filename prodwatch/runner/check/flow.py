"""The steps of one check in order, each with its repetitions; the first that is not green ends the check."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import AttemptResult, StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_step import GREEN, StepRun, UnsendableError, check_known_values, check_schemas, run_step
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
    try:
        check_schemas(execution, (*compiled.expect, *compiled.warn))
    except UnsendableError as error:
        found = error.conclusion
        message = execution.output.text(f"nothing was sent: {found.message}")
        return Conclusion(found.status, found.reason, message)
    return None


async def run_steps(execution: Execution) -> None:
    """Run every step until one is not green; results go to `execution.step_results`, the rest as skipped."""
    steps = execution.compiled.steps
    for position, step in enumerate(steps):
        results: list[StepResult] = []
        try:
            await run_with_repeats(execution, step, results)
        except asyncio.CancelledError:
            # A step that was still waiting for its turn was not reached.
            execution.reached = position + (bool(results) or execution.cut_off is not None)
            raise
        finally:
            # A step that is cut off keeps the elements and repetitions that it has finished.
            execution.step_results.extend(results)
        execution.reached = position + 1
        bad = next((result for result in results if result.status not in GREEN), None)
        if bad is not None and step.definition.precondition and _is_not_met(bad):
            position_of_bad = execution.step_results.index(bad)
            bad = execution.step_results[position_of_bad] = _not_met(bad)
        if bad is not None:
            why = f"the flow ended at step {bad.name}"
            execution.step_results.extend(not_reached(later, why) for later in steps[position + 1 :])
            execution.reached = len(steps)
            return


def _is_not_met(result: StepResult) -> bool:
    """Return whether only assertions of `expect` are why a precondition is not green.

    A target that refuses, or responds with an error that the type itself does not expect, is a failure as ever.
    """
    false = [each.severity for each in result.assertions if each.ok is False and each.severity != "warn"]
    return result.reason_code is Reason.ASSERTION and bool(false) and set(false) <= {"expect", "until"}


def _not_met(result: StepResult) -> StepResult:
    """Return the result of a precondition whose `expect` is false: no evidence against the target."""
    message = f"not run, its precondition does not hold: {result.message}"
    return replace(result, status=Status.SKIPPED, reason_code=Reason.PREREQUISITE, message=message)


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


async def run_with_repeats(execution: Execution, step: CompiledStep, results: list[StepResult]) -> None:
    """Run one step: once per element of its `for_each`, and again while its `repeat.when` holds.

    Each finished part is added to `results`.
    """
    if step.definition.for_each is not None:
        await run_for_each(execution, step, results)
        return
    step_run = await _run_repeating(execution, step, results)
    results.append(step_run.result)
    _keep(execution, step, step_run)
    await execution.remember()


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
        try:
            refreshed = await run_step(execution, earlier)
        except asyncio.CancelledError:
            execution.cut_off = _cut_off(step_run.result, ())
            raise
        _keep(execution, earlier, refreshed)
        results.append(replace(refreshed.result, name=f"{earlier.name} (again)"))
        if refreshed.result.status not in GREEN:
            break
        try:
            again = await run_step(execution, step)
        except asyncio.CancelledError:
            running = execution.cut_off
            execution.cut_off = _cut_off(running or step_run.result, attempts if running else ())
            raise
        step_run = again
        step_run.result = _after_attempts(step_run.result, attempts)
    return step_run


def _after_attempts(result: StepResult, attempts: tuple[AttemptResult, ...]) -> StepResult:
    """Return the result with its attempts numbered after earlier ones."""
    renumbered = (replace(attempt, n=attempt.n + len(attempts)) for attempt in result.attempts)
    return replace(result, attempts=(*attempts, *renumbered))


def _cut_off(result: StepResult, attempts: tuple[AttemptResult, ...]) -> StepResult:
    """Return the result of a step that was cut off between its repetitions."""
    return replace(_after_attempts(result, attempts), status=Status.INCONCLUSIVE, reason_code=Reason.INTERRUPTED)


def _keep(execution: Execution, step: CompiledStep, step_run: StepRun) -> None:
    """Make a step's document and captures available to later steps."""
    if step_run.document is not None:
        execution.scope.documents[step.name] = step_run.document
    execution.scope.captured.update(step_run.captured)


async def run_for_each(
    execution: Execution, step: CompiledStep, results: list[StepResult], *, cleanup: bool = False
) -> None:
    """Run a step once per element, each added to `results`.

    An empty list measures nothing, which is green in a cleanup only.
    """
    scope = execution.scope
    elements = await _elements(execution, step, cleanup=cleanup)
    if isinstance(elements, StepResult):
        results.append(elements)
        return
    documents: list[Mapping[str, Any]] = []
    captured: dict[str, list[Any]] = {}
    for number, element in enumerate(elements):
        scope.each = element
        name = f"{step.name}[{number}]"
        try:
            step_run = await _run_element(execution, step, name, results, cleanup=cleanup)
        finally:
            scope.each = NO_VALUE
        results.append(replace(step_run.result, name=name))
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


async def _run_element(
    execution: Execution, step: CompiledStep, name: str, results: list[StepResult], *, cleanup: bool
) -> StepRun:
    """Run a step for the element in scope; a result that is cut off has the element's name."""
    try:
        if cleanup:
            return await run_step(execution, step, cleanup=True)
        return await _run_repeating(execution, step, results)
    except asyncio.CancelledError:
        if execution.cut_off is not None:
            execution.cut_off = replace(execution.cut_off, name=name)
        raise


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
    result = _problem(execution, step, Status.INCONCLUSIVE, Reason.NO_DATA, message)
    if not cleanup:
        return result
    return replace(result, leftovers=(f"{step.type}: elements that {step.definition.for_each} may lack",))


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
