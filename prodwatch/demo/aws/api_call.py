"""Types between the protocols and a service: the decoded call, the handler's output, the AWS error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = dict[str, Any]
"""Parameters or output of an operation, by the member names of AWS's own model.

Timestamps are float epoch seconds, blobs are bytes, in every protocol.
"""


class ServiceError(Exception):
    """An AWS error that an operation returns, in any protocol; not a failure of the embedded AWS itself."""

    def __init__(self, code: str, message: str, *, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})
        """Further members of the modelled error."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A body already in the protocol's own form, for the operations where generic encoding would be too slow."""

    body: bytes


class Forward(Enum):
    """Output of a handler that leaves the call to moto."""

    TO_MOTO = "to moto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Faults that the handler itself applies."""

    empty_page: bool = False
    short_page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call, decoded."""

    service: str
    """boto3's name: `logs`, `cloudwatch`, `xray` …"""
    operation: str
    params: Document
    region: str
    account: str
    now_s: float
    """Wall time at which it arrived."""
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)


Output = Mapping[str, Any] | Raw | Forward
Handler = Callable[[ApiCall], Output]
"""Runs in a worker thread."""
AsyncHandler = Callable[[ApiCall], Awaitable[Output]]
"""Runs on the event loop."""
Patch = Callable[[ApiCall, Document], Document]
"""Completes moto's successful response."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Operations that one service implements or completes."""

    service: str
    sync: Mapping[str, Handler] = field(default_factory=dict)
    on_loop: Mapping[str, AsyncHandler] = field(default_factory=dict)
    patches: Mapping[str, Patch] = field(default_factory=dict)
