"""Errors of assertions and paths, one sentence each."""

from __future__ import annotations

from prodwatch.errors import ProdwatchError


class AssertionSyntaxError(ProdwatchError):
    """The text is not an assertion or not a path; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class PathError(Exception):
    """A path has no value for this document: a function got an argument of a type it does not take.

    `missing`: the argument is missing, and the message should name where its path broke off.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class UndecidableError(Exception):
    """Neither true nor false can be proven: a pattern ran out of time, a schema cannot be read."""
