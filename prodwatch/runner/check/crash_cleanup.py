"""`prodwatch cleanup RUN`: finishes from the journal what a killed run could not clean up."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from prodwatch.assertions import AssertionSyntaxError
from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.bounds.concurrency import ConcurrencySlot
from prodwatch.runner.check.cleanup import clean_up
from prodwatch.runner.check.run_check import result_without_run
from prodwatch.runner.step.compiled import CheckCompiler, CompiledCheck
from prodwatch.runner.step.conclusion import PASSED, Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.journal import ClosedEntry, UnfinishedExecution
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.values.redaction import OutputRedactor
from prodwatch.runner.values.scopes import Scope
from prodwatch.settings.template import TemplateSyntaxError


async def finish(
    unfinished: UnfinishedExecution,
    definitions: Mapping[str, CheckDefinition],
    compiler: CheckCompiler,
    tools: RunContext,
) -> CheckResult:
    """Run the cleanup of one execution as far as it was not done; never raises but for cancellation."""
    definition = definitions.get(unfinished.entry.check)
    if definition is None:
        return _gone(unfinished, tools)
    try:
        compiled = compiler.compile(definition)
    except (AssertionSyntaxError, TemplateSyntaxError) as error:
        found = Conclusion(Status.ERROR, Reason.CLEANUP, f"{definition.source}: it cannot be read: {error}")
        return result_without_run(definition, found)
    if not compiled.cleanup:
        await tools.journal.append(ClosedEntry(execution=unfinished.entry.execution))
        told = f"there is nothing to clean up, since the check has no cleanup; it had sent: {_sent(unfinished, tools)}"
        return result_without_run(definition, Conclusion(Status.PASS, None, told))
    execution = _execution(unfinished, compiled, tools)
    execution.begin()
    clean = await clean_up(execution, done_before=unfinished.cleaned)
    left = "; ".join(leftover for each in execution.cleanup_results for leftover in each.leftovers)
    found = (
        PASSED if clean else Conclusion(Status.ERROR, Reason.CLEANUP, f"cleanup did not finish, left behind: {left}")
    )
    result = result_without_run(definition, found, at=execution.started_at)
    elapsed_s = tools.clock.monotonic_s() - execution.started_s
    return replace(result, cleanup=tuple(execution.cleanup_results), duration_ms=round(elapsed_s * 1000))


def _execution(unfinished: UnfinishedExecution, compiled: CompiledCheck, tools: RunContext) -> Execution:
    entry = unfinished.entry
    scope = Scope(
        tools.inputs,
        variables=compiled.variables,
        volatile=compiled.volatile,
        matrix=compiled.definition.matrix,
        run_id=tools.run_id,
        uid=entry.uid,
        trace_id=entry.trace_id,
        clock=tools.clock,
        known=unfinished.values,
    )
    return Execution(tools, compiled, ConcurrencySlot(tools.gate), lambda _at: None, scope, number=entry.execution)


def _sent(unfinished: UnfinishedExecution, tools: RunContext) -> str:
    out = OutputRedactor(tools.redactor)
    return "; ".join(
        f"{each.what} {', '.join(f'{key} {out.value(value)}' for key, value in each.details.items())}"
        for each in unfinished.mutations
    )


def _gone(unfinished: UnfinishedExecution, tools: RunContext) -> CheckResult:
    """Tell of a check that the files no longer hold what it had sent: somebody has to look at it by hand."""
    id_ = unfinished.entry.check
    return CheckResult(
        id=id_,
        name=id_,
        title=id_,
        kind="smoke",
        type="flow",
        status=Status.ERROR,
        reason_code=Reason.CLEANUP,
        message=f"the check is no longer in the files, so clean up by hand what it sent: {_sent(unfinished, tools)}",
        source=SourcePosition(""),
    )
