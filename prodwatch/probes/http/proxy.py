"""Chooses the proxy of a request: that of the check, else that of the environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote
from urllib.request import (  # type: ignore[attr-defined]  # undocumented, and present in every Python
    getproxies_environment,
    proxy_bypass_environment,
)

from prodwatch.probes.failures import UnusableError
from prodwatch.probes.http.url import Url, basic, parse_url
from prodwatch.probes.http_pool import Proxy

DIRECT = "direct"
"""Value of `proxy` for no proxy."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def proxy_for(url: Url, params: Mapping[str, Any]) -> Proxy | None:
    """Return the proxy for `url`; None without one. Raises UnusableError for a proxy that is not `http://host:port`."""
    written = params.get("proxy")
    if written == DIRECT:
        return None
    if written is not None:
        return _proxy(written, "`proxy`")
    proxies = getproxies_environment()
    if not proxies:
        return None
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or proxy_bypass_environment(f"{url.host}:{url.port}", proxies):
        return None
    return _proxy(text, f"{url.scheme.upper()}_PROXY" if proxies.get(url.scheme) else "ALL_PROXY")


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
