"""`shop-inbox` forwards messages; `shop-outbox` records the queue in which a test message ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prodwatch.demo.shop.handlers import Clients, Code, Context, Event, Handler

MALFORMED = "MALFORMED_MASSAGE"
"""Word that makes a message unprocessable; the spelling is that of the senders."""


class MalformedMessageError(Exception):
    """A message of the batch cannot be processed."""


def build_inbox(aws: Clients, environment: Mapping[str, str], _code: Code) -> Handler:
    """Return the handler that forwards each message of a batch to the outbox, unchanged.

    One bad message fails its whole batch: those before it have been forwarded by then and are delivered again.
    """
    outbox = environment["OUTBOX_URL"]

    def handle(event: Event, context: Context) -> dict[str, Any]:
        for record in event["Records"]:
            if MALFORMED in record["body"]:
                raise MalformedMessageError(f"message {record['messageId']} cannot be processed")
            aws.sqs.send_message(QueueUrl=outbox, MessageBody=record["body"])
        count = len(event["Records"])
        context.log.info("forwarded %d %s to shop-outbox", count, "message" if count == 1 else "messages")
        return {"statusCode": 200}

    return handle


def build_outbox(aws: Clients, environment: Mapping[str, str], _code: Code) -> Handler:
    """Return the handler that stores a test message and the queue it came from; the last one wins."""
    table = environment["TEST_TABLE"]

    def handle(event: Event, context: Context) -> dict[str, Any]:
        for record in event["Records"]:
            data = json.loads(record["body"])["data"]
            queue = record["eventSourceARN"].rpartition(":")[2]
            item = {"id": {"S": data["id"]}, "Message": {"S": data["message"]}, "Queue_Name": {"S": queue}}
            aws.dynamodb.put_item(TableName=table, Item=item)
            context.log.info("stored %s from %s", data["id"], queue)
        return {"statusCode": 200}

    return handle
