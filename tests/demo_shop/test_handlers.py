from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from prodwatch.demo.shop.handlers import Code, Context, catalog, orders, queues
from prodwatch.demo.shop.lambda_runtime import exception_of
from prodwatch.demo.shop.scenario import load
from prodwatch.demo.shop.stack_resources import PRODUCTS

ENVIRONMENT = {"ORDERS_TABLE": "orders", "PRODUCTS_TABLE": "products", "TEST_TABLE": "tests", "OUTBOX_URL": "outbox"}
KEYS = {"orders": "id", "products": "sku", "tests": "id"}


class Tables:
    """DynamoDB and SQS as the handlers use them, in memory."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in KEYS}
        self.sent: list[str] = []
        self.read: list[str] = []
        for product in PRODUCTS:
            self.put_item(TableName="products", Item=product)

    @property
    def dynamodb(self) -> Any:
        return self

    @property
    def sqs(self) -> Any:
        return self

    def get_item(self, *, TableName: str, Key: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 -- boto3's names
        results = self.tables[TableName].get(Key[KEYS[TableName]]["S"])
        return {"Item": dict(results)} if results else {}

    def put_item(self, *, TableName: str, Item: Mapping[str, Any]) -> None:  # noqa: N803 -- boto3's names
        self.tables[TableName][Item[KEYS[TableName]]["S"]] = dict(Item)

    def query(self, *, ExpressionAttributeValues: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        self.read.append("query")
        wanted = ExpressionAttributeValues[":customer"]
        return {"Items": [item for item in self.tables["orders"].values() if item["customer"] == wanted]}

    def scan(self, *, TableName: str, **filters: Any) -> dict[str, Any]:  # noqa: N803 -- boto3's names
        self.read.append("scan")
        if "ExpressionAttributeValues" in filters:
            return self.query(**filters)
        return {"Items": list(self.tables[TableName].values())}

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"TableStatus": "ACTIVE"}}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803 -- boto3's names
        assert QueueUrl == "outbox"
        self.sent.append(MessageBody)


def context(version: str = "41") -> Context:
    return Context(
        function_name="f",
        function_version=version,
        aws_request_id="8f2c0000-1111-4222-a333-444455556666",
        log=logging.getLogger("test"),
    )


PLAIN = Code()


def place(aws: Tables, code: Code = PLAIN, variables: Mapping[str, str] = ENVIRONMENT, **wish: Any) -> Any:
    handle = orders.build(aws, variables, code)
    return handle({"routeKey": "POST /orders", "body": json.dumps(wish)}, context())


def body(answer: Mapping[str, Any]) -> Any:
    return json.loads(answer["body"])


@pytest.mark.parametrize("sku", ["MUG-1", "BOOK-3"])
def test_an_order_is_stored_and_sent_to_the_outbox(sku: str) -> None:
    aws = Tables()
    response = place(aws, sku=sku, quantity=2, id="TEST-1")
    assert response["statusCode"] == 201
    assert body(response)["currency"] == "EUR"
    assert aws.tables["orders"]["TEST-1"]["currency"] == {"S": "EUR"}
    assert json.loads(aws.sent[0])["data"]["type"] == "ORDER"
    assert response["headers"]["x-version"] == "v41"


def test_numbers_stay_numbers() -> None:
    response = body(place(Tables(), sku="BOOK-3", quantity=2))
    assert (response["total"], response["quantity"]) == (39.8, 2)


def test_the_new_code_needs_a_currency() -> None:
    assert place(Tables(), Code(strict_currency=True), sku="MUG-1")["statusCode"] == 201
    with pytest.raises(KeyError, match="currency"):
        place(Tables(), Code(strict_currency=True), sku="BOOK-3")


def test_an_unknown_product_is_refused() -> None:
    aws = Tables()
    assert place(aws, sku="NONE")["statusCode"] == 422
    assert not aws.sent


@pytest.mark.parametrize(
    ("scenario", "version", "wish"),
    [
        ("bad", "41", {"sku": "MUG-1", "card": orders.TIMEOUT_CARD}),
        ("bad", "42", {"sku": "BOOK-3"}),
        ("config-only", "41", {"sku": "MUG-1", "card": orders.TIMEOUT_CARD}),
        ("config-only", "42", {"sku": "MUG-1", "card": orders.TIMEOUT_CARD}),
        ("slow-burn", "42", {"sku": "MUG-1", "card": orders.TIMEOUT_CARD}),
        ("outage", "42", {"sku": "MUG-1"}),
    ],
    ids=["payment times out", "no currency", "timeout as before", "short timeout", "timeouts that rise", "outage"],
)
def test_the_history_has_the_same_traceback_as_the_code(scenario: str, version: str, wish: dict[str, str]) -> None:
    behaviour = load(scenario).of(version)
    code = Code(strict_currency=behaviour.strict_currency, missing_module=behaviour.missing_module)
    with pytest.raises((KeyError, orders.PaymentTimeout, ModuleNotFoundError)) as raised:
        place(Tables(), code, {**ENVIRONMENT, **behaviour.environment}, **wish)
    exception = exception_of(raised.value)
    assert f"{exception.type}: {exception.message}" == behaviour.error
    assert exception.frames == behaviour.frames


def test_an_order_is_read() -> None:
    aws = Tables()
    place(aws, sku="MUG-1", id="TEST-1")
    handle = orders.build(aws, ENVIRONMENT, Code())
    result = handle({"routeKey": "GET /orders/{id}", "pathParameters": {"id": "TEST-1"}}, context())
    assert (result["statusCode"], body(result)["total"]) == (200, 12.5)
    missing = handle({"routeKey": "GET /orders/{id}", "pathParameters": {"id": "nope"}}, context())
    assert (missing["statusCode"], body(missing)["message"]) == (404, "no order nope")


@pytest.mark.parametrize(("code", "way"), [(Code(), "query"), (Code(table_scan=True), "scan")])
def test_a_customers_orders_are_listed(code: Code, way: str) -> None:
    aws = Tables()
    place(aws, sku="MUG-1", id="TEST-1", customer="C-1")
    place(aws, sku="MUG-1", id="TEST-2", customer="C-2")
    handle = orders.build(aws, ENVIRONMENT, code)
    response = handle({"routeKey": "GET /orders", "queryStringParameters": {"customer": "C-1"}}, context())
    assert [item["id"] for item in body(response)["orders"]] == ["TEST-1"]
    assert aws.read[0] == way


def test_a_bare_invocation_returns_the_version() -> None:
    response = orders.build(Tables(), ENVIRONMENT, Code())({"path": "/health"}, context("42"))
    assert body(response) == {"status": "ok", "version": "v42"}


@pytest.mark.parametrize(
    ("event", "status", "fact"),
    [
        ({"routeKey": "GET /health"}, 200, {"status": "ok", "service": "shop"}),
        ({"routeKey": "GET /health/details"}, 200, {"status": "ok", "parts": {"products": "active"}}),
        (
            {"routeKey": "GET /products/{sku}", "pathParameters": {"sku": "MUG-1"}},
            200,
            {"sku": "MUG-1", "price": 12.5, "currency": "EUR"},
        ),
        ({"routeKey": "GET /products/{sku}", "pathParameters": {"sku": "X"}}, 404, {"message": "no product X"}),
        (
            {"routeKey": "GET /partner/prices"},
            200,
            {"prices": {"MUG-1": "12.50", "SHIRT-2": "24.00", "BOOK-3": "19.90"}},
        ),
    ],
    ids=lambda value: value.get("routeKey", "") if isinstance(value, dict) else "",
)
def test_the_catalog(event: dict[str, Any], status: int, fact: dict[str, Any]) -> None:
    response = catalog.build(Tables(), ENVIRONMENT, Code())(event, context())
    assert (response["statusCode"], body(response)) == (status, fact)


def records(*bodies: str, queue: str = "shop-outbox") -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": str(number), "body": text, "eventSourceARN": f"arn:aws:sqs:eu-west-1:1:{queue}"}
            for number, text in enumerate(bodies)
        ]
    }


def message(text: str, name: str = "TEST-1") -> str:
    return json.dumps({"data": {"id": name, "message": text, "type": "TEST"}})


def test_the_inbox_forwards_unchanged() -> None:
    aws = Tables()
    queues.build_inbox(aws, ENVIRONMENT, Code())(records("a", "b"), context())
    assert aws.sent == ["a", "b"]


def test_one_malformed_message_fails_its_batch_after_earlier_ones_were_forwarded() -> None:
    aws = Tables()
    with pytest.raises(queues.MalformedMessageError):
        queues.build_inbox(aws, ENVIRONMENT, Code())(records("good", queues.MALFORMED, "never seen"), context())
    assert aws.sent == ["good"]


def test_the_outbox_records_the_queue_of_a_message_and_the_last_delivery_wins() -> None:
    aws = Tables()
    handle = queues.build_outbox(aws, ENVIRONMENT, Code())
    handle(records(message("hello")), context())
    assert aws.tables["tests"]["TEST-1"]["Queue_Name"] == {"S": "shop-outbox"}
    handle(records(message("hello"), queue="shop-inbox-dlq"), context())
    assert aws.tables["tests"]["TEST-1"] == {
        "id": {"S": "TEST-1"},
        "Message": {"S": "hello"},
        "Queue_Name": {"S": "shop-inbox-dlq"},
    }


@pytest.mark.parametrize("text", ["not json", '{"data": {}}', "{}"])
def test_an_unreadable_outbox_message_raises(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        queues.build_outbox(Tables(), ENVIRONMENT, Code())(records(text), context())
