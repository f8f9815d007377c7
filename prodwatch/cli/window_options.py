"""`--since`, `--from` and `--to` of the dashboard: the stretch of time somebody asks about, or a refusal in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prodwatch.views.window import Window

F = TypeVar("F", bound=Callable[..., Any])

LONGEST = timedelta(hours=12)
"""With as much again to compare with, a day by the minute: what the dashboard keeps of each metric."""
OLDEST = timedelta(days=15)
"""For so long CloudWatch keeps metrics by the minute."""
TO_THE_MINUTE = timedelta(minutes=1)


def window_options(command: F) -> F:
    """Give a command the three options; it receives them as `since`, `from_` and `to`."""
    for option in (
        click.option("--to", metavar="T", help="With --from: where it ended; the picture then stands still."),
        click.option("--from", "from_", metavar="T", help="The same as --since; with --to a stretch that is over."),
        click.option("--since", metavar="T", help="Triage: what changed since then? 1h, 14:05 or RFC 3339."),
    ):
        command = option(command)
    return command


def arguments(since: str | None, from_: str | None, to: str | None) -> list[str]:
    """Return the options as a command line."""
    given = (("since", since), ("from", from_), ("to", to))
    return [f"--{name}={value}" for name, value in given if value is not None]


def window_of(since: str | None, from_: str | None, to: str | None, now: datetime | None = None) -> Window | None:
    """Return the window the options mean at `now`, None without any; click.UsageError names what is wrong."""
    if since is not None and from_ is not None:
        raise click.UsageError("--since and --from say the same; leave one of them out")
    if to is not None and from_ is None:
        raise click.UsageError("--to needs --from: the window begins there")
    begins = since if since is not None else from_
    if begins is None:
        return None
    from prodwatch.views.window import Window

    now = now or datetime.now(UTC)
    name = "--since" if since is not None else "--from"
    start = _moment(name, begins, now)
    end = _moment("--to", to, now) if to is not None else None
    if start >= (end or now):
        where = f"--to ({end:%Y-%m-%d %H:%M} UTC)" if end else f"now ({now:%H:%M} UTC)"
        raise click.UsageError(f"{name} ({start:%Y-%m-%d %H:%M} UTC) is not before {where}")
    if end is not None and end > now:
        raise click.UsageError(f"--to ({end:%Y-%m-%d %H:%M} UTC) lies ahead; leave it out to go on with the present")
    if (end or now) - start > LONGEST + TO_THE_MINUTE:
        raise click.UsageError(f"a window is at most {LONGEST.total_seconds() / 3600:.0f} hours long; choose a part")
    if now - start > OLDEST:
        raise click.UsageError(
            f"--from lies more than {OLDEST.days} days back, where CloudWatch has no minutes any more"
        )
    return Window(start=start, end=end)


def _moment(name: str, text: str, now: datetime) -> datetime:
    from prodwatch.text.timestamps import RELEASE, parse_moment

    try:
        found = parse_moment(text, now)
    except ValueError as caught:
        raise click.UsageError(f"{name}: {caught}") from None
    if found == RELEASE or not isinstance(found, datetime):
        raise click.UsageError(f"{name} release: the dashboard shows the release by itself; leave {name} out")
    return found
