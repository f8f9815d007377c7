"""`prodwatch logs`: log groups followed or read in a window, as text or NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli.live.time_options import MomentParameter, SpanParameter, end_options, one_end, utc_option
from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prodwatch.settings import Project
    from prodwatch.text.timestamps import Moment
    from prodwatch.views.log_filter import LogFilter


EXAMPLES = """\b
Examples:
  prodwatch logs --env prod                              follow all that the environment watches
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
    "--since", type=MomentParameter(), default="10m", metavar="WHEN", help="From when: 10m, 14:05, RFC 3339, release."
)
@end_options
@click.option(
    "-g", "--group", "groups", multiple=True, metavar="NAME", help="Log group; * ends a prefix. Repeatable; as GROUP."
)
@click.option("--list", "listed", is_flag=True, help="Only print the names of the groups, one a line.")
@click.option("--errors", is_flag=True, help="Only errors, failed invocations, and logs that Lambda dropped.")
@click.option("--filter", "filter_text", metavar="TEXT", help="Words, /regex/, field:value; ! before one negates it.")
@click.option(
    "--pattern",
    metavar="P",
    help="CloudWatch's own filter pattern: AWS sends only lines that match. For very loud groups.",
)
@click.option("--version", metavar="V", help="Only lines of this version; release means the one under release.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=None,
    help="text: time, level, function and version, message. short: time, message. raw: as written. json: as --json.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--until-idle",
    is_flag=False,
    flag_value="5s",
    type=SpanParameter(),
    metavar="[5s]",
    help="End when every group has been read and nothing more to show came for so long.",
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
    """Follow log groups, or read a window of them, and show each line once.

    GROUP is the name or ARN of a group, a prefix that ends in *, or a function of the environment; with it no project
    is needed. Without --no-follow, --until and --until-idle it follows until Ctrl-C and exits 0.
    What is late, behind, throttled, denied or lost is said on stderr and counted at the end; a group that could not
    be read to its end exits 3.
    """
    from prodwatch.cli.project import load_or_empty

    idle_s = one_end(follow=follow, until=until, until_idle=until_idle)
    form = _format(form, as_json=as_json)
    groups = (*named, *groups)
    chosen_by = _filter(filter_text)
    project = load_or_empty(common, without=bool(groups) or listed)
    if listed:
        return _list(project, common, groups, as_json=form == "json")

    from prodwatch.cli.live.log_stream import LogRequest
    from prodwatch.cli.live.stream_runner import run_live

    asked = LogRequest(
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
    return run_live(project, common, asked.stream)


def _format(form: str | None, *, as_json: bool) -> str:
    if as_json and form not in {None, "json"}:
        raise click.UsageError(f"--json and --format {form}: one format is enough")
    return "json" if as_json else form or "text"


def _filter(text: str | None) -> LogFilter | None:
    if text is None:
        return None
    from prodwatch.views.log_filter import FilterError, parse_filter

    if text.strip().startswith(("{", "[")):
        # Taken for words it would match nothing, which looks like health.
        told = f"{text.strip()[:40]} is a pattern of CloudWatch; give it to --pattern"
        raise click.BadParameter(told, param_hint="--filter")
    try:
        return parse_filter(text)
    except FilterError as caught:
        raise click.BadParameter(str(caught), param_hint="--filter") from None


def _list(project: Project, common: Common, groups: Sequence[str], *, as_json: bool) -> int:
    """Print the log groups that `groups` name, else those the environment watches, else all; the exit code."""
    import asyncio

    import msgspec

    from prodwatch.aws.api import AwsError
    from prodwatch.cli import stdout
    from prodwatch.cli.event_loop import demo_target
    from prodwatch.cli.stderr import error
    from prodwatch.errors import CannotVerifyError
    from prodwatch.session.engine import open_engine, require_credentials
    from prodwatch.session.log_groups import LogGroup, list_groups

    async def read() -> list[LogGroup]:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            await require_credentials(engine)
            try:
                return await list_groups(engine, groups)
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught

    log_groups = asyncio.run(read())
    if as_json:
        stdout.write(b"".join(msgspec.json.encode(log_group) + b"\n" for log_group in log_groups))
    elif not log_groups:
        error("there is no such log group" if groups else "there are no log groups")
    else:
        stdout.text("\n".join(dict.fromkeys(log_group.group for log_group in log_groups)))
    return 0
