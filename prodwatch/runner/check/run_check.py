"""One check from its first request to its result, cleanup included, whatever interrupts it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prodwatch.model.check import CheckDefinition
from prodwatch.model.result import AssertionResult, CheckResult, Correlation, StepResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.check.cleanup import clean_up
from prodwatch.runner.check.flow import not_reached, run_steps
from prodwatch.runner.step.conclusion import PASSED, Conclusion, judged
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.expectations import JudgingContext, judge
from prodwatch.runner.step.result_redaction import StepRedactor
from prodwatch.runner.step.run_step import GREEN, UNATTESTED, run_step
from prodwatch.runner.step.stop_reason import StopSignal
from prodwatch.settings.template import UnresolvedError, fill, parse_template, resolve
from prodwatch.settings.template_filters import FilterError

NOTHING_EXPECTED = Conclusion(
    Status.INCONCLUSIVE, Reason.NO_DATA, "nothing is expected of the answer, so nothing is proven"
)


async def run_check(execution: Execution, stop: StopSignal) -> CheckResult:
    """Run the check and its cleanup; raises nothing, not even when cancelled."""
    cut_off: Conclusion | None = None
    own: tuple[AssertionResult, ...] = ()
    try:
        if execution.compiled.is_flow:
            await run_steps(execution)
            found, own = await _conclude(execution)
        else:
            ran = await run_step(execution, execution.compiled.steps[0])
            execution.step_results.append(ran.result)
            found = _conclude_plain(ran.result)
    except asyncio.CancelledError:
        _take_cancellation()
        cut_off = found = stop.conclusion(begun=execution.begun)
    clock = execution.tools.clock
    duration_ms = round((clock.monotonic_s() - execution.started_s) * 1000) if execution.begun else 0
    if cut_off is not None and execution.compiled.is_flow:
        done = {each.name for each in execution.step_results}
        missing = (each for each in execution.compiled.steps if each.name not in done)
        execution.step_results.extend(not_reached(each, "the run's end") for each in missing)
    if execution.begun and (execution.compiled.cleanup or execution.mutated):
        found = await _cleaned(execution, found)
    return _result(execution, found, own, duration_ms)


def _take_cancellation() -> None:
    """Go on although cancelled: cleanup comes first, and a second cancellation still arrives."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


async def _cleaned(execution: Execution, found: Conclusion) -> Conclusion:
    """Clean up; what stays behind makes a pass degraded and is told in any case."""
    if await clean_up(execution):
        return found
    left = [leftover for each in execution.cleanup_results for leftover in each.leftovers]
    where = f"`prodwatch cleanup {execution.tools.run_id}` tries again"
    message = f"cleanup did not finish, left behind: {'; '.join(left)}; {where}"
    execution.tools.notice("leftovers", f"{execution.compiled.definition.id}: {message}")
    if found.status is Status.PASS:
        return Conclusion(Status.DEGRADED, Reason.CLEANUP, message)
    return found


def _conclude_plain(result: StepResult) -> Conclusion:
    if result.status in GREEN and not result.assertions:
        return NOTHING_EXPECTED
    return Conclusion(result.status, result.reason_code, result.message)


async def _conclude(execution: Execution) -> tuple[Conclusion, tuple[AssertionResult, ...]]:
    """Return a flow's outcome and its own assertions."""
    compiled, results = execution.compiled, execution.step_results
    bad = next((each for each in results if each.status not in GREEN), None)
    if bad is not None:
        return Conclusion(bad.status, bad.reason_code, f"step {bad.name}: {bad.message}"), ()
    if all(each.type == "wait" for each in results):
        return NOTHING_EXPECTED, ()
    own: tuple[AssertionResult, ...] = ()
    found = PASSED
    if compiled.expect or compiled.warn:
        found, own = await judge_whole(execution, {"steps": execution.scope.documents})
    degraded = next((each for each in results if each.status is Status.DEGRADED), None)
    if found.status is Status.PASS and degraded is not None:
        message = f"step {degraded.name}: {degraded.message}"
        found = Conclusion(Status.DEGRADED, degraded.reason_code, message)
    return found, own


