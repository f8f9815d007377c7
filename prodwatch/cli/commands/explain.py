"""`prodwatch explain`: one check with all defaults and implied expectations filled in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from prodwatch.cli import stdout
from prodwatch.cli.near_checks import candidates, near_checks
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.project import load
from prodwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.runner.step.compiled import CompiledCheck, CompiledStep
    from prodwatch.runner.values.fill_known_values import StaticValues
    from prodwatch.settings import Project


@click.command()
@click.argument("check_id", metavar="ID")
@common_options
def command(common: Common, *, check_id: str) -> None:
    """Show one check with all defaults filled in: requests, expectations, prerequisites and time limits."""
    import os

    from prodwatch.probes.registry import spec
    from prodwatch.runner.step.compiled import CheckCompiler
    from prodwatch.runner.values.fill_known_values import StaticValues

    project = load(common)
    definition = _find(project, check_id)
    compiled = CheckCompiler(project.environment, spec).compile(definition)
    for line in _check(compiled, StaticValues(definition, project.environment, os.environ)):
        stdout.text(line)


def _find(project: Project, name: str) -> CheckDefinition:
    """Return the check with this id, or the only one with this name. Raises ConfigurationError."""
    named = [check for check in project.checks if name in {check.id, check.name}]
    exact = [check for check in named if check.id == name]
    if len(exact or named) == 1:
        return (exact or named)[0]
    if named:
        ids = ", ".join(check.id for check in named)
        raise ConfigurationError(f'{len(named)} checks are named "{name}"; use an id: {ids}')
    raise ConfigurationError(f'no check has the id "{name}"{candidates(near_checks(name, project.checks))}')


_OPTIONAL_KEYS = (
    *("owner", "serial", "needs", "requires", "diagnose", "of"),
    *("environments", "vantage", "muted_until", "matrix"),
)
"""Keys of a check that are shown unless they are empty."""


def _check(compiled: CompiledCheck, static_values: StaticValues) -> Iterable[str]:
    check = compiled.definition
    yield f"{check.id}  ·  {check.title}"
    marks = [mark for mark in ("critical", "advisory", "mutates") if getattr(check, mark)]
    yield "  ".join([check.kind, check.type, *marks, *(f"#{tag}" for tag in check.tags), f"({check.source})"])
    for name in _OPTIONAL_KEYS:
        if value := getattr(check, name):
            yield f"{name:<10} {_text(static_values.fill(value))}"
    if check.every_s is not None:
        yield f"{'every':<10} {check.every_s:g} s"
    if compiled.timeout_s is not None:
        yield f"{'timeout':<10} {compiled.timeout_s:g} s for the whole flow"
    for each in compiled.expect:
        yield f"expect     {static_values.assertion(each.assertion)}"
    for each in compiled.warn:
        yield f"warn       {static_values.assertion(each.assertion)}"
    for number, step in enumerate((*compiled.steps, *compiled.cleanup)):
        cleanup = number >= len(compiled.steps)
        yield ""
        yield f"{'cleanup' if cleanup else 'step'} {step.name} ({step.type}){'  mutates' if step.mutates else ''}"
        for line in _step(step, static_values):
            yield f"    {line}"
    deferred = sorted({each.source for each in compiled.references if not static_values.knows(each)})
    if deferred:
        yield ""
        yield f"resolved at run time: {'  '.join(deferred)}"


def _step(step: CompiledStep, static_values: StaticValues) -> Iterable[str]:
    import msgspec

    for key, value in static_values.fill(step.definition.params).items():
        yield f"{key} = {msgspec.json.encode(value).decode()}"
    explicit = set(step.definition.expect)
    for each in step.expect:
        yield f"expect  {static_values.assertion(each.assertion)}" + (
            "" if each.assertion.source in explicit else "   (implied)"
        )
    for each in step.warn:
        yield f"warn    {static_values.assertion(each.assertion)}"
    poll, hold_s = step.definition.poll, step.definition.hold_s
    yield f"timeout {step.timeout_s:g} s per request, {_retries(step.retries)} after a transport failure"
    if poll:
        awaited = [static_values.assertion(each.assertion) for each in step.until]
        until = " and ".join(awaited) or "every expectation holds"
        pace = f"every {poll.every_s:g} s ({poll.backoff}{', jittered' if poll.jitter else ''})"
        yield f"poll    until {until}, for at most {poll.within_s:g} s, {pace}"
        for each in step.stop_when:
            yield f"        stops at once when {static_values.assertion(each.assertion)}"
    if hold_s:
        yield f"hold    must stay true for {hold_s:g} s, checked every {step.hold_every_s:g} s"
    for name, capture in step.definition.capture.items():
        yield f"capture {name} = {_text(static_values.fill(capture.path))}" + ("  (secret)" if capture.secret else "")


def _retries(number: int) -> str:
    return {0: "no retry", 1: "1 retry"}.get(number, f"{number} retries")


def _text(value: Any) -> str:
    import msgspec

    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return msgspec.json.encode(value).decode()
