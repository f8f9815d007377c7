"""The interface through which sources and probes call AWS, and its error type."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prodwatch.model.result import Usage
from prodwatch.model.status import Reason


class AwsError(Exception):
    """A failed AWS call: AWS's error code, prodwatch's reason and a message for the user."""

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
        """One sentence: what happened, to which resource, and what to do. Names the IAM action when access was denied.
        """
        self.code = code
        """AWS's error code (`ThrottlingException`), else the SDK exception's class name."""
        self.reason = reason
        self.service = service
        self.operation = operation
        self.status = status
        """HTTP status; None when no response came."""
        self.request_id = request_id
        self.transient = transient


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An unparsed response."""

    body: bytes
    """Response body exactly as AWS sent it."""
    skew_s: float | None = None
    """Local clock minus AWS's clock in seconds, accurate to about a second; None without a `Date` header."""


class AwsApi(Protocol):
    """Rate-limited, counted and cancellable AWS calls. Every failure raises `AwsError`."""

    async def load(self, services: Iterable[str]) -> None:
        """Load the modules and models that calls of `services` need, so that nothing is measured meanwhile.

        Sessions that need none, such as scripted ones, do nothing.
        """
        del services

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
        """Call `operation` (AWS's name, such as `GetItem`) and return the parsed response with `ResponseMetadata`.

        Streaming bodies are read completely and returned as bytes. `account` is an alias from `[aws.accounts]`; None
        means the environment's own account. `timeout_s` covers retries and starts when the request leaves: waits in
        this process have a limit of their own. Pass `retries=False` for a request that must be sent at most once.
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
        """Yield each page of a paginated operation, including empty pages. `timeout_s` applies to each page."""
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
        """Call an operation with a JSON response and return its body unparsed, for pages with thousands of items.

        Errors, limits and retries are the same as for `call`.
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
        """Yield the events of an event stream until AWS ends it.

        A dropped connection or 15 s of silence raises `AwsError`. The stream has its own connection pool; closing the
        generator closes the stream, so wrap it in `contextlib.aclosing`.
        """
        ...

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared aiobotocore client, for requests that `call` does not support."""
        ...

    async def credentials(self, account: str | None = None, *, renew: bool = False) -> Any:
        """Return botocore's frozen credentials (`access_key`, `secret_key`, `token`) for signing other requests.

        With `renew`, look for new ones first, because the current ones were refused as expired.
        Raises `AwsError` when credentials are missing or expired.
        """
        ...

    async def account_id(self, account: str | None = None) -> str:
        """Return the account number of the credentials; raises when the environment file names a different account."""
        ...

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region of calls; None when none is configured."""
        ...

    def charge(self, operation: str, units: float) -> None:
        """Add billable units that no response reports: `charge("logs:StartLiveTail", 1.5)` for 1.5 minutes."""
        ...

    def usage(self) -> Usage:
        """Return call counts, throttles and cost of the run so far."""
        ...
