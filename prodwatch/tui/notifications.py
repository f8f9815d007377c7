"""Notifications of the dashboard: toasts for notices and verdict changes, terminal bell, desktop notification."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from textual.notifications import SeverityLevel

from prodwatch.text.cell_width import clip
from prodwatch.tui.styled_line import safe
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.views.verdict import VerdictLine

MAX_TOASTS = 3
"""Toasts for notices per check; the help screen lists all notices."""
MAX_CELLS = 200
"""Cells of a desktop notification's title and of its text."""
_OSC_777_TERMS = ("rxvt", "foot")
"""Start of TERM of terminals that know rxvt's OSC 777 and not iTerm's OSC 9."""


class NotificationTarget(Protocol):
    """The app, as far as notifications are concerned."""

    def notify(
        self, message: str, *, title: str = "", severity: SeverityLevel = "information", markup: bool = False
    ) -> None:
        """Show a toast."""
        ...

    def bell(self) -> None:
        """Ring the terminal's bell."""
        ...

    def write_to_terminal(self, sequence: str) -> None:
        """Write an escape sequence that paints nothing."""
        ...


class Notifier:
    """Reports new notices and each change of the verdict since the previous check."""

    def __init__(self, target: NotificationTarget, context: WidgetContext) -> None:
        self._target = target
        self._widget_context = context
        self._verdict_status: str | None = None
        self._notices_shown = 0
        self.is_silent = False
        """Whether nothing is reported, as in a replay."""

    def check(self) -> None:
        """Show notices that are new, and report the verdict if it changed; the first verdict is not a change."""
        if self.is_silent:
            return
        self._show_notices()
        verdict = self._widget_context.snapshot.verdict
        if verdict.title.startswith("WAITING"):
            return  # nothing is known yet, so the next verdict is not a change
        before, self._verdict_status = self._verdict_status, verdict.status
        if before is None or before == verdict.status:
            return
        self._signal_change(verdict)
        severity: SeverityLevel = "information" if verdict.status == "pass" else "warning"
        self._target.notify(verdict.reasons[0], title=verdict.title, severity=severity)

    def _signal_change(self, verdict: VerdictLine) -> None:
        """Ring the bell or send a desktop notification, as the user prefers."""
        preference = self._widget_context.preferences.notify
        if preference == "bell":
            self._target.bell()
        elif preference == "desktop":
            title = f"prodwatch {self._widget_context.facts.environment}: {verdict.title}"
            self._target.write_to_terminal(desktop_notification(title, verdict.reasons[0], os.environ))

    def _show_notices(self) -> None:
        store = self._widget_context.store
        new = min(store.notice_count - self._notices_shown, len(store.notices), MAX_TOASTS)
        self._notices_shown = store.notice_count
        for notice in store.notices[len(store.notices) - new :]:
            self._target.notify(notice.message, severity="warning")


def desktop_notification(title: str, text: str, environ: Mapping[str, str]) -> str:
    """Return the escape sequence for a desktop notification: OSC 9, or OSC 777 for terminals that know only that.

    A terminal that knows neither shows nothing. Inside tmux the sequence is wrapped so that tmux passes it on, which it
    does when `allow-passthrough` is on. The text cannot contain control characters.
    """
    head, body = (clip(safe(part), MAX_CELLS) for part in (title, text))
    if "VTE_VERSION" in environ or environ.get("TERM", "").startswith(_OSC_777_TERMS):
        # A semicolon would end the title.
        sequence = f"\x1b]777;notify;{head.replace(';', ',')};{body}\x1b\\"
    else:
        sequence = f"\x1b]9;{head}: {body}\x1b\\"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
