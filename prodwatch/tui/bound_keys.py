"""The classes whose bindings make up the keymap, and the ids that a keymap may name.

Imports every screen, so import it only where the whole keymap is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from textual.binding import Binding
from textual.dom import DOMNode

from prodwatch.tui.keymap import APP_BINDINGS, REPLAY_BINDINGS
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.overview import OverviewScreen
from prodwatch.tui.screens.timeline import TimelineScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.screens.traces import TracesScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.filter_bar import FilterLine
from prodwatch.tui.widgets.log_panel import LogPanel
from prodwatch.tui.widgets.replay_bar import ReplayBar
from prodwatch.tui.widgets.row_list import RowList

EVERYWHERE: tuple[type[DOMNode], ...] = (DashboardScreen,)
"""Classes whose keys work on every screen, like those of the app itself."""

PLACES: tuple[tuple[str, tuple[type[DOMNode], ...]], ...] = (
    ("In any list", (RowList,)),
    ("Overview and traces", (OverviewScreen, TracesScreen)),
    ("Logs", (LogPanel, LogsScreen)),
    ("A check, opened", (CheckScreen,)),
    ("A trace, opened", (TraceScreen,)),
    ("Chart", (ChartPanel,)),
    ("Timeline", (TimelineScreen,)),
    ("A replay, with the focus on its time line", (ReplayBar,)),
    ("While typing a filter", (FilterLine,)),
)
"""(title, classes): where further keys work, in the order of the reference page."""


def bindings_of(*classes: type[DOMNode]) -> Iterator[Binding]:
    """Yield the bindings that these classes define themselves; inherited ones are left out."""
    for binding in chain.from_iterable(vars(owner).get("BINDINGS", ()) for owner in classes):
        yield binding if isinstance(binding, Binding) else Binding(*binding)


def known_ids() -> frozenset[str]:
    """Return every id a keymap may name."""
    classes = [*EVERYWHERE, *chain.from_iterable(place for _, place in PLACES)]
    return frozenset(binding.id or "" for binding in (*APP_BINDINGS, *REPLAY_BINDINGS, *bindings_of(*classes)))
