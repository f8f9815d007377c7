"""`prodwatch placebo`: measures the gate's thresholds on the project's own past."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.stderr import note
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.session.placebo import FunctionPlacebo, PlaceboDocument, Share
    from prodwatch.settings import Project

_MAX_DAYS = 14.0
_SEED = 42


@click.command()
@click.option(
    "--days",
    type=click.FloatRange(0, _MAX_DAYS, min_open=True),
    default=_MAX_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Length of the past that is measured, 0.5 for twelve hours; CloudWatch keeps one-minute points for 15 days.",
)
@click.option(
    "--weight",
    type=click.FloatRange(0, 99, min_open=True),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="Share of the requests that a random split compares with the others.",
)
@click.option("--seed", type=int, default=_SEED, show_default=True, metavar="N", help="Seed of the random splits.")
@click.option(
    "--set",
    "set_values",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of [compare] or [rounds], such as compare.errors.ratio=3. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def command(
    common: Common, *, days: float, weight: float, seed: int, set_values: tuple[str, ...], as_json: bool
) -> int:
    """Measure how often the gate would have failed at times at which nothing was released.

    It gives no verdict on production: 0 when it could measure, 3 when something could not be read, 4 when no cut was
    left.
    """
    from msgspec.structs import replace

    from prodwatch.cli.project import load
    from prodwatch.settings.set_values import with_values

    project = load(common, quiet=True)
    if set_values:
        project = replace(project, environment=with_values(project.environment, set_values))
    document = _measured(project, common, days, weight / 100, seed)
    if as_json:
        import msgspec

        stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    else:
        for line in lines(document):
            stdout.text(line)
    return exit_code_of(document)


def exit_code_of(document: PlaceboDocument) -> int:
    """Return 0 when any cut was measured, whatever the result."""
    return int(ExitCode.OK if any(each.errors.cuts for each in document.functions) else ExitCode.INCONCLUSIVE)


def _measured(project: Project, common: Common, days: float, weight: float, seed: int) -> PlaceboDocument:
    from prodwatch.cli.run_with_signals import demo_target
    from prodwatch.clock import AwsClock
    from prodwatch.session.engine import open_engine, require_credentials
    from prodwatch.session.placebo import placebo

    clock = AwsClock()
    known = _known_releases(project, days)

    async def main() -> PlaceboDocument:
        async with open_engine(project, demo=demo_target(project, common), clock=clock) as engine:
            await require_credentials(engine)
            return await placebo(engine, clock, days=days, weight=weight, seed=seed, known_releases=known, say=note)

    return asyncio.run(main())


def _known_releases(project: Project, days: float) -> list[datetime]:
    """Return the starts of the releases in the history; none where it is off, and of the demo, which stages its own."""
    from prodwatch.session.history import history_of, is_kept

    if project.environment.demo is not None or not is_kept(project, os.environ):
        return []
    since = datetime.now(UTC) - timedelta(days=days + 1)
    runs = history_of(project, warn=note).runs(since, None)
    return [run.release.started_at for run in runs if run.release is not None and run.release.started_at is not None]


def lines(document: PlaceboDocument) -> Iterator[str]:
    """Yield the text of the result."""
    from prodwatch.session.placebo import toml_lines

    span = document.to - document.from_
    asked = timedelta(days=document.days_asked)
    less = f", because no more of the {_days(asked)} is there" if span < asked else ""
    yield (
        f"{document.environment}: {_days(span)} of one-minute points{less}, from {document.from_:%Y-%m-%d %H:%M} to"
        f" {document.to:%Y-%m-%d %H:%M} UTC, bakes of {document.bake_s / 60:g} min, {document.weight * 100:g} % of the"
        f" requests split off, seed {document.seed}"
    )
    if document.left_out:
        yield f"  {document.left_out} cuts near a release were left out"
    for each in document.functions:
        yield from _lines_of(each)
    found = toml_lines(document.thresholds)
    if not any(each.errors.cuts for each in document.functions):
        yield "Nothing was measured: no cut with requests and without a release."
        return
    if "errors" not in found:
        yield "None of the thresholds of errors that were tried would never have failed: see the failures above."
    words = (
        "The least loosened thresholds that never failed" if document.thresholds.changed else "The present thresholds"
    )
    yield f"{words}:"
    yield "  [compare]"
    yield from (f"  {line}" for line in found.values())


def _lines_of(placebo: FunctionPlacebo) -> Iterator[str]:
    yield f"{placebo.function}: {placebo.requests:,} requests"
    for words, share in (
        ("before/after", placebo.before_after),
        ("errors of a random split", placebo.errors),
        ("latency of a random split", placebo.latency),
    ):
        yield f"  {words:<26} {_share(share)}"


def _share(share: Share) -> str:
    from prodwatch.judge.comparison.version_comparison import format_percent

    if not share.cuts:
        return "not measured"
    if share.at_most is not None:
        return f"would have failed 0 of {share.cuts:,} (at most {format_percent(share.at_most)} at 95 %)"
    latest = f", the latest at {share.failed_at[-1]:%Y-%m-%d %H:%M} UTC" if share.failed_at else ""
    return f"would have failed {share.failed:,} of {share.cuts:,} ({format_percent(share.failed / share.cuts)}){latest}"


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
