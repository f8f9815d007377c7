"""Cleanup: always, in reverse order, each step with its own time limit; leftovers are named."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import AttemptResult, StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.check.flow import run_for_each
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_step import GREEN, run_step
from prodwatch.runner.step.stop_reason import StopSignal

_MAX_LEFTOVER = 300
"""Longest description of a leftover, in characters."""


async def clean_up(execution: Execution, stop: StopSignal, *, done_before: Collection[int] = ()) -> bool:
    """Run the cleanup steps, last one first; True when everything is clean.

    Results go to `execution.cleanup_results`. Raises nothing, and ends before its end only when it is cancelled while
    `stop` abandons cleanups: the remaining steps are skipped and their leftovers listed.
    `done_before` are the steps an earlier run has finished, by their index in the file.
    """
    if not execution.may_have_changed_something:
        await execution.close((), done=True)
        return True
    # In a task of its own: a stop of the run that arrives now, or arrived with another one, must not end a request.
    work = asyncio.create_task(_clean_up(execution, done_before))
    current = asyncio.current_task()
    while not work.done():
        try:
            await asyncio.wait((work,))
        except asyncio.CancelledError:
            if current is not None:
                current.uncancel()
            if stop.abandons_cleanup:
                work.cancel()
    return work.result()


async def _clean_up(execution: Execution, done_before: Collection[int]) -> bool:
    read_by_others = execution.compiled.steps_read_by_cleanup
    remaining = [(index, step) for index, step in enumerate(execution.compiled.cleanup) if index not in done_before]
    remaining.reverse()
    clean = True
    while remaining:
        index, step = remaining[0]
        results: list[StepResult] = []
        execution.limit_to(step.budget_s, "the cleanup step's time")
        try:
            # The run's own data must go, even when the run has spent its budget of calls.
            from prodwatch.aws.usage_meter import without_limits  # most runs have nothing to clean up

            with without_limits():
                await _clean(execution, step, results)
        except asyncio.CancelledError:
            execution.cleanup_results.extend(results)
            running = execution.cut_off.attempts if execution.cut_off is not None else ()
            execution.cleanup_results.append(_cancelled(execution, step, running))
            execution.cleanup_results.extend(_cancelled(execution, later, ()) for _, later in remaining[1:])
            clean = False
            break
        remaining.pop(0)
        execution.cleanup_results.extend(results)
        if any(result.status not in GREEN for result in results):
            clean = False
        elif step.mutates and step.name not in read_by_others:
            # A step that only reads runs again in a later cleanup, and so does one whose response another step needs.
            await execution.close((index,), done=False)
    await execution.close((), done=clean)
    return clean


async def _clean(execution: Execution, step: CompiledStep, results: list[StepResult]) -> None:
    """Run one cleanup step; its results, with what they left behind, are added to `results`."""
    execution.cut_off = None
    unsent = _never_made_by(execution, step)
    if unsent is not None:
        results.append(_nothing_to_do(step, f"nothing to do: step {unsent} sent nothing"))
    elif step.definition.for_each is not None:
        await run_for_each(execution, step, results, cleanup=True)
    else:
        step_run = await run_step(execution, step, cleanup=True)
        results.append(step_run.result)
        if step_run.document is not None and step.name not in {own.name for own in execution.compiled.steps}:
            execution.scope.documents[step.name] = step_run.document
        execution.scope.captured.update(step_run.captured)
    results[:] = [
        result
        if result.status in GREEN
        else replace(result, leftovers=result.leftovers or (leftover_of(execution, step),))
        for result in results
    ]


def _never_made_by(execution: Execution, step: CompiledStep) -> str | None:
    """Return the mutating step that provides a value of this cleanup step and was never sent; None without one."""
    undoes = step.definition.undoes
    if undoes is not None and undoes not in execution.sent:
        return undoes
    needed = {reference.path[0] for reference in step.references if reference.scope == "captured" and reference.path}
    needed -= execution.scope.captured.keys()
    read = {reference.path[0] for reference in step.references if reference.scope == "steps" and reference.path}
    for made in execution.compiled.steps:
        if made.mutates and made.name not in execution.sent and (made.name in read or needed & made.captures.keys()):
            return made.name
    return None


def _nothing_to_do(step: CompiledStep, message: str) -> StepResult:
    return StepResult(
        name=step.name, type=step.type, status=Status.PASS, message=message, source=step.definition.source
    )


def _cancelled(execution: Execution, step: CompiledStep, attempts: tuple[AttemptResult, ...]) -> StepResult:
    return StepResult(
        name=step.name,
        type=step.type,
        status=Status.SKIPPED,
        reason_code=Reason.INTERRUPTED,
        message="not cleaned up: the run was interrupted a second time",
        attempts=attempts,
        leftovers=(leftover_of(execution, step),),
        source=step.definition.source,
    )


def leftover_of(execution: Execution, step: CompiledStep) -> str:
    """Return a description of the data a cleanup step was to remove, for a person who has to remove it by hand."""
    params: Mapping[str, Any] = execution.scope.show(step.definition.params)
    details = ", ".join(f"{name} {execution.output.value(value)}" for name, value in params.items())
    text = execution.output.text(f"{step.type} {details}" if details else step.type)
    return text if len(text) <= _MAX_LEFTOVER else f"{text[:_MAX_LEFTOVER]}…"
