"""Sessions and clients: one session per credential set, clients made when first asked for, nothing slow on the loop.

Credentials that somebody renewed meanwhile (a new `aws sso login`, new keys in the shared file) are taken up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from prodwatch.aws.api import AwsError
from prodwatch.aws.credential_renewal import renewal
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
from prodwatch.aws.errors import Call, explain, no_credentials
from prodwatch.aws.event_streams import SILENCE_S
from prodwatch.aws.request_hooks import Hooks
from prodwatch.aws.single_flight import Once
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.status import Reason

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
INVOKE_READ_TIMEOUT_S = 910.0
"""Above the longest a Lambda function may run: an invocation is given up by us, never by the transport."""
LOOK_AGAIN_S = 5.0
"""How long after a look for renewed credentials the next one is worth it."""

T = TypeVar("T")
Keys = tuple[str, str | None]
"""Access key and session token: what tells one set of credentials from another."""
Origin = tuple[object, ...]
"""Where a set of credentials comes from; accounts that share it share a session."""


class Connections:
    """Every session and client of a run."""

    def __init__(self, environment: Environment, environ: Mapping[str, str], clock: Clock, hooks: Hooks) -> None:
        self._environment = environment
        self._environ = environ
        self._clock = clock
        self._hooks = hooks
        self._doors: dict[str | None, Door] = {}
        self._sessions: dict[Origin, Once[Any]] = {}
        self._clients: dict[tuple[str | None, str | None, str, bool], Once[Any]] = {}
        self._keys: dict[Origin, Keys] = {}
        self._looked_s: dict[Origin, float] = {}
        self._stack = AsyncExitStack()
        # One thread, however many clients are wanted at once: several that parse at the same time, and even the
        # starting of each, keep the event loop from its turn for a tenth of a second.
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="aws-models")

    async def close(self) -> None:
        """Close every client; whoever still waits for one is cancelled."""
        for pending in (*self._sessions.values(), *self._clients.values()):
            pending.cancel()
        await self._stack.aclose()
        self._aside.shutdown(wait=False, cancel_futures=True)

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what the user should know about the accounts spoken to so far."""
        return tuple(dict.fromkeys(notice for each in self._doors.values() for notice in each.notices))

    def door(self, account: str | None) -> Door:
        """Return how an account is reached; AwsError (reason `unresolved`) for an unknown alias."""
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

    def region_name(self, account: str | None) -> str | None:
        """Return the region of an account's file, environment or profile; None when none says."""
        where = self.door(account)
        if where.region:
            return where.region
        from botocore.exceptions import BotoCoreError

        try:
            found: str | None = new_session(where, self._environ).get_config_variable("region")
        except BotoCoreError:
            return None
        return found

    async def client(self, service: str, account: str | None, region: str | None, *, streaming: bool = False) -> Any:
        """Return the shared client; AwsError when there are no credentials or no such service.

        A stream holds a connection for its lifetime, so streams have a client with a pool of their own.
        """
        key = (account, region, service, streaming)
        if key not in self._clients:
            self._clients[key] = Once(lambda: self._make_client(service, account, region, streaming=streaming))
        return await self._clients[key].get()

    async def credentials(self, account: str | None) -> Any:
        """Return the frozen credentials of an account, renewed when they were due."""
        try:
            held = await (await self._session(account)).get_credentials()
            return await held.get_frozen_credentials()
        except Exception as exc:
            raise explain(exc, self._call(account)) from exc

    def renewal(self, account: str | None) -> str:
        """Return what renews an account's credentials, as the end of a sentence."""
        return renewal(self.door(account), self._environ)

    async def renewed(self, account: str | None) -> bool:
        """Look for new credentials after the old ones expired; True when there are some, taken up from now on."""
        where, origin = self.door(account), self.origin(account)
        now_s = self._clock.monotonic_s()
        if where.keys is not None or now_s - self._looked_s.get(origin, float("-inf")) < LOOK_AGAIN_S:
            # The environment variables of a running process do not change.
            return False
        self._looked_s[origin] = now_s
        try:
            session = await self._off_loop(partial(new_session, where, self._environ))
            keys = await _keys_of(await resolve(session, where))
        except Exception:  # noqa: BLE001 -- still expired: the call's own error says so
            return False
        if keys is None or keys == self._keys.get(origin):
            return False
        # The clients at work keep the old keys until they are closed with the rest.
        self._sessions.pop(origin, None)
        for key in [key for key in self._clients if self.origin(key[0]) == origin]:
            del self._clients[key]
        return True

    def origin(self, account: str | None) -> Origin:
        """Return where an account's credentials come from."""
        where = self.door(account)
        return (where.profile, where.role_arn, where.keys, where.loopback)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    async def _make_client(self, service: str, account: str | None, region: str | None, *, streaming: bool) -> Any:
        session = await self._session(account)
        where = self.door(account)
        try:
            service_id = await self._off_loop(partial(read_models, (service,)))
            endpoint = endpoint_for(where, service_id, self._environ)
            arguments = _client_arguments(service, where, session, region, endpoint, streaming=streaming)
            client = await self._stack.enter_async_context(session.create_client(service, **arguments))
        except Exception as exc:
            call = replace(self._call(account), service=service, operation="", region=region or where.region)
            raise explain(exc, call) from exc
        # Quotas belong to AWS's account, under whatever names the files speak of it.
        self._hooks.register(client, service=service, account=where.account or account or "")
        return client

    async def _session(self, account: str | None) -> Any:
        origin = self.origin(account)
        if origin not in self._sessions:
            self._sessions[origin] = Once(lambda: self._open_session(account))
        return await self._sessions[origin].get()

    async def _open_session(self, account: str | None) -> Any:
        where = self.door(account)
        call = self._call(account)
        try:
            session = await self._off_loop(partial(new_session, where, self._environ))
            # Resolved once, before anybody else can ask: tasks that start together must not race for a refresh.
            found = await resolve(session, where)
            keys = await _keys_of(found)
            if found is not None and where.role_arn is not None:
                session = await self._assume(session, where, where.role_arn)
        except Exception as exc:
            raise explain(exc, call) from exc
        if keys is None:
            raise AwsError(
                no_credentials(where.profile),
                code="NoCredentials",
                reason=Reason.NO_CREDENTIALS,
                service=call.service,
                operation=call.operation,
            )
        self._keys[self.origin(account)] = keys
        return session

    async def _assume(self, lender: Any, where: Door, role_arn: str) -> Any:
        service_id = await self._off_loop(partial(read_models, ("sts",)))
        arguments = _client_arguments("sts", where, lender, None, endpoint_for(where, service_id, self._environ))
        session = await self._off_loop(partial(new_session, where, self._environ, keyless=True))
        session.register_component("credential_provider", FixedCredentials(assumed(lender, role_arn, arguments)))
        return session

    def _call(self, account: str | None) -> Call:
        where = self.door(account)
        return Call(
            service="sts",
            operation="GetCallerIdentity",
            params={},
            region=where.region,
            profile=where.profile,
            renewal=lambda: self.renewal(account),
        )


