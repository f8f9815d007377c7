"""Finds the log groups that match a prefix."""

from __future__ import annotations

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.model.environment import LogTarget

UNREADABLE_CLASS = (
    "FilterLogEvents does not support the class of this log group (Infrequent Access or Delivery); its lines can be"
    " read in CloudWatch Logs Insights"
)


def is_of_unreadable_class(error: AwsError) -> bool:
    """Return whether FilterLogEvents refused a group because of its class, which never changes."""
    return error.code == "InvalidOperationException" and "class" in error.message.casefold()


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
