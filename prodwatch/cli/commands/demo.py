"""`prodwatch demo`: the dashboard on the embedded AWS and its demo shop, or that AWS alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from prodwatch.cli import stdout
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.window_options import window_of, window_options

if TYPE_CHECKING:
    from prodwatch.model.environment import DemoTarget


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Speed of the staged release; 1 is real time.",
)
@click.option("--seed", type=int, metavar="N", help="Seed of the generated traffic; the same seed gives the same data.")
@click.option("--aws-only", is_flag=True, help="Serve only the embedded AWS, until interrupted.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="With --aws-only: port to listen on. Default: a free one.",
)
@window_options
@common_options
def command(
    common: Common,
    *,
    speed: float | None,
    seed: int | None,
    aws_only: bool,
    port: int,
    since: str | None,
    from_: str | None,
    to: str | None,
) -> int:
    """Open the dashboard on the embedded AWS and its demo shop; needs no AWS account, nothing leaves this machine."""
    from msgspec.structs import replace

    common = replace(common, env=common.env or "demo")
    window = window_of(since, from_, to)
    if aws_only:
        return _serve(_target(common, speed, seed, None), port)
    from prodwatch.cli.dashboard import refuse_without_terminal, run_dashboard
    from prodwatch.cli.project import load

    refuse_without_terminal()
    project = load(common, quiet=True)
    demo = _target(common, speed, seed, project.environment.demo)
    return run_dashboard(project, common, demo=demo, window=window)


def _target(common: Common, speed: float | None, seed: int | None, base: DemoTarget | None) -> DemoTarget:
    from prodwatch.model.environment import DemoTarget

    base = base or DemoTarget()
    return DemoTarget(
        scenario=common.scenario or base.scenario,
        at=common.at or base.at,
        speed=base.speed if speed is None else speed,
        seed=base.seed if seed is None else seed,
    )


def _serve(demo: DemoTarget, port: int) -> int:
    """Serve until the child process ends or is interrupted; the address goes to stdout."""
    import signal

    from prodwatch.cli.stderr import say
    from prodwatch.demo.process import start_demo

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with start_demo(scenario=demo.scenario, at=demo.at, speed=demo.speed, seed=demo.seed, port=port) as server:
        signal.signal(signal.SIGTERM, end)
        stdout.text(server.url)
        say(f"the embedded AWS is at {server.url}; Ctrl-C stops it")
        say(f"to use it, set: AWS_ENDPOINT_URL={server.url} AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo …")
        try:
            return server.process.wait()
        except KeyboardInterrupt:
            return 0