async def judge_whole(
    execution: Execution, document: Mapping[str, Any]
) -> tuple[Conclusion, tuple[AssertionResult, ...]]:
    """Judge what a flow or composite expects as a whole."""
    compiled, tools = execution.compiled, execution.tools
    try:
        await tools.inputs.ensure(compiled.references)
        holes = {hole for each in (*compiled.expect, *compiled.warn) for hole in each.holes}
        values = {hole: fill(parse_template(hole), execution.scope.lookup) for hole in holes}
    except UnresolvedError as error:
        return Conclusion(Status.ERROR, Reason.UNRESOLVED, execution.out.text(error.message)), ()
    except FilterError as error:
        return Conclusion(Status.ERROR, Reason.INVALID, execution.out.text(str(error))), ()
    judging = JudgingContext(
        values=values,
        now=tools.clock.now(),
        complete=True,
        load_schema=tools.schemas.load,
        redact=execution.out.masked,
        partial=frozenset(execution.partial),
    )
    expect, warn = judge(compiled.expect, document, judging), judge(compiled.warn, document, judging)
    found = judged(expect, warn)
    own = StepRedactor(execution.out, assertions=(*expect.results, *warn.results)).assertions()
    return Conclusion(found.status, found.reason, execution.out.maybe(found.message)), own


def _result(execution: Execution, found: Conclusion, own: tuple[AssertionResult, ...], duration_ms: int) -> CheckResult:
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
        status=found.status,
        flags=flags_of(definition, _step_flags(steps, found)),
        reason_code=found.reason,
        message=found.message,
        started_at=execution.started_at,
        duration_ms=duration_ms,
        attempts=plain.attempts if plain else (),
        assertions=plain.assertions if plain else own,
        steps=() if plain else tuple(steps),
        cleanup=tuple(execution.cleanup_results),
        captured=plain.captured if plain else {name: each for step in steps for name, each in step.captured.items()},
        version=plain.version if plain else next((each.version for each in steps if each.version is not None), None),
        exchange=plain.exchange if plain else None,
        correlation=plain.correlation if plain else _correlation(execution, steps),
        links=_links(execution),
        source=definition.source,
    )


def _correlation(execution: Execution, steps: list[StepResult]) -> Correlation:
    traced = any(each.correlation.trace_id for each in steps)
    return Correlation(
        trace_id=execution.scope.trace_id if traced else None,
        request_ids=tuple(dict.fromkeys(id_ for each in steps for id_ in each.correlation.request_ids)),
        links={title: url for each in steps for title, url in each.correlation.links.items()},
    )


def _links(execution: Execution) -> dict[str, str]:
    written = execution.compiled.definition.links
    if not written:
        return {}
    found = {}
    for title, url in written.items():
        try:
            found[title] = str(resolve(url, execution.scope.lookup))
        except (UnresolvedError, FilterError):
            continue  # a link that cannot be built is no reason to doubt the measurement
    return execution.out.links(found)


def _step_flags(steps: list[StepResult], found: Conclusion) -> tuple[str, ...]:
    if found.status is Status.SKIPPED:
        return ()
    if len(steps) == 1 and steps[0].attempts:
        return steps[0].flags
    flags = [flag for each in steps for flag in each.flags if flag != UNATTESTED]
    asked = [each for each in steps if each.attempts]
    # One step that proves its version speaks for the whole check.
    if asked and all(UNATTESTED in each.flags for each in asked):
        flags.append(UNATTESTED)
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
    definition: CheckDefinition, found: Conclusion, *, at: datetime | None = None, flags: tuple[str, ...] = ()
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
        status=found.status,
        flags=flags_of(definition, flags),
        reason_code=found.reason,
        message=found.message,
        started_at=at,
        members=definition.of,
        source=definition.source,
    )
