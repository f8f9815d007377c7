"""Evidence that a store has reported, fed to another store, leaves it in the same state."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.model.evidence import Evidence, GateLooked, GateOpened, Opened
from prodwatch.model.result import Notice, Usage
from prodwatch.session.replay import Replay
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.views.verdict_facts import session_facts
from tests.session.test_release_comparison import World
from tests.support.gate_world import PAY, GateWorld
from tests.support.scene import bad_release
from tests.support.scene.comparisons import results


class MovedClock(FakeClock):
    """A clock that the test sets."""

    def set(self, at: datetime) -> None:
        """Show this moment from now on."""
        self._now = at


class Tape:
    """Evidence with the time at which it was reported."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self.values: list[tuple[datetime, Evidence]] = []
        store.subscribe(lambda evidence: self.values.append((clock.now(), evidence)))

    def play(self, *, compares: bool) -> tuple[Store, MovedClock]:
        """Feed everything to a new store."""
        clock = MovedClock()
        store = Store(clock)
        replay = Replay(store, compares=compares)
        for at, evidence in self.values:
            clock.set(at)
            replay.feed(evidence)
        return store, clock


def test_a_store_is_the_same_after_its_evidence_was_fed_to_another() -> None:
    clock = FakeClock()
    store = Store(clock)
    tape = Tape(store, clock)
    scene = bad_release(clock.now())
    store.define(scene.definitions)
    for batch in scene.batches:
        store.apply(batch)
    for event in scene.events:
        store.apply_event(event)
    for trace in scene.traces.values():
        store.add_trace(trace)
    store.set_comparisons(results(), ())
    store.mark("rolled back by hand")
    store.notice(Notice(code="logs", message="a group is missing"))
    store.set_usage(Usage(calls={"logs:FilterLogEvents": 3}, cost_usd=0.01))
    store.set_slow(400)
    store.forget_source(next(iter(store.sources)))

    copy, _ = tape.play(compares=False)

    assert session_facts(copy, clock.now(), every_s=30) == session_facts(store, clock.now(), every_s=30)
    assert list(copy.logs.ring) == list(store.logs.ring)
    assert list(copy.release.events) == list(store.release.events)
    assert copy.signatures.signatures == store.signatures.signatures
    assert copy.traces.summaries == store.traces.summaries
    assert copy.traces.details == store.traces.details
    assert copy.metrics.series == store.metrics.series
    assert (copy.notices, copy.usage, copy.slow_ms) == (store.notices, store.usage, store.slow_ms)
    assert copy.sources == store.sources


def test_the_versions_are_compared_again_at_the_same_moments() -> None:
    world = World()
    tape = Tape(world.store, world.clock)
    pay = environment(functions=(PAY,))
    world.store.note(Opened(environment=pay))
    world.release(replace(next(iter(world.store.release.states.values())), weights={"41": 0.5, "42": 0.5}))
    for minute in range(6):
        world.serve(range(minute * 60, minute * 60 + 60), "41", per_s=20)
        world.serve(range(minute * 60, minute * 60 + 60), "42", per_s=5, every_failing=10, message="KeyError: 'x'")
        world.read_up_to(minute * 60 + 60)
    assert world.store.comparisons
    assert world.store.compared_signatures

    copy, _ = tape.play(compares=True)

    assert copy.comparisons == world.store.comparisons
    assert copy.compared_signatures == world.store.compared_signatures


async def test_a_gate_reports_its_options_and_every_look() -> None:
    world = GateWorld()
    tape = Tape(world.store, world.clock)
    result = await world.run(strict=True)
    opened = [each for _, each in tape.values if isinstance(each, GateOpened)]
    looks = [each for _, each in tape.values if isinstance(each, GateLooked)]
    assert [(each.bake_s, each.strict) for each in opened] == [(600.0, True)]
    assert [each.at for each in looks] == [each.at for each in world.states]
    assert (looks[-1].phase, looks[-1].verdict) == ("decide", result.verdict)


def test_evidence_is_reported_before_it_is_applied() -> None:
    """A value that follows from another one comes after it."""
    store = Store(FakeClock())
    lengths: list[int] = []
    store.subscribe(lambda _evidence: lengths.append(len(store.logs.ring)))
    batch = next(each for each in bad_release(START).batches if each.records)
    store.apply(batch)
    assert lengths == [0]


def test_a_value_that_changes_nothing_is_not_reported() -> None:
    store = Store(FakeClock())
    values: list[Evidence] = []
    store.subscribe(values.append)
    store.set_usage(Usage())
    store.set_slow(None)
    store.forget_source("logs")
    store.set_comparisons((), ())
    assert values == []
