"""Writes the generated reference pages and schemas; `--check` only lists the stale ones."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from docs.writers.check_types import pages
from docs.writers.commands import commands_page
from docs.writers.key_tables import PAGES, filled
from docs.writers.keys import keys_page
from prodwatch.report.json import result_schema
from prodwatch.settings import check_schema, environment_schema
from prodwatch.store.recording.events import line_schema

REFERENCE = Path(__file__).parent / "reference"


def _json(schema: dict[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def generated() -> dict[str, str]:
    """Return every generated file below docs/reference, by name."""
    return {
        "checks.schema.json": _json(check_schema()),
        "environment.schema.json": _json(environment_schema()),
        "result.schema.json": _json(result_schema()),
        "session.schema.json": _json(line_schema()),
        "commands.md": commands_page(),
        "keys.md": keys_page(),
        **{name: filled((REFERENCE / name).read_text(encoding="utf-8")) for name in PAGES},
        **{f"check-types/{name}": text for name, text in pages().items()},
    }


def main() -> int:
    stale = []
    for name, text in generated().items():
        path = REFERENCE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {name}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
