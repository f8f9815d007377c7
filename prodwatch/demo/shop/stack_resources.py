"""Creates the shop's resources in moto: stack with queues, tables and outputs, secrets, first products and orders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from prodwatch.demo.aws.moto_backend import MotoTransport
from prodwatch.demo.aws.protocols.identify import HttpRequest
from prodwatch.demo.shop import resource_names
from prodwatch.demo.shop.functions import REGION
from prodwatch.demo.shop.handler_clients import isolated_session
from prodwatch.demo.shop.seeded_random import SeededRandom

VISIBILITY_S = 3
"""Time after which a message of a failed batch can be received again."""
PRODUCTS: tuple[dict[str, dict[str, str]], ...] = (
    {"sku": {"S": "MUG-1"}, "price": {"N": "12.50"}, "currency": {"S": "EUR"}},
    {"sku": {"S": "SHIRT-2"}, "price": {"N": "24.00"}, "currency": {"S": "EUR"}},
    {"sku": {"S": "BOOK-3"}, "price": {"N": "19.90"}},
)
"""The book was stored before prices had a currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Secrets of the shop and its checks; derived from the seed and of no value elsewhere."""

    partner_key: str
    health_token: str

    @classmethod
    def of(cls, seed: int) -> Secrets:
        """Return the secrets of a seed."""
        text = SeededRandom(seed, "secrets").digest("all").hex()
        return cls(partner_key=f"partner-{text[:24]}", health_token=f"health-{text[24:48]}")


def create_resources(send: MotoTransport, *, api_url: str, secrets: Secrets) -> None:
    """Create all resources through boto3, without a network: each request goes to `send`."""
    clients = _Clients(send)
    clients.make("cloudformation").create_stack(
        StackName=resource_names.STACK, TemplateBody=json.dumps(template(api_url))
    )
    dynamodb = clients.make("dynamodb")
    for product in PRODUCTS:
        dynamodb.put_item(TableName=resource_names.PRODUCTS_TABLE, Item=product)
    for number in range(1001, 1004):
        dynamodb.put_item(TableName=resource_names.ORDERS_TABLE, Item=_order(number))
    clients.make("ssm").put_parameter(Name=resource_names.HEALTH_TOKEN, Value=secrets.health_token, Type="SecureString")
    clients.make("secretsmanager").create_secret(
        Name=resource_names.PARTNER_SECRET,
        SecretString=json.dumps({"partner": "bookshop", "api_key": secrets.partner_key}),
    )


def template(api_url: str) -> dict[str, Any]:
    """Return the stack's template; `api_url` is the URL of its HTTP API, without a stage."""
    parts = urlsplit(api_url)
    outputs: Mapping[str, Any] = {
        "ApiUrl": f"{api_url}/Prod/",
        "StagesUrl": api_url,
        "OrderUrl": f"{api_url}/Prod/orders/{{id}}",
        "ApiHost": parts.hostname,
        "ApiPort": str(parts.port),
        "InputQueue": {"Ref": "Inbox"},
        "OutputQueue": {"Ref": "Outbox"},
        "InputQueueDLQ": {"Ref": "InboxDeadLetters"},
        "OutputQueueDLQ": {"Ref": "OutboxDeadLetters"},
        "OrdersTable": {"Ref": "Orders"},
        "ProductsTable": {"Ref": "Products"},
        "TestTable": {"Ref": "TestResults"},
    }
    return {
        "Description": "The shop of prodwatch's demo",
        "Resources": {
            "InboxDeadLetters": _queue(resource_names.INBOX_DLQ),
            "OutboxDeadLetters": _queue(resource_names.OUTBOX_DLQ),
            "Inbox": _queue(resource_names.INBOX, "InboxDeadLetters", receives=1),
            "Outbox": _queue(resource_names.OUTBOX, "OutboxDeadLetters", receives=3),
            "Orders": _table(resource_names.ORDERS_TABLE, "id", index="customer"),
            "Products": _table(resource_names.PRODUCTS_TABLE, "sku"),
            "TestResults": _table(resource_names.TEST_TABLE, "id"),
        },
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }


def _queue(name: str, dead_letters: str | None = None, *, receives: int = 1) -> dict[str, Any]:
    properties: dict[str, Any] = {"QueueName": name, "VisibilityTimeout": VISIBILITY_S}
    if dead_letters:
        target = {"Fn::GetAtt": [dead_letters, "Arn"]}
        properties["RedrivePolicy"] = {"deadLetterTargetArn": target, "maxReceiveCount": receives}
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def _table(name: str, key: str, *, index: str | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in (key, index) if name],
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    }
    if index:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": f"by-{index}",
                "KeySchema": [{"AttributeName": index, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties}


def _order(number: int) -> dict[str, dict[str, str]]:
    return {
        "id": {"S": f"ORD-{number}"},
        "customer": {"S": "C-1001"},
        "sku": {"S": "MUG-1"},
        "quantity": {"N": str(number - 1000)},
        "total": {"N": f"{12.5 * (number - 1000):.2f}"},
        "currency": {"S": "EUR"},
    }


class _Clients:
    """boto3 clients whose requests never leave the process."""

    def __init__(self, send: MotoTransport) -> None:
        self._send_to_moto = send
        self._session = isolated_session()

    def make(self, service: str) -> Any:
        client = self._session.client(
            service,
            region_name=REGION,
            aws_access_key_id="shop",
            aws_secret_access_key="shop",  # noqa: S106 -- moto checks no secret
        )
        client.meta.events.register("before-send.*.*", self._respond)
        return client

    def _respond(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        parts = urlsplit(request.url)
        body = request.body or b""
        headers = {name: _text(value) for name, value in request.headers.items()} | {"Host": parts.netloc}
        response = self._send_to_moto(
            HttpRequest(
                method=request.method,
                path=parts.path or "/",
                query=parts.query,
                headers=headers,
                body=body.encode() if isinstance(body, str) else body,
            )
        )
        response_type: Any = AWSResponse  # its stubs accept only the standard library's headers
        return response_type(request.url, response.status, response.headers, _Body(response.body))


class _Body:
    """A body as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        return [self._content]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
