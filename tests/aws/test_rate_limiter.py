"""Rate limits: bursts, order of waiting callers, reaction to throttles, recovery."""

from __future__ import annotations

import asyncio

import pytest

from prodwatch.aws.rate_limiter import FLOOR_PER_S, Bucket, Family, RateLimiter, family
from prodwatch.testing.clock import FakeClock

FAMILY = Family(name="test", rate_per_s=4, ceiling_per_s=10, burst=2)


async def taken_at(bucket: Bucket, clock: FakeClock, count: int) -> list[float]:
    times = []
    for _ in range(count):
        await bucket.acquire()
        times.append(round(clock.monotonic_s(), 6))
    return times


async def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    clock = FakeClock(auto=True)
    assert await taken_at(Bucket(FAMILY, clock), clock, 5) == [0, 0, 0.25, 0.5, 0.75]


async def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    clock = FakeClock(auto=True)
    bucket = Bucket(FAMILY, clock)
    order: list[int] = []

    async def take(number: int) -> None:
        await bucket.acquire()
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(6)))
    assert order == list(range(6))


async def test_a_cancelled_caller_spends_nothing() -> None:
    clock = FakeClock()
    bucket = Bucket(Family(name="one", rate_per_s=1, ceiling_per_s=1, burst=1), clock)
    await bucket.acquire()
    waiting = asyncio.create_task(bucket.acquire())
    await clock.advance(0.5)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    following = asyncio.create_task(bucket.acquire())
    await clock.advance(0.6)
    assert following.done()


async def test_a_throttle_halves_the_rate_down_to_a_floor() -> None:
    clock = FakeClock()
    bucket = Bucket(FAMILY, clock)
    rates = []
    for _ in range(8):
        bucket.throttled()
        rates.append(bucket.rate_per_s)
        await clock.advance(2)
    assert rates == [2, 1, 0.5, 0.25, FLOOR_PER_S, FLOOR_PER_S, FLOOR_PER_S, FLOOR_PER_S]
    assert bucket.throttles == 8


async def test_throttles_of_calls_in_flight_together_count_as_one() -> None:
    bucket = Bucket(FAMILY, FakeClock())
    for _ in range(5):
        bucket.throttled()
    assert bucket.rate_per_s == 2
    assert bucket.throttles == 5


async def test_clean_seconds_bring_the_rate_back_up_to_the_ceiling() -> None:
    clock = FakeClock()
    bucket = Bucket(FAMILY, clock)
    bucket.throttled()
    rates = []
    for _ in range(60):
        await clock.advance(10)
        bucket.accepted()
        rates.append(bucket.rate_per_s)
    assert rates[0] == pytest.approx(2.2)
    assert rates == sorted(rates)
    assert rates[-2] == pytest.approx(3.8)
    assert rates[-1] == pytest.approx(4.0)


async def test_W12_the_rate_that_was_throttled_is_not_tried_again_for_ten_minutes() -> None:
    clock = FakeClock()
    bucket = Bucket(family("logs", "FilterLogEvents"), clock)
    assert bucket.rate_per_s == 5
    for _ in range(3):
        bucket.throttled()
        await clock.advance(2)
    for _ in range(59):
        await clock.advance(10)
        bucket.accepted()
        assert bucket.rate_per_s < 5
    for _ in range(100):
        await clock.advance(10)
        bucket.accepted()
    assert bucket.rate_per_s == 5


async def test_W12_calls_stay_within_the_quota_of_FilterLogEvents() -> None:
    clock = FakeClock()
    bucket = Bucket(family("logs", "FilterLogEvents"), clock)
    calls = 0

    async def call() -> None:
        nonlocal calls
        while True:
            await bucket.acquire()
            bucket.accepted()
            calls += 1

    task = asyncio.create_task(call())
    await clock.advance(200)
    task.cancel()
    assert 990 <= calls <= 1000 + bucket.family.burst


async def test_successes_close_together_raise_the_rate_once() -> None:
    clock = FakeClock()
    bucket = Bucket(FAMILY, clock)
    await clock.advance(10)
    for _ in range(100):
        bucket.accepted()
    assert bucket.rate_per_s == pytest.approx(4.2)


async def test_after_a_throttle_nothing_is_left_of_the_burst() -> None:
    clock = FakeClock(auto=True)
    bucket = Bucket(FAMILY, clock)
    bucket.throttled()
    assert await taken_at(bucket, clock, 2) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("service", "operation", "name"),
    [
        ("logs", "FilterLogEvents", "logs:FilterLogEvents"),
        ("logs", "DescribeLogGroups", "logs"),
        ("cloudwatch", "DescribeAlarms", "cloudwatch:alarms"),
        ("cloudwatch", "GetMetricData", "cloudwatch"),
        ("lambda", "Invoke", "data"),
        ("lambda", "GetAlias", "lambda"),
        ("dynamodb", "GetItem", "data"),
        ("ssm", "GetParameter", "ssm"),
    ],
)
def test_operations_share_the_quota_they_share_at_aws(service: str, operation: str, name: str) -> None:
    assert family(service, operation).name == name


async def test_each_account_and_region_has_buckets_of_its_own() -> None:
    limiter = RateLimiter(FakeClock())
    here = limiter.bucket("", "eu-west-1", "logs", "FilterLogEvents")
    assert limiter.bucket("", "eu-west-1", "logs", "FilterLogEvents") is here
    assert limiter.bucket("", "us-east-1", "logs", "FilterLogEvents") is not here
    assert limiter.bucket("payments", "eu-west-1", "logs", "FilterLogEvents") is not here
