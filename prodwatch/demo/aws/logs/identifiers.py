"""Names and ARNs of log groups, and the errors for missing groups and streams."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import ServiceError


def group_name(identifier: str) -> str:
    """Return the name inside a log group ARN (with or without `:*`), or the name itself."""
    if identifier.startswith("arn:"):
        return identifier.split(":log-group:", 1)[-1].removesuffix(":*")
    return identifier


def group_arn(region: str, account: str, name: str) -> str:
    """Return the ARN without `:*`, the form that StartLiveTail needs."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


def missing_group() -> ServiceError:
    """Return the error for a group that does not exist."""
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def missing_stream() -> ServiceError:
    """Return the error for a stream that does not exist."""
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
