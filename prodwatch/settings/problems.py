"""Collects configuration problems, so that all are reported at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec
from msgspec.structs import replace

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.check import SourcePosition
from prodwatch.settings.toml_document import Document
from prodwatch.settings.toml_positions import Path
from prodwatch.text.sanitize import sanitize_line


class Problems:
    """The problems reported so far, without duplicates."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def add(self, position: SourcePosition | None, message: str) -> None:
        """Add one problem; line breaks and control characters in the message are replaced."""
        self._problems.setdefault(Problem(position, sanitize_line(message)))

    def adopt(self, other: Problems, files: Collection[str] | None = None) -> None:
        """Add the problems of another collection, those about `files` only unless that is None."""
        for problem in other._problems:
            if files is None or (problem.position is not None and problem.position.file in files):
                self._problems.setdefault(problem)

    def __len__(self) -> int:
        return len(self._problems)

    def raise_any(self) -> None:
        """Raise ConfigurationError with all problems, sorted by file and line, if there are any."""
        if self._problems:
            raise ConfigurationError(sorted(self._problems, key=_order))


def _order(problem: Problem) -> tuple[str, int, int, str]:
    position = problem.position or SourcePosition("")
    return (position.file, position.line, position.column, problem.message)


IN_KEY = 0
"""Column that means the key itself instead of its value."""


class TomlCursor(msgspec.Struct, frozen=True):
    """A position in a TOML document, at which problems are reported."""

    document: Document
    path: Path
    label: str
    """Beginning of its messages, such as `check "orders api"`; may be empty."""
    problems: Problems
    inherited: frozenset[str] = frozenset()
    """Keys whose values come from another table: `[defaults]`, or the flow of a step."""
    source: Path = ("defaults",)
    """Path of that table."""
    source_label: str = "[defaults]"
    """Label of messages about these keys."""

    def at(self, *more: str | int) -> TomlCursor:
        """Return the cursor of a value below this one."""
        if more and more[0] in self.inherited:
            return TomlCursor(self.document, (*self.source, *more), self.source_label, self.problems)
        return TomlCursor(self.document, (*self.path, *more), self.label, self.problems)

    def named(self, label: str) -> TomlCursor:
        """Return this cursor with another label."""
        return replace(self, label=label)

    def into(self, problems: Problems) -> TomlCursor:
        """Return this cursor with another collection of problems."""
        return replace(self, problems=problems)

    def inheriting(self, names: Iterable[str], source: TomlCursor | None = None) -> TomlCursor:
        """Return this cursor with `names` as the keys that come from the table at `source`, or from `[defaults]`."""
        if source is None:
            return replace(self, inherited=frozenset(names))
        return replace(self, inherited=frozenset(names), source=source.path, source_label=source.label)

    @property
    def position(self) -> SourcePosition:
        """File, line and column."""
        return self.document.position(self.path)

    def report(self, message: str) -> None:
        """Report a problem at this position."""
        self.problems.add(self.position, self._labelled(message))

    def report_inside(self, message: str, column: int) -> None:
        """Report a problem at character `column` (from 1) of the text here, or at its key for `IN_KEY`."""
        if column == IN_KEY:
            self.report(message)
            return
        self.problems.add(self.document.position_inside(self.path, column - 1), self._labelled(message))

    def _labelled(self, message: str) -> str:
        return f"{self.label}: {message}" if self.label else message
