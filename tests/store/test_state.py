"""A state that was taken apart is the same when it is joined again, whatever it holds."""

from __future__ import annotations

import msgspec

from prodwatch.model.result import Usage
from prodwatch.store.state import PART_ITEMS, StoreState, joined, parts_of
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from tests.support.scene import bad_release


def scene() -> StoreState:
    clock = FakeClock()
    store = Store(clock)
    played = bad_release(clock.now())
    store.define(played.definitions)
    for batch in played.batches:
        store.apply(batch)
    for event in played.events:
        store.apply_event(event)
    store.set_usage(Usage(cost_usd=0.5))
    store.set_slow(300)
    return store.state()


def test_a_state_is_the_sum_of_its_parts() -> None:
    state = scene()
    parts = list(parts_of(state))
    assert joined(parts) == state
    assert max(len(getattr(part, name)) for part in parts for name in ("traces", "events", "series")) <= PART_ITEMS
    assert len(parts) > len(StoreState.__struct_fields__) // 2


def test_parts_survive_their_encoding() -> None:
    state = scene()
    lines = [msgspec.json.encode(part) for part in parts_of(state)]
    assert joined(msgspec.json.decode(line, type=StoreState) for line in lines) == state
    assert sum(map(len, lines)) < 1.1 * len(msgspec.json.encode(state))


def test_an_empty_state_has_no_parts() -> None:
    assert list(parts_of(StoreState())) == []
    assert joined(()) == StoreState()
