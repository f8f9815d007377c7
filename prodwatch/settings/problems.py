"""Collects what is wrong, everywhere, before anything is raised."""

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
    """Every problem found so far; the same one is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, position: SourcePosition | None, message: str) -> None:
        """Note one problem; what it quotes of a file can break no line and steer no terminal."""
        self._found.setdefault(Problem(position, sanitize_line(message)))

    def adopt(self, other: Problems, files: Collection[str] | None = None) -> None:
        """Take over what another collection noted about `files`, or all of it."""
        for problem in other._found:
            if files is None or (problem.position is not None and problem.position.file in files):
                self._found.setdefault(problem)

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Raise ConfigurationError with all problems in the order of files and lines, if there is one."""
        if self._found:
            raise ConfigurationError(sorted(self._found, key=_order))


def _order(problem: Problem) -> tuple[str, int, int, str]:
    position = problem.position or SourcePosition("")
    return (position.file, position.line, position.column, problem.message)


IN_KEY = 0
"""In place of a column: the key itself is meant, not its value."""


class Spot(msgspec.Struct, frozen=True):
    """A place in a document about which something may be said."""

    document: Document
    path: Path
    label: str
    """`check "orders api"`: what messages begin with; may be empty."""
    problems: Problems
    inherited: frozenset[str] = frozenset()
    """Keys that are not written here but under `[defaults]`."""

    def at(self, *more: str | int) -> Spot:
        """Return the place further down."""
        if more and more[0] in self.inherited:
            return Spot(self.document, ("defaults", *more), "[defaults]", self.problems)
        return Spot(self.document, (*self.path, *more), self.label, self.problems)

    def named(self, label: str) -> Spot:
        """Return the same place under another name."""
        return replace(self, label=label)

    def into(self, problems: Problems) -> Spot:
        """Return the same place, its problems noted elsewhere."""
        return replace(self, problems=problems)

    def inheriting(self, names: Iterable[str]) -> Spot:
        """Return the same place, some of its keys being defaults."""
        return replace(self, inherited=frozenset(names))

    @property
    def position(self) -> SourcePosition:
        """Where this place stands in its file."""
        return self.document.position(self.path)

    def report(self, message: str) -> None:
        """Note a problem with what stands here."""
        self.problems.add(self.position, self._labelled(message))

    def report_inside(self, message: str, column: int) -> None:
        """Note a problem with the text that stands here, at its character `column` from 1, or with its key."""
        if column == IN_KEY:
            self.report(message)
            return
        self.problems.add(self.document.position_inside(self.path, column - 1), self._labelled(message))

    def _labelled(self, message: str) -> str:
        return f"{self.label}: {message}" if self.label else message
