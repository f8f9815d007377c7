"""The key tables of the reference pages, from the tables the loader reads with.

`python -m docs.writers.key_tables docs/reference` replaces them between the markers of the pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prodwatch.model.spec import Key
from prodwatch.settings.check_keys import CAPTURE, HOLD, OWN, POLL, REPEAT, REQUEST, RETRY, SHARED, STEP
from prodwatch.settings.environment_keys import (
    ACCOUNT,
    COMPARE_ERRORS,
    COMPARE_LATENCY,
    COMPARE_SIGNATURES,
    KNOWN_SIGNATURE,
    SECRET,
    SECTIONS,
    STACK,
    TOP,
)
from prodwatch.settings.template_filters import FILTERS

PAGES = ("check-files.md", "environment.md", "variables.md")
_BLOCK = re.compile(r"(<!-- written from the loader: ([\w. ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WORDS = {
    "text": "text",
    "texts": "text or list of texts",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "duration": "duration",
    "size": "size",
    "share": 'share, such as `"0.5%"`',
    "list": "list",
    "table": "table",
    "any": "any value",
}
_OWN_WORDS = {
    "retry": "whole number or table",
    "hold": "duration or table",
    "muted_until": "date, time or text",
    "known": "list of tables",
    "until": "date, time or text",
}


def key_table(keys: Sequence[Key]) -> str:
    """Return the keys as a Markdown table."""
    rows = [f"| `{key.name}`{' (required)' if key.required else ''} | {_is(key)} | {_meaning(key)} |" for key in keys]
    return "\n".join(("| key | is | meaning |", "| --- | --- | --- |", *rows))


def filter_table() -> str:
    """Return the filters of `${…}` as a Markdown table."""
    rows = [f"| `{each.signature}` | {each.doc} |" for each in FILTERS.values()]
    return "\n".join(("| filter | gives |", "| --- | --- |", *rows))


def _section(name: str) -> Callable[[], str]:
    section = next(each for each in SECTIONS if each.name == name)
    return lambda: key_table(tuple(key for key in section.keys if key.name != "accounts"))


_REQUEST_NAMES = frozenset(key.name for key in REQUEST)
TABLES: dict[str, Callable[[], str]] = {
    "own": lambda: key_table(OWN),
    "shared": lambda: key_table(SHARED),
    "request": lambda: key_table(REQUEST),
    "step": lambda: key_table(tuple(key for key in STEP if key.name not in _REQUEST_NAMES)),
    "poll": lambda: key_table(POLL),
    "retry": lambda: key_table(RETRY),
    "hold": lambda: key_table(HOLD),
    "repeat": lambda: key_table(REPEAT),
    "capture": lambda: key_table(CAPTURE),
    "compare.errors": lambda: key_table(COMPARE_ERRORS),
    "compare.latency": lambda: key_table(COMPARE_LATENCY),
    "compare.signatures": lambda: key_table(COMPARE_SIGNATURES),
    "compare.known": lambda: key_table(KNOWN_SIGNATURE),
    "top": lambda: key_table(TOP),
    "account": lambda: key_table(ACCOUNT),
    "stack": lambda: key_table(STACK),
    "secret": lambda: key_table(SECRET),
    "filters": filter_table,
    **{section.name: _section(section.name) for section in SECTIONS if section.shape != "names"},
}
"""Table name in the markers → function that writes it."""


def filled(page: str) -> str:
    """Return a page with every table between its markers replaced. Raises KeyError for a marker without a table."""
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}", page)


def _is(key: Key) -> str:
    if key.choices:
        return " ".join(f"`{choice}`" for choice in key.choices)
    # `until` of a poll is a list of assertions; that of a known signature is a date.
    return (_OWN_WORDS.get(key.name) if key.kind == "any" or key.name == "known" else None) or _WORDS[key.kind] + (
        " or `false`" if key.can_be_off else ""
    )


def _meaning(key: Key) -> str:
    default = "" if key.default is None else f" Default: `{_toml(key.default)}`."
    return f"{key.doc}{default}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    for name in PAGES:
        path = Path(sys.argv[1]) / name
        path.write_text(filled(path.read_text("utf-8")), encoding="utf-8")
