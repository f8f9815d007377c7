"""The shop's Lambda handlers: ordinary boto3 code that gets clients and environment variables from the runtime."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Lambda's context object, as far as the shop reads it."""

    function_name: str
    function_version: str
    aws_request_id: str
    log: logging.Logger
    """Writes into the invocation's own log stream."""


Handler = Callable[[Event, Context], Any]


class Clients(Protocol):
    """boto3 clients of a handler module."""

    @property
    def dynamodb(self) -> Any:
        """The DynamoDB client."""
        ...

    @property
    def sqs(self) -> Any:
        """The SQS client."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Differences between the versions' code."""

    table_scan: bool = False
    """Lists orders by reading the whole table instead of its index."""
    strict_currency: bool = False
    """Requires a currency on every product."""
    missing_module: str = ""
    """A module that the deployment package lacks; empty: none."""


Build = Callable[[Clients, Mapping[str, str], Code], Handler]
"""Runs once per execution environment, as a module's top level does."""
