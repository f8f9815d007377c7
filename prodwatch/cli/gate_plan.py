"""`prodwatch gate --plan`: which harm the bake would find and how soon, as text or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from prodwatch.cli import stdout
from prodwatch.judge.comparison.plan import PASS_SHARE, Plan
from prodwatch.judge.comparison.version_comparison import format_percent
from prodwatch.model.exit_code import ExitCode
from prodwatch.session.bake_plan import FunctionPlan, plan_bakes

if TYPE_CHECKING:
    from prodwatch.cli.options import Common
    from prodwatch.cli.result_outputs import Outputs
    from prodwatch.settings import Project

SCHEMA = "prodwatch.plan/1"


def check_outputs(outputs: Outputs) -> None:
    """Raise a usage error for a format that only a verdict has."""
    if outputs.stdout_format not in {None, "json"} or set(outputs.files) - {"json"} or outputs.github_summary:
        raise click.UsageError("--plan is written as text or with --json; leave the other formats out")


def run(project: Project, common: Common, outputs: Outputs, *, weight: float, bake_s: float) -> int:
    """Read the traffic, write the plans and return the exit code: 3 where the traffic of a function cannot be read."""
    from prodwatch.cli.run_with_signals import announced_demo
    from prodwatch.session.engine import open_engine

    async def main() -> tuple[FunctionPlan, ...]:
        async with open_engine(project, demo=announced_demo(project, common)) as engine:
            return await plan_bakes(
                engine.environment,
                engine.aws,
                clock=engine.clock,
                clean=engine.clean,
                weight=weight,
                bake_s=bake_s,
            )

    plans = asyncio.run(main())
    document = msgspec.json.encode({"schema": SCHEMA, "functions": plans})
    document = msgspec.json.format(document, indent=2) + b"\n"
    for path in outputs.files.get("json", ()):
        stdout.write_file(path, document)
    if outputs.stdout_format == "json":
        stdout.write(document)
    else:
        for line in lines(plans):
            stdout.text(line)
    return int(ExitCode.ERROR if any(each.plan is None for each in plans) else ExitCode.OK)


def lines(plans: Sequence[FunctionPlan]) -> Iterator[str]:
    """Yield the text of the plans."""
    for each in plans:
        if each.plan is None:
            yield f"{each.function}: no plan: {each.message}"
            continue
        yield from _lines_of(each.function, each.plan)


def _lines_of(function: str, plan: Plan) -> Iterator[str]:
    yield (
        f"{function}: {plan.requests_per_s:.3g} requests/s, errors {format_percent(plan.error_share)}, "
        f"{_whole_percent(plan.weight)} of the traffic on the new version, bake {_minutes(plan.bake_s)}"
    )
    width = max((len(each.harm) for each in plan.harms), default=0)
    for each in plan.harms:
        after = f", median {each.after_s / 60:.1f} min after the shift" if each.after_s is not None else ""
        yield f"  {each.harm:<{width}}  found in {_whole_percent(each.found)} of the bakes{after}"
    yield f"  a healthy release passes in {_whole_percent(plan.passes)} of the bakes"
    if plan.passes < PASS_SHARE:
        yield f"  {_needed(plan)}"


def _needed(plan: Plan) -> str:
    ways = []
    if plan.requests_needed is not None:
        ways.append(f"{plan.requests_needed:,} more requests of the new version")
    if plan.weight_needed is not None:
        ways.append(f"{_whole_percent(plan.weight_needed)} of the traffic")
    if plan.bake_needed_s is not None:
        ways.append(f"a bake of {_minutes(plan.bake_needed_s)}")
    if not ways:
        return "no reliable pass at this traffic, neither with half of it nor with a bake of 240 min"
    return f"no reliable pass at this traffic: it needs {' or '.join(ways)}"


def _whole_percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"
