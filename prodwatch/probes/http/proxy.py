"""Chooses the proxy of a request: that of the check, else that of the environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote
from urllib.request import (  # type: ignore[attr-defined]  # undocumented, and present in every Python
    getproxies_environment,
    proxy_bypass_environment,
)

from prodwatch.errors import UnusableError
from prodwatch.probes.http.url import Url, basic, parse_url
from prodwatch.probes.http_pool import Proxy

DIRECT = "direct"
"""Value of `proxy` for no proxy."""
_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_VARIABLES = (*_NAMES, *map(str.upper, _NAMES), "REQUEST_METHOD")
"""Environment variables that the choice depends on."""
_MEMORY = "http.proxy"
"""Key of the variables in `ProbeContext.memory`."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def proxy_for(url: Url, params: Mapping[str, Any], memory: dict[str, Any]) -> Proxy | None:
    """Return the proxy for `url`; None without one. Raises UnusableError for a proxy that is not `http://host:port`.

    `memory` is `ProbeContext.memory`: a run reads the environment once, because each of nine variables costs a
    microsecond.
    """
    written = params.get("proxy")
    if written == DIRECT:
        return None
    if written is not None:
        return _proxy(written, "`proxy`")
    variables = memory.get(_MEMORY)
    if variables is None:
        variables = memory[_MEMORY] = tuple(map(os.environ.get, _VARIABLES))
    return _of_environment(url.scheme, url.host, url.port, variables) if any(variables) else None


@lru_cache(maxsize=1024)
def _of_environment(scheme: str, host: str, port: int, _variables: tuple[str | None, ...]) -> Proxy | None:
    """Return the proxy that the environment sets, whose variables are those of the cache's key."""
    proxies = getproxies_environment()
    text = proxies.get(scheme) or proxies.get("all")
    if not text or proxy_bypass_environment(f"{host}:{port}", proxies):
        return None
    return _proxy(text, f"{scheme.upper()}_PROXY" if proxies.get(scheme) else "ALL_PROXY")


def _proxy(text: str, source: str) -> Proxy:
    scheme = _SCHEME.match(text)
    if scheme is None:
        text = f"http://{text}"  # as curl reads it
    elif scheme[1].lower() != "http":
        raise UnusableError(f"the proxy of {source} is a {scheme[1]} proxy; only http:// proxies are supported")
    try:
        url = parse_url(text)
    except UnusableError as error:
        raise UnusableError(f"the proxy of {source} is unusable: {error}") from error
    authorization = None
    if url.userinfo is not None:
        user, _, password = url.userinfo.partition(":")
        authorization = basic(unquote(user), unquote(password))
    return Proxy(url.host, url.port, authorization, source)