def read_models(services: tuple[str, ...]) -> str:
    """Read what making a client of `services` needs, and return the last one's AWS service id. Runs in a thread.

    UnknownServiceError when AWS has no such service.
    """
    from botocore import xform_name
    from botocore.exceptions import UnknownServiceError

    loader = shared_loader()
    for shared in ("_retry", "endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data_with_path(shared)
    service_id = ""
    for service in services:
        model = loader.load_service_model(service, "service-2")
        service_id = model["metadata"]["serviceId"]
        for operation in model["operations"]:
            xform_name(operation)  # botocore remembers the names it gives its methods: a third of a client's making
        loader.load_service_model(service, "endpoint-rule-set-1")
        with suppress(UnknownServiceError):
            loader.load_service_model(service, "paginators-1")
    return service_id


async def _keys_of(credentials: Any | None) -> Keys | None:
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return frozen.access_key, frozen.token


def _client_arguments(
    service: str, where: Door, session: Any, region: str | None, endpoint: str | None, *, streaming: bool = False
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "region_name": region or where.region or session.get_config_variable("region"),
        "config": _config(_read_timeout_s(service, streaming=streaming), custom_endpoint=endpoint is not None),
    }
    if endpoint is not None:
        arguments["endpoint_url"] = endpoint
    return arguments


def _read_timeout_s(service: str, *, streaming: bool) -> float:
    if streaming:
        return SILENCE_S
    return INVOKE_READ_TIMEOUT_S if service == "lambda" else READ_TIMEOUT_S


def _config(read_timeout_s: float, *, custom_endpoint: bool) -> Any:
    with without_httpx():
        from aiobotocore.config import AioConfig

    return AioConfig(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        max_pool_connections=50,
        # Botocore's own retries are off: they would hide throttles, and could invoke a function twice.
        retries={"mode": "standard", "total_max_attempts": 1},
        inject_host_prefix=not custom_endpoint,
        s3={"addressing_style": "path"} if custom_endpoint else None,
        user_agent_extra="prodwatch",
    )
