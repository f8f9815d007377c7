"""StartLiveTail: following, sampling, timeouts, faults and errors as in the real service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError, EventStreamError

from prodwatch.demo.aws import EmbeddedAws, Fault, FaultPlan
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.aws.logs.live_tail import MAX_PER_UPDATE, MAX_WAITING, _Session
from prodwatch.demo.aws.logs.stored_event import StoredEvent
from prodwatch.demo.workload import LogEvent
from tests.support.waiting import turn, until

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

GROUP = "/aws/lambda/f"
ARN = f"arn:aws:logs:eu-west-1:123456789012:log-group:{GROUP}"


@pytest.fixture
def tail(aws: EmbeddedAws) -> EmbeddedAws:
    aws.live_tail.interval_s = 0.01
    aws.logs.create_group(GROUP)
    return aws


async def frames(call: Any, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield the frames of a session, over either SDK."""
    response = await call("logs", "StartLiveTail", **{"logGroupIdentifiers": [ARN], **params})
    stream = response["responseStream"]
    try:
        if call.kind == "aiobotocore":
            async for frame in stream:
                yield frame
        else:
            iterator = iter(stream)
            while (frame := await asyncio.to_thread(next, iterator, None)) is not None:
                yield frame
    finally:
        stream.close()


async def update_with_events(session: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    async for frame in session:
        if frame.get("sessionUpdate", {}).get("sessionResults"):
            update = frame["sessionUpdate"]
            assert isinstance(update, dict)
            return update
    raise AssertionError("the session ended without events")


async def test_a_session_starts_and_follows_put_events(call: Any, tail: EmbeddedAws, wall: Any) -> None:
    session = frames(call, logEventFilterPattern="ERROR")
    start = (await anext(session))["sessionStart"]
    assert start["logGroupIdentifiers"] == [ARN]
    assert start["logEventFilterPattern"] == "ERROR"
    for number in range(3):
        tail.logs.put(GROUP, "s", [(wall.now_ms + number, f"ERROR {number}"), (wall.now_ms, "quiet")])
        update = await update_with_events(session)
        assert [item["message"] for item in update["sessionResults"]] == [f"ERROR {number}"]
        assert update["sessionMetadata"] == {"sampled": False}
    (result,) = update["sessionResults"]
    assert result["logGroupIdentifier"] == f"123456789012:{GROUP}"
    assert (result["logStreamName"], result["ingestionTime"]) == ("s", wall.now_ms)
    await session.aclose()  # type: ignore[attr-defined]


async def test_updates_can_be_empty_and_events_wait_for_their_visibility(
    call: Any, tail: EmbeddedAws, wall: Any
) -> None:
    session = frames(call)
    await anext(session)
    tail.logs.put(GROUP, "s", [(wall.now_ms, "later")], visible_ms=wall.now_ms + 5000)
    assert (await anext(session))["sessionUpdate"]["sessionResults"] == []
    wall.now_s += 5
    assert (await update_with_events(session))["sessionResults"][0]["message"] == "later"
    await session.aclose()  # type: ignore[attr-defined]


async def test_streams_are_selected_within_one_group(call: Any, tail: EmbeddedAws, wall: Any) -> None:
    session = frames(call, logStreamNamePrefixes=["a/"])
    await anext(session)
    tail.logs.put(GROUP, "b/1", [(wall.now_ms, "no")])
    tail.logs.put(GROUP, "a/1", [(wall.now_ms, "yes")])
    assert [item["message"] for item in (await update_with_events(session))["sessionResults"]] == ["yes"]
    await session.aclose()  # type: ignore[attr-defined]


async def test_events_above_the_limit_are_sampled(call: Any, tail: EmbeddedAws, wall: Any) -> None:
    session = frames(call)
    await anext(session)
    tail.logs.put(GROUP, "s", [(wall.now_ms + number, "x") for number in range(MAX_PER_UPDATE + 1)])
    update = await update_with_events(session)
    assert update["sessionMetadata"] == {"sampled": True}
    assert len(update["sessionResults"]) == MAX_PER_UPDATE
    stamps = [item["timestamp"] for item in update["sessionResults"]]
    assert stamps == sorted(stamps)
    await session.aclose()  # type: ignore[attr-defined]


def test_a_slow_reader_loses_the_oldest_events() -> None:
    session = _Session({GROUP: ARN}, set(), (), None)
    session.offer(GROUP, [StoredEvent(stamp, 0, stamp, 0, "s", "x") for stamp in range(MAX_WAITING + 7)])
    assert session._waiting[0][1].timestamp_ms == 7


async def test_a_session_times_out(call: Any, tail: EmbeddedAws, wall: Any) -> None:
    session = frames(call)
    await anext(session)
    wall.now_s += 3 * 3600
    with pytest.raises(EventStreamError, match="SessionTimeoutException"):
        await update_with_events(session)


@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [
        ("error_5xx", EventStreamError, "SessionStreamingException"),
        ("expired_token", EventStreamError, "SessionTimeoutException"),
        ("drop", Exception, None),
    ],
)
async def test_faults_apply_in_the_middle_of_a_session(
    call: Any, tail: Any, wall: Any, kind: Any, error: Any, expected: Any
) -> None:
    session = frames(call)
    await anext(session)
    await anext(session)
    tail.faults.add(Fault(operation="logs:SessionUpdate", kind=kind))
    with pytest.raises(error, match=expected) as caught:
        await update_with_events(session)
    if kind == "drop" and call.kind == "aiobotocore":
        assert isinstance(caught.value, aiohttp.ClientPayloadError)


