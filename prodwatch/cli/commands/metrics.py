"""`prodwatch metrics`: the latest value of every watched metric, or their points as NDJSON."""

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
    from prodwatch.text.timestamps import Moment


EXAMPLES = """\b
Examples:
  prodwatch metrics --env prod                           a table, anew after each minute
  prodwatch metrics --env prod --since 1d --no-follow
  prodwatch metrics --region eu-west-1 --namespace AWS/SQS --metric ApproximateAgeOfOldestMessage \\
      --dimension QueueName=inbox --stat Maximum
  prodwatch metrics --env prod --json --until-idle | jq 'select(.version == "42")'
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--since", type=MomentParameter(), default="15m", metavar="WHEN", help="From when: 15m, 14:05, RFC 3339, release."
)
@end_options
@click.option("--namespace", metavar="NAME", help="With --metric: this metric instead of the environment's.")
@click.option("--metric", metavar="NAME", help="Name of a metric in --namespace.")
@click.option("--dimension", "dimensions", multiple=True, metavar="K=V", help="One of its dimensions; repeatable.")
@click.option("--stat", default="Average", metavar="STAT", help="Sum, Average, Maximum, p95 … of --metric.")
@click.option("--period", default=60, type=click.IntRange(min=1), metavar="SECONDS", help="Period of --metric.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: each point, again when it changed.")
@click.option("--until-idle", is_flag=True, help="End when what CloudWatch has by now has been read.")
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
    """Show the latest value of every watched metric, anew after each minute.

    Without --no-follow, --until and --until-idle it follows until Ctrl-C and exits 0. With --namespace and --metric
    it works without a project. A series without data is shown as such, never as zero.
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
        expected = engine.environment.metrics if target is None else (target,)
        stream: Stream = PointLines(sink, until=end, expected=expected)
        if not as_json:
            paint, zone = style(no_color=common.no_color), zone_of({"utc": utc})
            stream = MetricTable(sink, paint, until=end, expected=expected, zone=zone)
        ending = StreamCompletion(["metrics"], clock=engine.clock, idle_s=idle_s, until=end, counts_news=False)
        # A release that begins meanwhile brings series of its own; whoever reads only once has read them.
        return Live(sources=sources if ending.follows else sources[:1], stream=stream, ending=ending)

    return run_live(project, common, prepare)


def _target(
    namespace: str | None, metric: str | None, dimensions: tuple[str, ...], stat: str, period_s: int
) -> MetricTarget | None:
    if namespace is None and metric is None:
        if dimensions:
            raise click.UsageError("--dimension goes with --namespace and --metric")
        return None
    if namespace is None or metric is None:
        raise click.UsageError("--namespace and --metric go together")
    from prodwatch.model.environment import MetricTarget

    pairs = [each.partition("=") for each in dimensions]
    wrong = [name for name, equals, value in pairs if not (name and equals and value)]
    if wrong:
        raise click.UsageError(f'--dimension takes name=value, "{wrong[0]}" is none')
    return MetricTarget(
        name=f"{namespace} {metric} {stat}",
        namespace=namespace,
        metric=metric,
        dimensions={name: value for name, _, value in pairs},
        stat=stat,
        period_s=period_s,
    )
