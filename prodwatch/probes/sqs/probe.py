"""Reads a queue and handles the check's own messages; other messages are returned at once and counted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from prodwatch.aws.api import AwsError
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, from_json, refuse, to_json
from prodwatch.probes.base import Observation, ProbeContext

MAX_PER_REQUEST = 10
SAFE_RECEIVES = 3
"""Smallest redrive limit; with a lower one, our receive could move a message to the dead-letter queue."""
LONGEST_WAIT_S = 2
"""Seconds of long polling, which queries all SQS servers; short polling may miss messages."""
HANDED_BACK_WITHIN_S = 5.0
AGE_WINDOW = timedelta(minutes=10)


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Execute `params["operation"]`; `foreign` counts received messages that are not the check's own."""
    return await ask(params, context, "sqs", _operate)


async def _operate(calls: AwsCalls) -> Observation:
    operation = calls.params.get("operation") or "depth"
    url = await _url(calls)
    return await _OPERATIONS[operation](calls, url)


async def _url(calls: AwsCalls) -> str:
    queue = str(calls.params["queue"])
    if queue.startswith(("http://", "https://")):
        return queue
    request = {"QueueName": queue}
    if queue.startswith("arn:"):
        *_, account, name = queue.split(":")
        request = {"QueueName": name, "QueueOwnerAWSAccountId": account}
    answer = await calls.call("GetQueueUrl", request)
    url: str = answer["QueueUrl"]
    return url


async def _depth(calls: AwsCalls, url: str) -> Observation:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    request = {"QueueUrl": url, "AttributeNames": names}
    calls.show("GetQueueAttributes", request)
    found = (await calls.call("GetQueueAttributes", request))["Attributes"]
    document: dict[str, Any] = {"depth": int(found[names[0]]), "in_flight": int(found[names[1]])}
    age = Duration(0) if document["depth"] == document["in_flight"] == 0 else await _age(calls, url)
    if age is not None:
        document["age"] = age
    return calls.answer(document | {"latency": calls.latency()})


async def _age(calls: AwsCalls, url: str) -> Duration | None:
    """Return the age of the oldest message from CloudWatch; None without data."""
    now = calls.now()
    stat = {
        "Metric": {
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{"Name": "QueueName", "Value": url.rsplit("/", 1)[-1]}],
        },
        "Period": 60,
        "Stat": "Maximum",
    }
    request = {"MetricDataQueries": [{"Id": "age", "MetricStat": stat}], "StartTime": now - AGE_WINDOW, "EndTime": now}
    try:
        answer = await calls.call("GetMetricData", request, service="cloudwatch")
    except AwsError as error:
        calls.notice(f"the age of the oldest message is unknown: {error.message}")
        return None
    for result in answer.get("MetricDataResults") or ():
        if result.get("Values"):
            newest = max(zip(result["Timestamps"], result["Values"], strict=True))
            return Duration.from_s(newest[1])
    calls.notice("the age of the oldest message is unknown: CloudWatch has no data point of the last 10 minutes")
    return None


async def _send(calls: AwsCalls, url: str) -> Observation:
    body = calls.params.get("body")
    text = body if isinstance(body, str) else to_json(body, "body").decode()
    request: dict[str, Any] = {"QueueUrl": url, "MessageBody": text}
    attributes = {name: _attribute(name, value) for name, value in (calls.params.get("attributes") or {}).items()}
    if attributes:
        request["MessageAttributes"] = attributes
    if url.endswith(".fifo"):
        made = f"{calls.context.trace_id} {calls.context.clock.now().timestamp()} {text}"
        request["MessageGroupId"] = "prodwatch"
        request["MessageDeduplicationId"] = hashlib.sha256(made.encode()).hexdigest()
    header = {"DataType": "String", "StringValue": f"Root={calls.context.trace_id};Sampled=1"}
    request["MessageSystemAttributes"] = {"AWSTraceHeader": header}
    calls.traced = True
    calls.show("SendMessage", request)
    answer = await calls.call("SendMessage", request, retries=False)
    message = {"id": answer["MessageId"], "body": text} | _as_json(text)
    return calls.answer({"message": message, "latency": calls.latency()})


