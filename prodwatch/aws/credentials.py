"""Decides with which credentials, in which region and against which endpoint an account is spoken to."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from prodwatch.model.environment import AwsTarget, Environment

# aiobotocore logs a failed refresh with its traceback, which Python writes to the terminal for want of a handler, over
# whatever is on the screen; the error itself comes as an exception and is told in one sentence.
logging.getLogger("aiobotocore").addHandler(logging.NullHandler())

DUMMY_KEY = "prodwatchdemo"
"""Both halves of the key pair sent to an embedded AWS, which checks neither."""
_AMBIENT = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One account as it will be spoken to."""

    alias: str | None
    """None for the environment's own account, else the name in `[aws.accounts]`."""
    region: str | None
    profile: str | None
    """None lets botocore decide without any profile name."""
    role_arn: str | None
    account: str | None
    endpoint_url: str | None
    """As the environment file says; the variables of the AWS CLI come after it."""
    keys: tuple[str, str, str | None] | None
    """Access key, secret key and token when they are in the environment, or dummy ones for the demo."""
    loopback: bool
    """Whether calls stay on this machine."""
    notices: tuple[str, ...] = ()


def door(environment: Environment, environ: Mapping[str, str], alias: str | None) -> Door:
    """Return how `alias` is reached; KeyError when `[aws.accounts]` has no such name.

    A further account inherits profile, region and endpoint from `[aws]`, never its role or account number.
    """
    own = environment.aws
    target = own if alias is None else _inherit(environment.accounts[alias], own)
    loopback = is_loopback(target.endpoint_url or _cli_endpoint(environ))
    keys = _keys(environ)
    ambient = keys is not None or any(environ.get(name) for name in _AMBIENT)
    profile = target.profile if target.profile is not None else _named_profile(environ)
    if environment.demo is not None and loopback and not target.profile:
        # Real keys have no business with the embedded AWS, and an expired session must not stop it.
        keys, profile = (DUMMY_KEY, DUMMY_KEY, None), None
    notices: tuple[str, ...] = ()
    if target.profile and ambient:
        notices = (f'profile "{target.profile}" is ignored: credentials are in the environment',)
        profile = None
    return Door(
        alias=alias,
        region=target.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        profile=profile or None,
        role_arn=target.role_arn,
        account=target.account,
        endpoint_url=target.endpoint_url,
        keys=keys,
        loopback=loopback,
        notices=notices,
    )


def endpoint_for(where: Door, service_id: str, environ: Mapping[str, str]) -> str | None:
    """Return the endpoint of a service: the environment file's, else the variables of the AWS CLI, else None.

    `service_id` is AWS's own (`CloudWatch Logs`): the CLI names its variables after it.
    """
    return where.endpoint_url or _cli_endpoint(environ, service_id)


def is_loopback(url: str | None) -> bool:
    """Say whether `url` points at this machine."""
    host = urlsplit(url).hostname if url else None
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def without_httpx() -> Iterator[None]:
    """Keep aiobotocore from importing httpx, which it would do only because it is installed and costs 60 ms."""
    hidden = [name for name in ("httpx", "httpx2") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say "not importable"
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]


@cache
def shared_loader() -> Any:
    """Return the one reader of AWS's service models: parsing them again for each session costs 50 ms and 10 MB."""
    from botocore.session import Session

    return Session().get_component("data_loader")


def new_session(where: Door, environ: Mapping[str, str], *, keyless: bool = False) -> Any:
    """Return an AioSession for `where`; all of a process share the parsed models.

    `keyless` leaves the environment's keys out: the session will get those of an assumed role.
    """
    with without_httpx():
        from aiobotocore.session import AioSession
    session = AioSession()
    session.register_component("data_loader", shared_loader())
    store = session.get_component("config_store")
    # Set outright: what botocore would read from the process's own environment is not asked.
    store.set_config_variable("profile", where.profile)
    for variable, name in (("config_file", "AWS_CONFIG_FILE"), ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE")):
        if environ.get(name):
            store.set_config_variable(variable, environ[name])
    if where.region:
        store.set_config_variable("region", where.region)
    if where.keys is not None and not keyless:
        session.set_credentials(*where.keys)
    return session


async def resolve(session: Any, where: Door) -> Any | None:
    """Return the session's credentials, None when there are none; a loopback endpoint gets dummy ones instead.

    For a loopback endpoint the metadata services of EC2 and ECS are not asked: they would cost seconds.
    """
    if where.loopback:
        resolver = session.get_component("credential_provider")
        for provider in ("iam-role", "container-role"):
            with contextlib.suppress(ValueError, KeyError):
                resolver.remove(provider)
    found = await session.get_credentials()
    if found is None and where.loopback:
        session.set_credentials(DUMMY_KEY, DUMMY_KEY)
        found = await session.get_credentials()
    return found


class FixedCredentials:
    """A credential provider that gives what it was built with."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> Any:
        """Return the credentials."""
        return self._credentials


def assumed(session: Any, role_arn: str, client_arguments: Mapping[str, Any]) -> Any:
    """Return credentials of `role_arn` that renew themselves with those of `session`."""
    with without_httpx():
        from aiobotocore.credentials import AioDeferredRefreshableCredentials

    async def renew() -> dict[str, str]:
        async with session.create_client("sts", **client_arguments) as sts:
            answer = await sts.assume_role(RoleArn=role_arn, RoleSessionName="prodwatch")
        issued = answer["Credentials"]
        return {
            "access_key": issued["AccessKeyId"],
            "secret_key": issued["SecretAccessKey"],
            "token": issued["SessionToken"],
            "expiry_time": issued["Expiration"].isoformat(),
        }

    return AioDeferredRefreshableCredentials(refresh_using=renew, method="assume-role")


def _inherit(target: AwsTarget, own: AwsTarget) -> AwsTarget:
    return AwsTarget(
        region=target.region or own.region,
        profile=target.profile if target.profile is not None else own.profile,
        role_arn=target.role_arn,
        account=target.account,
        endpoint_url=target.endpoint_url or own.endpoint_url,
    )


def _keys(environ: Mapping[str, str]) -> tuple[str, str, str | None] | None:
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        return None
    return access, secret, environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN") or None


def _named_profile(environ: Mapping[str, str]) -> str | None:
    return environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or None


def _cli_endpoint(environ: Mapping[str, str], service_id: str | None = None) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    own = None
    if service_id:
        own = environ.get(f"AWS_ENDPOINT_URL_{service_id.upper().replace(' ', '_').replace('-', '_')}")
    return own or environ.get("AWS_ENDPOINT_URL") or None
