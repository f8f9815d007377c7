"""Whether a set of checks will talk to AWS at all."""

from __future__ import annotations

from collections.abc import Iterable

from prodwatch.assertions import AssertionSyntaxError
from prodwatch.model.check import CheckDefinition
from prodwatch.runner.step.compiled import CheckCompiler
from prodwatch.runner.values.remote_inputs import REMOTE
from prodwatch.settings.template import TemplateSyntaxError


def needs_aws(checks: Iterable[CheckDefinition], compiler: CheckCompiler) -> bool:
    """Return whether any of these checks calls AWS or is filled with something AWS knows."""
    for check in checks:
        try:
            compiled = compiler.compile(check)
        except (AssertionSyntaxError, TemplateSyntaxError):
            continue  # it will never send anything
        steps = (*compiled.steps, *compiled.cleanup)
        if any(step.service is not None or step.attest is not None for step in steps):
            return True
        if any(reference.scope in REMOTE for reference in compiled.references):
            return True
    return False
