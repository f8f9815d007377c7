"""Base of all screens: header, key hints, layers, input line, and a frame clock that isolates failing panels."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Protocol, cast, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from prodwatch.tui.app_protocol import Dashboard
from prodwatch.tui.keymap import SCREEN_BINDINGS
from prodwatch.tui.styled_line import Line, safe
from prodwatch.tui.textual_private import FaultTolerant
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.header import Header
from prodwatch.tui.widgets.key_hints import KeyHints
from prodwatch.tui.widgets.panel import Panel
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.tui.widgets.themed_widget import TONE_CLASSES, TONE_CSS
from prodwatch.views.log_filter import FilterError
from prodwatch.views.status_style import Tone

if TYPE_CHECKING:
    from prodwatch.tui.widgets.filter_bar import FilterBar

MIN_WIDTH, MIN_HEIGHT = 60, 16
RETRY_FRAMES = 50
"""Frames until a failed widget is tried again: five seconds at the default frame rate."""
_LOG = logging.getLogger(__name__)


@runtime_checkable
class Filterable(Protocol):
    """A panel with a filter."""

    @property
    def filter_text(self) -> str:
        """The filter's text."""
        ...

    def try_filter(self, text: str) -> None:
        """Show only rows that match `text`; on FilterError the previous filter stays."""
        ...

    def match_note(self) -> str:
        """Return the number of matching rows."""
        ...


class TooSmall(StaticLines):
    """The sentence shown when the terminal is too small."""

    def lines(self, width: int) -> list[Line]:
        """Return the sentence, wrapped."""
        from textwrap import wrap

        size = self.app.size
        text = (
            f"This terminal has {size.width}×{size.height} characters; the dashboard needs at least "
            f"{MIN_WIDTH}×{MIN_HEIGHT}. Enlarge it, or press q to quit."
        )
        return [((part, Tone.PLAIN),) for part in wrap(text, max(10, width))]


