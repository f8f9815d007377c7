"""Protocol of the app for its screens: open other screens, run checks again, copy, run a task in the background."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from prodwatch.session.protocol import Session


class Dashboard(Protocol):
    """The app as its screens see it; the app itself imports them."""

    session: Session

    def open_check(self, check_id: str) -> None:
        """Show one check."""
        ...

    def open_trace(self, trace_id: str) -> None:
        """Show one trace as a waterfall."""
        ...

    def open_metric(self, label: str, *, at_s: int | None = None) -> None:
        """Show the chart of one metric, the cursor on the minute that holds `at_s` (epoch seconds)."""
        ...

    def open_logs(self, text: str, *, number: int | None = None) -> None:
        """Show the logs under a filter, or one line by its ring number."""
        ...

    def open_timeline(self, subject: str) -> None:
        """Show the events of one subject."""
        ...

    def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks again now."""
        ...

    def rerun_failed(self) -> None:
        """Run every check again that is not green."""
        ...

    def copy(self, text: str | None, otherwise: str) -> None:
        """Copy `text` to the clipboard and confirm it; without text show `otherwise`."""
        ...

    def run_in_background(self, name: str, task: Coroutine[Any, Any, object], *, group: str = "session") -> None:
        """Run `task` concurrently; a failure is shown under `name` and logged."""
        ...

    def action_release(self) -> None:
        """Show the release in full."""
        ...

    def action_show(self, name: str) -> None:
        """Switch to one of the numbered screens."""
        ...
