"""All AWS findings of `prodwatch doctor`, in the order they are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from msgspec.structs import replace

from prodwatch.access.doctor.findings import Finding
from prodwatch.access.doctor.identity_and_endpoints import endpoints, identities
from prodwatch.access.doctor.permissions import try_permissions
from prodwatch.access.required_calls import required_calls
from prodwatch.access.resolve_online_values import known_outputs, resolve_online
from prodwatch.aws.lazy_aws_calls import LazyAws
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.settings import Project


async def examine_aws(
    project: Project,
    environment: Environment,
    aws: LazyAws,
    clock: Clock,
    environ: Mapping[str, str],
    *,
    read_functions: Callable[[], Awaitable[tuple[FunctionTarget, ...]]],
    allow_writes: bool,
) -> list[Finding]:
    """Return findings about identities, clock, missing values, permissions and endpoints.

    `environment` is the project's, with the endpoint of the embedded AWS filled in where one runs. Permissions that
    only mutating checks need are tried with `allow_writes` alone. `read_functions` returns the environment's functions
    with the log groups that their settings name; it is used once their accounts are known to be the right ones.
    """
    findings, usable = await identities(aws.session(), environment)
    if all(each.account in usable for each in environment.functions) and not environment.unfilled_of("function"):
        project = replace(project, environment=replace(project.environment, functions=await read_functions()))
    findings += await _missing_values(project, environment, aws, environ, usable)
    outputs = await known_outputs(environment, aws, usable)
    uses = [use for use in required_calls(project, environ, outputs=outputs) if allow_writes or not use.mutates]
    findings += await try_permissions(aws, [use for use in uses if use.account in usable], clock)
    findings += await endpoints(aws.session(), uses, usable, environ)
    return findings


async def _missing_values(
    project: Project,
    environment: Environment,
    aws: LazyAws,
    environ: Mapping[str, str],
    usable: Collection[str | None],
) -> list[Finding]:
    """Return a finding for each stack, output and secret of a usable account that does not exist.

    A value that cannot be read is reported with its permission.
    """
    here = replace(
        environment,
        accounts={},
        stacks={alias: each for alias, each in environment.stacks.items() if each.account in usable},
        secrets={name: each for name, each in environment.secrets.items() if each.account in usable},
    )
    if not here.stacks and not here.secrets:
        return []
    resolutions = await resolve_online(project, here, aws, environ)
    return [Finding(area="values", state="problem", message=each.message) for each in resolutions if each.missing]
