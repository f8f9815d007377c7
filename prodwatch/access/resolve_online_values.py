"""Values of a project that only AWS knows: accounts, stack outputs and secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from typing import Literal, NamedTuple

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.secrets import Secrets
from prodwatch.aws.stacks import Stacks, missing_output
from prodwatch.errors import ProdwatchError
from prodwatch.model.environment import Environment, SecretReference, StackReference
from prodwatch.probes.registry import spec
from prodwatch.runner.step.compiled import CheckCompiler
from prodwatch.runner.values.template_scope import ReferenceFinder
from prodwatch.runner.values.watched_targets import watched_texts
from prodwatch.settings import Project
from prodwatch.settings.suggestions import closest


class Resolution(NamedTuple):
    """Outcome for one account, stack or secret."""

    ok: bool
    message: str
    missing: bool = False
    """True when the value does not exist, False when it exists or could not be read."""


async def resolve_online(
    project: Project, environment: Environment, aws: AwsApi, environ: Mapping[str, str]
) -> list[Resolution]:
    """Read every account, every stack with the outputs its checks need, and every secret; nothing is changed.

    `environment` is the project's with its watched tables filled; those that could not be filled are outcomes, too.
    """
    stacks, secrets = Stacks(aws), Secrets(aws, environ)
    accounts: list[str | None] = [None, *environment.accounts]
    work = [_resolution(f"account {name}" if name else "account", aws.account_id(name)) for name in accounts]
    work += [
        _resolution(f"stack {alias} ({stack.name})", _outputs(aws, stacks, stack, stack_needs(project, alias)))
        for alias, stack in environment.stacks.items()
    ]
    for alias, stack in environment.stacks.items():
        needs = stack_needs(project, alias, "resource")
        if needs.needed or needs.optional:
            work.append(_resolution(f"resources of {stack.name}", _resources(aws, stacks, stack, needs)))
    work += [
        _resolution(f"secret {name}", _secret(secrets, reference)) for name, reference in environment.secrets.items()
    ]
    unfilled = [Resolution(ok=False, message=each.sentence) for each in environment.unfilled]
    return [*await asyncio.gather(*work), *unfilled]


async def _resolution(subject: str, work: Awaitable[str]) -> Resolution:
    try:
        return Resolution(ok=True, message=f"{subject}: {await work}")
    except (AwsError, ProdwatchError) as caught:
        return Resolution(ok=False, message=f"{subject}: {caught}")
    except LookupError as caught:
        return Resolution(ok=False, message=f"{subject}: {caught.args[0]}", missing=True)


async def _outputs(aws: AwsApi, stacks: Stacks, stack: StackReference, needs: StackNeeds) -> str:
    outputs = await stacks.outputs(stack)
    absent = [missing_output(aws, stack, key, outputs) for key in sorted(needs.needed) if key not in outputs]
    if absent:
        raise LookupError("; ".join(absent))
    misspelt = [
        f"{missing_output(aws, stack, key, outputs)}: checks that require it are skipped"
        for key in sorted(needs.optional)
        if key not in outputs and closest(key, outputs) is not None
    ]
    summary = f"{len(outputs)} outputs, including the {len(needs.needed)} that the files need"
    return "; ".join([summary, *misspelt])


async def _resources(aws: AwsApi, stacks: Stacks, stack: StackReference, needs: StackNeeds) -> str:
    resources = await stacks.resources(stack)
    absent = [
        missing_output(aws, stack, key, resources, "resource") for key in sorted(needs.needed) if key not in resources
    ]
    if absent:
        raise LookupError("; ".join(absent))
    return f"{len(resources)} resources, including the {len(needs.needed)} that the files need"


async def _secret(secrets: Secrets, reference: SecretReference) -> str:
    return f"{len(await secrets.value(reference))} characters"


class StackNeeds(NamedTuple):
    """Outputs of one stack that the files refer to."""

    needed: frozenset[str]
    optional: frozenset[str]
    """Outputs that have a default, or that checks only require: without them those checks are skipped."""


def stack_needs(project: Project, alias: str, scope: Literal["stack", "resource"] = "stack") -> StackNeeds:
    """Return the outputs or resources of a stack that checks and watched tables refer to."""
    environment = project.environment
    compiler = CheckCompiler(environment, spec)
    needed, optional = set[str](), set[str]()
    watched = ReferenceFinder(environment.vars).references_in(watched_texts(environment))
    referred = [(watched, frozenset[tuple[str, ...]]())]
    for check in project.checks:
        if check.enabled:
            compiled = compiler.compile(check)
            referred.append((compiled.references, frozenset(each.path for each in compiled.requires)))
    for references, required in referred:
        for reference in references:
            if reference.scope == scope and reference.path[:1] == (alias,) and len(reference.path) > 1:
                excused = reference.has_default or reference.path in required
                (optional if excused else needed).add(".".join(reference.path[1:]))
    return StackNeeds(frozenset(needed), frozenset(optional - needed))


async def known_outputs(
    environment: Environment, aws: AwsApi, usable: Collection[str | None]
) -> dict[str, Mapping[str, str]]:
    """Return the outputs of the stacks in `usable` accounts, alias → key → value; unreadable stacks are left out."""
    stacks = Stacks(aws)
    outputs: dict[str, Mapping[str, str]] = {}
    for alias, stack in environment.stacks.items():
        if stack.account in usable:
            try:
                outputs[alias] = await stacks.outputs(stack)
            except (AwsError, LookupError):
                continue  # the doctor's permission test reads the stack again and reports the error
    return outputs
