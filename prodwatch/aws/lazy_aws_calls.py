"""A proxy that creates the AWS session on first use, because a run without AWS needs none of its modules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from prodwatch.aws.interface import AwsApi, RawAnswer
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.result import Usage

if TYPE_CHECKING:
    from prodwatch.aws.aws_calls import Aws


class LazyAws(AwsApi):
    """`Aws(environment, environ, clock)`, created by the first call; use it as `async with LazyAws(...) as aws`."""

    def __init__(self, environment: Environment, environ: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._environ = environ
        self._clock = clock
        self._session: Aws | None = None
        self._loaded: frozenset[str] = frozenset()
        """Services whose models are in memory."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.__aexit__(kind, exc, trace)

    def session(self) -> Aws:
        """Return the session, created now if no call has needed it yet."""
        if self._session is None:
            from prodwatch.aws.aws_calls import Aws

            self._session = Aws(self._environment, self._environ, self._clock)
        return self._session

    async def load(self, services: Iterable[str]) -> None:
        """Load modules and models in a thread; see `AwsApi.load`."""
        missing = frozenset(services) - self._loaded
        if missing:
            await asyncio.to_thread(_load, missing)
            self._loaded |= missing

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
        return await self.session().call(
            service, operation, params, account=account, region=region, timeout_s=timeout_s, retries=retries
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
        return self.session().pages(service, operation, params, account=account, region=region, timeout_s=timeout_s)

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
        return await self.session().raw(service, operation, params, account=account, region=region, timeout_s=timeout_s)

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
        return self.session().events(service, operation, params, account=account, region=region)

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared client of a service; see `AwsApi.client`."""
        return await self.session().client(service, account=account, region=region)

    async def credentials(self, account: str | None = None, *, renew: bool = False) -> Any:
        """Return frozen credentials; see `AwsApi.credentials`."""
        return await self.session().credentials(account, renew=renew)

    async def account_id(self, account: str | None = None) -> str:
        """Return the account number of the credentials; see `AwsApi.account_id`."""
        return await self.session().account_id(account)

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region of calls; None when none is configured."""
        return self.session().region_name(account)

    def charge(self, operation: str, units: float) -> None:
        """Add billable units that no single response reports."""
        self.session().charge(operation, units)

    def usage(self) -> Usage:
        """Return calls, throttles and cost so far; zeros before the first call, without creating the session."""
        return Usage() if self._session is None else self._session.usage()


def _load(services: Iterable[str]) -> None:
    from botocore.exceptions import BotoCoreError

    from prodwatch.aws.clients import load_modules, read_models

    load_modules()
    for service in services:
        # What is wrong with the name of a service is for the call to say.
        with suppress(BotoCoreError):
            read_models((service,))
