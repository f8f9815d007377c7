"""A field of a response that holds the value of one element, where the elements differ: it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from prodwatch.assertions.errors import UndecidableError


class FirstOfSeveral:
    """Takes the place of such a value: its presence can be judged, and a part that is equal in all elements.

    Every other read raises UndecidableError with `reason`.
    """

    __slots__ = ("elements", "reason", "what")

    def __init__(self, field: str, what: str, every: str, elements: Sequence[Any] = ()) -> None:
        """`what` is `the first of 2 items`, `every` the path to all of them, `items[]`.

        Without `elements`, no part of the value is known to be equal in all.
        """
        self.what = what
        self.elements = elements
        self.reason = (
            f"`{field}` is only {what}, and they differ or were not all read: write `all {every}…` for every one, or "
            f"`{every.replace('[]', '[0]', 1)}…` for the first"
        )

    def part(self, elements: Sequence[Any]) -> FirstOfSeveral:
        """Return the stand-in for a part of the value, which differs between the elements."""
        part = FirstOfSeveral.__new__(FirstOfSeveral)
        part.what, part.reason, part.elements = self.what, self.reason, elements
        return part

    def refuse(self) -> NoReturn:
        """Raise UndecidableError."""
        raise UndecidableError(self.reason)
