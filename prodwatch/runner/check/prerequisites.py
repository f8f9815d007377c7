"""Reasons not to run a check: decided before anything is sent, each with one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.compiled import CompiledCheck
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.run_step import GREEN
from prodwatch.runner.values.remote_inputs import VANTAGE, MissingInputError
from prodwatch.runner.values.template_scope import Scope
from prodwatch.settings.template import UnresolvedError
from prodwatch.text.parse_user_times import instant_of


def reason_not_to_run(
    definition: CheckDefinition,
    environment: Environment,
    *,
    now: Callable[[], datetime],
    allow_writes: bool,
    vantage: str | None,
) -> Conclusion | None:
    """Return why the check must not run here and now, None when it may; `vantage` is the name of this place."""
    if not definition.enabled:
        return _skipped(Reason.DISABLED, "not run: `enabled = false`")
    if definition.muted_until is not None and now() < instant_of(definition.muted_until):
        return _skipped(Reason.MUTED, f"not run: muted until {definition.muted_until}")
    if definition.environments and environment.name not in definition.environments:
        names = ", ".join(definition.environments)
        return _skipped(Reason.PREREQUISITE, f"not run: it is for {names} only, this is {environment.name}")
    if definition.vantage and vantage not in definition.vantage:
        names = " or ".join(definition.vantage)
        place = f"this place is {vantage}" if vantage else f"this place has no name: set {VANTAGE}"
        return _skipped(Reason.PREREQUISITE, f"not run: it is to be run from {names} only, and {place}")
    if definition.mutates and environment.protected and not allow_writes:
        return _skipped(
            Reason.PROTECTED,
            f"not run: it changes data and {environment.name} is protected; --allow-writes runs it",
        )
    return None


def blocked_by_needs(needs: Iterable[str], results: Mapping[str, CheckResult | None]) -> Conclusion | None:
    """Return why a check it needs blocks this one, None when all of those are green."""
    for id_ in needs:
        result = results.get(id_)
        if result is None:
            return _skipped(Reason.PREREQUISITE, f"blocked by {id_}: no check has this id")
        if result.status not in GREEN:
            why = f": {result.message}" if result.message else ""
            return _skipped(Reason.PREREQUISITE, f"blocked by {id_} ({result.status}){why}")
    return None


async def missing_requirement(
    compiled: CompiledCheck, scope: Scope, notice: Callable[[str, str], None]
) -> Conclusion | None:
    """Return why an entry of `requires` is not met, None when all are.

    A missing value skips the check, with a notice when its name looks misspelt; a value that could not be read is an
    error.
    """
    if not compiled.requires:
        return None
    await scope.ensure(compiled.requires)
    for reference in compiled.requires:
        try:
            value = scope.lookup(reference)
        except MissingInputError as error:
            if error.why.missing:
                if error.why.near is not None:
                    notice("requirement", f"{compiled.definition.id} is not run: {error.message}")
                return _skipped(Reason.PREREQUISITE, f"not run, it requires {reference.dotted}: {error.message}")
            return Conclusion(Status.ERROR, error.why.reason, error.message)
        except UnresolvedError as error:
            return _skipped(Reason.PREREQUISITE, f"not run, it requires {reference.dotted}: {error.message}")
        if value is None or value == "":
            return _skipped(Reason.PREREQUISITE, f"not run, it requires {reference.dotted}, which is empty")
    return None


def dependency_cycle(definition: CheckDefinition, definitions: Mapping[str, CheckDefinition]) -> Conclusion | None:
    """Return why a check that needs itself can never run, None when it does not."""
    seen: set[str] = set()
    pending = [*definition.needs, *definition.of]
    while pending:
        id_ = pending.pop()
        if id_ == definition.id:
            return Conclusion(Status.ERROR, Reason.INVALID, "it needs itself, directly or through other checks")
        if id_ not in seen and id_ in definitions:
            seen.add(id_)
            pending += [*definitions[id_].needs, *definitions[id_].of]
    return None


def _skipped(reason: Reason, message: str) -> Conclusion:
    return Conclusion(Status.SKIPPED, reason, message)
