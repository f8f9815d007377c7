"""What every screen has: the header on top, the keys below, its layers, and a frame that no panel can break."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget

from prodwatch.tui.deck import Deck
from prodwatch.tui.keymap import SCREEN_BINDINGS
from prodwatch.tui.line import Line
from prodwatch.tui.widgets.bar import Bar
from prodwatch.tui.widgets.header import Header
from prodwatch.tui.widgets.hints import Hints
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.states import Tone

if TYPE_CHECKING:
    from prodwatch.tui.app import ProdwatchApp

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
_LOG = logging.getLogger(__name__)


class TooSmall(Bar):
    """The one sentence shown instead of a broken screen."""

    def lines(self, width: int) -> list[Line]:
        """Return the sentence, wrapped."""
        from textwrap import wrap

        size = self.app.size
        text = (
            f"This terminal has {size.width}×{size.height} characters; the dashboard needs "
            f"{LEAST_WIDTH}×{LEAST_HEIGHT}. Make it larger, or press q to leave."
        )
        return [((part, Tone.PLAIN),) for part in wrap(text, max(10, width))]


class DashScreen(Screen[None]):
    """Subclasses yield their panels in `body` and name their place in `crumb`."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCREEN_BINDINGS]
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny-x"), (LEAST_WIDTH, "-narrow"), (100, "-normal"), (160, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny-y"), (LEAST_HEIGHT, "-short"), (32, "-medium"), (50, "-tall")]
    TITLE_WORD = ""

    def __init__(self, deck: Deck) -> None:
        super().__init__()
        self.deck = deck
        self._live: list[Panel | Bar] = []

    @property
    def dashboard(self) -> ProdwatchApp:
        """The app, known by its own type."""
        return cast("ProdwatchApp", self.app)

    def body(self) -> Iterable[Widget]:
        """Yield what stands between header and keys."""
        raise NotImplementedError

    @property
    def crumb(self) -> str:
        """What the breadcrumb calls this layer."""
        return self.TITLE_WORD

    def compose(self) -> ComposeResult:
        """Header, body, keys, and the sentence for terminals that are too small."""
        yield Header(self.deck, id="header")
        yield from self.body()
        yield Hints(self.deck, id="hints")
        yield TooSmall(self.deck, id="too-small")

    def on_mount(self) -> None:
        """Know the widgets that follow the store."""
        self._live = [widget for widget in self.walk_children() if isinstance(widget, Panel | Bar)]

    def frame(self) -> None:
        """Give each widget its turn; one that breaks is logged and shown as broken, the others go on."""
        for widget in self._live:
            try:
                widget.frame()
            except Exception:  # noqa: BLE001 -- one broken panel must not take the others with it
                _LOG.exception("the widget %s failed", widget.id or type(widget).__name__)
                widget.border_subtitle = "this panel broke; the others go on, details are in the log file"

    @property
    def focused_panel(self) -> Panel | None:
        """The panel keys go to."""
        return self.focused if isinstance(self.focused, Panel) else None

    def action_back(self) -> None:
        """Leave this layer; the lowest stays."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def action_filter(self) -> None:
        """Open the filter for the panel that has focus, where it can be filtered."""
        self.app.notify("there is nothing to filter here", markup=False, timeout=3)

    def action_copy(self, form: str = "text") -> None:
        """Copy what the cursor is on."""
        del form
        self.app.notify("there is nothing to copy here", markup=False, timeout=3)

    def action_console(self) -> None:
        """Show the AWS console's address of what the cursor is on."""
        self.app.notify("there is no console page for this", markup=False, timeout=3)
