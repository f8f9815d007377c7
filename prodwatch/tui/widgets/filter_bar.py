"""Input line for filters, searches and notes; hidden until it is opened."""

from __future__ import annotations

from typing import cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from prodwatch.tui.styled_line import safe

MAX_HISTORY = 50


class FilterLine(Input):
    """The input itself."""

    BINDINGS = [
        Binding("escape", "cancel", "cancel", id="filter.cancel", key_display="esc"),
        Binding("up", "recall(-1)", "earlier", show=False, id="filter.earlier"),
        Binding("down", "recall(1)", "later", show=False, id="filter.later"),
    ]

    @property
    def _bar(self) -> FilterBar:
        return cast("FilterBar", self.parent)

    def action_cancel(self) -> None:
        """Cancel the input."""
        self._bar.cancel()

    def action_recall(self, step: int) -> None:
        """Show an earlier or later entry."""
        self._bar.recall(step)


class FilterBar(Horizontal):
    """Opened with a purpose (`filter`, `find` …); posts each change, and the entered text or the cancellation."""

    DEFAULT_CSS = """
    FilterBar {
        height: 1;
        display: none;
        background: $panel;
        &.-open { display: block; }
        & > #filter-label { width: auto; padding: 0 1; color: $tone-accent; }
        & > #filter-input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
        & > #filter-note { width: auto; padding: 0 1; color: $tone-dim; }
        &.-wrong > #filter-note { color: $tone-bad; }
    }
    """

    class Changed(Message):
        """The text changed while it is being typed."""

        def __init__(self, purpose: str, text: str) -> None:
            super().__init__()
            self.purpose = purpose
            self.text = text

    class Entered(Message):
        """The user entered the text."""

        def __init__(self, purpose: str, text: str) -> None:
            super().__init__()
            self.purpose = purpose
            self.text = text

    class Cancelled(Message):
        """The user cancelled; the previous text applies again."""

        def __init__(self, purpose: str) -> None:
            super().__init__()
            self.purpose = purpose

    def __init__(self, entered: dict[str, list[str]]) -> None:
        super().__init__(id="filter-bar")
        self.purpose = ""
        self._history = entered
        self._place = 0
        self._draft = ""

    def compose(self) -> ComposeResult:
        """Label, input, note."""
        yield Static("", id="filter-label", markup=False)
        yield FilterLine(id="filter-input", select_on_focus=False)
        yield Static("", id="filter-note", markup=False)

    def open(self, purpose: str, text: str = "", *, label: str = "") -> None:
        """Show the bar for `purpose`, beginning with `text`."""
        self.purpose = purpose
        self._place = len(self._history.get(purpose, ()))
        self.query_one("#filter-label", Static).update(label or purpose)
        self.note("")
        self.add_class("-open")
        line = self.query_one(FilterLine)
        with line.prevent(Input.Changed):
            line.value = safe(text)
        line.cursor_position = len(line.value)
        line.focus()

    @property
    def is_open(self) -> bool:
        """Whether the user is typing."""
        return self.has_class("-open")

    def note(self, text: str, *, wrong: bool = False) -> None:
        """Show a note after the input: a count, or an error."""
        self.set_class(wrong, "-wrong")
        self.query_one("#filter-note", Static).update(safe(text))

    def close(self) -> None:
        """Hide the bar."""
        self.remove_class("-open")

    def cancel(self) -> None:
        """Close without entering."""
        self.close()
        self.post_message(self.Cancelled(self.purpose))

    def recall(self, step: int) -> None:
        """Show an earlier or later entry; after the latest one comes the text being typed."""
        history = self._history.get(self.purpose, [])
        line = self.query_one(FilterLine)
        if self._place >= len(history):
            self._draft = line.value
        self._place = min(max(0, self._place + step), len(history))
        line.value = history[self._place] if self._place < len(history) else self._draft
        line.cursor_position = len(line.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass a change on."""
        event.stop()
        if self.is_open:
            self.post_message(self.Changed(self.purpose, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Pass the entry on and remember it."""
        event.stop()
        history = self._history.setdefault(self.purpose, [])
        text = event.value.strip()
        if text:
            if text in history:
                history.remove(text)
            history.append(text)
            del history[:-MAX_HISTORY]
        self.close()
        self.post_message(self.Entered(self.purpose, text))

    def on_key(self, event: events.Key) -> None:
        """Keep the focus in the input: tab would move it."""
        if event.key in {"tab", "shift+tab"}:
            event.stop()
