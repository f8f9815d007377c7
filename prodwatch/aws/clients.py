"""Creates and caches SDK sessions and clients, and loads renewed credentials.

One session per set of credentials; clients are created on first use. Blocking work runs in a thread. New credentials
(after `aws sso login`, or new keys in the shared file) are loaded when the old ones have expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from prodwatch.aws.credentials import (
    AccountConfig,
    StaticCredentialProvider,
    account_config,
    assume_role_credentials,
    endpoint_for,
    new_session,
    renewal_hint,
    resolve,
    shared_loader,
    without_httpx,
)
from prodwatch.aws.interface import AwsError
from prodwatch.aws.request_hooks import RequestHooks
from prodwatch.aws.sdk_errors import Call, credential_error, explain, no_credentials, overdue_credentials
from prodwatch.aws.single_flight import SingleFlight
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.status import Reason

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
"""Longest silence of a connection, except for Lambda and event streams."""
INVOKE_READ_TIMEOUT_S = 910.0
"""Read timeout of Lambda clients: above Lambda's maximum run time, so that only the call's own timeout ends it."""
STREAM_SILENCE_S = 15.0
"""Event streams of AWS send something every second, if only a heartbeat; longer silence means a dead connection."""
CREDENTIALS_S = 25.0
"""Longest wait for credentials, which may take a program of the user, a browser or a hardware key."""
RELOAD_INTERVAL_S = 5.0
"""Shortest time between two searches for renewed credentials."""

T = TypeVar("T")
CredentialId = tuple[str, str | None]
"""Access key and session token, which together identify a set of credentials."""
CredentialSource = tuple[object, ...]
"""Source of credentials: profile, role, keys, loopback. Accounts with equal sources share a session."""


class ClientPool:
    """All SDK sessions and clients of a run."""

    def __init__(self, environment: Environment, environ: Mapping[str, str], clock: Clock, hooks: RequestHooks) -> None:
        self._environment = environment
        self._environ = environ
        self._clock = clock
        self._hooks = hooks
        self._configs: dict[str | None, AccountConfig] = {}
        self._sessions: dict[CredentialSource, SingleFlight[Any]] = {}
        self._clients: dict[tuple[str | None, str | None, str, bool], SingleFlight[Any]] = {}
        self._credential_ids: dict[CredentialSource, CredentialId] = {}
        self._reloaded_s: dict[CredentialSource, float] = {}
        self._overdue: dict[CredentialSource, AwsError] = {}
        """Credentials that took longer than `CREDENTIALS_S`; they are not waited for again in this run."""
        self._stack = AsyncExitStack()
        # One thread for all clients: parsing several service models at once, or merely starting the threads, blocks the
        # event loop for a tenth of a second.
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="aws-models")

    async def close(self) -> None:
        """Close all clients and cancel the creation of pending ones."""
        for pending in (*self._sessions.values(), *self._clients.values()):
            pending.cancel()
        await self._stack.aclose()
        self._model_thread.shutdown(wait=False, cancel_futures=True)

    @property
    def notices(self) -> tuple[str, ...]:
        """Return the distinct notices about the accounts used so far, one sentence each."""
        return tuple(dict.fromkeys(notice for config in self._configs.values() for notice in config.notices))

    def account_config(self, account: str | None) -> AccountConfig:
        """Return the configuration of an account alias; AwsError (reason `unresolved`) when it is not configured."""
        if account not in self._configs:
            if account is not None and account not in self._environment.accounts:
                known = ", ".join(sorted(self._environment.accounts)) or "none"
                raise AwsError(
                    f'account "{account}" is not in [aws.accounts]; known: {known}',
                    code="UnknownAccount",
                    reason=Reason.UNRESOLVED,
                    service="",
                    operation="",
                )
            self._configs[account] = account_config(self._environment, self._environ, account)
        return self._configs[account]

    def region_name(self, account: str | None) -> str | None:
        """Return an account's region from the file, the environment or the profile; None when none of them sets it."""
        config = self.account_config(account)
        if config.region:
            return config.region
        from botocore.exceptions import BotoCoreError

        try:
            region: str | None = new_session(config, self._environ).get_config_variable("region")
        except BotoCoreError:
            return None
        return region

    async def client(self, service: str, account: str | None, region: str | None, *, streaming: bool = False) -> Any:
        """Return the shared client; AwsError when there are no credentials or no such service.

        `streaming` selects a client with its own connection pool, because a stream occupies a connection for its
        lifetime.
        """
        key = (account, region, service, streaming)
        if key not in self._clients:
            self._clients[key] = SingleFlight(lambda: self._make_client(service, account, region, streaming=streaming))
        return await self._clients[key].get()

    async def credentials(self, account: str | None) -> Any:
        """Return the frozen credentials of an account, refreshed if they were due."""
        try:
            credentials = await (await self._session(account)).get_credentials()
            return await credentials.get_frozen_credentials()
        except Exception as exc:
            raise credential_error(exc, self._call(account)) from exc

    def renewal_hint(self, account: str | None) -> str:
        """Return how to renew an account's credentials, as the end of a sentence."""
        return renewal_hint(self.account_config(account), self._environ)

    async def reload_credentials(self, account: str | None) -> bool:
        """Search for new credentials after the current ones expired; True when new ones are in use from now on."""
        config, credential_source = self.account_config(account), self.credential_source(account)
        now_s = self._clock.monotonic_s()
        if (
            config.keys is not None
            or now_s - self._reloaded_s.get(credential_source, float("-inf")) < RELOAD_INTERVAL_S
        ):
            # The environment variables of a running process do not change.
            return False
        self._reloaded_s[credential_source] = now_s
        try:
            session = await self._off_loop(partial(new_session, config, self._environ))
            keys = await _keys_of(await resolve(session, config))
        except Exception:  # noqa: BLE001 -- still expired, which the call's own error reports
            return False
        if keys is None or keys == self._credential_ids.get(credential_source):
            return False
        # Clients in use keep the old keys until everything is closed.
        self._sessions.pop(credential_source, None)
        for key in [key for key in self._clients if self.credential_source(key[0]) == credential_source]:
            del self._clients[key]
        return True

    def credential_source(self, account: str | None) -> CredentialSource:
        """Return where an account's credentials come from."""
        config = self.account_config(account)
        return (config.profile, config.role_arn, config.keys, config.loopback)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._model_thread, work)

    async def _make_client(self, service: str, account: str | None, region: str | None, *, streaming: bool) -> Any:
        session = await self._session(account)
        config = self.account_config(account)
        try:
            service_id = await self._off_loop(partial(read_models, (service,)))
            endpoint = endpoint_for(config, service_id, self._environ)
            arguments = _client_arguments(service, config, session, region, endpoint, streaming=streaming)
            client = await self._stack.enter_async_context(session.create_client(service, **arguments))
        except Exception as exc:
            call = replace(self._call(account), service=service, operation="", region=region or config.region)
            raise explain(exc, call) from exc
        # Quotas apply to the AWS account, whatever alias the files use for it.
        self._hooks.register(client, service=service, account=config.account or account or "")
        return client

    async def _session(self, account: str | None) -> Any:
        credential_source = self.credential_source(account)
        if credential_source in self._overdue:
            raise self._overdue[credential_source]
        if credential_source not in self._sessions:
            self._sessions[credential_source] = SingleFlight(lambda: self._open_session(account))
        return await self._sessions[credential_source].get()

    async def _open_session(self, account: str | None) -> Any:
        config = self.account_config(account)
        call = self._call(account)
        limit: asyncio.Timeout | None = None
        try:
            session = await self._off_loop(partial(new_session, config, self._environ))
            # Resolve once per session, before any client exists, so that concurrent tasks do not race for a refresh.
            async with asyncio.timeout(CREDENTIALS_S) as limit:
                credentials = await resolve(session, config)
                keys = await _keys_of(credentials)
            if credentials is not None and config.role_arn is not None:
                session = await self._assume(session, config, config.role_arn)
        except Exception as exc:
            if limit is not None and limit.expired():
                error = overdue_credentials(call, CREDENTIALS_S)
                self._overdue[self.credential_source(account)] = error
            else:
                error = credential_error(exc, call)
            raise error from exc
        if keys is None:
            raise AwsError(
                no_credentials(config.profile),
                code="NoCredentials",
                reason=Reason.NO_CREDENTIALS,
                service=call.service,
                operation=call.operation,
            )
        self._credential_ids[self.credential_source(account)] = keys
        return session

    async def _assume(self, base_session: Any, config: AccountConfig, role_arn: str) -> Any:
        service_id = await self._off_loop(partial(read_models, ("sts",)))
        arguments = _client_arguments(
            "sts", config, base_session, None, endpoint_for(config, service_id, self._environ)
        )
        session = await self._off_loop(partial(new_session, config, self._environ, keyless=True))
        session.register_component(
            "credential_provider", StaticCredentialProvider(assume_role_credentials(base_session, role_arn, arguments))
        )
        return session

    def _call(self, account: str | None) -> Call:
        config = self.account_config(account)
        return Call(
            service="sts",
            operation="GetCallerIdentity",
            params={},
            region=config.region,
            profile=config.profile,
            renewal_hint=lambda: self.renewal_hint(account),
        )


