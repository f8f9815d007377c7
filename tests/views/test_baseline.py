"""What counts as usual, and of which hour it speaks."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from prodwatch.model.signal import Batch, MetricKey, MetricPoint, MetricSeries, ReleasePhase, ReleaseState
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.baseline import usual_range

OLD, NEW = (MetricKey("n", "m", version=version, label="x") for version in ("41", "42"))


def store_with(*hours: tuple[MetricKey, datetime, float]) -> Store:
    """A store with ten minutes of one value from each moment on."""
    store = Store(FakeClock())
    for key, begin, value in hours:
        first = int(begin.timestamp())
        points = tuple(MetricPoint(first + 60 * n, value) for n in range(10))
        store.apply(Batch(source="metrics", records=(MetricSeries(key=key, points=points),)))
    return store


def release(store: Store, started_at: datetime | None) -> None:
    state = ReleaseState(function="f", phase=ReleasePhase.SHIFTING, version="42", previous="41", started_at=started_at)
    store.apply(Batch(source="release", records=(state,)))


def test_with_a_release_it_is_the_previous_version_in_the_hour_before() -> None:
    began = START - timedelta(minutes=20)
    store = store_with(
        (OLD, began - timedelta(minutes=30), 5.0),
        (OLD, began, 900.0),
        (OLD, began - timedelta(hours=2), 700.0),
        (NEW, began - timedelta(minutes=30), 800.0),
    )
    release(store, began)
    found = usual_range(store, (OLD, NEW), START)
    assert found is not None
    assert (found.low, found.high, found.over) == (5.0, 5.0, "v41 in the hour before the release")


@pytest.mark.parametrize(
    ("ago", "over"),
    [
        (timedelta(minutes=40), "the hour before the last 15 min"),
        (timedelta(weeks=1, minutes=20), "the same hour last week"),
    ],
    ids=["hour", "week"],
)
def test_without_a_release_it_says_which_hour(ago: timedelta, over: str) -> None:
    found = usual_range(store_with((OLD, START - ago, 5.0)), (OLD,), START)
    assert found is not None
    assert found.over == over


def test_the_newest_minutes_are_not_usual_and_few_minutes_are_nothing() -> None:
    assert usual_range(store_with((OLD, START - timedelta(minutes=12), 5.0)), (OLD,), START) is None
    assert usual_range(Store(FakeClock()), (OLD,), START) is None
