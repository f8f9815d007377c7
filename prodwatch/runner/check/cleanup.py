"""Cleanup: always, in reverse order, each step within its own time; what stays behind is named."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.result import StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.check.flow import run_for_each
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.run_step import GREEN, run_step
from prodwatch.settings.template import UnresolvedError, resolve

_LONGEST = 300


async def clean_up(execution: Execution, *, done_before: Collection[int] = ()) -> bool:
    """Run the cleanup steps, last one first; True when everything is clean.

    Results stand in `execution.cleanup_results`. Cancellation gives the rest up: it is listed as left behind.
    `done_before` are steps an earlier run has finished, by their place in the file.
    """
    todo = [(index, step) for index, step in enumerate(execution.compiled.cleanup) if index not in done_before]
    todo.reverse()
    clean = True
    while todo:
        index, step = todo[0]
        execution.deadline_s = execution.tools.clock.monotonic_s() + step.budget_s
        try:
            # What the run made must go, also when the run has spent its budget of calls.
            from prodwatch.aws.cost import without_limits  # most runs clean up nothing

            with without_limits():
                results = await _clean(execution, step)
        except asyncio.CancelledError:
            execution.cleanup_results.extend(_given_up(execution, each) for _, each in todo)
            clean = False
            break
        todo.pop(0)
        execution.cleanup_results.extend(results)
        if any(each.status not in GREEN for each in results):
            clean = False
        elif step.mutates:
            # What only looked is done again by a later cleanup: others may need what it found.
            await execution.close((index,), done=False)
    await execution.close((), done=clean)
    return clean


async def _clean(execution: Execution, step: CompiledStep) -> list[StepResult]:
    if step.definition.for_each is not None:
        results = await run_for_each(execution, step, cleanup=True)
    else:
        ran = await run_step(execution, step, cleanup=True)
        results = [ran.result]
        if ran.document is not None and step.name not in {each.name for each in execution.compiled.steps}:
            execution.scope.documents[step.name] = ran.document
        execution.scope.captured.update(ran.captured or {})
    return [
        each if each.status in GREEN else replace(each, leftovers=each.leftovers or (what_is_left(execution, step),))
        for each in results
    ]


def _given_up(execution: Execution, step: CompiledStep) -> StepResult:
    return StepResult(
        name=step.name,
        type=step.type,
        status=Status.SKIPPED,
        reason_code=Reason.INTERRUPTED,
        message="cleanup was given up: interrupted a second time",
        leftovers=(what_is_left(execution, step),),
        source=step.definition.source,
    )


def what_is_left(execution: Execution, step: CompiledStep) -> str:
    """Return, for a person who has to do it by hand, what a cleanup step was to remove."""
    try:
        params: Mapping[str, Any] = resolve(step.definition.params, execution.scope.lookup)
    except (UnresolvedError, ValueError):
        params = step.definition.params
    told = ", ".join(f"{name} {execution.out.value(value)}" for name, value in params.items())
    text = execution.out.text(f"{step.type} {told}" if told else step.type)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
