"""`shop-orders`: places, reads and lists orders behind the HTTP API."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from prodwatch.demo.shop.handlers import Clients, Code, Context, Event, Handler

_from_dynamodb = TypeDeserializer().deserialize
_to_dynamodb = TypeSerializer().serialize
_DAY_S = 86400
TIMEOUT_CARD = "TEST-TIMEOUT"


class PaymentTimeout(Exception):  # noqa: N818 -- the name its users know from the logs
    """The payment provider took too long."""


class Orders:
    """One execution environment of the function."""

    def __init__(self, aws: Clients, environment: Mapping[str, str], code: Code) -> None:
        self._aws = aws
        self._orders = environment["ORDERS_TABLE"]
        self._products = environment["PRODUCTS_TABLE"]
        self._outbox = environment["OUTBOX_URL"]
        self._code = code

    def handle(self, event: Event, context: Context) -> dict[str, Any]:
        """Answer one request of the HTTP API, or one invocation with a bare `path`."""
        route = event.get("routeKey", f"GET {event.get('path', '/health')}")
        routes = {"POST /orders": self.place, "GET /orders/{id}": self.read, "GET /orders": self.list}
        if route == "GET /health":
            return _answer(context, 200, {"status": "ok", "version": f"v{context.function_version}"})
        return routes[route](event, context)

    def read(self, event: Event, context: Context) -> dict[str, Any]:
        """Answer with one order, 404 when there is none."""
        identifier = event["pathParameters"]["id"]
        order = self._get(self._orders, {"id": identifier})
        if order is None:
            context.log.info("order not found  id=%s", identifier)
            return _answer(context, 404, {"message": f"no order {identifier}"})
        context.log.info("order read  id=%s", identifier)
        return _answer(context, 200, order)

    def list(self, event: Event, context: Context) -> dict[str, Any]:
        """Answer with a customer's orders."""
        customer = event.get("queryStringParameters", {}).get("customer", "")
        began = time.monotonic()
        match = {":customer": _to_dynamodb(customer)}
        if self._code.table_scan:
            found = self._aws.dynamodb.scan(
                TableName=self._orders, FilterExpression="customer = :customer", ExpressionAttributeValues=match
            )
        else:
            found = self._aws.dynamodb.query(
                TableName=self._orders,
                IndexName="by-customer",
                KeyConditionExpression="customer = :customer",
                ExpressionAttributeValues=match,
            )
        took_ms = (time.monotonic() - began) * 1000
        if took_ms >= 1000:
            context.log.warning("slow query %.0f ms table orders", took_ms)
        context.log.info("orders listed  customer=%s", customer)
        return _answer(context, 200, {"customer": customer, "orders": [_plain(item) for item in found["Items"]]})

    def pay(self, wish: Mapping[str, Any]) -> None:
        """Charge the card; the provider never answers for its test card of that name."""
        if wish.get("card") == TIMEOUT_CARD:
            raise PaymentTimeout("the payment provider did not answer in 800 ms")

    def place(self, event: Event, context: Context) -> dict[str, Any]:
        """Store an order, announce it to the outbox and answer 201."""
        wish = json.loads(event.get("body") or "{}")
        product = self._get(self._products, {"sku": wish.get("sku", "")})
        if product is None:
            return _answer(context, 422, {"message": f"no product {wish.get('sku', '')}"})
        if not self._code.strict_currency:
            product.setdefault("currency", "EUR")
        currency = product["currency"]
        self.pay(wish)
        quantity = int(wish.get("quantity", 1))
        order = {
            "id": wish.get("id") or f"ORD-{context.aws_request_id[:8]}",
            "customer": wish.get("customer", "C-GUEST"),
            "sku": wish["sku"],
            "quantity": quantity,
            "total": product["price"] * quantity,
            "currency": currency,
            "expires": int(time.time()) + _DAY_S,
        }
        item = {name: _to_dynamodb(value) for name, value in order.items()}
        self._aws.dynamodb.put_item(TableName=self._orders, Item=item)
        self._aws.sqs.send_message(QueueUrl=self._outbox, MessageBody=_json({"data": {**order, "type": "ORDER"}}))
        context.log.info("order placed  id=%s  total=%s", order["id"], order["total"])
        return _answer(context, 201, order)

    def _get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        answer = self._aws.dynamodb.get_item(
            TableName=table, Key={name: _to_dynamodb(value) for name, value in key.items()}
        )
        return _plain(answer["Item"]) if "Item" in answer else None


def build(aws: Clients, environment: Mapping[str, str], code: Code) -> Handler:
    """Return the function's handler."""
    return Orders(aws, environment, code).handle


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _from_dynamodb(value) for name, value in item.items()}


def _json(document: Any) -> str:
    return json.dumps(document, default=_number)


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def _answer(context: Context, status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "x-version": f"v{context.function_version}"},
        "body": _json(document),
    }
