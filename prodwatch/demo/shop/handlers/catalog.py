"""`shop-catalog`: the price list, and the health of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from prodwatch.demo.shop.handlers import Clients, Code, Context, Event, Handler

_from_dynamodb = TypeDeserializer().deserialize


def build(aws: Clients, environment: Mapping[str, str], _code: Code) -> Handler:
    """Return the function's handler."""
    table = environment["PRODUCTS_TABLE"]

    def handle(event: Event, context: Context) -> dict[str, Any]:
        route = event.get("routeKey", "GET /health")
        if route == "GET /health":
            return _response(200, {"status": "ok", "service": "shop"})
        if route == "GET /health/details":
            status = aws.dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
            return _response(200, {"status": "ok", "parts": {"products": status.lower()}})
        if route == "GET /partner/prices":
            items = aws.dynamodb.scan(TableName=table)["Items"]
            prices = {item["sku"]["S"]: item["price"]["N"] for item in items}
            context.log.info("price list read  products=%d", len(prices))
            return _response(200, {"prices": prices})
        sku = event["pathParameters"]["sku"]
        item = aws.dynamodb.get_item(TableName=table, Key={"sku": {"S": sku}}).get("Item")
        if item is None:
            context.log.info("product not found  sku=%s", sku)
            return _response(404, {"message": f"no product {sku}"})
        context.log.info("product read  sku=%s", sku)
        product = {name: _from_dynamodb(value) for name, value in item.items()}
        return _response(200, {**product, "price": float(product["price"])})

    return handle


def _response(status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(document)}
