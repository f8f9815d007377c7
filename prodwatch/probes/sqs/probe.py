"""Reads a queue and handles the check's own messages; other messages are returned at once and counted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from prodwatch.assertions.value_equality_and_order import one_for_all
from prodwatch.aws.interface import AwsError
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, refuse, to_json
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.decode import read_json
from prodwatch.probes.redrive_guard import RedriveGuard

MAX_PER_REQUEST = 10
MAX_WAITS = 100
"""Waits on one queue whose messages of others are remembered."""
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
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    request = {"QueueUrl": url, "AttributeNames": names}
    calls.show("GetQueueAttributes", request)
    attributes = (await calls.call("GetQueueAttributes", request))["Attributes"]
    counts = [int(attributes[name]) for name in names]
    document: dict[str, Any] = dict(zip(("depth", "in_flight", "delayed"), counts, strict=True))
    if document["delayed"] and not document["depth"]:
        calls.notice(f"{document['delayed']} messages are delayed, which `depth` does not count")
    age = await _age(calls, url) if any(counts) else Duration(0)
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
    return _messages(calls, await _taken(calls, url, keep_own=True))


async def _peek(calls: AwsCalls, url: str) -> Observation:
    """Receive messages and return all of them at once."""
    return _messages(calls, await _taken(calls, url, keep_own=False))


async def _delete(calls: AwsCalls, url: str) -> Observation:
    """Delete own messages and return all others."""
    received = await _taken(calls, url, keep_own=True)
    for message in received.own:
        request = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
        await calls.call("DeleteMessage", request)
    return _messages(calls, received)


class _Received(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one receive."""

    own: list[dict[str, Any]]
    foreign: int
    """Messages of others that all looks of this wait have met."""
    pause_s: float
    """Shortest pause before the next receive."""


async def _taken(calls: AwsCalls, url: str, *, keep_own: bool) -> _Received:
    """Receive once, and first return the messages that are not kept, even when the check is cancelled."""
    guard = await RedriveGuard.admit(calls, url)
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
    try:
        received = (await calls.call("ReceiveMessage", request, retries=False)).get("Messages") or []
    except BaseException:
        guard.lost()
        raise
    marks = _marks(calls)
    own = [each for each in received if _is_own(each, marks)]
    foreign = [each for each in received if not _is_own(each, marks)]
    returned = foreign if keep_own else received
    pause_s = guard.received(returned)
    await _hand_back(calls, url, returned)
    return _Received(own=own, foreign=_met_so_far(calls, url, foreign), pause_s=pause_s)


def _met_so_far(calls: AwsCalls, url: str, foreign: list[dict[str, Any]]) -> int:
    """Return how many messages of others all looks of this wait have met, each counted once."""
    context = calls.context
    met: dict[str, set[str]] = context.memory.setdefault(f"sqs foreign {url}", {})
    wait = context.trace_id
    if context.first_request_at is None:
        met.pop(wait, None)
    ids = met.setdefault(wait, set())
    ids.update(each["MessageId"] for each in foreign)
    while len(met) > MAX_WAITS:
        met.pop(next(iter(met)))
    return len(ids)


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


def _messages(calls: AwsCalls, received: _Received) -> Observation:
    messages, foreign = [_message(each) for each in received.own], received.foreign
    document: dict[str, Any] = {"messages": messages, "foreign": foreign, "latency": calls.latency()}
    if messages:
        what = f"the first of {len(messages)} own messages"
        document["message"] = one_for_all(messages, "message", what, "messages[]")
    if foreign:
        calls.notice(f"{foreign} messages that are not the check's own were met and handed back")
    return calls.answer(document, pause_s=received.pause_s)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    system = message.get("Attributes") or {}
    body = message.get("Body") or ""
    item: dict[str, Any] = {"id": message["MessageId"], "body": body} | _as_json(body)
    item["attributes"] = {
        name: _attribute_value(each) for name, each in (message.get("MessageAttributes") or {}).items()
    }
    if system.get("SentTimestamp"):
        item["sent"] = datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC)
    if system.get("ApproximateReceiveCount"):
        item["receive_count"] = int(system["ApproximateReceiveCount"])
    return item


def _attribute_value(attribute: Mapping[str, Any]) -> Any:
    text = attribute.get("StringValue")
    if text is not None and str(attribute.get("DataType", "")).startswith("Number"):
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else number
    return text


def _as_json(text: str) -> dict[str, Any]:
    return dict(read_json(text.encode(errors="surrogatepass")).fields)


_OPERATIONS: dict[str, Callable[[AwsCalls, str], Awaitable[Observation]]] = {
    "depth": _depth,
    "send": _send,
    "receive": _receive,
    "peek": _peek,
    "delete": _delete,
}
