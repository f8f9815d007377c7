"""The one door to AWS of a run: every call counted, kept under AWS's rates and the user's limits, and cancellable.

Nothing is sent to an account before it is known to be the one the environment names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from prodwatch.aws import pagination
from prodwatch.aws.api import AwsApi, AwsError, RawAnswer
from prodwatch.aws.clients import Connections
from prodwatch.aws.cost import Meter
from prodwatch.aws.credentials import shared_loader
from prodwatch.aws.errors import Call, explain, timed_out
from prodwatch.aws.event_streams import open_stream
from prodwatch.aws.identity import Identity, identify, skew_s
from prodwatch.aws.rate_limiter import Limiter
from prodwatch.aws.request_hooks import ATTEMPT, RAW_BODY, Attempt, Hooks, unparsed
from prodwatch.aws.single_flight import Once
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, Limits
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

DEFAULT_TIMEOUT_S = 30.0
MAX_ATTEMPTS = 4
BACKOFF_S = 0.25
MAX_BACKOFF_S = 8.0
READ_BYTES = 256 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024


class Aws(AwsApi):
    """Budgeted, counted, cancellable calls; use it as `async with Aws(...) as aws`.

    Every failure is an `AwsError`; credentials of another account than the environment names raise
    `CannotVerifyError` (reason `wrong_account`) before anything else is sent.
    """

    def __init__(
        self,
        environment: Environment,
        environ: Mapping[str, str],
        clock: Clock,
        limits: Limits | None = None,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self.meter = Meter(limits or environment.limits)
        self.limiter = Limiter(clock)
        self._connections = Connections(environment, environ, clock, Hooks(self.meter, self.limiter, clock))
        self._identities: dict[str | None, Once[Identity]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pending in self._identities.values():
            pending.cancel()
        await self._connections.close()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what the user should know about how AWS is reached, one sentence each."""
        self._connections.door(None)
        return self._connections.notices

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
        """Call `operation` and return the response; see `AwsApi.call`."""
        call = self._call(service, operation, params or {}, account, region)
        budget_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        attempts = MAX_ATTEMPTS if retries else 1
        attempt = Attempt()
        token = ATTEMPT.set(attempt)
        try:
            async with asyncio.timeout(budget_s):
                try:
                    return await self._send(call, account, region, attempts=attempts)
                except AwsError as error:
                    # Refused before anything was done, so sending it again with new keys is still sending it once.
                    if error.reason is not Reason.EXPIRED_CREDENTIALS or not await self._renewed(account):
                        raise
                return await self._send(call, account, region, attempts=attempts)
        except TimeoutError:
            raise timed_out(call, budget_s, queued=attempt.queued, throttled=attempt.throttled) from None
        finally:
            ATTEMPT.reset(token)

    async def pages(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Iterate over pages, empty ones included; `timeout_s` bounds each page. A throttled page resumes its token."""
        asked = dict(params or {})
        await self.client(service, account=account, region=region)
        rules = pagination.rules(shared_loader(), service, operation)
        while True:
            page = await self.call(service, operation, asked, account=account, region=region, timeout_s=timeout_s)
            yield page
            following = rules.following(page, asked) if rules else None
            if following is None:
                return
            asked = following

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
        """Call an operation and return its body unread; see `AwsApi.raw`."""
        with unparsed(operation):
            answer = await self.call(service, operation, params, account=account, region=region, timeout_s=timeout_s)
        return RawAnswer(answer[RAW_BODY], skew_s(answer, self._clock.now()))

    async def events(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate over an event stream; see `AwsApi.events`."""
        call = self._call(service, operation, params or {}, account, region)
        await self._verified(account)
        client = await self._connections.client(service, account, region, streaming=True)
        stream: Any = None
        try:
            stream = await open_stream(client, call)
            async for event in stream:
                yield event
        except Exception as exc:
            raise explain(exc, call) from exc
        finally:
            if stream is not None:
                stream.close()

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared client of a service, its account verified."""
        await self._verified(account)
        return await self._connections.client(service, account, region)

    async def account_id(self, account: str | None = None) -> str:
        """Return the account behind the credentials."""
        return (await self.identity(account)).account

    async def identity(self, account: str | None = None) -> Identity:
        """Return who the credentials belong to; CannotVerifyError when the environment names another account."""
        if account not in self._identities:
            self._identities[account] = Once(lambda: self._identify(account))
        return await self._identities[account].get()

    async def credentials(self, account: str | None = None) -> Any:
        """Return botocore's frozen credentials, to sign other requests; the account is verified first."""
        await self._verified(account)
        return await self._connections.credentials(account)

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region calls go to, None when neither file, environment nor profile says."""
        return self._connections.region_name(account)

    def profile_name(self, account: str | None = None) -> str | None:
        """Return the profile in use, None when credentials come from elsewhere."""
        return self._connections.door(account).profile

    def endpoint_url(self, account: str | None = None) -> str | None:
        """Return the endpoint that the environment file sets, None when calls go to AWS itself."""
        return self._connections.door(account).endpoint_url

    def charge(self, operation: str, units: float) -> None:
        """Add billable units no single response tells."""
        self.meter.add(operation, units)

    def usage(self) -> Usage:
        """Return calls, throttles and cost so far."""
        return self.meter.usage()

    async def _send(self, call: Call, account: str | None, region: str | None, *, attempts: int) -> dict[str, Any]:
        from botocore import xform_name

        await self._verified_for(call, account)
        client = await self._connections.client(call.service, account, region)
        method = getattr(client, xform_name(call.operation), None)
        if method is None or client.meta.method_to_api_mapping.get(xform_name(call.operation)) != call.operation:
            raise pagination.unknown_operation(client, call.service, call.operation)
        for attempt in range(1, attempts + 1):
            try:
                response: dict[str, Any] = await method(**call.params)
                return await _read_bodies(response, call)
            except Exception as exc:
                error = explain(exc, call)
                if not error.transient or attempt == attempts:
                    raise error from exc
            await self._clock.sleep(self._jitter() * min(MAX_BACKOFF_S, BACKOFF_S * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _verified(self, account: str | None) -> None:
        if self._connections.door(account).account is not None:
            await self.identity(account)

    async def _verified_for(self, call: Call, account: str | None) -> None:
        # The question itself cannot wait for its own answer.
        if call.operation != "GetCallerIdentity":
            await self._verified(account)

    async def _renewed(self, account: str | None) -> bool:
        """Take up credentials somebody renewed; whose they are is then to be verified anew."""
        if not await self._connections.renewed(account):
            return False
        origin = self._connections.origin(account)
        for each in [each for each in self._identities if self._connections.origin(each) == origin]:
            del self._identities[each]
        return True

    async def _identify(self, account: str | None) -> Identity:
        call = self._call("sts", "GetCallerIdentity", {}, account, None)
        answer = await self._send(call, account, None, attempts=MAX_ATTEMPTS)
        found = identify(answer, self._clock.now())
        named = self._connections.door(account).account
        if named is not None and found.account != named:
            raise CannotVerifyError(
                f"the credentials belong to AWS account {found.account}, "
                f"but {'[aws]' if account is None else f'[aws.accounts.{account}]'} names {named}; "
                "nothing else was sent: use other credentials or correct the account",
                Reason.WRONG_ACCOUNT,
            )
        return found

    def _call(
        self, service: str, operation: str, params: Mapping[str, Any], account: str | None, region: str | None
    ) -> Call:
        where = self._connections.door(account)
        return Call(
            service=service,
            operation=operation,
            params=params,
            region=region or where.region,
            profile=where.profile,
            endpoint_url=where.endpoint_url,
            renewal=lambda: self._connections.renewal(account),
        )


async def _read_bodies(response: dict[str, Any], call: Call) -> dict[str, Any]:
    for key, value in response.items():
        if hasattr(value, "read"):
            body = bytearray()
            # One read gives what has arrived, not what was asked for: only an empty one is the end.
            while len(body) <= MAX_BODY_BYTES and (chunk := await value.read(READ_BYTES)):
                body += chunk
            value.close()
            if len(body) > MAX_BODY_BYTES:
                raise AwsError(
                    f"{call} answered more than {MAX_BODY_BYTES // 1024 // 1024} MiB; read it in parts",
                    code="BodyTooLarge",
                    reason=Reason.LIMIT,
                    service=call.service,
                    operation=call.operation,
                )
            response[key] = bytes(body)
    return response
