"""Emulates Lambda's event-source mappings: receives batches from a queue, invokes, deletes handled messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.demo.shop.functions import ACCOUNT, REGION
from prodwatch.demo.shop.handlers import Clients
from prodwatch.demo.shop.lambda_runtime import Runtime
from prodwatch.demo.shop.trace_header import read

BATCH = 10
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMapping:
    """One queue that feeds one function."""

    queue: str
    url: str
    function: str
    filter_type: str | None = None
    """Only messages whose `data.type` is this reach the function; Lambda deletes the others."""

    def selects(self, body: str) -> bool:
        """Return whether a message passes the filter; one that is not JSON never does."""
        if self.filter_type is None:
            return True
        try:
            return bool(json.loads(body)["data"]["type"] == self.filter_type)
        except (ValueError, KeyError, TypeError):
            return False


class EventSources:
    """Runs all mappings; a batch that fails as a whole stays in its queue and is delivered again."""

    def __init__(
        self,
        mappings: tuple[QueueMapping, ...],
        *,
        runtime: Runtime,
        clients: Clients,
        waiting: Callable[[str], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._mappings = mappings
        self._runtime = runtime
        self._clients = clients
        self._waiting = waiting
        self._sleep = sleep

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for mapping in self._mappings:
                tasks.create_task(self._poll(mapping))

    async def _poll(self, mapping: QueueMapping) -> None:
        while True:
            # Reading the queue's length is cheap; the API is called only when messages wait.
            if self._waiting(mapping.queue):
                await self.deliver(mapping)
            await self._sleep(POLL_S)

    async def deliver(self, mapping: QueueMapping) -> None:
        """Receive one batch and invoke the function with it."""
        received = await asyncio.to_thread(
            self._clients.sqs.receive_message,
            QueueUrl=mapping.url,
            MaxNumberOfMessages=BATCH,
            AttributeNames=["All"],
            MessageSystemAttributeNames=["AWSTraceHeader"],
            MessageAttributeNames=["All"],
        )
        messages: list[Mapping[str, Any]] = received.get("Messages", [])
        selected = [message for message in messages if mapping.selects(message["Body"])]
        handled = [message for message in messages if not mapping.selects(message["Body"])]
        if selected:
            event = {"Records": [_record(message, mapping.queue) for message in selected]}
            header = read(selected[0].get("Attributes", {}).get("AWSTraceHeader"))
            outcome = await self._runtime.run(mapping.function, None, event, header)
            if outcome.exception is None:
                handled += selected
        for message in handled:
            await asyncio.to_thread(
                self._clients.sqs.delete_message, QueueUrl=mapping.url, ReceiptHandle=message["ReceiptHandle"]
            )


def _record(message: Mapping[str, Any], queue: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "awsRegion": REGION,
    }
