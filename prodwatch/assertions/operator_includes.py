"""`includes`: an object holds the expected keys, a list holds the expected elements, each once, at any depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from prodwatch.assertions.errors import UndecidableError
from prodwatch.assertions.value_equality_and_order import equal, freeze, kind

MAX_PAIRS = 200_000
"""Pairs of elements compared before giving up: two lists of some 450 objects each."""


def includes(actual: Any, expected: Any) -> bool:
    """Return whether `expected` is a subset of `actual`."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return all(key in actual and includes(actual[key], value) for key, value in expected.items())
    if kind(expected) == kind(actual) == "array":
        return not unmatched(expected, actual)
    return equal(expected, actual)


def unmatched(expected: Sequence[Any], actual: Sequence[Any]) -> list[Any]:
    """Return the expected elements for which no element of `actual` is left."""
    scalars = [element for element in expected if kind(element) not in {"array", "object"}]
    nested = [element for element in expected if kind(element) in {"array", "object"}]
    available = Counter(freeze(element) for element in actual if kind(element) not in {"array", "object"})
    left: list[Any] = []
    for element in scalars:
        key = freeze(element)
        if available[key] > 0:
            available[key] -= 1
        else:
            left.append(element)
    return left + _unmatched_nested(nested, [element for element in actual if kind(element) in {"array", "object"}])


def _unmatched_nested(expected: list[Any], actual: list[Any]) -> list[Any]:
    """Match each expected element with one of its own, re-arranging earlier matches where that helps."""
    if len(expected) * len(actual) > MAX_PAIRS:
        raise UndecidableError(
            f"comparing {len(expected):,} expected with {len(actual):,} actual elements takes too long for `includes`;"
            " filter the list first, or use `equals unordered`"
        )
    fits = [[n for n, candidate in enumerate(actual) if includes(candidate, element)] for element in expected]
    owner_of: dict[int, int] = {}
    place_of: dict[int, int] = {}
    return [element for n, element in enumerate(expected) if not _place(n, fits, owner_of, place_of)]


def _place(start: int, fits: list[list[int]], owner_of: dict[int, int], place_of: dict[int, int]) -> bool:
    """Find a place for one expected element along an alternating path, breadth first."""
    came_from: dict[int, int] = {}
    queue = [start]
    for element in queue:
        for place in fits[element]:
            if place in came_from:
                continue
            came_from[place] = element
            if place not in owner_of:
                _move_up(start, place, came_from, owner_of, place_of)
                return True
            queue.append(owner_of[place])
    return False


def _move_up(
    start: int, free: int, came_from: dict[int, int], owner_of: dict[int, int], place_of: dict[int, int]
) -> None:
    """Reassign places along the path that was found, from the free place back to `start`."""
    while True:
        owner = came_from[free]
        former = place_of.get(owner, -1)
        owner_of[free], place_of[owner] = owner, free
        if owner == start:
            return
        free = former
