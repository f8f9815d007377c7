"""Credentials, profile, region and endpoint of an account, and how its credentials are renewed."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prodwatch.model.environment import AwsTarget, Environment

# aiobotocore logs a failed refresh with its traceback. Without a handler Python would print that over the screen; the
# error itself is raised and reported in one sentence.
logging.getLogger("aiobotocore").addHandler(logging.NullHandler())

DUMMY_KEY = "prodwatchdemo"
"""Access key and secret key for an embedded AWS, which checks neither."""
_PLATFORM_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)

_SSO_LOGIN = "run `aws sso login{of}`"
_RENEWAL_BY_PROFILE_KEY = {
    "login_session": "run `aws login{of}`",
    "sso_session": _SSO_LOGIN,
    "sso_start_url": _SSO_LOGIN,
    "credential_process": "renew them for the credential_process of profile {name}",
    "web_identity_token_file": "renew the web_identity_token_file of profile {name}",
    "aws_access_key_id": "store new keys in profile {name} with `aws configure{of}` or the tool that created them",
}
"""Profile key → how to renew the credentials it provides, in botocore's order of precedence."""
MAX_HOPS = 5
"""Longest chain of `source_profile` that is followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """Resolved access configuration of one account."""

    alias: str | None
    """Name in `[aws.accounts]`; None for the environment's own account."""
    region: str | None
    profile: str | None
    """None: botocore's default chain without a profile name."""
    role_arn: str | None
    account: str | None
    endpoint_url: str | None
    """Endpoint from the environment file; the AWS CLI's variables apply only when it is None."""
    keys: tuple[str, str, str | None] | None
    """Access key, secret key and session token from the environment, or dummy keys for the demo; else None."""
    loopback: bool
    """Whether the endpoint is on this machine."""
    notices: tuple[str, ...] = ()


def account_config(environment: Environment, environ: Mapping[str, str], alias: str | None) -> AccountConfig:
    """Return the access configuration of `alias` (None: the environment's own account); KeyError for an unknown alias.

    A further account inherits profile, region and endpoint from `[aws]`, but not its role or account number.
    """
    own = environment.aws
    target = own if alias is None else _inherit(environment.accounts[alias], own)
    loopback = is_loopback(target.endpoint_url or _cli_endpoint(environ))
    keys = _keys(environ)
    from_environment = keys is not None or any(environ.get(name) for name in _PLATFORM_VARIABLES)
    profile = target.profile if target.profile is not None else _named_profile(environ)
    if environment.demo is not None and loopback and not target.profile:
        # Never send real keys to the embedded AWS, and do not let an expired session block it.
        keys, profile = (DUMMY_KEY, DUMMY_KEY, None), None
    notices: tuple[str, ...] = ()
    if target.profile and from_environment:
        notices = (f'profile "{target.profile}" is ignored: the environment variables hold credentials',)
        profile = None
    return AccountConfig(
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


def endpoint_for(config: AccountConfig, service_id: str, environ: Mapping[str, str]) -> str | None:
    """Return the endpoint of a service from the environment file, else from the AWS CLI's variables, else None.

    `service_id` is AWS's own (`CloudWatch Logs`): the CLI derives its variable names from it.
    """
    return config.endpoint_url or _cli_endpoint(environ, service_id)


def is_loopback(url: str | None) -> bool:
    """Return whether `url` points to this machine."""
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
    """Keep aiobotocore from importing an installed httpx, which it does not need and which takes 60 ms."""
    hidden = [name for name in ("httpx", "httpx2") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an entry of None makes the import fail
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]


@cache
def shared_loader() -> Any:
    """Return the process-wide loader of AWS's service models: parsing them per session costs 50 ms and 10 MB."""
    from botocore.session import Session

    return Session().get_component("data_loader")


def new_session(config: AccountConfig, environ: Mapping[str, str], *, keyless: bool = False) -> Any:
    """Return an AioSession for `config`, with the process-wide service models.

    `keyless` ignores keys from the environment: the session will use those of an assumed role.
    """
    with without_httpx():
        from aiobotocore.session import AioSession
    session = AioSession()
    session.register_component("data_loader", shared_loader())
    store = session.get_component("config_store")
    # Set explicitly, so that botocore does not read the process's own environment instead of `environ`.
    store.set_config_variable("profile", config.profile)
    for variable, name in (("config_file", "AWS_CONFIG_FILE"), ("credentials_file", "AWS_SHARED_CREDENTIALS_FILE")):
        if environ.get(name):
            store.set_config_variable(variable, environ[name])
    if config.region:
        store.set_config_variable("region", config.region)
    if keyless:
        return session
    if config.keys is not None:
        session.set_credentials(*config.keys)
    else:
        _never_prompt(session, environ)
    return session


class MfaCodeNeededError(Exception):
    """A profile needs a code of a hardware key or an app, and no session of it is in the AWS CLI's cache."""


class _CachedRoles(dict[str, Any]):
    """Sessions of roles: those in the AWS CLI's cache are read, and own ones are kept in memory only."""

    def __init__(self, folder: Path) -> None:
        from botocore.utils import JSONFileCache

        super().__init__()
        self._stored = JSONFileCache(folder)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, str) and key in self._stored)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key) if super().__contains__(key) else self._stored[key]