def _attribute(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise refuse(Status.ERROR, Reason.INVALID, f"message attribute {name} must be a text or a number")
    if isinstance(value, str):
        return {"DataType": "String", "StringValue": value}
    return {"DataType": "Number", "StringValue": str(value)}


async def _receive(calls: AwsCalls, url: str) -> Observation:
    """Receive own messages; they stay hidden from their consumers for the queue's visibility time."""
    own, foreign = await _taken(calls, url, keep_own=True)
    return _messages(calls, own, foreign)


async def _peek(calls: AwsCalls, url: str) -> Observation:
    """Receive messages and return all of them at once."""
    own, foreign = await _taken(calls, url, keep_own=False)
    return _messages(calls, own, foreign)


async def _delete(calls: AwsCalls, url: str) -> Observation:
    """Delete own messages and return all others."""
    own, foreign = await _taken(calls, url, keep_own=True)
    for message in own:
        request = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
        await calls.call("DeleteMessage", request)
    return _messages(calls, own, foreign)


async def _taken(calls: AwsCalls, url: str, *, keep_own: bool) -> tuple[list[dict[str, Any]], int]:
    """Receive once, and first return the messages that are not kept, even when the check is cancelled."""
    await _refuse_low_redrive(calls, url)
    most = min(MAX_PER_REQUEST, max(1, int(calls.params.get("max") or MAX_PER_REQUEST)))
    request: dict[str, Any] = {
        "QueueUrl": url,
        "MaxNumberOfMessages": most,
        "WaitTimeSeconds": max(0, min(LONGEST_WAIT_S, int(calls.left_s() / 2))),
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": ["All"],
    }
    if not keep_own:
        # If returning them fails, the messages are visible again after this time.
        request["VisibilityTimeout"] = int(calls.context.timeout_s) + 5
    calls.show("ReceiveMessage", request)
    received = (await calls.call("ReceiveMessage", request, retries=False)).get("Messages") or []
    marks = _marks(calls)
    own = [each for each in received if _is_own(each, marks)]
    foreign = [each for each in received if not _is_own(each, marks)]
    await _hand_back(calls, url, foreign if keep_own else received)
    return own, len(foreign)


async def _refuse_low_redrive(calls: AwsCalls, url: str) -> None:
    if calls.params.get("accept_redrive"):
        return
    request = {"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]}
    attributes = (await calls.call("GetQueueAttributes", request)).get("Attributes") or {}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        limit = int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
        if limit < SAFE_RECEIVES:
            message = (
                f'queue "{url.rsplit("/", 1)[-1]}" moves a message to its dead-letter queue after {limit} receives, '
                "so looking at it could lose other people's messages; `accept_redrive = true` accepts that"
            )
            raise refuse(Status.ERROR, Reason.PROTECTED, message)


def _marks(calls: AwsCalls) -> tuple[str, ...]:
    own = calls.params.get("own")
    return (str(own),) if own else calls.context.own_marks


def _is_own(message: Mapping[str, Any], marks: tuple[str, ...]) -> bool:
    attributes = message.get("MessageAttributes") or {}
    texts = [message.get("Body") or "", *(each.get("StringValue") or "" for each in attributes.values())]
    return any(mark in text for mark in marks if mark for text in texts)


async def _hand_back(calls: AwsCalls, url: str, messages: list[dict[str, Any]]) -> None:
    if not messages:
        return
    entries = [
        {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"], "VisibilityTimeout": 0}
        for number, each in enumerate(messages)
    ]
    returning = asyncio.ensure_future(
        calls.aws.call(
            "sqs",
            "ChangeMessageVisibilityBatch",
            {"QueueUrl": url, "Entries": entries},
            timeout_s=HANDED_BACK_WITHIN_S,
        )
    )
    try:
        # Shielded: a check that runs out of time must not keep other people's messages hidden.
        answer = await asyncio.shield(returning)
        stuck = len(answer.get("Failed") or ())
    except asyncio.CancelledError:
        with contextlib.suppress(AwsError):
            await returning
        raise
    except AwsError as error:
        stuck = len(messages)
        calls.notice(f"messages could not be handed back: {error.message}")
    if stuck:
        calls.notice(f"{stuck} messages stay hidden until their visibility timeout ends")


def _messages(calls: AwsCalls, own: list[dict[str, Any]], foreign: int) -> Observation:
    messages = [_message(each) for each in own]
    document: dict[str, Any] = {"messages": messages, "foreign": foreign, "latency": calls.latency()}
    if messages:
        document["message"] = messages[0]
    if foreign:
        calls.notice(f"{foreign} messages that are not the check's own were met and handed back")
    return calls.answer(document)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    system = message.get("Attributes") or {}
    body = message.get("Body") or ""
    told: dict[str, Any] = {"id": message["MessageId"], "body": body} | _as_json(body)
    told["attributes"] = {
        name: _attribute_value(each) for name, each in (message.get("MessageAttributes") or {}).items()
    }
    if system.get("SentTimestamp"):
        told["sent"] = datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC)
    if system.get("ApproximateReceiveCount"):
        told["receive_count"] = int(system["ApproximateReceiveCount"])
    return told


def _attribute_value(attribute: Mapping[str, Any]) -> Any:
    text = attribute.get("StringValue")
    if text is not None and str(attribute.get("DataType", "")).startswith("Number"):
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else number
    return text


def _as_json(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        return {"json": from_json(text)}
    return {}


_OPERATIONS: dict[str, Callable[[AwsCalls, str], Awaitable[Observation]]] = {
    "depth": _depth,
    "send": _send,
    "receive": _receive,
    "peek": _peek,
    "delete": _delete,
}