def load_modules() -> None:
    """Import what a session and its clients need. Blocking: a second on a slow machine."""
    with without_httpx():
        for name in (
            "aiobotocore.session",
            "aiobotocore.config",
            "prodwatch.aws.aws_calls",
            "prodwatch.aws.http_session",
        ):
            import_module(name)


def read_models(services: tuple[str, ...]) -> str:
    """Load the models that clients of `services` need; return the AWS service id of the last. Blocking.

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
            xform_name(operation)  # warms botocore's name cache: a third of a client's creation time
        loader.load_service_model(service, "endpoint-rule-set-1")
        with suppress(UnknownServiceError):
            loader.load_service_model(service, "paginators-1")
    return service_id


async def _keys_of(credentials: Any | None) -> CredentialId | None:
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return frozen.access_key, frozen.token


def _client_arguments(
    service: str,
    config: AccountConfig,
    session: Any,
    region: str | None,
    endpoint: str | None,
    *,
    streaming: bool = False,
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "region_name": region or config.region or session.get_config_variable("region"),
        "config": _config(_read_timeout_s(service, streaming=streaming), custom_endpoint=endpoint is not None),
    }
    if endpoint is not None:
        arguments["endpoint_url"] = endpoint
    return arguments


def _read_timeout_s(service: str, *, streaming: bool) -> float:
    if streaming:
        return STREAM_SILENCE_S
    return INVOKE_READ_TIMEOUT_S if service == "lambda" else READ_TIMEOUT_S


def _config(read_timeout_s: float, *, custom_endpoint: bool) -> Any:
    with without_httpx():
        from aiobotocore.config import AioConfig

        from prodwatch.aws.http_session import HttpSession

    return AioConfig(
        http_session_cls=HttpSession,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        max_pool_connections=50,
        # Botocore's own retries are off: they would hide throttles and could invoke a function twice.
        retries={"mode": "standard", "total_max_attempts": 1},
        inject_host_prefix=not custom_endpoint,
        s3={"addressing_style": "path"} if custom_endpoint else None,
        user_agent_extra="prodwatch",
    )
