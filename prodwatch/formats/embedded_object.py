"""Finds the object at the end of a line of text: JSON, or what Node and Python print of an object."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from prodwatch.formats.lambda_json import decode_object

_CANDIDATES = 4
"""Opening braces tried, because every attempt reads the rest of the line."""
_MAX_CHARS = 262_144
_MAX_DEPTH = 32
_opens_object = re.compile(r"\{\s*(?:[\"'}]|[A-Za-z_$][\w$]*:)").match
_EMPTY_EXTRA = re.compile(r"\s+\[\]$")
"""Monolog ends its lines with two objects, and an empty one is `[]`."""


class Found(NamedTuple):
    """An object and the text before it."""

    label: str
    fields: dict[str, Any]
    start: int
    """Index of the object's brace in the text."""
    end: int


def find_object(text: str) -> Found | None:
    """Return the object with which `text` ends, None without one."""
    if "{" not in text or len(text) > _MAX_CHARS:
        return None
    end = len(text.rstrip())
    if text[end - 1] == "]" and (extra := _EMPTY_EXTRA.search(text[:end])):
        end = extra.start()
    if text[end - 1] != "}":
        return None
    start = text.find("{")
    for _ in range(_CANDIDATES):
        if start < 0:
            return None
        if _opens_object(text, start) and (start == 0 or not (text[start - 1].isalnum() or text[start - 1] in "_$")):
            fields = _decoded(text[start:end])
            if fields is not None:
                return Found(text[:start].rstrip(), fields, start, end)
        start = text.find("{", start + 1)
    return None


def _decoded(text: str) -> dict[str, Any] | None:
    fields = decode_object(text)
    if fields is not None:
        return fields
    try:
        value, end = _Printed(text).value(0, 0)
    except (_NotPrintedError, IndexError):
        return None
    return value if isinstance(value, dict) and end == len(text) else None


class _NotPrintedError(ValueError):
    """The text is not an object as Node or Python print it."""


_SPACE = re.compile(r"\s*")
_KEY = re.compile(r"[A-Za-z_$][\w$]*|\d+")
_TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`((?:[^`\\]|\\.)*)`", re.DOTALL)
_ATOM = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=\s*[,}\]])|[^\s,{}\[\]'\"`][^,{}\[\]'\"`\n]*")
_TAG = re.compile(r"\[[A-Z][\w ]*(?:: [\w$. ]*)?\]")
"""`[Object]`, `[Function: handler]`."""
_NUMBER = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "True": True, "false": False, "False": False}
_CONSTANTS |= dict.fromkeys(("null", "undefined", "None"))


class _Printed:
    """Reads what `console.log` of Node and `print` of Python make of an object."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, start: int, depth: int) -> tuple[Any, int]:
        """Return the value at `start` and the index behind it; raises _NotPrintedError, IndexError."""
        start = self._skip(start)
        if depth > _MAX_DEPTH:
            raise _NotPrintedError
        char = self._text[start]
        if char == "{":
            return self._object(start, depth)
        if char == "[":
            tag = _TAG.match(self._text, start)
            return (tag[0], tag.end()) if tag else self._list(start, depth)
        return self._text_at(start) if char in "'\"`" else self._atom(start)

    def _skip(self, start: int) -> int:
        match = _SPACE.match(self._text, start)
        assert match is not None
        return match.end()

    def _object(self, start: int, depth: int) -> tuple[dict[str, Any], int]:
        fields: dict[str, Any] = {}
        at = self._skip(start + 1)
        while self._text[at] != "}":
            key, at = self._key(at)
            at = self._skip(at)
            if self._text[at] != ":":
                raise _NotPrintedError
            fields[key], at = self.value(at + 1, depth + 1)
            at = self._after_item(at, "}")
        return fields, at + 1

    def _list(self, start: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        at = self._skip(start + 1)
        while self._text[at] != "]":
            item, at = self.value(at, depth + 1)
            items.append(item)
            at = self._after_item(at, "]")
        return items, at + 1

    def _after_item(self, at: int, closing: str) -> int:
        at = self._skip(at)
        if self._text[at] == ",":
            return self._skip(at + 1)
        if self._text[at] != closing:
            raise _NotPrintedError
        return at

    def _key(self, at: int) -> tuple[str, int]:
        if self._text[at] in "'\"":
            return self._text_at(at)
        match = _KEY.match(self._text, at)
        if match is None:
            raise _NotPrintedError
        return match[0], match.end()

    def _text_at(self, at: int) -> tuple[str, int]:
        match = _TEXT.match(self._text, at)
        if match is None:
            raise _NotPrintedError
        written = next(part for part in match.groups() if part is not None)
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), written), match.end()

    def _atom(self, at: int) -> tuple[Any, int]:
        match = _ATOM.match(self._text, at)
        if match is None:
            raise _NotPrintedError
        word = match[0].strip()
        if word in _CONSTANTS:
            return _CONSTANTS[word], match.end()
        if _NUMBER.fullmatch(word):
            return (float(word) if {".", "e", "E"} & set(word) else int(word)), match.end()
        return word, match.end()
