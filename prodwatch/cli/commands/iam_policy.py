"""`prodwatch iam-policy`: the least that AWS has to allow for exactly these files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from prodwatch.settings import Project

MANAGED_POLICY_CHARACTERS = 6144
"""IAM's limit for one managed policy, white space not counted."""


@click.command()
@click.option("--allow-writes", is_flag=True, help="Also what mutating checks of a protected environment need.")
@click.option("--account", metavar="NAME", help="The policy for this account of [aws.accounts].")
@click.option("--online", is_flag=True, help="Read the stacks' outputs and the account, to narrow more resources.")
@common_options
def command(common: Common, *, allow_writes: bool, account: str | None, online: bool) -> int:
    """Print the IAM policy these files need, and nothing more.

    Covers checks, live signals, stacks and secrets. Without --online nothing is sent: what only a stack's outputs
    name, and versions under release, are granted as *.
    """
    import json
    import os

    from prodwatch.access.iam_policy import policy_of
    from prodwatch.access.required_calls import required_calls
    from prodwatch.cli import stdout
    from prodwatch.cli.project import load
    from prodwatch.cli.stderr import say

    project = load(common)
    environment = project.environment
    if account is not None and account not in environment.accounts:
        known = ", ".join(sorted(environment.accounts)) or "none"
        raise click.BadParameter(f'"{account}" is not in [aws.accounts]; there: {known}', param_hint="--account")
    outputs, number = _asked(project, common, account) if online else ({}, None)
    uses = required_calls(project, os.environ, outputs=outputs)
    writes = allow_writes or not environment.protected
    granted = [use for use in uses if writes or not use.mutates]
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    policy = policy_of(granted, environment, alias=account, account=number, region=region)
    stdout.text(json.dumps(policy, indent=2))
    left_out = {use.purpose for use in uses if use.mutates} if not writes else set()
    if left_out:
        say(f"note: left out what {len(left_out)} mutating checks need; --allow-writes includes it")
    others = sorted({use.account for use in uses if use.account is not None} - {account})
    if others:
        say(f"note: other accounts need policies of their own: --account {', --account '.join(others)}")
    role = (environment.aws if account is None else environment.accounts[account]).role_arn
    if role:
        say(f"note: this is the policy of {role}; whoever assumes it needs sts:AssumeRole on it")
    if len(json.dumps(policy, separators=(",", ":"))) > MANAGED_POLICY_CHARACTERS:
        say(f"note: more than the {MANAGED_POLICY_CHARACTERS:,} characters IAM takes in one managed policy; split it")
    return 0


def _asked(project: Project, common: Common, account: str | None) -> tuple[Mapping[str, Mapping[str, str]], str | None]:
    """Return the outputs of every stack and the account's number; CannotVerifyError when they cannot be had."""
    import asyncio

    from prodwatch.aws.api import AwsError
    from prodwatch.aws.stacks import Stacks
    from prodwatch.cli.event_loop import demo_target
    from prodwatch.errors import CannotVerifyError
    from prodwatch.model.status import Reason
    from prodwatch.session.engine import open_engine

    async def ask() -> tuple[Mapping[str, Mapping[str, str]], str | None]:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            stacks = Stacks(engine.aws)
            try:
                number = await engine.aws.account_id(account)
                return {name: await stacks.outputs(each) for name, each in engine.environment.stacks.items()}, number
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught
            except LookupError as caught:
                raise CannotVerifyError(str(caught.args[0]), Reason.UNRESOLVED) from caught

    return asyncio.run(ask())
