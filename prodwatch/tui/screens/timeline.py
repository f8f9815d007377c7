"""The release from its first event to now, on one axis and as a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from prodwatch.tui.deck import Deck
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.widgets.release import ReleaseBar
from prodwatch.tui.widgets.timeline_panel import LanesBar, TimelinePanel
from prodwatch.views.timeline import timeline


class TimelineScreen(DashScreen):
    """Lanes above, events below."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "#timeline"
    TITLE_WORD = "timeline"

    def __init__(self, deck: Deck, subject: str = "") -> None:
        super().__init__(deck)
        self._subject = subject

    @property
    def arrival_filter(self) -> str:
        """The subject this layer was opened for."""
        return self._subject

    def body(self) -> Iterable[Widget]:
        """Yield release, lanes and events."""
        yield ReleaseBar(self.deck, id="release")
        yield LanesBar(self.deck, id="lanes")
        yield TimelinePanel(self.deck, needle=self._subject, id="timeline")

    def copied(self, form: str) -> str | None:
        """Return the events as text."""
        del form
        panel = self.query_one(TimelinePanel)
        rows = timeline(self.deck.store, self.deck.now(), needle=panel.filter_text).rows
        return "\n".join(f"{each.at.isoformat()}  {each.lane}  {each.subject}  {each.text}" for each in rows) or None
