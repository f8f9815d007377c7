"""What renews credentials that have expired: it depends on where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.aws.credentials import Door, new_session

_PLATFORM = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_USUALLY = "run `aws sso login{of}`"
_BY_KEY = {
    "login_session": "run `aws login{of}`",
    "sso_session": _USUALLY,
    "sso_start_url": _USUALLY,
    "credential_process": "profile {name} gets them from its credential_process: renew what that needs",
    "web_identity_token_file": "whoever writes the web_identity_token_file of profile {name} has to renew it",
    "aws_access_key_id": "write new keys for profile {name}, by `aws configure{of}` or the tool that wrote these",
}
"""Key of a profile → what renews the credentials it gives, in the order botocore looks for them."""
MAX_HOPS = 5
"""Profiles that take their keys from other profiles are followed so far."""


def renewal(where: Door, environ: Mapping[str, str]) -> str:
    """Return what somebody has to do, as the end of a sentence: "run `aws sso login --profile shop`"."""
    if where.keys is not None:
        return "they are in the environment of this process: export new ones and start prodwatch again"
    if where.profile is None and any(environ.get(name) for name in _PLATFORM):
        return "this platform provides them: wait for it to renew them, or look at its role"
    name, profile = _source(where.profile or "default", _profiles(where, environ))
    of = f" --profile {name}" if name != "default" else ""
    for key, told in _BY_KEY.items():
        if profile.get(key):
            return told.format(name=name, of=of)
    return _USUALLY.format(of=of)


def _profiles(where: Door, environ: Mapping[str, str]) -> Mapping[str, Any]:
    from botocore.exceptions import BotoCoreError

    try:
        found: Mapping[str, Any] = new_session(where, environ, keyless=True).full_config.get("profiles", {})
    except BotoCoreError:
        return {}
    return found


def _source(name: str, profiles: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the profile whose own credentials a chain of roles begins with."""
    for _ in range(MAX_HOPS):
        following = (profiles.get(name) or {}).get("source_profile")
        if not following or following == name:
            break
        name = following
    return name, profiles.get(name) or {}
