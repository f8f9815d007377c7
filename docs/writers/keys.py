"""The reference page of keys, written from the bindings themselves: `python -m docs.writers.keys`."""

from __future__ import annotations

import sys
from typing import NamedTuple

from textual.dom import DOMNode

from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.bound_keys import EVERYWHERE, PLACES, bindings_of
from prodwatch.tui.replay_app import ReplayApp

SECTIONS: tuple[tuple[str, tuple[type[DOMNode], ...]], ...] = (
    ("Everywhere", (ProdwatchApp, *EVERYWHERE)),
    *PLACES,
    ("A replay, on every screen", (ReplayApp,)),
)
_HEAD = """# Keys

Every key has an id. Map an id to other keys in `dashboard.toml` in your configuration folder:

```toml
[keys]
"check.rerun" = "ctrl+r"
"list.down" = "j,down,ctrl+n"
```

`?` in the dashboard shows the keys that work on the current screen, as you mapped them. Everything here is also in the
palette (`:`), named `area: verb`. `tab` and `shift+tab` move the focus from panel to panel; a click selects, a double
click opens.
"""


class Key(NamedTuple):
    """One row of the page."""

    id: str
    keys: str
    label: str


def keys_of(*classes: type[DOMNode]) -> list[Key]:
    """Return one row per id, in the order defined; an id that occurs twice is one row."""
    rows: dict[str, Key] = {}
    for each in bindings_of(*classes):
        rows.setdefault(each.id or "", Key(each.id or "", readable(each.key), each.description))
    return list(rows.values())


def readable(keys: str) -> str:
    """Return key names as they are printed on keyboards."""
    return ", ".join(_NAMES.get(key, key) for key in keys.split(","))


_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "escape": "esc",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
}


def keys_page() -> str:
    """Return the page as Markdown."""
    lines = [_HEAD]
    for title, classes in SECTIONS:
        lines += [f"## {title}", "", "| key | does | id |", "|---|---|---|"]
        lines += [f"| `{key.keys}` | {key.label} | `{key.id}` |" for key in keys_of(*classes)]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(keys_page())
