"""The shop's functions and their load; the released one follows its scenario, the others are steady."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prodwatch.demo.shop.scenario import Behaviour

REGION = "eu-west-1"
ACCOUNT = "123456789012"
API_ID = "shop0api42"
API_STAGE = "Prod"
API_NAME = "shop-api"
ACCESS_GROUP = "/aws/apigateway/shop-access"
WORKER_GROUP = "/shop/worker"
ORDERS = "shop-orders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One kind of request: route, log line and downstream calls."""

    share: float
    """Of the service's requests."""
    route: str
    """`GET /products/{sku}`, or the queue's name."""
    line: str
    """The application's own line, `{number}` and `{code}` filled in."""
    calls: tuple[tuple[str, str, str], ...] = ()
    """Downstream calls: (service, operation, resource)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One function of the shop."""

    name: str
    logs: Literal["text", "json"]
    rate_per_s: float
    behaviour: Behaviour
    operations: tuple[Operation, ...]
    version: str = "7"
    memory_mb: int = 256
    environments: int = 4
    """Number of concurrent execution environments."""
    api: bool = False
    """Whether it is called through the HTTP API rather than by a queue or another function."""

    @property
    def group(self) -> str:
        """The function's log group."""
        return f"/aws/lambda/{self.name}"


def _steady(*latency_ms: tuple[float, float]) -> Behaviour:
    return Behaviour(latency_ms=latency_ms, error_share=0, error="", frames=())


ORDERS_OPERATIONS = (
    Operation(
        share=0.3,
        route="POST /orders",
        line="order placed  id=ORD-{number}  total={code}.90",
        calls=(("DynamoDB", "PutItem", "shop-orders-table"), ("SQS", "SendMessage", "shop-outbox")),
    ),
    Operation(
        share=0.55,
        route="GET /orders/{id}",
        line="order read  id=ORD-{number}",
        calls=(("DynamoDB", "GetItem", "shop-orders-table"),),
    ),
    Operation(
        share=0.15,
        route="GET /orders",
        line="orders listed  customer=C-{code}",
        calls=(("DynamoDB", "Query", "shop-orders-table"),),
    ),
)
"""Placing, reading, listing, in this order."""

OTHERS = (
    Service(
        name="shop-catalog",
        logs="json",
        rate_per_s=3.0,
        behaviour=_steady((0, 4), (0.5, 11), (0.95, 29), (1, 74)),
        api=True,
        version="19",
        operations=(
            Operation(
                share=0.9,
                route="GET /products/{sku}",
                line="product read  sku=SKU-{code}",
                calls=(("DynamoDB", "GetItem", "shop-products"),),
            ),
            Operation(share=0.1, route="GET /health", line="healthy"),
        ),
    ),
    Service(
        name="shop-inbox",
        logs="text",
        rate_per_s=0.8,
        behaviour=_steady((0, 18), (0.5, 31), (0.95, 66), (1, 140)),
        environments=2,
        operations=(
            Operation(
                share=1,
                route="shop-inbox",
                line="forwarded 1 message to shop-outbox",
                calls=(("SQS", "SendMessage", "shop-outbox"),),
            ),
        ),
    ),
    Service(
        name="shop-outbox",
        logs="text",
        rate_per_s=0.8,
        behaviour=_steady((0, 9), (0.5, 16), (0.95, 41), (1, 95)),
        environments=2,
        operations=(Operation(share=1, route="shop-outbox", line="order ORD-{number} handed to the warehouse"),),
    ),
    Service(
        name="shop-payments",
        logs="text",
        rate_per_s=1.0,
        behaviour=_steady((0, 61), (0.5, 103), (0.95, 240), (1, 560)),
        environments=3,
        operations=(Operation(share=1, route="shop-payments", line="payment captured  order=ORD-{number}"),),
    ),
    Service(
        name="shop-mailer",
        logs="json",
        rate_per_s=0.6,
        behaviour=_steady((0, 80), (0.5, 133), (0.95, 301), (1, 640)),
        environments=2,
        operations=(Operation(share=1, route="shop-mailer", line="receipt sent  order=ORD-{number}"),),
    ),
    Service(
        name="shop-stock",
        logs="text",
        rate_per_s=0.5,
        behaviour=_steady((0, 12), (0.5, 20), (0.95, 48), (1, 110)),
        environments=2,
        operations=(
            Operation(
                share=1,
                route="shop-stock",
                line="stock of SKU-{code} is now {code}",
                calls=(("DynamoDB", "UpdateItem", "shop-products"),),
            ),
        ),
    ),
)


def all_services(orders_per_s: float, orders: Behaviour) -> tuple[Service, ...]:
    """Return every function, the released one first."""
    released = Service(
        name=ORDERS,
        logs="json",
        rate_per_s=orders_per_s,
        behaviour=orders,
        operations=ORDERS_OPERATIONS,
        version="",
        memory_mb=512,
        environments=14,
        api=True,
    )
    return (released, *OTHERS)
