"""`prodwatch logs`: follows log groups or reads a time window of them, as text or NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli.live.time_options import MomentParameter, SpanParameter, end_options, one_end, utc_option
from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prodwatch.settings import Project
    from prodwatch.text.parse_user_times import Moment
    from prodwatch.views.log_filter import LogFilter


EXAMPLES = """\b
Examples:
  prodwatch logs --env prod                              follow all groups of the environment
  prodwatch logs /aws/lambda/shop-orders --since 1h      one group; no project is needed
  prodwatch logs '/aws/lambda/shop-*' --errors           a prefix; new groups are followed too
  prodwatch logs --env prod --version 42 --since release
  prodwatch logs shop-orders --since 14:05 --until 14:20 --utc
  prodwatch logs GROUP --no-follow --format raw | grep timeout
  prodwatch logs GROUP --json --until-idle | jq .message
  prodwatch logs GROUP --pattern '{ $.level = "ERROR" }' --since 1d --no-follow
  prodwatch logs --list '/aws/lambda/*'
"""
FORMATS = ("text", "short", "raw", "json")


@click.command(epilog=EXAMPLES)
@click.argument("named", nargs=-1, metavar="[GROUP]...")
@click.option(
    "--since", type=MomentParameter(), default="10m", metavar="WHEN", help="Start: 10m, 14:05, RFC 3339 or release."
)
@end_options
@click.option(
    "-g",
    "--group",
    "groups",
    multiple=True,
    metavar="NAME",
    help="Same as GROUP: a log group, or a prefix that ends in *. Repeatable.",
)
@click.option("--list", "listed", is_flag=True, help="Print the names of the groups, one per line, and exit.")
@click.option("--errors", is_flag=True, help="Only errors, failed invocations and reports of logs dropped by Lambda.")
@click.option(
    "--filter", "filter_text", metavar="TEXT", help="Only lines that match words, /regex/ or field:value; ! negates."
)
@click.option(
    "--pattern",
    metavar="P",
    help="CloudWatch filter pattern, applied by AWS; for very busy groups.",
)
@click.option(
    "--version",
    metavar="V",
    help="Only lines of this version: 42, orders:42 for one function, or release for each function's own release.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=None,
    help="text: time, level, function and version, message. short: time, message. raw: unchanged. json: as --json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--until-idle",
    is_flag=False,
    flag_value="5s",
    type=SpanParameter(),
    metavar="[5s]",
    help="Exit once everything is read and no new line has arrived for this long.",
)
@utc_option
@common_options
def command(
    common: Common,
    *,
    named: tuple[str, ...],
    since: Moment,
    until: Moment | None,
    follow: bool | None,
    groups: tuple[str, ...],
    listed: bool,
    errors: bool,
    filter_text: str | None,
    pattern: str | None,
    version: str | None,
    form: str | None,
    as_json: bool,
    until_idle: float | None,
    utc: bool,
) -> int:
    """Follow log groups, or read a time window of them; each line is shown once.

    GROUP is the name or ARN of a group, a prefix that ends in *, or a function of the environment; with GROUP no
    project is needed. Follows until Ctrl-C and exits 0, unless --no-follow, --until or --until-idle is given.
    Late, throttled, denied and lost lines are reported on stderr and counted at the end. Exits 3 when a group could
    not be read completely.
    """
    from prodwatch.cli.project import load_or_empty

    idle_s = one_end(follow=follow, until=until, until_idle=until_idle)
    form = _format(form, as_json=as_json)
    groups = (*named, *groups)
    chosen_by = _filter(filter_text)
    project = load_or_empty(common, without=bool(groups) or listed)
    if listed:
        return _list(project, common, groups, as_json=form == "json")

    from prodwatch.cli.live.log_request import LogRequest
    from prodwatch.cli.live.stream_runner import run_live

    request = LogRequest(
        groups=groups,
        pattern=pattern,
        since=since,
        until=until,
        idle_s=idle_s,
        counts_news=follow is not False,
        only_errors=errors,
        version=version,
        chosen_by=chosen_by,
        form=form,
        utc=utc,
        no_color=common.no_color,
    )
    return run_live(project, common, request.stream)


def _format(form: str | None, *, as_json: bool) -> str:
    if as_json and form not in {None, "json"}:
        raise click.UsageError(f"--json and --format {form} exclude each other")
    return "json" if as_json else form or "text"


def _filter(text: str | None) -> LogFilter | None:
    if text is None:
        return None
    from prodwatch.views.log_filter import FilterError, parse_filter

    if text.strip().startswith(("{", "[")):
        # Read as words it would match no line, which looks like health.
        message = f"{text.strip()[:40]} is a CloudWatch filter pattern; pass it with --pattern"
        raise click.BadParameter(message, param_hint="--filter")
    try:
        return parse_filter(text)
    except FilterError as caught:
        raise click.BadParameter(str(caught), param_hint="--filter") from None


def _list(project: Project, common: Common, groups: Sequence[str], *, as_json: bool) -> int:
    """Print the log groups that `groups` name, else those the environment watches, else all; the exit code."""
    import asyncio

    import msgspec
    from msgspec.structs import replace

    from prodwatch.aws.interface import AwsError
    from prodwatch.cli import stdout
    from prodwatch.cli.run_with_signals import announced_demo
    from prodwatch.cli.stderr import error
    from prodwatch.errors import CannotVerifyError
    from prodwatch.model.exit_code import ExitCode
    from prodwatch.model.identity import PlaceNames
    from prodwatch.session.engine import open_engine, require_credentials, require_secrets
    from prodwatch.session.function_log_groups import find_function_groups
    from prodwatch.session.log_groups import LogGroup, functions_named, list_groups

    async def read() -> tuple[list[LogGroup], list[AwsError]]:
        async with open_engine(project, demo=announced_demo(project, common)) as engine:
            await require_credentials(engine)
            for note in await require_secrets(engine):
                error(note)
            try:
                environment = await find_function_groups(engine, warn=error, only=functions_named(groups))
                return await list_groups(replace(engine, environment=environment), groups)
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught

    log_groups, errors = asyncio.run(read())
    for each in errors:
        error(each.message)
    if as_json:
        stdout.write(b"".join(msgspec.json.encode(log_group) + b"\n" for log_group in log_groups))
    elif not log_groups:
        error("no such log group" if groups else "this account and region have no log groups")
    else:
        names = PlaceNames((each.group, each.id.place) for each in log_groups)
        stdout.text("\n".join(names.of(each.group, each.id.place) for each in log_groups))
    return ExitCode.ERROR if errors else ExitCode.OK
