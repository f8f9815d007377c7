"""The door to AWS that sources and probes use; what stands behind it is their own business."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prodwatch.model.result import Usage
from prodwatch.model.status import Reason


class AwsError(Exception):
    """A call that gave no answer to judge: AWS's code, our reason, one sentence."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        reason: Reason,
        service: str,
        operation: str,
        status: int | None = None,
        request_id: str | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        """One sentence: what happened, for which resource, what to do; names the IAM action when denied."""
        self.code = code
        """`AccessDeniedException`, `ThrottlingException`, `ResourceNotFoundException` …"""
        self.reason = reason
        self.service = service
        self.operation = operation
        self.status = status
        """HTTP status, None when no answer came."""
        self.request_id = request_id
        self.transient = transient


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer nobody has parsed."""

    body: bytes
    """The body as AWS sent it."""
    skew_s: float | None = None
    """This machine's clock minus AWS's, in seconds, to about a second; None when AWS did not say its time."""


class AwsApi(Protocol):
    """Budgeted, counted, cancellable calls; every failure is an `AwsError`."""

    async def call(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
        retries: bool = True,
    ) -> dict[str, Any]:
        """Call `operation` (AWS's own name, `GetItem`) and return the response with `ResponseMetadata`.

        Streaming bodies come back read, as bytes. `account` is an alias from `[aws.accounts]`.
        `retries=False` for anything that must be sent exactly once.
        """
        ...

    def pages(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the pages of a paginated operation, empty ones included."""
        ...

    async def raw(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
    ) -> RawAnswer:
        """Call an operation that answers JSON and return its body unread, for pages of thousands of items.

        Everything else, errors included, is as with `call`.
        """
        ...

    def events(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate over the events of an event stream until AWS ends it; a break of it is an `AwsError`.

        The stream lives on a connection pool of its own and is closed with the generator, so close that
        (`contextlib.aclosing`). Silence of 15 s is a break.
        """
        ...

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared aiobotocore client, for what `call` cannot do (event streams, raw pages)."""
        ...

    async def credentials(self, account: str | None = None) -> Any:
        """Return botocore's frozen credentials (`access_key secret_key token`), to sign other requests.

        AwsError when there are none or they have expired.
        """
        ...

    async def account_id(self, account: str | None = None) -> str:
        """Return the account the credentials belong to; refused when the environment names another."""
        ...

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region calls go to, None when none is configured."""
        ...

    def charge(self, operation: str, units: float) -> None:
        """Add billable units no single response tells: `charge("logs:StartLiveTail", 1.5)` minutes."""
        ...

    def usage(self) -> Usage:
        """Return calls, throttles and cost so far."""
        ...
