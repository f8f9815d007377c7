"""SQS: what belongs to others is handed back at once and counted, and nothing is risked for a look."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.clock import SystemClock
from prodwatch.demo.aws.faults import Fault
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from tests.support.waiting import until


async def queue(bench: Any, *bodies: str, redrive: int | None = None, **attributes: str) -> str:
    if redrive is not None:
        dead = await bench.call("sqs", "CreateQueue", {"QueueName": f"{bench.name}-dlq"})
        found = await bench.call(
            "sqs", "GetQueueAttributes", {"QueueUrl": dead["QueueUrl"], "AttributeNames": ["QueueArn"]}
        )
        policy = {"deadLetterTargetArn": found["Attributes"]["QueueArn"], "maxReceiveCount": redrive}
        attributes["RedrivePolicy"] = json.dumps(policy)
    made = await bench.call("sqs", "CreateQueue", {"QueueName": bench.name, "Attributes": attributes})
    for body in bodies:
        await bench.call("sqs", "SendMessage", {"QueueUrl": made["QueueUrl"], "MessageBody": body})
    bench.world.call_counts.clear()
    return str(made["QueueUrl"])


async def visible(bench: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages"]
    found = await bench.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names})
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


async def test_depth_of_an_empty_queue(bench: Any) -> None:
    url = await queue(bench)
    found = await bench.run("sqs", {"queue": url})
    assert found.failure is None
    assert (found.document["depth"], found.document["in_flight"], found.document["age"]) == (0, 0, Duration(0))
    assert bench.world.call_counts["cloudwatch:GetMetricData"] == 0
    assert found.exchange.aws_cli.startswith("aws sqs get-queue-attributes ")


@pytest.mark.parametrize("way", ["url", "name", "arn"])
async def test_a_queue_by_url_name_or_arn(bench: Any, way: str) -> None:
    url = await queue(bench, "a", "b")
    name = {"url": url, "name": bench.name, "arn": f"arn:aws:sqs:eu-west-1:123456789012:{bench.name}"}[way]
    assert (await bench.run("sqs", {"queue": name, "operation": "depth"})).document["depth"] == 2


async def test_the_age_comes_from_cloudwatch(bench: Any) -> None:
    url = await queue(bench, "a")
    now_s = SystemClock().now().timestamp()
    names = {"QueueName": bench.name}
    bench.world.metrics.put("AWS/SQS", "ApproximateAgeOfOldestMessage", names, now_s - 120, [80.0], unit="Seconds")
    bench.world.metrics.put("AWS/SQS", "ApproximateAgeOfOldestMessage", names, now_s - 60, [90.0], unit="Seconds")
    assert (await bench.run("sqs", {"queue": url})).document["age"] == Duration.from_s(90)


@pytest.mark.parametrize("kind", ["access_denied", None])
async def test_an_unknown_age_is_absent_and_said(bench: Any, kind: Any) -> None:
    url = await queue(bench, "a")
    if kind:
        bench.world.faults.add(Fault(operation="cloudwatch:*", kind=kind))
    found = await bench.run("sqs", {"queue": url})
    assert found.failure is None
    assert "age" not in found.document
    assert "age of the oldest message is unknown" in found.notices[0]


@pytest.mark.parametrize(
    ("body", "text"), [("plain", "plain"), ({"id": "x", "n": Decimal("1.10")}, '{"id":"x","n":1.10}')]
)
async def test_what_is_sent_arrives(bench: Any, body: Any, text: str) -> None:
    url = await queue(bench)
    attributes = {"kind": "TEST", "n": 5}
    sent = await bench.run("sqs", {"queue": url, "operation": "send", "body": body, "attributes": attributes})
    assert sent.failure is None
    assert sent.document["message"]["body"] == text
    assert sent.correlation.trace_id is not None
    found = await bench.run("sqs", {"queue": url, "operation": "receive", "own": text[:4]})
    assert found.document["message"]["id"] == sent.document["message"]["id"]
    assert found.document["message"]["attributes"] == attributes
    assert found.document["message"]["receive_count"] == 1
    assert ("json" in found.document["message"]) is isinstance(body, dict)
    assert found.document["message"]["sent"].tzinfo is not None


async def test_sending_is_done_once(bench: Any) -> None:
    url = await queue(bench)
    bench.world.faults.add(Fault(operation="sqs:SendMessage", kind="drop_after"))
    found = await bench.run("sqs", {"queue": url, "operation": "send", "body": "x"})
    assert found.failure.status is Status.ERROR
    assert bench.world.call_counts["sqs:SendMessage"] == 1


async def test_a_fifo_queue_gets_what_it_needs(bench: Any) -> None:
    bench.name += ".fifo"
    url = await queue(bench, FifoQueue="true")
    for _ in range(2):
        assert (await bench.run("sqs", {"queue": url, "operation": "send", "body": "uid123"})).failure is None
    assert await visible(bench, url) == 2


async def test_receive_takes_own_messages_and_hands_others_back(bench: Any) -> None:
    url = await queue(bench, "mine uid123", "theirs 1", "theirs 2")
    found = await bench.run("sqs", {"queue": url, "operation": "receive"})
    assert [each["body"] for each in found.document["messages"]] == ["mine uid123"]
    assert found.document["foreign"] == 2
    assert "2 messages that are not the check's own" in found.notices[0]
    assert await visible(bench, url) == 2


async def test_peek_hands_everything_back(bench: Any) -> None:
    url = await queue(bench, "mine uid123", "theirs")
    found = await bench.run("sqs", {"queue": url, "operation": "peek"})
    assert len(found.document["messages"]) == 1
    assert found.document["foreign"] == 1
    assert await visible(bench, url) == 2


async def test_D_messages_of_others_are_counted_over_all_looks_of_a_wait(bench: Any) -> None:
    url = await queue(bench, "theirs 1", "theirs 2")
    looks: dict[str, Any] = {"queue": url, "operation": "peek"}
    first_request_at = SystemClock().now()
    memory: dict[str, Any] = {}
    first = await bench.run("sqs", looks, memory=memory)
    again = await bench.run("sqs", looks, memory=memory, first_request_at=first_request_at)
    assert (first.document["foreign"], again.document["foreign"]) == (2, 2), "each counted once"
    await bench.call("sqs", "PurgeQueue", {"QueueUrl": url})
    await bench.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": "mine uid123"})
    last = await bench.run("sqs", looks, memory=memory, first_request_at=first_request_at)
    assert last.document["message"]["body"] == "mine uid123"
    assert last.document["foreign"] == 2, "those that were met before its own came"
    next_wait = await bench.run("sqs", looks, memory=memory)
    assert next_wait.document["foreign"] == 0


async def test_delete_deletes_own_messages_only(bench: Any) -> None:
    url = await queue(bench, "mine uid123", "theirs", "mine too uid123")
    found = await bench.run("sqs", {"queue": url, "operation": "delete"})
    assert len(found.document["messages"]) == 2
    assert await visible(bench, url) == 1
    again = await bench.run("sqs", {"queue": url, "operation": "delete"}, timeout_s=1.5)
    assert (again.document["messages"], again.document["foreign"]) == ([], 1)


async def test_without_any_mark_nothing_is_own(bench: Any) -> None:
    url = await queue(bench, "a", "b")
    found = await bench.run("sqs", {"queue": url, "operation": "delete"}, own_marks=())
    assert found.document["foreign"] == 2
    assert await visible(bench, url) == 2


@pytest.mark.parametrize("operation", ["receive", "peek", "delete"])
async def test_a_queue_that_gives_up_early_is_not_touched(bench: Any, operation: str) -> None:
    url = await queue(bench, "uid123", redrive=2)
    found = await bench.run("sqs", {"queue": url, "operation": operation})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.PROTECTED)
    assert "after 2 receives" in found.failure.message
    assert "accept_redrive = true" in found.failure.message
    assert bench.world.call_counts["sqs:ReceiveMessage"] == 0
    accepted = await bench.run("sqs", {"queue": url, "operation": operation, "accept_redrive": True})
    assert len(accepted.document["messages"]) == 1


async def test_a_patient_queue_may_be_looked_at(bench: Any) -> None:
    url = await queue(bench, "uid123", redrive=3)
    assert (await bench.run("sqs", {"queue": url, "operation": "peek"})).failure is None


async def test_max_bounds_what_is_met(bench: Any) -> None:
    url = await queue(bench, *(f"theirs {number}" for number in range(5)))
    found = await bench.run("sqs", {"queue": url, "operation": "peek", "max": 2})
    assert found.document["foreign"] <= 2


async def test_messages_that_cannot_be_handed_back_are_told(bench: Any) -> None:
    url = await queue(bench, "theirs")
    bench.world.faults.add(Fault(operation="sqs:ChangeMessageVisibility*", kind="access_denied"))
    found = await bench.run("sqs", {"queue": url, "operation": "peek"})
    assert any("1 messages stay hidden" in notice for notice in found.notices)


async def test_a_check_that_is_stopped_still_hands_back(bench: Any) -> None:
    url = await queue(bench, "theirs")
    bench.world.faults.add(Fault(operation="sqs:ChangeMessageVisibilityBatch", kind="delay", delay_s=0.3))
    running = asyncio.create_task(bench.run("sqs", {"queue": url, "operation": "peek"}))
    await until(lambda: bench.world.call_counts["sqs:ChangeMessageVisibilityBatch"], "the call was never made")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await visible(bench, url) == 1


async def test_a_missing_queue_is_told(bench: Any) -> None:
    found = await bench.run("sqs", {"queue": "no-such-queue"})
    assert found.failure.status is Status.FAIL
    assert 'queue "no-such-queue"' in found.failure.message
    with pytest.raises(AwsError):
        await bench.call("sqs", "GetQueueUrl", {"QueueName": "no-such-queue"})


async def test_an_attribute_that_is_no_text_is_refused(bench: Any) -> None:
    url = await queue(bench)
    found = await bench.run("sqs", {"queue": url, "operation": "send", "body": "x", "attributes": {"a": [1]}})
    assert found.failure.reason is Reason.INVALID


@pytest.mark.parametrize("redrive", [2, 4])
async def test_C13_any_call_respects_the_redrive_limit_too(redrive: int, bench: Any) -> None:
    url = await queue(bench, "of others", redrive=redrive)
    params = {"service": "sqs", "operation": "receive-message", "params": {"QueueUrl": url, "VisibilityTimeout": 0}}
    memory: dict[str, Any] = {}
    looks = [await bench.run("aws", params, memory=memory) for _ in range(5)]
    refused = [each for each in looks if each.failure is not None]
    # The last receive before the limit is left to the queue's consumer.
    assert len(looks) - len(refused) == (0 if redrive == 2 else 3)
    assert {each.failure.reason for each in refused} == {Reason.PROTECTED}
    assert bench.world.call_counts["sqs:ReceiveMessage"] == len(looks) - len(refused)
    accepted = await bench.run("aws", params | {"accept_redrive": True})
    assert accepted.failure is None
    assert accepted.exchange.request["operation"] == "ReceiveMessage"
