"""`prodwatch cleanup RUN`: finishes from the journal the cleanups that a killed run could not finish."""

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
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.execution import Execution
from prodwatch.runner.step.journal import ClosedEntry, UnfinishedExecution, digest_of
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.stop_reason import StopSignal
from prodwatch.runner.values.redaction import OutputRedactor
from prodwatch.runner.values.template_scope import Scope
from prodwatch.settings.template import TemplateSyntaxError


async def finish_cleanup(
    unfinished: UnfinishedExecution,
    definitions: Mapping[str, CheckDefinition],
    compiler: CheckCompiler,
    context: RunContext,
    stop: StopSignal,
) -> CheckResult:
    """Run the cleanup steps of one execution that are not done yet; raises nothing but CancelledError."""
    definition = definitions.get(unfinished.entry.check)
    if definition is None:
        return _without_definition(unfinished, context)
    digest = unfinished.entry.digest
    if digest and digest != digest_of(definition):
        message = (
            f"{definition.source}: the check has changed since run {context.run_id}, so its cleanup was not run: "
            "restore the files of that run, or clean up by hand what it sent, and then run "
            f"`prodwatch cleanup {context.run_id} --forget`; it sent: {_sent(unfinished, context)}"
        )
        return result_without_run(definition, Conclusion(Status.ERROR, Reason.CLEANUP, message))
    try:
        compiled = compiler.compile(definition)
    except (AssertionSyntaxError, TemplateSyntaxError) as error:
        message = f"{definition.source}: it cannot be read: {error}"
        return result_without_run(definition, Conclusion(Status.ERROR, Reason.CLEANUP, message))
    if not compiled.cleanup:
        await context.journal.append(ClosedEntry(execution=unfinished.entry.execution))
        message = f"the check has no cleanup, so nothing was cleaned up; it had sent: {_sent(unfinished, context)}"
        return result_without_run(definition, Conclusion(Status.SKIPPED, Reason.INTERRUPTED, message))
    execution = _execution(unfinished, compiled, context)
    execution.begin()
    clean = await clean_up(execution, stop, done_before=unfinished.cleaned)
    # The check itself was cut off, so it did not pass.
    conclusion = Conclusion(Status.SKIPPED, Reason.INTERRUPTED, f"cleaned up: run {context.run_id} was cut off")
    if not clean:
        leftovers = "; ".join(leftover for result in execution.cleanup_results for leftover in result.leftovers)
        conclusion = Conclusion(Status.ERROR, Reason.CLEANUP, f"cleanup did not finish, left behind: {leftovers}")
    result = result_without_run(definition, conclusion, at=execution.started_at)
    elapsed_s = context.clock.monotonic_s() - execution.started_s
    return replace(result, cleanup=tuple(execution.cleanup_results), duration_ms=round(elapsed_s * 1000))


def _execution(unfinished: UnfinishedExecution, compiled: CompiledCheck, context: RunContext) -> Execution:
    entry = unfinished.entry
    scope = Scope(
        context.inputs,
        variables=compiled.variables,
        volatile=compiled.volatile,
        matrix=compiled.definition.matrix,
        run_id=context.run_id,
        uid=entry.uid,
        trace_id=entry.trace_id,
        clock=context.clock,
        known=unfinished.values,
    )
    slot = ConcurrencySlot(context.concurrency)
    sent = [mutation.step for mutation in unfinished.mutations]
    return Execution(context, compiled, slot, lambda _at: None, scope, number=entry.execution, sent=sent)


def _sent(unfinished: UnfinishedExecution, context: RunContext) -> str:
    output = OutputRedactor(context.redactor)
    return "; ".join(
        f"{mutation.what} {', '.join(f'{key} {output.value(value)}' for key, value in mutation.details.items())}"
        for mutation in unfinished.mutations
    )


def _without_definition(unfinished: UnfinishedExecution, context: RunContext) -> CheckResult:
    """Return the result for a check that the files no longer define: its data has to be removed by hand."""
    id_ = unfinished.entry.check
    return CheckResult(
        id=id_,
        name=id_,
        title=id_,
        kind="smoke",
        type="flow",
        status=Status.ERROR,
        reason_code=Reason.CLEANUP,
        message=f"the check is no longer in the files, so clean up by hand what it sent: {_sent(unfinished, context)}",
        source=SourcePosition(""),
    )
