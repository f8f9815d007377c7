"""`patternProperties` of a JSON Schema with a time limit: patterns become the names they match in one value.

jsonschema searches property names with Python's `re` in several keywords, and `re` has no time limit: one pattern that
backtracks on a name from a target would block the event loop, and with it every check and deadline. Here each pattern
is searched within its limit in every name of the value first, and the validator is given only names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.assertions.patterns import search, share_s

_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
"""Keywords whose value maps names to schemas: its keys are names, not keywords."""
_DATA = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose value is data, even if it looks like a schema."""


class PatternProperties:
    """Rewrites the `patternProperties` of schemas for one value; messages quote the patterns as written."""

    def __init__(self, value: Any) -> None:
        names, self.limit_s = _names(value)
        """Time limit of one search, in a name or a text of the value."""
        self._names = sorted(names)
        self._original: dict[str, str] = {}
        """Pattern given to the validator → pattern in the schema."""

    def schema(self, schema: Any) -> Any:
        """Return a schema equivalent to `schema` for this value; UndecidableError when a search exceeds its limit."""
        if isinstance(schema, list):
            return [self.schema(part) for part in schema]
        if not isinstance(schema, Mapping):
            return schema
        return {keyword: self._keyword(keyword, value) for keyword, value in schema.items()}

    def message(self, text: str) -> str:
        """Return a message of the validator with the patterns as written in the schema."""
        for pattern, original in self._original.items():
            text = text.replace(repr(pattern), repr(original))
        return text

    def _keyword(self, keyword: str, value: Any) -> Any:
        if keyword in _DATA:
            return value
        if keyword not in _BY_NAME or not isinstance(value, Mapping):
            return self.schema(value)
        if keyword == "patternProperties":
            return {self._names_only(pattern): self.schema(part) for pattern, part in value.items()}
        return {name: self.schema(part) for name, part in value.items()}

    def _names_only(self, pattern: str) -> str:
        names = [re.escape(name) for name in self._names if search(pattern, name, self.limit_s)]
        # The number keeps two patterns apart that match the same names.
        number = len(self._original)
        replacement = rf"(?#{number})\A(?:{'|'.join(names)})\Z" if names else f"(?#{number})(?!)"
        self._original[replacement] = pattern
        return replacement


def _names(value: Any) -> tuple[set[str], float]:
    """Return every name in a value, and the time limit of each search in its names and texts."""
    names: set[str] = set()
    texts, pending = 0, [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            names.update(part)
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
        else:
            texts += isinstance(part, str)
    return names, share_s(max(len(names), texts))
