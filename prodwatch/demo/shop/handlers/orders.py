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


class PaymentTimeout(Exception):  # noqa: N818 -- the name in the logs
    """The payment provider took too long."""


class Orders:
    """One execution environment of the function."""

    def __init__(self, aws: Clients, environment: Mapping[str, str], code: Code) -> None:
        self._aws = aws
        self._orders = environment["ORDERS_TABLE"]
        self._products = environment["PRODUCTS_TABLE"]
        self._outbox = environment["OUTBOX_URL"]
        self._payment_timeout_ms = environment.get("PAYMENT_TIMEOUT_MS", "800")
        self._code = code

    def handle(self, event: Event, context: Context) -> dict[str, Any]:
        """Handle one request of the HTTP API, or one invocation with only a `path`."""
        if self._code.missing_module:
            raise ModuleNotFoundError(f"No module named '{self._code.missing_module}'")
        route = event.get("routeKey", f"GET {event.get('path', '/health')}")
        routes = {"POST /orders": self.place, "GET /orders/{id}": self.read, "GET /orders": self.list}
        if route == "GET /health":
            return _response(context, 200, {"status": "ok", "version": f"v{context.function_version}"})
        return routes[route](event, context)

    def read(self, event: Event, context: Context) -> dict[str, Any]:
        """Respond with one order, 404 when it does not exist."""
        identifier = event["pathParameters"]["id"]
        order = self._get(self._orders, {"id": identifier})
        if order is None:
            context.log.info("order not found  id=%s", identifier)
            return _response(context, 404, {"message": f"no order {identifier}"})
        context.log.info("order read  id=%s", identifier)
        return _response(context, 200, order)

    def list(self, event: Event, context: Context) -> dict[str, Any]:
        """Respond with a customer's orders."""
        customer = event.get("queryStringParameters", {}).get("customer", "")
        began = time.monotonic()
        match = {":customer": _to_dynamodb(customer)}
        if self._code.table_scan:
            result = self._aws.dynamodb.scan(
                TableName=self._orders, FilterExpression="customer = :customer", ExpressionAttributeValues=match
            )
        else:
            result = self._aws.dynamodb.query(
                TableName=self._orders,
                IndexName="by-customer",
                KeyConditionExpression="customer = :customer",
                ExpressionAttributeValues=match,
            )
        took_ms = (time.monotonic() - began) * 1000
        if took_ms >= 1000:
            context.log.warning("slow query %.0f ms table orders", took_ms)
        context.log.info("orders listed  customer=%s", customer)
        return _response(context, 200, {"customer": customer, "orders": [_plain(item) for item in result["Items"]]})

    def pay(self, order_request: Mapping[str, Any]) -> None:
        """Charge the card; with the test card the provider never responds."""
        if order_request.get("card") == TIMEOUT_CARD:
            raise PaymentTimeout(f"the payment provider did not answer in {self._payment_timeout_ms} ms")

    def place(self, event: Event, context: Context) -> dict[str, Any]:
        """Store an order, send it to the outbox and respond with 201."""
        order_request = json.loads(event.get("body") or "{}")
        product = self._get(self._products, {"sku": order_request.get("sku", "")})
        if product is None:
            return _response(context, 422, {"message": f"no product {order_request.get('sku', '')}"})
        if not self._code.strict_currency:
            product.setdefault("currency", "EUR")
        currency = product["currency"]
        self.pay(order_request)
        quantity = int(order_request.get("quantity", 1))
        order = {
            "id": order_request.get("id") or f"ORD-{context.aws_request_id[:8]}",
            "customer": order_request.get("customer", "C-GUEST"),
            "sku": order_request["sku"],
            "quantity": quantity,
            "total": product["price"] * quantity,
            "currency": currency,
            "expires": int(time.time()) + _DAY_S,
        }
        item = {name: _to_dynamodb(value) for name, value in order.items()}
        self._aws.dynamodb.put_item(TableName=self._orders, Item=item)
        self._aws.sqs.send_message(QueueUrl=self._outbox, MessageBody=_json({"data": {**order, "type": "ORDER"}}))
        context.log.info("order placed  id=%s  total=%s", order["id"], order["total"])
        return _response(context, 201, order)

    def _get(self, table: str, key: Mapping[str, str]) -> dict[str, Any] | None:
        result = self._aws.dynamodb.get_item(
            TableName=table, Key={name: _to_dynamodb(value) for name, value in key.items()}
        )
        return _plain(result["Item"]) if "Item" in result else None


def build(aws: Clients, environment: Mapping[str, str], code: Code) -> Handler:
    """Return the function's handler."""
    return Orders(aws, environment, code).handle


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _from_dynamodb(value) for name, value in item.items()}


def _json(document: Any) -> str:
    return json.dumps(document, default=_number)


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


def _response(context: Context, status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "x-version": f"v{context.function_version}"},
        "body": _json(document),
    }