def _never_prompt(session: Any, environ: Mapping[str, str]) -> None:
    """Have a profile with `mfa_serial` use the AWS CLI's session: a prompt would stop event loop and screen."""

    def refuse(prompt: str) -> str:
        raise MfaCodeNeededError(prompt)

    provider = session.get_component("credential_provider").get_provider("assume-role")
    provider._prompter = refuse  # noqa: SLF001 -- the SDK has no other way
    provider.cache = _CachedRoles(Path(environ.get("HOME") or Path.home(), ".aws", "cli", "cache"))


async def resolve(session: Any, config: AccountConfig) -> Any | None:
    """Return the session's credentials, None without any; a loopback endpoint then gets dummy credentials.

    The metadata services of EC2 and ECS are not used for a loopback endpoint, because their timeouts take seconds.
    """
    if config.loopback:
        resolver = session.get_component("credential_provider")
        for provider in ("iam-role", "container-role"):
            with contextlib.suppress(ValueError, KeyError):
                resolver.remove(provider)
    credentials = await session.get_credentials()
    if credentials is None and config.loopback:
        session.set_credentials(DUMMY_KEY, DUMMY_KEY)
        credentials = await session.get_credentials()
    return credentials


class StaticCredentialProvider:
    """Credential provider for fixed credentials."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> Any:
        """Return the credentials."""
        return self._credentials


def assume_role_credentials(session: Any, role_arn: str, client_arguments: Mapping[str, Any]) -> Any:
    """Return credentials of `role_arn` that refresh themselves using those of `session`."""
    with without_httpx():
        from aiobotocore.credentials import AioDeferredRefreshableCredentials

    async def renew() -> dict[str, str]:
        async with session.create_client("sts", **client_arguments) as sts:
            response = await sts.assume_role(RoleArn=role_arn, RoleSessionName="prodwatch")
        credentials = response["Credentials"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": credentials["Expiration"].isoformat(),
        }

    return AioDeferredRefreshableCredentials(refresh_using=renew, method="assume-role")


def renewal_hint(config: AccountConfig, environ: Mapping[str, str]) -> str:
    """Return how to renew the credentials, as the end of a sentence: "run `aws sso login --profile shop`"."""
    if config.keys is not None:
        return "they come from environment variables: export new ones and start prodwatch again"
    if config.profile is None and any(environ.get(name) for name in _PLATFORM_VARIABLES):
        return "the platform provides them: wait until it renews them, or check its role"
    name, profile = _root_profile(config.profile or "default", _profiles(config, environ))
    of = f" --profile {shlex.quote(name)}" if name != "default" else ""
    for key, hint in _RENEWAL_BY_PROFILE_KEY.items():
        if profile.get(key):
            return hint.format(name=name, of=of)
    return _SSO_LOGIN.format(of=of)


def _inherit(target: AwsTarget, specific: AwsTarget) -> AwsTarget:
    return AwsTarget(
        region=target.region or specific.region,
        profile=target.profile if target.profile is not None else specific.profile,
        role_arn=target.role_arn,
        account=target.account,
        endpoint_url=target.endpoint_url or specific.endpoint_url,
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
    specific = None
    if service_id:
        specific = environ.get(f"AWS_ENDPOINT_URL_{service_id.upper().replace(' ', '_').replace('-', '_')}")
    return specific or environ.get("AWS_ENDPOINT_URL") or None


def _profiles(config: AccountConfig, environ: Mapping[str, str]) -> Mapping[str, Any]:
    from botocore.exceptions import BotoCoreError

    try:
        profiles: Mapping[str, Any] = new_session(config, environ, keyless=True).full_config.get("profiles", {})
    except BotoCoreError:
        return {}
    return profiles


def _root_profile(name: str, profiles: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return name and settings of the profile at the end of a chain of `source_profile`."""
    for _ in range(MAX_HOPS):
        source = (profiles.get(name) or {}).get("source_profile")
        if not source or source == name:
            break
        name = source
    return name, profiles.get(name) or {}
