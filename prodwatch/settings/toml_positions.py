"""Positions of every key and value of a TOML text, which tomli does not provide.

The scanner only reads texts that tomli has accepted, so it recognises tokens by shape and validates nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys and list indexes from the top of the document."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[^\s.=\[\]{},#\"']+")
_PLAIN_PAIR = re.compile(r"([A-Za-z0-9_-]+)[ \t]*=[ \t]*")
"""Fast path for the beginning of most pairs."""
_SCALAR = re.compile(r"[^\n,\]}#]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[ \t]*\n[ \t\n]*|.)", re.DOTALL)


class Spans(NamedTuple):
    """Offsets into the text, by path."""

    keys: dict[Path, int]
    """First offset of a key, of a table's header, or of a list element."""
    values: dict[Path, tuple[int, int]]
    """Start and end of a value; tables with a `[header]` are not included."""


def scan(text: str) -> Spans:
    """Return the positions of keys and values in a valid TOML `text` whose lines end in single newlines."""
    return _Scanner(text).document()


def inside_string(raw: str, index: int) -> int:
    r"""Return the offset in a string's raw form (quotes and `\` included) of character `index` of its value."""
    quote = raw[:3] if raw[:3] in {'"""', "'''"} else raw[:1]
    at = len(quote)
    if len(quote) == 3 and raw.startswith("\n", at):
        at += 1
    if quote[0] == "'":
        return min(at + index, len(raw))
    while at < len(raw):
        match = _ESCAPE.match(raw, at)
        if match and "\n" in match[0]:
            at = match.end()  # a backslash at the end of a line joins lines and is not a character
        elif index > 0:
            at = match.end() if match else at + 1
            index -= 1
        else:
            break
    return at


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.spans = Spans({}, {})
        self.last: dict[Path, int] = {}
        """Index of the newest element of each list of tables."""

    def document(self) -> Spans:
        text = self.text
        table: Path = ()
        end = len(text)
        while True:
            self._blank()
            if self.at >= end:
                return self.spans
            if text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        start = self.at
        is_list = self.text.startswith("[[", start)
        self.at += 2 if is_list else 1
        keys = self._keys()
        self._space()
        self.at += 2 if is_list else 1
        path: Path = ()
        for number, (key, _) in enumerate(keys, 1):
            path = (*path, key)
            self.spans.keys.setdefault(path, start)
            if number == len(keys) and is_list:
                self.last[path] = self.last.get(path, -1) + 1
            if path in self.last:
                path = (*path, self.last[path])
                self.spans.keys.setdefault(path, start)
        return path

    def _pair(self, table: Path) -> None:
        path = table
        if match := _PLAIN_PAIR.match(self.text, self.at):
            path = (*path, match[1])
            self.spans.keys.setdefault(path, self.at)
            self.at = match.end()
        else:
            for key, offset in self._keys():
                path = (*path, key)
                self.spans.keys.setdefault(path, offset)
            self._space()
            self.at += 1  # the equals sign
            self._space()
        self._value(path)

    def _keys(self) -> list[tuple[str, int]]:
        keys = []
        while True:
            self._space()
            keys.append((self._key(), self.at))
            if match := _STRING.match(self.text, self.at) or _BARE.match(self.text, self.at):
                self.at = match.end()
            self._space()
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _key(self) -> str:
        if match := _BARE.match(self.text, self.at):
            return match[0]
        match = _STRING.match(self.text, self.at)
        raw = match[0] if match else ""
        if "\\" not in raw or raw.startswith("'"):
            return raw[1:-1]
        import tomli

        unescaped: str = tomli.loads(f"key = {raw}")["key"]
        return unescaped

    def _value(self, path: Path) -> None:
        text = self.text
        start = self.at
        first = text[start : start + 1]
        if first in {'"', "'"}:
            match = _STRING.match(text, start)
            self.at = match.end() if match else len(text)
        elif first == "[":
            self._list(path)
        elif first == "{":
            self._inline_table(path)
        else:
            match = _SCALAR.match(text, start)
            self.at = start + len(match[0].rstrip()) if match else len(text)
        self.spans.values[path] = (start, self.at)

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self._blank()
            if self.text.startswith("]", self.at) or self.at >= len(self.text):
                self.at += 1
                return
            element = (*path, index)
            self.spans.keys[element] = self.at
            self._value(element)
            index += 1
            self._blank()
            if self.text.startswith(",", self.at):
                self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self._blank()
            if self.text.startswith("}", self.at) or self.at >= len(self.text):
                self.at += 1
                return
            self._pair(path)
            self._blank()
            if self.text.startswith(",", self.at):
                self.at += 1

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
