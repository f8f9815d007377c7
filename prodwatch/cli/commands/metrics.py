"""`prodwatch metrics`: the latest value of every watched metric, or all points as NDJSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli.live.time_options import MomentParameter, end_options, one_end, utc_option
from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from prodwatch.cli.live.line_writer import LineWriter
    from prodwatch.cli.live.stream_runner import Live, Stream
    from prodwatch.model.environment import MetricTarget
    from prodwatch.session.engine import Engine
    from prodwatch.text.parse_user_times import Moment


EXAMPLES = """\b
Examples:
  prodwatch metrics --env prod                           a table, updated every minute
  prodwatch metrics --env prod --since 1d --no-follow
  prodwatch metrics --region eu-west-1 --namespace AWS/SQS --metric ApproximateAgeOfOldestMessage \\
      --dimension QueueName=inbox --stat Maximum
  prodwatch metrics --env prod --json --until-idle | jq 'select(.version == "42")'
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--since", type=MomentParameter(), default="15m", metavar="WHEN", help="Start: 15m, 14:05, RFC 3339 or release."
)
@end_options
@click.option("--namespace", metavar="NAME", help="Namespace of --metric.")
@click.option("--metric", metavar="NAME", help="Show this metric instead of the environment's; needs --namespace.")
@click.option("--dimension", "dimensions", multiple=True, metavar="K=V", help="Dimension of --metric; repeatable.")
@click.option("--stat", default="Average", metavar="STAT", help="Statistic of --metric: Sum, Average, Maximum, p95 …")
@click.option(
    "--period", default=60, type=click.IntRange(min=1), metavar="SECONDS", help="Period of --metric in seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per point, again when its value changes.")
@click.option("--until-idle", is_flag=True, help="Exit once all points that CloudWatch has now are read.")
@utc_option
@common_options
def command(
    common: Common,
    *,
    since: Moment,
    until: Moment | None,
    follow: bool | None,
    namespace: str | None,
    metric: str | None,
    dimensions: tuple[str, ...],
    stat: str,
    period: int,
    as_json: bool,
    until_idle: bool,
    utc: bool,
) -> int:
    """Show the latest value of every watched metric, updated every minute.

    Follows until Ctrl-C and exits 0, unless --no-follow, --until or --until-idle is given. With --namespace and
    --metric no project is needed. A series without data is shown as "no data", never as zero.
    """
    from prodwatch.cli.live.stream_runner import run_live
    from prodwatch.cli.project import load_or_empty

    idle_s = one_end(follow=follow, until=until, until_idle=0.0 if until_idle else None)
    target = _target(namespace, metric, dimensions, stat, period)
    project = load_or_empty(common, without=target is not None)

    async def prepare(engine: Engine, sink: LineWriter) -> Live:
        from prodwatch.cli.live.colour import style
        from prodwatch.cli.live.metric_output import MetricTable, PointLines
        from prodwatch.cli.live.stream_runner import Live
        from prodwatch.cli.live.time_options import zone_of
        from prodwatch.cli.stderr import error
        from prodwatch.session.live_sources import metric_sources
        from prodwatch.session.resolve_window import window_of
        from prodwatch.session.stream_completion import StreamCompletion

        start, end = await window_of(since, until, engine)
        sources = await metric_sources(engine, target, start, warn=error)
        stream: Stream = PointLines(sink, until=end)
        if not as_json:
            paint, zone = style(no_color=common.no_color), zone_of({"utc": utc})
            stream = MetricTable(sink, paint, until=end, zone=zone)
        needed = [each for each in sources if each.name != "release"]
        names = [each.name for each in needed]
        completion = StreamCompletion(names, clock=engine.clock, idle_s=idle_s, until=end, counts_news=False)
        # The release source finds the series of a release that starts later, which one reading does not need.
        return Live(
            sources=sources if completion.follows else needed,
            stream=stream,
            completion=completion,
            must_exist=frozenset(names),
        )

    return run_live(project, common, prepare)


def _target(
    namespace: str | None, metric: str | None, dimensions: tuple[str, ...], stat: str, period_s: int
) -> MetricTarget | None:
    if namespace is None and metric is None:
        if dimensions:
            raise click.UsageError("--dimension needs --namespace and --metric")
        return None
    if namespace is None or metric is None:
        raise click.UsageError("--namespace and --metric need each other; give both")
    from prodwatch.model.environment import MetricTarget

    pairs = [dimension.partition("=") for dimension in dimensions]
    wrong = [name for name, equals, value in pairs if not (name and equals and value)]
    if wrong:
        raise click.UsageError(f'--dimension takes name=value, for example QueueName=inbox, not "{wrong[0]}"')
    return MetricTarget(
        name=f"{namespace} {metric} {stat}",
        namespace=namespace,
        metric=metric,
        dimensions={name: value for name, _, value in pairs},
        stat=stat,
        period_s=period_s,
    )
