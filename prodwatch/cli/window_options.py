"""`--since`, `--from` and `--to` of the dashboard: the time window it covers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prodwatch.views.time_window import Window

F = TypeVar("F", bound=Callable[..., Any])

MAX_LENGTH = timedelta(hours=12)
"""A third of the one-minute points kept in triage, with as much to spare: the window, the one before, a week ago."""
MAX_AGE = timedelta(days=15)
"""Retention of one-minute metrics in CloudWatch."""
TOLERANCE = timedelta(minutes=1)
"""Allowed excess over `MAX_LENGTH`, because times of day are typed to the minute."""


def window_options(command: F) -> F:
    """Add the three options to a command; it receives them as `since`, `from_` and `to`."""
    for option in (
        click.option("--to", metavar="T", help="With --from: end of the window. Nothing after it is read."),
        click.option("--from", "from_", metavar="T", help="Same as --since; with --to, a window in the past."),
        click.option("--since", metavar="T", help="Triage: show what changed since then; 1h, 14:05 or RFC 3339."),
    ):
        command = option(command)
    return command


def arguments(since: str | None, from_: str | None, to: str | None) -> list[str]:
    """Return the options as a command line."""
    options = (("since", since), ("from", from_), ("to", to))
    return [f"--{name}={value}" for name, value in options if value is not None]


def window_of(since: str | None, from_: str | None, to: str | None, now: datetime | None = None) -> Window | None:
    """Return the window that the options describe at `now`, None without options. Raises click.UsageError."""
    if since is not None and from_ is not None:
        raise click.UsageError("--since and --from are the same option; leave one of them out")
    if to is not None and from_ is None:
        raise click.UsageError("--to needs --from")
    begins = since if since is not None else from_
    if begins is None:
        return None
    from prodwatch.views.time_window import Window

    now = now or datetime.now(UTC)
    name = "--since" if since is not None else "--from"
    start = _moment(name, begins, now)
    end = _moment("--to", to, now) if to is not None else None
    if start >= (end or now):
        where = f"--to ({end:%Y-%m-%d %H:%M} UTC)" if end else f"now ({now:%H:%M} UTC)"
        raise click.UsageError(f"{name} ({start:%Y-%m-%d %H:%M} UTC) is not before {where}")
    if end is not None and end > now:
        raise click.UsageError(f"--to ({end:%Y-%m-%d %H:%M} UTC) is in the future; leave it out to follow the present")
    if (end or now) - start > MAX_LENGTH + TOLERANCE:
        limit_h = MAX_LENGTH.total_seconds() / 3600
        raise click.UsageError(f"the window is longer than {limit_h:.0f} hours; choose a shorter one")
    if now - start > MAX_AGE:
        raise click.UsageError(
            f"{name} is more than {MAX_AGE.days} days ago; CloudWatch keeps one-minute metrics no longer than that"
        )
    return Window(start=start, end=end)


def _moment(name: str, text: str, now: datetime) -> datetime:
    from prodwatch.text.parse_user_times import RELEASE, parse_moment

    try:
        moment = parse_moment(text, now, is_end=name == "--to")
    except ValueError as caught:
        raise click.UsageError(f"{name}: {caught}") from None
    if moment == RELEASE or not isinstance(moment, datetime):
        raise click.UsageError(f"{name} release: the dashboard shows the release by default; leave {name} out")
    return moment
