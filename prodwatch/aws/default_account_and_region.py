"""An AWS session with a default account and region."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

from prodwatch.aws.interface import AwsApi, RawAnswer
from prodwatch.model.identity import Place
from prodwatch.model.result import Usage


class ScopedAws(AwsApi):
    """Sends calls to `account` and `region` unless a call names others."""

    def __init__(self, aws: AwsApi, account: str | None, region: str | None) -> None:
        self._aws = aws
        self._account = account
        self._region = region

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
        """Call an operation; see `AwsApi.call`."""
        return await self._aws.call(
            service,
            operation,
            params,
            account=account or self._account,
            region=region or self._region,
            timeout_s=timeout_s,
            retries=retries,
        )

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
        """Yield each page; see `AwsApi.pages`."""
        return self._aws.pages(
            service,
            operation,
            params,
            account=account or self._account,
            region=region or self._region,
            timeout_s=timeout_s,
        )

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
        """Call an operation and return its body unparsed; see `AwsApi.raw`."""
        return await self._aws.raw(
            service,
            operation,
            params,
            account=account or self._account,
            region=region or self._region,
            timeout_s=timeout_s,
        )

    def events(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of an event stream; see `AwsApi.events`."""
        return self._aws.events(
            service, operation, params, account=account or self._account, region=region or self._region
        )

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared client; see `AwsApi.client`."""
        return await self._aws.client(service, account=account or self._account, region=region or self._region)

    async def credentials(self, account: str | None = None, *, renew: bool = False) -> Any:
        """Return frozen credentials; see `AwsApi.credentials`."""
        return await self._aws.credentials(account or self._account, renew=renew)

    async def account_id(self, account: str | None = None) -> str:
        """Return the account number of the credentials."""
        return await self._aws.account_id(account or self._account)

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region of calls; None when none is configured."""
        return self._region or self._aws.region_name(account or self._account)

    def charge(self, operation: str, units: float) -> None:
        """Add billable units that no response reports; see `AwsApi.charge`."""
        self._aws.charge(operation, units)

    def usage(self) -> Usage:
        """Return call counts, throttles and cost so far, over all accounts."""
        return self._aws.usage()


def in_place(aws: AwsApi, place: Place) -> AwsApi:
    """Return the session with the account and region of `place` as its defaults."""
    return ScopedAws(aws, place.account or None, place.region or None) if place else aws
