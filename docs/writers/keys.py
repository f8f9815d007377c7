"""The reference page of keys, written from the bindings themselves: `python -m docs.writers.keys`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode

from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.screens.check import CheckScreen
from prodwatch.tui.screens.logs import LogsScreen
from prodwatch.tui.screens.overview import OverviewScreen
from prodwatch.tui.screens.timeline import TimelineScreen
from prodwatch.tui.screens.trace import TraceScreen
from prodwatch.tui.screens.traces import TracesScreen
from prodwatch.tui.widgets.chart_panel import ChartPanel
from prodwatch.tui.widgets.filter_bar import FilterLine
from prodwatch.tui.widgets.line_view import LineView
from prodwatch.tui.widgets.log_panel import LogPanel

PLACES: tuple[tuple[str, tuple[type[DOMNode], ...]], ...] = (
    ("Everywhere", (ProdwatchApp, DashScreen)),
    ("In any list", (LineView,)),
    ("Overview and traces", (OverviewScreen, TracesScreen)),
    ("Logs", (LogPanel, LogsScreen)),
    ("A check, opened", (CheckScreen,)),
    ("A trace, opened", (TraceScreen,)),
    ("Chart", (ChartPanel,)),
    ("Timeline", (TimelineScreen,)),
    ("While typing a filter", (FilterLine,)),
)
_HEAD = """# Keys

Every key has an id. Map an id to other keys in `dashboard.toml` in your configuration folder:

```toml
[keys]
"check.rerun" = "ctrl+r"
"list.down" = "j,down,ctrl+n"
```

`?` in the dashboard shows the keys that work where you are, as you mapped them. Everything here is also in the
palette (`:`), named `area: verb`. `tab` and `shift+tab` go from panel to panel; the mouse selects with one click and
opens with two.
"""


class Key(NamedTuple):
    """One row of the page."""

    id: str
    keys: str
    label: str


def bindings_of(*classes: type[DOMNode]) -> Iterator[Binding]:
    """Yield the bindings written in these classes, inherited ones left out."""
    for each in chain.from_iterable(vars(owner).get("BINDINGS", ()) for owner in classes):
        yield each if isinstance(each, Binding) else Binding(*each)


def keys_of(*classes: type[DOMNode]) -> list[Key]:
    """Return one row per id, in the order written; the same id in two classes is one row."""
    rows: dict[str, Key] = {}
    for each in bindings_of(*classes):
        rows.setdefault(each.id or "", Key(each.id or "", readable(each.key), each.description))
    return list(rows.values())


def known_ids() -> frozenset[str]:
    """Return every id a keymap may name."""
    return frozenset(key.id for _, classes in PLACES for key in keys_of(*classes))


def readable(keys: str) -> str:
    """Return key names as people know them."""
    return ", ".join(_NAMES.get(key, key) for key in keys.split(","))


_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "escape": "esc",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
}


def keys_page() -> str:
    """Return the page as Markdown."""
    lines = [_HEAD]
    for title, classes in PLACES:
        lines += [f"## {title}", "", "| key | does | id |", "|---|---|---|"]
        lines += [f"| `{key.keys}` | {key.label} | `{key.id}` |" for key in keys_of(*classes)]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(keys_page())
