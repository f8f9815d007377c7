"""`prodwatch replay`: the dashboard over a recording."""

from __future__ import annotations

import asyncio
import shlex
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.cli.run_with_signals import RunSignals
    from prodwatch.store.recording.reader import SessionFile
    from prodwatch.tui.replay_app import ReplayApp

FASTEST = 1_000.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--speed",
    type=click.FloatRange(0.1, FASTEST),
    default=1.0,
    metavar="N",
    help="Play N times as fast as it was recorded. Default: 1.",
)
@click.option("--from", "from_", metavar="T", help="Begin at T: a time of day, RFC 3339, or a duration before the end.")
@click.option("--to", metavar="T", help="End at T.")
@click.option("--paused", is_flag=True, help="Do not play until space is pressed.")
def command(file: Path, *, speed: float, from_: str | None, to: str | None, paused: bool) -> int:
    """Open the dashboard over a recording, with a time line to seek.

    Neither AWS nor the project's files are needed, and nothing is called. `?` lists the keys. Without a terminal:
    prodwatch gate --replay FILE judges a recording, prodwatch verify FILE finds damage.
    """
    from prodwatch.cli.dashboard import discard_output_of_closed_streams, refuse_without_terminal
    from prodwatch.cli.gate_replays import open_recording
    from prodwatch.cli.log_file import log_to_file
    from prodwatch.cli.run_with_signals import RunSignals

    refuse_without_terminal(f"prodwatch gate --replay {shlex.quote(str(file))}")
    with open_recording(file) as opened:
        from_us, to_us = span_of(opened, from_, to)
        with log_to_file() as log_file, RunSignals() as signals:
            app = replay_app(
                opened,
                speed=speed,
                from_us=from_us,
                to_us=to_us,
                playing=not paused,
                log_file=str(log_file) if log_file else None,
            )
            try:
                return asyncio.run(_run(app, signals))
            finally:
                discard_output_of_closed_streams()


def replay_app(
    file: SessionFile,
    *,
    speed: float = 1.0,
    from_us: int = 0,
    to_us: int | None = None,
    playing: bool = True,
    log_file: str | None = None,
) -> ReplayApp:
    """Return the dashboard over a session file. Raises ConfigurationError for one without an environment."""
    from prodwatch.clock import Clock, SystemClock
    from prodwatch.session.past import FixedClock
    from prodwatch.session.protocol import facts_of
    from prodwatch.session.replay import ReplayClock
    from prodwatch.session.replay_session import ReplaySession, opening
    from prodwatch.settings.user_folders import config_dir
    from prodwatch.store.store import DEFAULT_LIMITS, TRIAGE_LIMITS, Store
    from prodwatch.tui.preferences import load_preferences
    from prodwatch.tui.replay_app import ReplayApp
    from prodwatch.views.time_window import Window

    opened = opening(file)
    window = None if opened.window_start is None else Window(start=opened.window_start, end=opened.window_end)
    clock = ReplayClock(file.header.started_at)
    shown: Clock = FixedClock(window.end, clock) if window is not None and window.end is not None else clock
    store = Store(shown, limits=TRIAGE_LIMITS if window else DEFAULT_LIMITS)
    session = ReplaySession(
        file, store, clock, SystemClock(), speed=speed, from_us=from_us, to_us=to_us, playing=playing
    )
    facts = facts_of(opened.environment, mode="replay", window=window, log_file=log_file)
    preferences = load_preferences(config_dir() / "dashboard.toml")
    return ReplayApp(store, session, environment=facts, clock=shown, preferences=preferences)


def span_of(file: SessionFile, from_: str | None, to: str | None) -> tuple[int, int]:
    """Return both ends of the time line in microseconds since the start. Raises UsageError."""
    end = file.header.started_at + timedelta(microseconds=file.duration_us)
    from_us = 0 if from_ is None else _position("--from", from_, file, end)
    to_us = file.duration_us if to is None else _position("--to", to, file, end)
    if from_us >= to_us > 0:
        raise click.UsageError("--from is not before --to")
    return from_us, to_us


def _position(name: str, text: str, file: SessionFile, end: datetime) -> int:
    from prodwatch.text.parse_user_times import parse_moment

    try:
        moment = parse_moment(text, end, is_end=name == "--to")
    except ValueError as caught:
        raise click.UsageError(f"{name}: {caught}") from None
    if not isinstance(moment, datetime):
        raise click.UsageError(f"{name} release: name a time; ] jumps to the events of a release")
    start = file.header.started_at
    if not start <= moment <= end:
        recorded = f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"
        raise click.UsageError(f"{name}: {moment:%Y-%m-%d %H:%M:%S} UTC is not in the recording, {recorded}")
    return round((moment - start) / timedelta(microseconds=1))


async def _run(app: ReplayApp, signals: RunSignals) -> int:
    from prodwatch.cli.run_with_signals import exit_code_of

    ended_by: list[int] = []

    def leave(number: int) -> None:
        ended_by.append(number)
        app.exit()

    signals.attach(leave)
    try:
        await app.run_async()
    finally:
        signals.detach()
        await app.session.stop()
    if ended_by:
        return exit_code_of(ended_by[0])
    return int(ExitCode.OK if app.return_code in {None, 0} else ExitCode.BUG)
