"""A bounded list whose items keep their number for ever: selection by number survives trimming."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """Items numbered from 0 in the order they came; the oldest go in slabs when `capacity` is passed.

    `head` is the number of the oldest item kept, `tail` one past the newest: `head` items were let go.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a ring holds at least one item, not {capacity}")
        self.capacity = capacity
        self._items: list[T] = []
        self._head = 0
        # One deletion per slab: deleting at the front of a list moves everything behind it.
        self._slab = max(1, capacity // 10)

    @property
    def head(self) -> int:
        """Number of the oldest item kept; also how many were let go."""
        return self._head

    @property
    def tail(self) -> int:
        """Number the next item will get."""
        return self._head + len(self._items)

    def extend(self, items: Iterable[T]) -> list[T]:
        """Append `items`; return those let go, oldest first."""
        self._items.extend(items)
        excess = len(self._items) - self.capacity
        if excess <= 0:
            return []
        count = min(len(self._items), max(excess, self._slab))
        gone = self._items[:count]
        del self._items[:count]
        self._head += count
        return gone

    def get(self, number: int) -> T | None:
        """Return the item numbered `number`, None when it is gone or not yet there."""
        index = number - self._head
        return self._items[index] if 0 <= index < len(self._items) else None

    def window(self, start: int, stop: int) -> list[T]:
        """Return the items numbered `start` to `stop` exclusive, as far as they are kept."""
        low = max(0, start - self._head)
        return self._items[low : max(low, stop - self._head)]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)
