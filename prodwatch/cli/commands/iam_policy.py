"""`prodwatch iam-policy`: the least-privilege IAM policy for exactly these files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prodwatch.model.environment import FunctionTarget
    from prodwatch.settings import Project

MANAGED_POLICY_CHARACTERS = 6144
"""IAM's limit for one managed policy, without white space."""


@click.command()
@click.option("--allow-writes", is_flag=True, help="Include what mutating checks of a protected environment need.")
@click.option("--account", metavar="NAME", help="Print the policy for this account of [aws.accounts].")
@click.option("--online", is_flag=True, help="Read stack outputs and account number, to narrow more resources.")
@common_options
def command(common: Common, *, allow_writes: bool, account: str | None, online: bool) -> int:
    """Print the IAM policy these files need, and nothing more.

    Covers checks, live signals, stacks and secrets. Without --online nothing is sent: resources that only stack
    outputs name, and versions under release, are granted as *. A call whose IAM action AWS's published reference does
    not have is left out and named.
    """
    import json
    import os

    from msgspec.structs import replace

    from prodwatch.access.iam_policy import policy_of, unlisted
    from prodwatch.access.required_calls import required_calls
    from prodwatch.cli import stdout
    from prodwatch.cli.project import load
    from prodwatch.cli.stderr import say

    project = load(common)
    environment = project.environment
    if account is not None and account not in environment.accounts:
        known = ", ".join(sorted(environment.accounts)) or "none"
        message = f'"{account}" is not in [aws.accounts]; accounts there: {known}'
        raise click.BadParameter(message, param_hint="--account")
    outputs: Mapping[str, Mapping[str, str]] = {}
    number = None
    if online:
        outputs, number, functions = _read_online(project, common, account)
        project = replace(project, environment=replace(environment, functions=functions))
    uses = required_calls(project, os.environ, outputs=outputs)
    writes = allow_writes or not environment.protected
    granted = [use for use in uses if writes or not use.mutates]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    policy = policy_of(granted, environment, alias=account, account=number, region=region)
    stdout.text(json.dumps(policy, indent=2))
    for sentence in unlisted(use for use in granted if use.account == account):
        say(f"note: {sentence}")
    left_out = {use.purpose for use in uses if use.mutates} if not writes else set()
    if left_out:
        checks = f"{len(left_out)} mutating check{'' if len(left_out) == 1 else 's'}"
        say(f"note: permissions of {checks} are left out; include them with --allow-writes")
    others = sorted({use.account for use in uses if use.account is not None} - {account})
    if others:
        say(f"note: other accounts need their own policies: --account {', --account '.join(others)}")
    role = (environment.aws if account is None else environment.accounts[account]).role_arn
    if role:
        say(f"note: attach this policy to {role}; the caller needs sts:AssumeRole on that role")
    if len(json.dumps(policy, separators=(",", ":"))) > MANAGED_POLICY_CHARACTERS:
        say(f"note: longer than the {MANAGED_POLICY_CHARACTERS:,} characters of one managed policy; split it")
    return 0


def _read_online(
    project: Project, common: Common, account: str | None
) -> tuple[Mapping[str, Mapping[str, str]], str | None, tuple[FunctionTarget, ...]]:
    """Return the outputs of every stack, the account's number, and the functions with the log groups of their settings.

    Raises CannotVerifyError.
    """
    import asyncio

    from prodwatch.aws.interface import AwsError
    from prodwatch.aws.stacks import Stacks
    from prodwatch.cli.run_with_signals import demo_target
    from prodwatch.cli.stderr import say
    from prodwatch.errors import CannotVerifyError
    from prodwatch.model.status import Reason
    from prodwatch.session.engine import open_engine
    from prodwatch.session.function_log_groups import find_function_groups

    async def read() -> tuple[Mapping[str, Mapping[str, str]], str | None, tuple[FunctionTarget, ...]]:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            stacks = Stacks(engine.aws)
            try:
                number = await engine.aws.account_id(account)
                outputs = {name: await stacks.outputs(each) for name, each in engine.environment.stacks.items()}
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught
            except LookupError as caught:
                raise CannotVerifyError(str(caught.args[0]), Reason.UNRESOLVED) from caught
            functions = project.environment.functions
            if not engine.environment.unfilled_of("function"):
                functions = (await find_function_groups(engine, warn=say)).functions
            return outputs, number, functions

    return asyncio.run(read())
