"""The one door to AWS of a run: every call counted, kept under AWS's rates and the user's limits, and cancellable.

One session per credential set, clients made when first asked for, their models read in a thread, and nothing sent
to an account before it is known to be the one the environment names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self

from prodwatch.aws import paging
from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.cost import Meter
from prodwatch.aws.credentials import (
    Door,
    FixedCredentials,
    assumed,
    door,
    endpoint_for,
    new_session,
    resolve,
    shared_loader,
    without_httpx,
)
from prodwatch.aws.errors import Call, explain, no_credentials, timed_out
from prodwatch.aws.hooks import ATTEMPT, Attempt, Hooks
from prodwatch.aws.identity import Identity, identify
from prodwatch.aws.limiter import Limiter
from prodwatch.aws.once import Once
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, Limits
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason

DEFAULT_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
INVOKE_READ_TIMEOUT_S = 910.0
"""Above the longest a Lambda function may run: an invocation is given up by us, never by the transport."""
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
        self._environment = environment
        self._environ = environ
        self._clock = clock
        self._jitter = jitter
        self.meter = Meter(limits or environment.limits)
        self.limiter = Limiter(clock)
        self._doors: dict[str | None, Door] = {}
        self._sessions: dict[str | None, Once[Any]] = {}
        self._identities: dict[str | None, Once[Identity]] = {}
        self._clients: dict[tuple[str | None, str | None, str], Once[Any]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pending in (*self._sessions.values(), *self._identities.values(), *self._clients.values()):
            pending.cancel()
        await self._stack.aclose()

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what the user should know about how AWS is reached, one sentence each."""
        self._door(None)
        return tuple(dict.fromkeys(notice for each in self._doors.values() for notice in each.notices))

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
        where = self._door(account)
        call = Call(
            service=service,
            operation=operation,
            params=params or {},
            region=region or where.region,
            profile=where.profile,
            endpoint_url=where.endpoint_url,
        )
        budget_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        attempt = Attempt()
        token = ATTEMPT.set(attempt)
        try:
            async with asyncio.timeout(budget_s):
                client = await self.client(service, account=account, region=region)
                return await self._send(client, call, attempts=MAX_ATTEMPTS if retries else 1)
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
        rules = paging.rules(shared_loader(), service, operation)
        while True:
            page = await self.call(service, operation, asked, account=account, region=region, timeout_s=timeout_s)
            yield page
            following = rules.following(page, asked) if rules else None
            if following is None:
                return
            asked = following

    async def client(self, service: str, *, account: str | None = None, region: str | None = None) -> Any:
        """Return the shared client of a service, its account verified."""
        await self._verified(account)
        return await self._client(service, account, region)

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
        try:
            held = await (await self._session(account)).get_credentials()
            return await held.get_frozen_credentials()
        except Exception as exc:
            where = self._door(account)
            call = Call(service="sts", operation="GetCallerIdentity", params={}, profile=where.profile)
            raise explain(exc, call) from exc

    def region_name(self, account: str | None = None) -> str | None:
        """Return the region calls go to, None when neither file, environment nor profile says."""
        where = self._door(account)
        if where.region:
            return where.region
        from botocore.exceptions import BotoCoreError

        try:
            found: str | None = new_session(where, self._environ).get_config_variable("region")
        except BotoCoreError:
            return None
        return found

    def profile_name(self, account: str | None = None) -> str | None:
        """Return the profile in use, None when credentials come from elsewhere."""
        return self._door(account).profile

    def endpoint_url(self, account: str | None = None) -> str | None:
        """Return the endpoint that the environment file sets, None when calls go to AWS itself."""
        return self._door(account).endpoint_url

    def charge(self, operation: str, units: float) -> None:
        """Add billable units no single response tells."""
        self.meter.add(operation, units)

    def usage(self) -> Usage:
        """Return calls, throttles and cost so far."""
        return self.meter.usage()

    async def warm(self, *services: str) -> None:
        """Read the models of `services` in a thread, so that their first call does not block a screen."""
        await asyncio.to_thread(_read_models, services)

    async def _send(self, client: Any, call: Call, *, attempts: int) -> dict[str, Any]:
        from botocore import xform_name

        method = getattr(client, xform_name(call.operation), None)
        if method is None or client.meta.method_to_api_mapping.get(xform_name(call.operation)) != call.operation:
            raise paging.unknown_operation(client, call.service, call.operation)
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
        if self._door(account).account is not None:
            await self.identity(account)

    async def _identify(self, account: str | None) -> Identity:
        where = self._door(account)
        call = Call(
            service="sts",
            operation="GetCallerIdentity",
            params={},
            region=where.region,
            profile=where.profile,
            endpoint_url=where.endpoint_url,
        )
        client = await self._client("sts", account, None)
        answer = await self._send(client, call, attempts=MAX_ATTEMPTS)
        found = identify(answer, self._clock.now())
        if where.account is not None and found.account != where.account:
            raise CannotVerifyError(
                f"the credentials belong to AWS account {found.account}, "
                f"but {'[aws]' if account is None else f'[aws.accounts.{account}]'} names {where.account}; "
                "nothing else was sent: use other credentials or correct the account",
                Reason.WRONG_ACCOUNT,
            )
        return found

    async def _client(self, service: str, account: str | None, region: str | None) -> Any:
        key = (account, region, service)
        if key not in self._clients:
            self._clients[key] = Once(lambda: self._make_client(service, account, region))
        return await self._clients[key].get()

    async def _make_client(self, service: str, account: str | None, region: str | None) -> Any:
        where = self._door(account)
        call = Call(service=service, operation="", params={}, region=region or where.region, profile=where.profile)
        session = await self._session(account)
        try:
            service_id = await asyncio.to_thread(_read_models, (service,))
            endpoint = endpoint_for(where, service_id, self._environ)
            arguments = _client_arguments(service, where, session, region, endpoint)
            client = await self._stack.enter_async_context(session.create_client(service, **arguments))
        except Exception as exc:
            raise explain(exc, call) from exc
        Hooks(
            service=service,
            account=account or "",
            region=client.meta.region_name,
            meter=self.meter,
            limiter=self.limiter,
        ).register(client)
        return client

    async def _session(self, account: str | None) -> Any:
        if account not in self._sessions:
            self._sessions[account] = Once(lambda: self._open_session(account))
        return await self._sessions[account].get()

    async def _open_session(self, account: str | None) -> Any:
        where = self._door(account)
        call = Call(service="sts", operation="GetCallerIdentity", params={}, region=where.region, profile=where.profile)
        try:
            session = await asyncio.to_thread(new_session, where, self._environ)
            # Resolved once, before anybody else can ask: tasks that start together must not race for a refresh.
            found = await resolve(session, where)
            if found is not None and where.role_arn is not None:
                session = await self._assume(session, where, where.role_arn)
        except Exception as exc:
            raise explain(exc, call) from exc
        if found is None:
            raise AwsError(
                no_credentials(where.profile),
                code="NoCredentials",
                reason=Reason.NO_CREDENTIALS,
                service=call.service,
                operation=call.operation,
            )
        return session

    async def _assume(self, lender: Any, where: Door, role_arn: str) -> Any:
        service_id = await asyncio.to_thread(_read_models, ("sts",))
        arguments = _client_arguments("sts", where, lender, None, endpoint_for(where, service_id, self._environ))
        session = await asyncio.to_thread(new_session, where, self._environ, keyless=True)
        session.register_component("credential_provider", FixedCredentials(assumed(lender, role_arn, arguments)))
        return session

    def _door(self, account: str | None) -> Door:
        if account not in self._doors:
            if account is not None and account not in self._environment.accounts:
                known = ", ".join(sorted(self._environment.accounts)) or "none"
                raise AwsError(
                    f'account "{account}" is not in [aws.accounts]; there: {known}',
                    code="UnknownAccount",
                    reason=Reason.UNRESOLVED,
                    service="",
                    operation="",
                )
            self._doors[account] = door(self._environment, self._environ, account)
        return self._doors[account]