async def test_an_empty_page_hides_an_update_and_a_delay_postpones_it(wall: Any, sdk_at: Any) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await turn()

    plan = FaultPlan([Fault(operation="logs:SessionUpdate", kind="delay", delay_s=7, count=1)])
    plan.add(Fault(operation="logs:SessionUpdate", kind="empty_page", count=1))
    async with embedded_aws(wall=wall, faults=plan, sleep=sleep) as (aws, url):
        aws.logs.create_group(GROUP)
        session = frames(sdk_at(url))
        await anext(session)
        assert (await anext(session))["sessionUpdate"]["sessionResults"] == []
        await session.aclose()  # type: ignore[attr-defined]
    assert slept[:2] == [1.0, 7]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"logGroupIdentifiers": [ARN + ":*"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [GROUP]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [ARN + "none"]}, "ResourceNotFoundException"),
        ({"logEventFilterPattern": "{ $.a"}, "InvalidParameterException"),
        ({"logStreamNames": ["a"], "logStreamNamePrefixes": ["b"]}, "InvalidParameterException"),
        ({"logGroupIdentifiers": [ARN, ARN + "2"], "logStreamNames": ["a"]}, "InvalidParameterException"),
    ],
    ids=str,
)
@over_aiobotocore
async def test_start_live_tail_refuses_invalid_parameters(call: Any, tail: EmbeddedAws, params: Any, code: str) -> None:
    tail.logs.create_group(GROUP + "2")
    with pytest.raises(ClientError) as caught:
        await call("logs", "StartLiveTail", **{"logGroupIdentifiers": [ARN], **params})
    assert caught.value.response["Error"]["Code"] == code


async def test_a_closed_tail_stops_listening(call: Any, tail: EmbeddedAws) -> None:
    session = frames(call)
    await anext(session)
    assert len(tail.logs._listeners) == 1
    await session.aclose()  # type: ignore[attr-defined]
    await until(lambda: not tail.logs._listeners, "the server never noticed the closed connection")


class OneLine:
    """A history of one event."""

    def __init__(self, event: LogEvent) -> None:
        self._event = event

    def log_groups(self) -> dict[str, int]:
        return {GROUP: 0}

    def log_events(self, group: str, start_ms: int, end_ms: int) -> list[LogEvent]:
        return [self._event] if start_ms <= self._event.timestamp_ms <= end_ms else []

    def segments(self, start_s: float, end_s: float) -> list[Any]:
        return []

    def metric_names(self) -> list[Any]:
        return []

    def metric_samples(self, *args: Any) -> list[Any]:
        return []


async def test_a_session_follows_events_of_history(wall: Any, sdk_at: Any) -> None:
    event = LogEvent(
        timestamp_ms=wall.now_ms + 1000, stream="s", message="expected", ingested_ms=0, visible_ms=wall.now_ms + 3000
    )
    async with embedded_aws(wall=wall, history=OneLine(event)) as (aws, url):
        aws.live_tail.interval_s = 0.01
        session = frames(sdk_at(url))
        await anext(session)
        wall.now_s += 2
        assert (await anext(session))["sessionUpdate"]["sessionResults"] == []
        wall.now_s += 2
        assert (await update_with_events(session))["sessionResults"][0]["message"] == "expected"
        await session.aclose()  # type: ignore[attr-defined]
