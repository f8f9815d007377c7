"""Values of a project that only AWS knows: accounts, stack outputs and secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from typing import NamedTuple

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.secrets import Secrets
from prodwatch.aws.stacks import Stacks
from prodwatch.errors import ProdwatchError
from prodwatch.model.environment import Environment, SecretReference, StackReference
from prodwatch.probes.registry import spec
from prodwatch.runner.step.compiled import CheckCompiler
from prodwatch.settings import Project


class Resolution(NamedTuple):
    """Outcome for one account, stack or secret."""

    ok: bool
    message: str


async def resolve_online(
    project: Project, environment: Environment, aws: AwsApi, environ: Mapping[str, str]
) -> list[Resolution]:
    """Read every account, every stack with the outputs its checks need, and every secret; nothing is changed.

    `environment` is the project's, with the endpoint of the embedded AWS filled in where one runs.
    """
    stacks, secrets = Stacks(aws), Secrets(aws, environ)
    accounts: list[str | None] = [None, *environment.accounts]
    work = [_resolution(f"account {name}" if name else "account", aws.account_id(name)) for name in accounts]
    work += [
        _resolution(f"stack {alias} ({stack.name})", _outputs(stacks, stack, needed_outputs(project, alias)))
        for alias, stack in environment.stacks.items()
    ]
    work += [
        _resolution(f"secret {name}", _secret(secrets, reference)) for name, reference in environment.secrets.items()
    ]
    return await asyncio.gather(*work)


async def _resolution(subject: str, work: Awaitable[str]) -> Resolution:
    try:
        return Resolution(ok=True, message=f"{subject}: {await work}")
    except (AwsError, ProdwatchError) as caught:
        return Resolution(ok=False, message=f"{subject}: {caught}")


async def _outputs(stacks: Stacks, stack: StackReference, needed: Collection[str]) -> str:
    outputs = await stacks.outputs(stack)
    for key in sorted(needed):
        await stacks.output(stack, key)
    return f"{len(outputs)} outputs, including the {len(needed)} that checks need"


async def _secret(secrets: Secrets, reference: SecretReference) -> str:
    return f"{len(await secrets.value(reference))} characters"


def needed_outputs(project: Project, alias: str) -> set[str]:
    """Return the outputs of a stack that checks need; those a check only `requires` are optional."""
    compiler = CheckCompiler(project.environment, spec)
    needed: set[str] = set()
    for check in project.checks:
        compiled = compiler.compile(check)
        optional = {reference.path for reference in compiled.requires}
        needed |= {
            reference.path[1]
            for reference in compiled.references
            if reference.scope == "stack" and reference.path[0] == alias and reference.path not in optional
        }
    return needed


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
