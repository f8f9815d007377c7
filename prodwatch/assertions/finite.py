"""JSON Schema's patterns over names of properties, replaced by the very names they match in one value.

The validator searches names with Python's own `re` in places nobody can reach, and `re` knows no time limit. So each
pattern is searched here, within its limit, in every name the value has, and what is handed on only lists names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.assertions.patterns import search, share_s

_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
"""Keywords whose value is a table of schemas by name: there a name is no keyword."""
_DATA = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose value is data, whatever it looks like."""


class FiniteNames:
    """Rewrites schemas for one value."""

    def __init__(self, value: Any) -> None:
        names, self.limit_s = _names(value)
        """Longest one search may take, in a name or a text of the value."""
        self._names = sorted(names)
        self._written: dict[str, str] = {}
        """Our pattern → the one in the schema."""

    def schema(self, schema: Any) -> Any:
        """Return a schema that says the same of this value; UndecidableError when a search takes too long."""
        if isinstance(schema, list):
            return [self.schema(each) for each in schema]
        if not isinstance(schema, Mapping):
            return schema
        return {keyword: self._keyword(keyword, value) for keyword, value in schema.items()}

    def message(self, text: str) -> str:
        """Return a sentence of the validator with the patterns as they stand in the schema."""
        for ours, theirs in self._written.items():
            text = text.replace(repr(ours), repr(theirs))
        return text

    def _keyword(self, keyword: str, value: Any) -> Any:
        if keyword in _DATA:
            return value
        if keyword not in _BY_NAME or not isinstance(value, Mapping):
            return self.schema(value)
        if keyword == "patternProperties":
            return {self._finite(pattern): self.schema(each) for pattern, each in value.items()}
        return {name: self.schema(each) for name, each in value.items()}

    def _finite(self, pattern: str) -> str:
        names = [re.escape(name) for name in self._names if search(pattern, name, self.limit_s)]
        # The number keeps two patterns apart that match the same names.
        finite = rf"(?#{len(self._written)})\A(?:{'|'.join(names)})\Z" if names else f"(?#{len(self._written)})(?!)"
        self._written[finite] = pattern
        return finite


def _names(value: Any) -> tuple[set[str], float]:
    """Return every name in a value, and how long each search in its names and texts may take."""
    names: set[str] = set()
    texts, pending = 0, [value]
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            names.update(each)
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
        else:
            texts += isinstance(each, str)
    return names, share_s(max(len(names), texts))
