"""Names and ARNs of log groups, and what is answered when they do not exist."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import AwsFault


def group_name(identifier: str) -> str:
    """Return the name inside a log group ARN (with or without `:*`), or the name itself."""
    if identifier.startswith("arn:"):
        return identifier.split(":log-group:", 1)[-1].removesuffix(":*")
    return identifier


def group_arn(region: str, account: str, name: str) -> str:
    """Return the ARN without `:*`, the form StartLiveTail wants."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


def missing_group() -> AwsFault:
    """Return the answer for a group that does not exist."""
    return AwsFault("ResourceNotFoundException", "The specified log group does not exist.")


def missing_stream() -> AwsFault:
    """Return the answer for a stream that does not exist."""
    return AwsFault("ResourceNotFoundException", "The specified log stream does not exist.")