class DashboardScreen(FaultTolerant, Screen[None]):
    """Subclasses yield their panels in `body`, and their name for the breadcrumb in `layer_name`."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCREEN_BINDINGS]
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-x"), (MIN_WIDTH, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny-y"), (MIN_HEIGHT, "-short"), (32, "-medium"), (50, "-tall")]
    LAYER_NAME = ""
    HAS_BREADCRUMB = False
    """Whether the screen has its own breadcrumb; on other screens the header shows it."""
    COMPONENT_CLASSES = TONE_CLASSES
    DEFAULT_CSS = f"DashboardScreen {{ {TONE_CSS} }}"

    def __init__(self, context: WidgetContext) -> None:
        super().__init__()
        self.context = context
        self._live: list[Panel | StaticLines] = []
        self._frame_number = 0
        self._retry_frames: dict[Widget, int] = {}
        """Failed widget → frame in which it is tried again."""
        self._focused_before_input: Widget | None = None
        self._text_before = ""

    @property
    def dashboard(self) -> Dashboard:
        """The app."""
        return cast("Dashboard", self.app)

    def body(self) -> Iterable[Widget]:
        """Yield the widgets between header and key hints."""
        raise NotImplementedError

    @property
    def layer_name(self) -> str:
        """Name of this layer in the breadcrumb."""
        return self.LAYER_NAME

    @property
    def arrival_filter(self) -> str:
        """The filter this layer was opened with; `back` from it leaves the layer."""
        return ""

    def _fit_at_once(self) -> None:
        """Set the size classes before the first layout; Textual would set them after it and lay out twice."""
        width, height = self.app.size
        for length, steps in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            self.add_class(max(step for step in steps if step[0] <= length)[1])

    def compose(self) -> ComposeResult:
        """Header, body, keys, and the sentence for terminals that are too small."""
        self._fit_at_once()
        yield Header(self.context, id="header")
        yield from self.body()
        if self.context.replay is not None:
            from prodwatch.tui.widgets.replay_bar import ReplayBar

            yield ReplayBar(self.context, self.context.replay, id="replay")
        yield KeyHints(self.context, id="hints")
        yield TooSmall(self.context, id="too-small")

    def on_mount(self) -> None:
        """Collect the widgets that follow the store."""
        self._live = [widget for widget in self.walk_children() if isinstance(widget, Panel | StaticLines)]

    def frame(self) -> None:
        """Run a frame of every widget; a failed one is logged and marked, the others continue."""
        self._frame_number += 1
        for widget in self._live:
            if self._retry_frames.get(widget, 0) > self._frame_number:
                continue
            try:
                widget.frame()
            except Exception:  # noqa: BLE001 -- one failed panel must not stop the others
                _LOG.exception("the widget %s failed", widget.id or type(widget).__name__)
                self._retry_frames[widget] = self._frame_number + RETRY_FRAMES
                widget.border_subtitle = Content(self._failure_text())
            else:
                self._retry_frames.pop(widget, None)

    def _failure_text(self) -> str:
        """Return the text for a failed panel's edge: when it is retried, and the log file."""
        fps = self.context.preferences.fps or 10.0
        log_file = self.context.facts.log_file
        return f"failed, retry in {RETRY_FRAMES / fps:.0f}s" + (f" · see {safe(log_file)}" if log_file else "")

    @property
    def filterable(self) -> Filterable | None:
        """The panel that a filter applies to: the focused one, else the screen's main list."""
        candidates: list[object] = [self.focused, *self._live]
        return next((candidate for candidate in candidates if isinstance(candidate, Filterable)), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enable the filter only with a panel that can be filtered."""
        del parameters
        return action != "filter" or self.filterable is not None

    # Layers: the input, what it did, then the screen itself

    def action_back(self) -> None:
        """Clear the filter, else leave this screen; the overview stays."""
        panel = self.filterable
        if panel is not None and panel.filter_text not in {"", self.arrival_filter}:
            panel.try_filter(self.arrival_filter)
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        else:
            self.dashboard.action_show("overview")

    async def action_filter(self) -> None:
        """Open the filter for the panel that has focus, else for the screen's main list."""
        panel = self.filterable
        if panel is not None:
            await self.ask("filter", panel.filter_text)

    async def ask(self, purpose: str, text: str = "", *, label: str = "") -> None:
        """Open the input line; its text arrives in `typed`, `entered` and `cancelled`."""
        from prodwatch.tui.widgets.filter_bar import FilterBar

        bars = self.query(FilterBar)
        bar = bars.first() if bars else FilterBar(self.context.entered)
        if not bars:
            await self.mount(bar, before="#hints")
        self._focused_before_input, self._text_before = self.focused, text
        bar.open(purpose, text, label=label)

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        """Apply the text while it is typed, or show the error in it."""
        event.stop()
        bar = self._bar
        try:
            bar.note(self.typed(event.purpose, event.text))
        except FilterError as error:
            bar.note(str(error), wrong=True)

    def on_filter_bar_entered(self, event: FilterBar.Entered) -> None:
        """Apply the entered text."""
        event.stop()
        self._return_focus()
        try:
            self.entered(event.purpose, event.text)
        except FilterError as error:
            self.app.notify(f"{error}; the previous filter stays active", markup=False, severity="warning")

    def on_filter_bar_cancelled(self, event: FilterBar.Cancelled) -> None:
        """Restore the previous text."""
        event.stop()
        self._return_focus()
        self.cancelled(event.purpose)

    @property
    def _bar(self) -> FilterBar:
        from prodwatch.tui.widgets.filter_bar import FilterBar

        return self.query_one(FilterBar)

    def _return_focus(self) -> None:
        if self._focused_before_input is not None and self._focused_before_input.is_attached:
            self._focused_before_input.focus()

    def typed(self, purpose: str, text: str) -> str:
        """Apply text being typed; return the note to show after it."""
        asked: object = self._focused_before_input
        panel = asked if isinstance(asked, Filterable) else self.filterable
        if purpose != "filter" or panel is None:
            return ""
        panel.try_filter(text)
        return panel.match_note()

    def entered(self, purpose: str, text: str) -> None:
        """Apply entered text; a note is added to the timeline."""
        if purpose == "note" and text:
            self.context.store.mark(text)
        self.typed(purpose, text)

    def cancelled(self, purpose: str) -> None:
        """Apply the text from before the input."""
        self.typed(purpose, self._text_before)

    # Overridden by screens with something to copy or to open in the console

    def action_copy(self, form: str = "text") -> None:
        """Copy the text selected with the mouse, else the item under the cursor."""
        marked = self.get_selected_text() if form == "text" else None
        self.dashboard.copy(marked or self.copied(form), "nothing to copy here")

    def copied(self, form: str) -> str | None:
        """Return the item under the cursor as `text` or `json`; None when there is none."""
        del form
        return None

    def action_console(self) -> None:
        """Copy and show the AWS console address of the item under the cursor; many terminals open it on a click."""
        url = self.console_url()
        if url is None:
            self.dashboard.copy(None, "no AWS console page for this")
            return
        self.app.copy_to_clipboard(url)
        self.app.notify(url, title="AWS console address copied", markup=False, timeout=10)

    def console_url(self) -> str | None:
        """Return the AWS console address; None when there is none."""
        return None
