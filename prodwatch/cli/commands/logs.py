"""`prodwatch logs`: log groups followed or read in a window, as text or NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from prodwatch.cli.live.moments import MomentParameter, SpanParameter, one_end, utc_option
from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from prodwatch.cli.engine import Engine
    from prodwatch.cli.live.moments import Moment
    from prodwatch.cli.live.running import Live
    from prodwatch.cli.live.sink import LineSink
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
@click.option("--until", type=MomentParameter(), metavar="WHEN", help="Up to when; ends once that has been read.")
@click.option(
    "-f/ ",
    "--follow/--no-follow",
    default=None,
    help="Go on until Ctrl-C, which is the default; or read what there is by now and end.",
)
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
    from prodwatch.cli.live.place import find_place
    from prodwatch.cli.live.running import run_live

    idle_s = one_end(follow=follow, until=until, until_idle=until_idle)
    if as_json and form not in {None, "json"}:
        raise click.UsageError(f"--json and --format {form}: one format is enough")
    form = "json" if as_json else form or "text"
    groups = (*named, *groups)
    chosen_by = _filter(filter_text)
    project = find_place(common, without=bool(groups) or listed)
    if listed:
        from prodwatch.cli.live.listing import list_groups

        return list_groups(project, common, groups, as_json=form == "json")

    async def prepare(engine: Engine, sink: LineSink) -> Live:
        from prodwatch.cli.live.release import instant, release_of

        start = await instant(since, engine)
        end = None if until is None else await instant(until, engine)
        refuse_backwards(start, end)
        wanted = version
        if version == "release":
            wanted = (await release_of(engine)).version
        choice = {"only_errors": errors, "version": wanted and wanted.removeprefix("v"), "chosen_by": chosen_by}
        return await _live(
            engine,
            sink,
            (groups, pattern),
            (start, end),
            (idle_s, follow is not False),
            choice,
            form=form,
            utc=utc,
            no_color=common.no_color,
        )

    return run_live(project, common, prepare)


def refuse_backwards(start: datetime, end: datetime | None) -> None:
    """Raise ConfigurationError for a window that ends before it begins."""
    from prodwatch.errors import ConfigurationError

    if end is not None and end <= start:
        raise ConfigurationError(f"--until ({end:%H:%M:%S} UTC) is not after --since ({start:%H:%M:%S} UTC)")


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


async def _live(
    engine: Engine,
    sink: LineSink,
    asked: tuple[Sequence[str], str | None],
    window: tuple[datetime, datetime | None],
    idle: tuple[float | None, bool],
    choice: dict[str, Any],
    *,
    form: str,
    utc: bool,
    no_color: bool,
) -> Live:
    from msgspec.structs import replace

    from prodwatch.cli.live.ending import Ending
    from prodwatch.cli.live.groups import expand, source_key, targets_of
    from prodwatch.cli.live.logs import HOLD_S, HOLD_TO_END_S, LogStream, Render, ShortLines, TextLines, ndjson, raw
    from prodwatch.cli.live.moments import zone_of
    from prodwatch.cli.live.running import Live
    from prodwatch.cli.live.style import style
    from prodwatch.cli.live.window import Windowed
    from prodwatch.sources.logs.source import LogSource
    from prodwatch.text.lambda_lines import LineParser

    start, end = window
    groups, pattern = asked
    # Whether new lines put the end off: --no-follow reads up to when it was called.
    idle_s, counts_news = idle
    lines = LineParser(engine.redactor)
    clock = engine.clock
    wanted = targets_of(engine.environment, groups)
    functions = {each.name for each in engine.environment.functions}
    named = {each.group for told, each in zip(groups, wanted, strict=False) if told not in functions}
    if pattern is not None:
        wanted = [replace(target, filter=pattern) for target in wanted]
    targets, unknown, empty = await expand(engine, wanted)
    if idle_s is not None or end is not None:
        # Live Tail is billed by the minute and speeds up only what is followed.
        targets = [replace(target, live_tail=False) for target in targets]
    keys = {source_key(target): target.group for target in targets if not target.group.endswith("*")}
    source = LogSource(
        engine.aws if end is None else Windowed(engine.aws, end),
        targets,
        clock=clock,
        parse=lines.parse_event,
        parse_all=lines.parse_all,
        since=start,
    )
    if idle_s is not None:
        source.pin({key.removeprefix("logs:") for key in keys})
    paint, now, zone = style(no_color=no_color), clock.now(), zone_of({"utc": utc})
    renders: dict[str, Render] = {
        "json": ndjson,
        "raw": raw,
        "short": ShortLines(paint, today=now, zone=zone),
        "text": TextLines(paint, today=now, groups=list(keys.values()), zone=zone),
    }
    render = renders[form]
    return Live(
        sources=[source],
        stream=LogStream(
            sink,
            render,
            clock=clock,
            until=end,
            hold_s=HOLD_S if idle_s is None and end is None else HOLD_TO_END_S,
            **choice,
        ),
        ending=Ending(
            [*keys, *unknown], clock=clock, idle_s=idle_s, until=end, counts_news=counts_news, sweep=source.sweep
        ),
        must_exist=frozenset(key for key, group in keys.items() if group in named) | unknown,
        absent=tuple(each for each in empty if each in named),
    )
