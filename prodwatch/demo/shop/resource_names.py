"""Names, ARNs and URLs of the shop's resources."""

from __future__ import annotations

from prodwatch.demo.shop.functions import ACCOUNT, REGION

STACK = "shop-demo"
MOUNT = "/_shop"
"""Path of the HTTP API on the embedded AWS."""

INBOX, OUTBOX = "shop-inbox", "shop-outbox"
INBOX_DLQ, OUTBOX_DLQ = "shop-inbox-dlq", "shop-outbox-dlq"
ORDERS_TABLE, PRODUCTS_TABLE, TEST_TABLE = "shop-orders-table", "shop-products", "shop-test-results"
HEALTH_TOKEN = "/shop/demo/health-token"  # noqa: S105 -- the parameter's name, not its value
PARTNER_SECRET = "shop/demo/partner"  # noqa: S105 -- the secret's name, not its value

APPLICATION = "shop"
DEPLOYMENT_GROUP = "shop-orders-live"
CONFIGURATION_ENVIRONMENT = "demo"
CONFIGURATION_PROFILE = "flags"
ERROR_ALARM = "shop-orders-errors"
SLOW_ALARM = "shop-orders-slow"
QUEUE_ALARM = "shop-dead-letters"
RELEASE_ALARM = "shop-release"


def queue_url(name: str) -> str:
    """Return the URL of a queue."""
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def queue_arn(name: str) -> str:
    """Return a queue's ARN."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