def _client_arguments(
    service: str, where: Door, session: Any, region: str | None, endpoint: str | None
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "region_name": region or where.region or session.get_config_variable("region"),
        "config": _config(service, custom_endpoint=endpoint is not None),
    }
    if endpoint is not None:
        arguments["endpoint_url"] = endpoint
    return arguments


def _config(service: str, *, custom_endpoint: bool) -> Any:
    with without_httpx():
        from aiobotocore.config import AioConfig

    return AioConfig(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=INVOKE_READ_TIMEOUT_S if service == "lambda" else READ_TIMEOUT_S,
        max_pool_connections=50,
        # Botocore's own retries are off: they would hide throttles, and could invoke a function twice.
        retries={"mode": "standard", "total_max_attempts": 1},
        inject_host_prefix=not custom_endpoint,
        s3={"addressing_style": "path"} if custom_endpoint else None,
        user_agent_extra="prodwatch",
    )


def _read_models(services: tuple[str, ...]) -> str:
    """Read what making a client of `services` needs, and return the last one's AWS service id. Runs in a thread.

    UnknownServiceError when AWS has no such service.
    """
    from botocore.exceptions import UnknownServiceError

    loader = shared_loader()
    for shared in ("_retry", "endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data_with_path(shared)
    service_id = ""
    for service in services:
        service_id = loader.load_service_model(service, "service-2")["metadata"]["serviceId"]
        loader.load_service_model(service, "endpoint-rule-set-1")
        with suppress(UnknownServiceError):
            loader.load_service_model(service, "paginators-1")
    return service_id


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
