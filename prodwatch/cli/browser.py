"""`--web`: the dashboard in a browser, on loopback by default, and only for requests with the token."""

from __future__ import annotations

import secrets
import shlex
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prodwatch.errors import ConfigurationError, UnavailableFeatureError

if TYPE_CHECKING:
    from prodwatch.cli.browser_server import Server

DEFAULT = "127.0.0.1:8000"
LOOPBACK_OF_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- the user's choice, not a default
"""Host that listens on all interfaces → its loopback address."""


def serve(where: str, arguments: Sequence[str]) -> int:
    """Serve until interrupted, one dashboard per browser tab; return the exit code."""
    host, port = address(where)
    server = make_server(host, port, arguments, token := secrets.token_urlsafe(24))
    from prodwatch.cli.stderr import say

    for url, reach in addresses(host, port):
        say(f"the dashboard is at {url}/?token={token}{reach}")
    say("anyone with this address can use the dashboard; Ctrl-C stops it")
    server.serve()
    return 0


def address(where: str) -> tuple[str, int]:
    """Parse `HOST:PORT`, `[IPV6]:PORT` or `PORT`. Raises ConfigurationError."""
    host, colon, port = where.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    if bracketed := host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    # Without brackets the end of an IPv6 address looks like a port.
    valid = bool(host) and not any(bracket in host for bracket in "[]") and bracketed == (":" in host)
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536 or not valid:
        raise ConfigurationError(
            f'--web takes HOST:PORT, [IPV6]:PORT or PORT, for example {DEFAULT}; "{where}" is not one of these'
        )
    return host, int(port)


def base_url(host: str, port: int) -> str:
    """Return the address of the server, without a path."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def addresses(host: str, port: int) -> tuple[tuple[str, str], ...]:
    """Return the addresses that a browser can open, each with its reach, also for `0.0.0.0` and `::`."""
    if host not in LOOPBACK_OF_ALL:
        return ((base_url(host, port), ""),)
    return (
        (base_url(LOOPBACK_OF_ALL[host], port), " on this machine"),
        (base_url(socket.gethostname(), port), " from machines that know this one by that name"),
    )


def make_server(host: str, port: int, arguments: Sequence[str], token: str) -> Server:
    """Build the server for `prodwatch ARGUMENTS`. Raises UnavailableFeatureError without the extra `web`."""
    command = shlex.join([sys.executable, "-m", "prodwatch", *arguments])
    try:
        from prodwatch.cli.browser_server import Server
    except ModuleNotFoundError:
        raise UnavailableFeatureError(
            "--web needs textual-serve, which is not installed; run: pip install 'prodwatch[web]'"
        ) from None
    return Server(command, host=host, port=port, token=token, public_url=base_url(host, port))
