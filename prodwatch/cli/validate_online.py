"""`validate --online`: asks AWS for everything the files refer to, and says what cannot be had."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Collection

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.secrets import Secrets
from prodwatch.aws.stacks import Stacks
from prodwatch.cli import stdout
from prodwatch.cli.event_loop import demo_target
from prodwatch.cli.exit_codes import ExitCode
from prodwatch.cli.options import Common
from prodwatch.errors import ProdwatchError
from prodwatch.model.environment import SecretReference, StackReference
from prodwatch.probes.registry import spec
from prodwatch.runner.step.compiled import CheckCompiler
from prodwatch.session.engine import open_engine
from prodwatch.settings import Project


def resolve_online(project: Project, common: Common) -> int:
    """Resolve identity, stacks, the outputs checks need, and secrets; exit 3 when any cannot be had."""
    return asyncio.run(_resolve(project, common))


async def _resolve(project: Project, common: Common) -> int:
    async with open_engine(project, demo=demo_target(project, common)) as engine:
        environment = engine.environment
        stacks, secrets = Stacks(engine.aws), Secrets(engine.aws, os.environ)
        accounts: list[str | None] = [None, *environment.accounts]
        work = [_told(f"account {name}" if name else "account", _account(engine.aws, name)) for name in accounts]
        work += [
            _told(f"stack {alias} ({stack.name})", _outputs(stacks, stack, _used(project, alias)))
            for alias, stack in environment.stacks.items()
        ]
        work += [_told(f"secret {name}", _secret(secrets, each)) for name, each in environment.secrets.items()]
        answers = await asyncio.gather(*work)
    for good, line in answers:
        stdout.text(f"{'✔' if good else '✘'} {line}")
    return ExitCode.OK if all(good for good, _ in answers) else ExitCode.ERROR


async def _told(what: str, work: Awaitable[str]) -> tuple[bool, str]:
    try:
        return True, f"{what}: {await work}"
    except (AwsError, ProdwatchError) as caught:
        return False, f"{what}: {caught}"


async def _account(aws: AwsApi, name: str | None) -> str:
    return await aws.account_id(name)


async def _outputs(stacks: Stacks, stack: StackReference, used: Collection[str]) -> str:
    outputs = await stacks.outputs(stack)
    for key in sorted(used):
        await stacks.output(stack, key)
    return f"{len(outputs)} outputs, the {len(used)} that checks need among them"


async def _secret(secrets: Secrets, reference: SecretReference) -> str:
    return f"{len(await secrets.value(reference))} characters"


def _used(project: Project, alias: str) -> set[str]:
    """Return the outputs of a stack that checks need; those a check only `requires` are optional."""
    compiler = CheckCompiler(project.environment, spec)
    used: set[str] = set()
    for check in project.checks:
        compiled = compiler.compile(check)
        optional = {reference.path for reference in compiled.requires}
        used |= {
            reference.path[1]
            for reference in compiled.references
            if reference.scope == "stack" and reference.path[0] == alias and reference.path not in optional
        }
    return used
