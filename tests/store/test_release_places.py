"""Functions and alarms of the same name in two places are separate entries."""

from __future__ import annotations

from prodwatch.model.identity import Place
from prodwatch.model.signal import AlarmState, Batch, ReleasePhase, ReleaseState
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock


def test_namesakes_hide_nothing_of_each_other() -> None:
    store = Store(FakeClock())
    failed = ReleaseState(function="orders", alias="live", phase=ReleasePhase.FAILED)
    fine = ReleaseState(function="orders", alias="live", phase=ReleasePhase.SUCCEEDED, place=Place(region="us-east-1"))
    other = ReleaseState(function="orders", alias="beta", phase=ReleasePhase.NONE)
    store.apply(Batch(source="release", records=(failed, fine, other)))
    assert list(store.release.states.values()) == [failed, fine, other]
    firing = AlarmState(name="errors", state="ALARM", since=START)
    calm = AlarmState(name="errors", state="OK", place=Place("pay", "us-east-1"))
    store.apply(Batch(source="alarms", records=(firing, calm)))
    assert list(store.release.alarms.values()) == [firing, calm]
