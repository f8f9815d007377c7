"""What can be wrong with an assertion, as one sentence each."""

from __future__ import annotations

from prodwatch.errors import ProdwatchError


class AssertionSyntaxError(ProdwatchError):
    """The text is no assertion (or no path); `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class PathError(Exception):
    """A path cannot give a value for this document: a function met a type it does not take.

    `missing`: what it met was nothing at all, and where the path broke off is worth telling.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class UndecidableError(Exception):
    """Neither true nor false can be proven: a pattern ran out of time, a schema cannot be read."""
