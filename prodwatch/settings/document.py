"""One TOML file, read once: its data, and where in the file each part of it stands."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from prodwatch.errors import Problem
from prodwatch.model.check import SourcePosition
from prodwatch.settings.positions import Path, Spans, inside_string, scan


class Document:
    """A parsed file; positions are looked for only when somebody asks."""

    def __init__(self, file: str, text: str, data: dict[str, Any]) -> None:
        self.file = file
        """As it is shown to users: relative to the project's root where it can be."""
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
        """Return where `path` stands, or the nearest thing above it that is written."""
        keys = self._spans.keys
        while path and path not in keys:
            path = path[:-1]
        return self._at(keys.get(path, 0))

    def position_inside(self, path: Path, index: int) -> SourcePosition:
        """Return where character `index` of the text at `path` stands; the value's start when it is no text."""
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
    """Return the file's document, or the one problem that keeps it from being read."""
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
    """Return the document of a TOML `text`, or the one problem that TOML has with it."""
    import tomli

    text = text.replace("\r\n", "\n")
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        position = SourcePosition(shown, error.lineno, error.colno)
        return Problem(position, f"not valid TOML: {_plain(error.msg)}")
    except RecursionError:
        return Problem(SourcePosition(shown), "not valid TOML: lists or tables are nested too deeply")
    return Document(shown, text, data)


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]
