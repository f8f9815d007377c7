"""`prodwatch traces`: follows traces, reads a time window of them, or shows one trace as a waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli.live.time_options import MomentParameter, SpanParameter, end_options, one_end, utc_option
from prodwatch.cli.options import Common, common_options

if TYPE_CHECKING:
    from prodwatch.cli.live.line_writer import LineWriter
    from prodwatch.cli.live.stream_runner import Live
    from prodwatch.session.engine import Engine
    from prodwatch.settings import Project
    from prodwatch.text.parse_user_times import Moment


EXAMPLES = """\b
Examples:
  prodwatch traces --env prod --errors --slow 1s         failed and slow traces
  prodwatch traces --region eu-west-1 --no-follow        without a project
  prodwatch traces --env prod --filter 'service("shop-api") AND http.status = 502'
  prodwatch traces --env prod --since release --until now --json | jq -r .id
  prodwatch traces --env prod --wait --id 1-6b0040ff-212f41d7b0270f9cdcd1ae0d
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--since", type=MomentParameter(), default="10m", metavar="WHEN", help="Start: 10m, 14:05, RFC 3339 or release."
)
@end_options
@click.option("--id", "trace_id", metavar="ID", help="Show one trace as a waterfall; takes an X-Ray or a W3C trace id.")
@click.option(
    "--wait",
    is_flag=False,
    flag_value="1m",
    type=SpanParameter(),
    metavar="[1m]",
    help="With --id: keep retrying for up to this long until X-Ray has the trace.",
)
@click.option("--errors", is_flag=True, help="Only faults, errors and throttles.")
@click.option("--slow", type=SpanParameter(), metavar="1s", help="Only traces slower than this; with --errors, either.")
@click.option("--filter", "expression", metavar="EXPR", help="X-Ray filter expression, instead of the environment's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--until-idle",
    is_flag=False,
    flag_value="5s",
    type=SpanParameter(),
    metavar="[5s]",
    help="Exit once everything is read and no new trace has arrived for this long; X-Ray is polled every 10 s.",
)
@utc_option
@common_options
def command(
    common: Common,
    *,
    since: Moment,
    until: Moment | None,
    follow: bool | None,
    trace_id: str | None,
    wait: float | None,
    errors: bool,
    slow: float | None,
    expression: str | None,
    as_json: bool,
    until_idle: float | None,
    utc: bool,
) -> int:
    """Follow X-Ray traces, or show one of them.

    Each trace is shown once, when it is complete or has been open for 30 s. Follows until Ctrl-C and exits 0, unless
    --no-follow, --until or --until-idle is given. Also works without a project.
    """
    from prodwatch.cli.live.stream_runner import run_live
    from prodwatch.cli.project import load_or_empty

    until_idle = one_end(follow=follow, until=until, until_idle=until_idle)
    project = load_or_empty(common, without=True)
    if trace_id is not None:
        return _one(project, common, trace_id, wait_s=wait or 0.0, as_json=as_json)
    if wait is not None:
        raise click.UsageError("--wait needs --id")

    async def prepare(engine: Engine, sink: LineWriter) -> Live:
        from prodwatch.cli import stdout
        from prodwatch.cli.live.colour import style
        from prodwatch.cli.live.stream_runner import Live
        from prodwatch.cli.live.time_options import zone_name, zone_of
        from prodwatch.cli.live.trace_output import TraceStream, header, ndjson, text
        from prodwatch.errors import CannotVerifyError
        from prodwatch.session.resolve_window import window_of
        from prodwatch.session.stream_completion import StreamCompletion
        from prodwatch.sources.redaction import SignalRedactor
        from prodwatch.sources.traces import TraceSource
        from prodwatch.views.traces import SLOW_S

        start, end = await window_of(since, until, engine)
        unfilled = () if expression else engine.environment.unfilled_of("traces")
        if unfilled:
            raise CannotVerifyError(unfilled[0].sentence, unfilled[0].reason)
        limit_s = SLOW_S if slow is None else slow
        if not as_json:
            sink.write([header(zone_name(zone_of({"utc": utc}), engine.clock.now()))])
        sources = [
            TraceSource(
                engine.aws,
                clock=engine.clock,
                since=start,
                signal_redactor=SignalRedactor(engine.redactor),
                filter_expression=expression or engine.environment.traces_filter,
                sample=False,
                place=place,
            )
            for place in engine.environment.trace_places
        ]
        render = (
            ndjson(limit_s)
            if as_json
            else text(style(no_color=common.no_color), limit_s, zone_of({"utc": utc}), stdout.columns)
        )
        return Live(
            sources=sources,
            stream=TraceStream(sink, render, clock=engine.clock, until=end, only_errors=errors, slow_s=slow),
            completion=StreamCompletion(
                [source.name for source in sources],
                clock=engine.clock,
                idle_s=until_idle,
                until=end,
                counts_news=follow is not False,
            ),
        )

    return run_live(project, common, prepare)


def _one(project: Project, common: Common, trace_id: str, *, wait_s: float, as_json: bool) -> int:
    import asyncio
    import shutil
    import sys

    import msgspec

    from prodwatch.cli import stdout
    from prodwatch.cli.live.colour import style
    from prodwatch.cli.live.trace_output import waterfall_text
    from prodwatch.cli.run_with_signals import announced_demo
    from prodwatch.cli.stderr import error
    from prodwatch.errors import CannotVerifyError
    from prodwatch.formats.xray_documents import trace_id_of
    from prodwatch.model.signal import Trace
    from prodwatch.session.engine import open_engine, require_credentials, require_secrets
    from prodwatch.sources.redaction import SignalRedactor
    from prodwatch.sources.traces import fetch_traces

    xray_id = trace_id_of(trace_id)
    if xray_id is None:
        message = f'"{trace_id}" is not a trace id, such as 1-6b0040ff-212f41d7b0270f9cdcd1ae0d'
        raise click.BadParameter(message, param_hint="--id")

    async def fetch() -> Trace | None:
        from prodwatch.aws.interface import AwsError

        async with open_engine(project, demo=announced_demo(project, common)) as engine:
            await require_credentials(engine)
            for note in await require_secrets(engine):
                error(note)
            signal_redactor = SignalRedactor(engine.redactor)
            try:
                traces = await fetch_traces(
                    engine.aws,
                    [xray_id],
                    signal_redactor,
                    clock=engine.clock,
                    within_s=wait_s,
                    places=engine.environment.trace_places,
                )
                return traces.get(xray_id)
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught

    trace = asyncio.run(fetch())
    if trace is None:
        waited = f" after {wait_s:.0f} s" if wait_s else ""
        hint = "" if wait_s else "; --wait retries for a minute"
        error(f"X-Ray has no trace {xray_id}{waited}: a sampled trace appears seconds after its request{hint}")
        return 3
    if as_json:
        stdout.write(msgspec.json.encode(trace) + b"\n")
        return 0
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    width = shutil.get_terminal_size((120, 40)).columns
    stdout.painted("\n".join(waterfall_text(trace, style(no_color=common.no_color), width=width, unicode=unicode)))
    return 0
