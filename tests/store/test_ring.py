from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.store.ring import Ring


@given(st.integers(1, 50), st.lists(st.lists(st.integers(), max_size=40), max_size=30))
def test_a_ring_is_the_tail_of_everything_with_numbers_kept(capacity: Any, batches: Any) -> None:
    ring: Ring[int] = Ring(capacity)
    everything: list[int] = []
    gone: list[int] = []
    for batch in batches:
        everything.extend(batch)
        gone.extend(ring.extend(batch))
        assert len(ring) <= capacity
        assert gone + list(ring) == everything
        assert (ring.head, ring.tail) == (len(gone), len(everything))
        for number in range(ring.head, ring.tail):
            assert ring.get(number) == everything[number]
    assert ring.get(ring.head - 1) is None
    assert ring.get(ring.tail) is None


@given(st.integers(1, 30), st.lists(st.integers(), max_size=80), st.integers(-5, 90), st.integers(-5, 90))
def test_a_window_is_a_slice_of_what_is_kept(capacity: Any, items: Any, start: Any, stop: Any) -> None:
    ring: Ring[int] = Ring(capacity)
    ring.extend(items)
    expected = [items[number] for number in range(max(start, ring.head), min(stop, ring.tail)) if number >= 0]
    assert ring.window(start, stop) == expected


def test_a_ring_holds_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Ring(0)


def test_trimming_goes_in_slabs_so_that_it_is_rare() -> None:
    ring: Ring[int] = Ring(1000)
    ring.extend(range(1000))
    assert len(ring.extend([1])) == 100
    assert [len(ring.extend([n])) for n in range(99)] == [0] * 99
