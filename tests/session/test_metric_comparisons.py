"""Configured metrics of a store are compared for the main release, each settled period once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from prodwatch.model.comparison import ComparisonResult
from prodwatch.model.environment import VERSION_MARK, Compare, FunctionTarget, MetricTarget
from prodwatch.model.signal import Batch, MetricKey, MetricPoint, MetricSeries, ReleasePhase, ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock

START = datetime(2026, 1, 15, 11, 50, tzinfo=UTC)
MOVING = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
)
PAY = FunctionTarget(name="pay", alias="live")


def metric(*, by_version: bool = True, **changes: Any) -> MetricTarget:
    values = {"name": "checkout", "namespace": "Shop", "metric": "CheckoutMs", "stat": "p50", "unit": "ms", **changes}
    return MetricTarget(**values, by_version={"version": VERSION_MARK} if by_version else {})


class World:
    """A session with one metric and one release."""

    def __init__(self, target: MetricTarget) -> None:
        self.target = target
        self.store = Store(FakeClock(START))
        self.comparisons = ReleaseComparisons(self.store, Compare(), 1)
        self.comparisons.watch((PAY,), (target,))
        self.release(MOVING)

    def release(self, state: ReleaseState) -> None:
        self.store.apply(Batch(source="release", records=(state,)))

    def put(self, version: str | None, minutes: range, value: float, *, settled: bool = True) -> None:
        start_s = int(START.timestamp())
        key = MetricKey(
            "Shop", self.target.metric, (("v", version or ""),), self.target.stat, version, "checkout", function="pay"
        )
        points = tuple(MetricPoint(start_s + 60 * each, value, settled) for each in minutes)
        self.store.apply(Batch(source="metrics", records=(MetricSeries(key=key, points=points),)))

    def count(self, version: str, minutes: range, invocations: int) -> None:
        start_s = int(START.timestamp())
        for name, stat, value in (("Invocations", "rate", invocations / 60), ("Errors", "share", 0.0)):
            dimensions = (("FunctionName", "pay"), ("Resource", "pay:live"))
            key = MetricKey("AWS/Lambda", name, dimensions, stat, version, function="pay")
            points = tuple(MetricPoint(start_s + 60 * each, value) for each in minutes)
            self.store.apply(Batch(source="metrics", records=(MetricSeries(key=key, points=points),)))

    def result(self) -> ComparisonResult:
        self.comparisons.update(START + timedelta(minutes=10))
        return next(each for each in self.store.comparisons if each.kind == "metric")


def test_periods_of_both_versions_from_two_minutes_after_the_shift_are_compared() -> None:
    world = World(metric())
    world.put("41", range(-20, 10), 240.0)
    assert (world.result().status, world.result().reason_code) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    world.put("42", range(2), 9000.0)
    world.put("42", range(2, 10), 241.0)
    found = world.result()
    assert (found.status, found.canary.requests, found.basis) == (Status.PASS, 8, "counts")
    assert (found.function, found.canary.version, found.baseline.version) == ("pay:live", "42", "41")
    assert found == world.result()


def test_a_slower_new_version_fails() -> None:
    world = World(metric())
    for minute in range(2, 10):
        world.put("41", range(minute, minute + 1), 240.0 + minute)
        world.put("42", range(minute, minute + 1), 400.0 + minute)
    assert world.result().status is Status.FAIL


def test_a_metric_of_versions_whose_requests_are_not_split_at_random_is_advisory() -> None:
    world = World(metric())
    for minute in range(2, 10):
        world.put("41", range(minute, minute + 1), 240.0 + minute)
        world.put("42", range(minute, minute + 1), 400.0 + minute)
    assert world.result().status is Status.FAIL
    world.release(replace(MOVING, ordered_sources=("Kinesis stream orders",)))
    found = world.result()
    assert (found.status, found.reason_code) == (Status.INCONCLUSIVE, Reason.MIN_SAMPLES)
    assert found.advisory == (
        "The split of requests between the versions is not random: Kinesis stream orders sends in order."
    )
    assert found.message.endswith("requests are not split at random")


def test_periods_that_have_not_settled_or_lack_the_other_version_do_not_count() -> None:
    world = World(metric())
    world.put("41", range(2, 6), 240.0)
    world.put("42", range(2, 4), 240.0)
    world.put("42", range(4, 10), 240.0, settled=False)
    world.put("41", range(6, 10), 240.0)
    found = world.result()
    assert (found.status, found.canary.requests) == (Status.INCONCLUSIVE, 2)
    world.put("42", range(4, 5), 240.0)
    assert world.result().canary.requests == 3


def test_counts_wait_for_the_requests_of_their_periods() -> None:
    world = World(metric(stat="Sum", unit="Count", metric="Refunds"))
    world.put("41", range(2, 8), 9.0)
    world.put("42", range(2, 8), 20.0)
    assert world.result().canary.requests == 0
    world.count("41", range(8), 900)
    world.count("42", range(8), 100)
    found = world.result()
    assert (found.status, found.canary.requests) == (Status.FAIL, 6)


def test_without_the_old_version_the_new_one_is_compared_with_the_time_before() -> None:
    world = World(metric())
    world.release(replace(MOVING, weights={"42": 1.0}))
    world.put("41", range(-20, 0), 240.0)
    world.put("42", range(2, 10), 400.0)
    found = world.result()
    assert (found.status, found.basis) == (Status.INCONCLUSIVE, "before/after")


def test_a_metric_without_a_version_is_compared_with_its_own_past_and_never_gates() -> None:
    world = World(metric(by_version=False))
    for minute in range(-20, 0):
        world.put(None, range(minute, minute + 1), 240.0 + minute)
    world.put(None, range(2, 10), 400.0)
    found = world.result()
    assert (found.status, found.gate, found.basis) == (Status.DEGRADED, False, "before/after")
    assert (found.baseline.requests, found.canary.requests) == (20, 8)


def test_another_release_begins_with_periods_of_its_own() -> None:
    world = World(metric())
    world.put("41", range(2, 10), 240.0)
    world.put("42", range(2, 10), 241.0)
    assert world.result().canary.requests == 8
    world.release(replace(MOVING, started_at=START + timedelta(minutes=5)))
    assert world.result().canary.requests == 3


def test_metrics_of_functions_that_are_not_watched_are_not_compared() -> None:
    world = World(metric())
    world.release(replace(MOVING, phase=ReleasePhase.NONE, previous=None))
    world.release(replace(MOVING, function="shop/prod/flags"))
    world.comparisons.update(START)
    assert [each for each in world.store.comparisons if each.kind == "metric"] == []
