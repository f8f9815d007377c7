"""A parsed TOML file with the position of each key and value."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from prodwatch.errors import Problem
from prodwatch.model.check import SourcePosition
from prodwatch.settings.toml_positions import Path, Spans, inside_string, scan


class Document:
    """A parsed file; positions are computed on first use."""

    def __init__(self, file: str, text: str, data: dict[str, Any]) -> None:
        self.file = file
        """Name for messages: relative to the project's root where possible."""
        self.text = text
        self.data = data

    @cached_property
    def _spans(self) -> Spans:
        return scan(self.text)

    @cached_property
    def _lines(self) -> list[int]:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, path: Path) -> SourcePosition:
        """Return the position of `path`, or of its nearest written parent."""
        keys = self._spans.keys
        while path and path not in keys:
            path = path[:-1]
        return self._at(keys.get(path, 0))

    def has_header(self, path: Path) -> bool:
        """Return whether the table at `path` has a `[header]`, so that keys below it belong to it."""
        offset = self._spans.keys.get(path)
        return offset is not None and self.text.startswith("[", offset)

    def position_inside(self, path: Path, index: int) -> SourcePosition:
        """Return the position of character `index` of the text at `path`; of the value's start if it is not a text."""
        span = self._spans.values.get(path)
        if span is None:
            return self.position(path)
        raw = self.text[span[0] : span[1]]
        if raw[:1] not in {'"', "'"}:
            return self._at(span[0])
        return self._at(span[0] + inside_string(raw, index))

    def _at(self, offset: int) -> SourcePosition:
        line = bisect_right(self._lines, offset)
        return SourcePosition(self.file, line, offset - self._lines[line - 1] + 1)


def read_document(path: FilePath, shown: str) -> Document | Problem:
    """Return the file's document, or the problem that prevents reading it."""
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        return Problem(SourcePosition(shown), "this is a folder, not a file")
    except OSError as error:
        return Problem(SourcePosition(shown), f"cannot be read: {error.strerror or error}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        return Problem(SourcePosition(shown, line, column), "not UTF-8 text; save the file as UTF-8")
    return parse_document(text, shown)


def parse_document(text: str, shown: str) -> Document | Problem:
    """Return the document of a TOML `text`, or its syntax error."""
    import tomli

    text = text.replace("\r\n", "\n")
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        return Problem(
            SourcePosition(shown, error.lineno, error.colno), f"not valid TOML: {_in_plain_words(error.msg)}"
        )
    except RecursionError:
        return Problem(SourcePosition(shown), _TOO_DEEP)
    except ValueError:
        # tomli parses numbers with Python's int, which rejects thousands of digits.
        return Problem(SourcePosition(shown), "a number has too many digits")
    return Problem(SourcePosition(shown), _TOO_DEEP) if _is_too_deep(data) else Document(shown, text, data)


_DEEPEST = 60
_TOO_DEEP = f"lists and tables are nested more than {_DEEPEST} deep"

_PLAIN_WORDS = (
    (r"Cannot overwrite a value", "this key is defined twice, or as a value and as a table"),
    (
        r"Cannot declare \((.*?),?\) twice",
        "table [{}] is defined twice; for a list of tables use double brackets",
    ),
    (
        r"Cannot mutate immutable namespace \((.*?),?\)",
        "{} is already complete and cannot be extended here; for a list of tables use [[{}]] everywhere",
    ),
    (r"Invalid value", "a value is missing or not valid; put text in quotes"),
    (r"Invalid statement", "not a key, a [table] or a comment"),
    (
        r"Expected newline or end of document after a statement",
        "only one key = value per line; is a quote or comma missing?",
    ),
    (r"Expected '=' after a key in a key/value pair", "a key needs = and a value"),
    (r"Unclosed array", "a list is not closed, or a comma is missing in it"),
    (r"Unclosed inline table", "a table in {{ }} is not closed, or a comma is missing in it"),
    (r"Illegal character '\\n'", "a text is not closed at the end of the line"),
    (r"Unterminated string", "a text is not closed"),
    (r"Unescaped '\\' in a string", r"unknown escape sequence; write \\ for a backslash, or put the text in '…'"),
)
"""tomli's message (a regular expression) → wording for users who do not know the TOML specification."""


def _in_plain_words(message: str) -> str:
    for pattern, plain in _PLAIN_WORDS:
        if match := re.fullmatch(pattern, message):
            names = ".".join(name.strip(" '\"") for name in match[1].split(",")) if match.groups() else ""
            return plain.format(names, names)
    return message[:1].lower() + message[1:]


def _is_too_deep(data: dict[str, Any]) -> bool:
    """Return whether the data is nested too deeply for recursive functions."""
    level: list[Any] = [data]
    for _ in range(_DEEPEST):
        level = [
            each
            for container in level
            for each in (container.values() if isinstance(container, dict) else container)
            if isinstance(each, dict | list)
        ]
        if not level:
            return False
    return True
