"""What every screen has: the header on top, the keys below, its layers, and a frame that no panel can break."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Protocol, cast, runtime_checkable

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from prodwatch.tui.dashboard import Dashboard
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
    """A panel that can show fewer rows."""

    @property
    def filter_text(self) -> str:
        """What is typed to see fewer."""
        ...

    def try_filter(self, text: str) -> None:
        """Show only what `text` lets through; FilterError leaves things as they are."""
        ...

    def match_note(self) -> str:
        """Say how many rows match."""
        ...


class TooSmall(StaticLines):
    """The one sentence shown instead of a broken screen."""

    def lines(self, width: int) -> list[Line]:
        """Return the sentence, wrapped."""
        from textwrap import wrap

        size = self.app.size
        text = (
            f"This terminal has {size.width}×{size.height} characters; the dashboard needs "
            f"{MIN_WIDTH}×{MIN_HEIGHT}. Make it larger, or press q to leave."
        )
        return [((part, Tone.PLAIN),) for part in wrap(text, max(10, width))]


class DashboardScreen(FaultTolerant, Screen[None]):
    """Subclasses yield their panels in `body` and name their place in `layer_name`."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCREEN_BINDINGS]
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-x"), (MIN_WIDTH, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny-y"), (MIN_HEIGHT, "-short"), (32, "-medium"), (50, "-tall")]
    LAYER_NAME = ""
    HAS_BREADCRUMB = False
    """Whether the screen has a breadcrumb of its own; on the others the header says where one is."""
    COMPONENT_CLASSES = TONE_CLASSES
    DEFAULT_CSS = f"DashboardScreen {{ {TONE_CSS} }}"

    def __init__(self, context: WidgetContext) -> None:
        super().__init__()
        self.context = context
        self._live: list[Panel | StaticLines] = []
        self._frame_number = 0
        self._retry_frames: dict[Widget, int] = {}
        """Widgets that broke, and the frame in which they are tried again."""
        self._focused_before_input: Widget | None = None
        self._text_before = ""

    @property
    def dashboard(self) -> Dashboard:
        """The app, known by its own type."""
        return cast("Dashboard", self.app)

    def body(self) -> Iterable[Widget]:
        """Yield what stands between header and keys."""
        raise NotImplementedError

    @property
    def layer_name(self) -> str:
        """What the breadcrumb calls this layer."""
        return self.LAYER_NAME

    @property
    def arrival_filter(self) -> str:
        """The filter this layer was opened with; leaving it means leaving the layer."""
        return ""

    def _fit_at_once(self) -> None:
        """Have the classes of the terminal's size before the first layout: learnt from it they cost a second one."""
        width, height = self.app.size
        for length, steps in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            self.add_class(max(step for step in steps if step[0] <= length)[1])

    def compose(self) -> ComposeResult:
        """Header, body, keys, and the sentence for terminals that are too small."""
        self._fit_at_once()
        yield Header(self.context, id="header")
        yield from self.body()
        yield KeyHints(self.context, id="hints")
        yield TooSmall(self.context, id="too-small")

    def on_mount(self) -> None:
        """Know the widgets that follow the store."""
        self._live = [widget for widget in self.walk_children() if isinstance(widget, Panel | StaticLines)]

    def frame(self) -> None:
        """Give each widget its turn; one that breaks is logged and shown as broken, the others go on."""
        self._frame_number += 1
        for widget in self._live:
            if self._retry_frames.get(widget, 0) > self._frame_number:
                continue
            try:
                widget.frame()
            except Exception:  # noqa: BLE001 -- one broken panel must not take the others with it
                _LOG.exception("the widget %s failed", widget.id or type(widget).__name__)
                self._retry_frames[widget] = self._frame_number + RETRY_FRAMES
                widget.border_subtitle = Content(self._failure_text())
            else:
                self._retry_frames.pop(widget, None)

    def _failure_text(self) -> str:
        """Say on a panel's edge that it stands still, when it tries again, and where to read why."""
        fps = self.context.preferences.fps or 10.0
        log_file = self.context.facts.log_file
        return f"failed, tries again in {RETRY_FRAMES / fps:.0f}s" + (f" · see {safe(log_file)}" if log_file else "")

    @property
    def filterable(self) -> Filterable | None:
        """The panel a filter goes to: the focused one, else the screen's main list."""
        candidates: list[object] = [self.focused, *self._live]
        return next((candidate for candidate in candidates if isinstance(candidate, Filterable)), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the filter only where something can be filtered."""
        del parameters
        return action != "filter" or self.filterable is not None

    # Layers: the input, what it did, then the screen itself

    def action_back(self) -> None:
        """Leave one layer: a filter, then this screen; the overview stays."""
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
        """Let the user type; what is typed comes back through `typed`, `entered` and `cancelled`."""
        from prodwatch.tui.widgets.filter_bar import FilterBar

        bars = self.query(FilterBar)
        bar = bars.first() if bars else FilterBar(self.context.entered)
        if not bars:
            await self.mount(bar, before="#hints")
        self._focused_before_input, self._text_before = self.focused, text
        bar.open(purpose, text, label=label)

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        """Show at once what the text does, or what is wrong with it."""
        event.stop()
        bar = self._bar
        try:
            bar.note(self.typed(event.purpose, event.text))
        except FilterError as error:
            bar.note(str(error), wrong=True)

    def on_filter_bar_entered(self, event: FilterBar.Entered) -> None:
        """Keep what was entered."""
        event.stop()
        self._return_focus()
        try:
            self.entered(event.purpose, event.text)
        except FilterError as error:
            self.app.notify(f"{error}; the last good filter stays", markup=False, severity="warning")

    def on_filter_bar_cancelled(self, event: FilterBar.Cancelled) -> None:
        """Put things back as they were."""
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
        """Apply what is being typed; return what to say beside it."""
        asked: object = self._focused_before_input
        panel = asked if isinstance(asked, Filterable) else self.filterable
        if purpose != "filter" or panel is None:
            return ""
        panel.try_filter(text)
        return panel.match_note()

    def entered(self, purpose: str, text: str) -> None:
        """Apply what was entered."""
        if purpose == "note" and text:
            self.context.store.mark(text)
        self.typed(purpose, text)

    def cancelled(self, purpose: str) -> None:
        """Go back to what was there before."""
        self.typed(purpose, self._text_before)

    # What screens that have something to copy or to open override

    def action_copy(self, form: str = "text") -> None:
        """Copy the text that was marked with the mouse, else what the cursor is on."""
        marked = self.get_selected_text() if form == "text" else None
        self.dashboard.copy(marked or self.copied(form), "there is nothing to copy here")

    def copied(self, form: str) -> str | None:
        """Return what copying gives, as `text` or `json`."""
        del form
        return None

    def action_console(self) -> None:
        """Copy and show the AWS console's address of what the cursor is on: many terminals open it with a click."""
        url = self.console_url()
        if url is None:
            self.dashboard.copy(None, "there is no page of the AWS console for this")
            return
        self.app.copy_to_clipboard(url)
        self.app.notify(url, title="copied the address in the AWS console", markup=False, timeout=10)

    def console_url(self) -> str | None:
        """Return the address, None when there is none."""
        return None
