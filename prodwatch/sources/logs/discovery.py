"""Finds the log groups that match a prefix."""

from __future__ import annotations

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.model.environment import LogTarget

_LINES_OF_A_CLASS = {
    "Infrequent Access": "query its lines with CloudWatch Logs Insights (`aws logs start-query`)",
    "Delivery": "its lines are only where AWS delivers them, in S3 or Firehose",
}
"""Class → the place of its lines."""


def is_of_unreadable_class(error: AwsError) -> bool:
    """Return whether FilterLogEvents refused a group because of its class, which never changes."""
    return error.code == "InvalidOperationException" and "class" in error.message.casefold()


def unreadable_class(error: AwsError) -> str:
    """Return the reason and the remedy for a group whose class FilterLogEvents refused."""
    name = "Delivery" if "delivery" in error.message.casefold() else "Infrequent Access"
    return (
        f"FilterLogEvents does not support the class of this log group ({name}); {_LINES_OF_A_CLASS[name]}, or have"
        " the function log to a new group of class Standard, because AWS changes the class of none"
    )


async def discover_groups(aws: AwsApi, target: LogTarget) -> list[str]:
    """Return the names of all groups that begin with the target's prefix (`group` without its `*`); raises AwsError."""
    prefix = target.group.rstrip("*")
    names: list[str] = []
    pages = aws.pages(
        "logs",
        "DescribeLogGroups",
        {"logGroupNamePrefix": prefix} if prefix else {},
        account=target.account,
        region=target.region,
    )
    async for page in pages:
        names += [str(group["logGroupName"]) for group in page.get("logGroups", ())]
    return names
