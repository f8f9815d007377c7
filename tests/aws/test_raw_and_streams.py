"""Unparsed responses and event streams are verified, counted, throttled and explained like other calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec
import pytest

from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.default_account_and_region import ScopedAws
from prodwatch.aws.interface import AwsError
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Fault
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Limits
from prodwatch.model.status import Reason

Connect = Callable[..., Aws]
GROUP = "/aws/lambda/shop-raw"
ARN = f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}"


@pytest.fixture
def group(world: EmbeddedAws) -> str:
    world.logs.delete_group(GROUP)
    now_ms = int(SystemClock().now().timestamp() * 1000)
    world.logs.put(GROUP, "s", [(now_ms - 9 + number, f"line {number}") for number in range(9)])
    return GROUP


async def test_a_raw_answer_is_the_body_as_sent_and_tells_the_clocks_apart(aws: Aws, group: str) -> None:
    answer = await ScopedAws(aws, None, None).raw("logs", "FilterLogEvents", {"logGroupName": group})
    page = msgspec.json.decode(answer.body)
    parsed = await aws.call("logs", "FilterLogEvents", {"logGroupName": group})
    assert page["events"] == parsed["events"]
    assert len(page["events"]) == 9
    assert answer.skew_s is not None
    assert abs(answer.skew_s) < 60
    assert aws.usage().calls == {"logs:FilterLogEvents": 2}


async def test_a_raw_answer_of_a_verified_account(connect: Connect, group: str) -> None:
    aws = connect(aws={"account": "123456789012"})
    assert b'"line 0"' in (await aws.raw("logs", "FilterLogEvents", {"logGroupName": group})).body


async def test_raw_keeps_errors_throttles_and_limits(world: EmbeddedAws, connect: Connect, group: str) -> None:
    aws = connect(limits=Limits(api_calls=3))
    with pytest.raises(AwsError, match="ResourceNotFoundException"):
        await aws.raw("logs", "FilterLogEvents", {"logGroupName": "none"})
    world.faults.add(Fault(operation="logs:FilterLogEvents", kind="throttle", count=1))
    assert (await aws.raw("logs", "FilterLogEvents", {"logGroupName": group})).body
    assert aws.usage().throttles == 1
    with pytest.raises(AwsError) as caught:
        await aws.raw("logs", "FilterLogEvents", {"logGroupName": group})
    assert caught.value.reason is Reason.LIMIT


@pytest.mark.parametrize("way", ["raw", "events"])
async def test_neither_leads_around_the_account(world: EmbeddedAws, connect: Connect, way: str) -> None:
    aws = connect(aws={"account": "999999999999"})
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "raw": lambda: aws.raw("logs", "FilterLogEvents", {"logGroupName": GROUP}),
        "events": lambda: anext(aws.events("logs", "StartLiveTail", {"logGroupIdentifiers": [ARN]})),
    }
    with pytest.raises(CannotVerifyError):
        await ways[way]()
    assert set(world.calls) == {("sts", "GetCallerIdentity")}


async def test_a_stream_brings_its_events_and_is_closed_with_its_generator(
    world: EmbeddedAws, aws: Aws, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.live_tail, "interval_s", 0.01)
    events = ScopedAws(aws, None, None).events("logs", "StartLiveTail", {"logGroupIdentifiers": [ARN]})
    async with asyncio.timeout(60), aclosing(events):
        assert "sessionStart" in await anext(events)
        world.logs.put(group, "s", [(1, "live")])
        async for event in events:
            if event["sessionUpdate"]["sessionResults"]:
                break
        assert event["sessionUpdate"]["sessionResults"][0]["message"] == "live"
    assert aws.usage().calls == {"logs:StartLiveTail": 1}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("drop", Reason.NETWORK), ("expired_token", Reason.SERVICE), ("error_5xx", Reason.SERVICE)],
)
async def test_a_break_of_a_stream_is_an_error_with_a_reason(
    world: EmbeddedAws, aws: Aws, group: str, monkeypatch: pytest.MonkeyPatch, kind: str, reason: Reason
) -> None:
    assert group
    monkeypatch.setattr(world.live_tail, "interval_s", 0.01)
    world.faults.add(Fault(operation="logs:SessionUpdate", kind=kind))  # type: ignore[arg-type]
    async with asyncio.timeout(60), aclosing(aws.events("logs", "StartLiveTail", {"logGroupIdentifiers": [ARN]})) as it:
        with pytest.raises(AwsError) as caught:
            async for _ in it:
                pass
    assert (caught.value.reason, caught.value.transient) == (reason, True)


async def test_a_refused_stream_says_which_permission_is_missing(world: EmbeddedAws, aws: Aws, group: str) -> None:
    assert group
    world.faults.add(Fault(operation="logs:StartLiveTail", kind="access_denied"))
    with pytest.raises(AwsError, match="permission logs:StartLiveTail") as caught:
        await anext(aws.events("logs", "StartLiveTail", {"logGroupIdentifiers": [ARN]}))
    assert caught.value.reason is Reason.ACCESS_DENIED
