"""A bounded list whose items keep their numbers, so that a selection by number survives trimming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """Items numbered from 0 in order of arrival; beyond `capacity` the oldest are dropped in slabs.

    `head` is the number of the oldest kept item and of dropped items; `tail` is one past the newest.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"the capacity of a ring must be at least 1, not {capacity}")
        self.capacity = capacity
        self._items: list[T] = []
        self._head = 0
        # One deletion per slab, because deleting at the front of a list moves all other items.
        self._slab = max(1, capacity // 10)

    @property
    def head(self) -> int:
        """Number of the oldest kept item; equals the number of dropped items."""
        return self._head

    @property
    def tail(self) -> int:
        """Number of the next item."""
        return self._head + len(self._items)

    def extend(self, items: Iterable[T]) -> list[T]:
        """Append `items`; return the dropped ones, oldest first."""
        self._items.extend(items)
        excess = len(self._items) - self.capacity
        if excess <= 0:
            return []
        count = min(len(self._items), max(excess, self._slab))
        dropped = self._items[:count]
        del self._items[:count]
        self._head += count
        return dropped

    def clear(self) -> None:
        """Drop all items; numbers go on."""
        self._head += len(self._items)
        self._items.clear()

    def get(self, number: int) -> T | None:
        """Return the item with this number; None when it was dropped or does not exist yet."""
        index = number - self._head
        return self._items[index] if 0 <= index < len(self._items) else None

    def window(self, start: int, stop: int) -> list[T]:
        """Return the kept items numbered from `start` up to but not including `stop`."""
        low = max(0, start - self._head)
        return self._items[low : max(low, stop - self._head)]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
