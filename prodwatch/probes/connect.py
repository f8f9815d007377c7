"""Opens TCP connections and measures their phases."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohappyeyeballs
import msgspec

from prodwatch.probes.name_resolution import Address, is_address, resolve

_NEXT_ADDRESS_AFTER_S = 0.25
"""Seconds before the next address is tried in parallel with one that has not responded (RFC 8305)."""


FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class Timings(msgspec.Struct):
    """Times of the phases of a connection and request, in monotonic seconds; None for phases not reached."""

    now: Callable[[], float]
    resolving: float | None = None
    resolved: float | None = None
    connecting: float | None = None
    connected: float | None = None
    handshaking: float | None = None
    shaken: float | None = None
    sent: float | None = None
    answered: float | None = None
    """The response's headers have arrived."""
    tunnelling: bool = False
    """A proxy was asked for a tunnel and has not opened it yet."""

    def spans(self, ended: float | None = None) -> list[tuple[str, float]]:
        """Return the seconds of each completed phase, in order; `ended` is the time of the complete response."""
        phases = (
            ("dns", self.resolving, self.resolved),
            ("connect", self.connecting, self.connected),
            ("tls", self.handshaking, self.shaken),
            ("ttfb", self.sent, self.answered),
            ("download", self.answered, ended),
        )
        return [(name, end - begin) for name, begin, end in phases if begin is not None and end is not None]

    def undone(self) -> str:
        """Return the next phase as a clause that completes "it did not …"."""
        if self.sent is not None:
            return "answer"
        if self.handshaking is not None and self.shaken is None:
            return "finish the TLS handshake"
        if self.resolving is not None and self.resolved is None:
            return "resolve"
        if self.connected is None:
            return "accept the connection"
        return "answer"


def family_of(params: Mapping[str, Any]) -> socket.AddressFamily:
    """Return the address family that a check's `address_family` allows; AF_UNSPEC for any."""
    return FAMILIES.get(params.get("address_family", ""), socket.AF_UNSPEC)


async def open_socket(
    host: str,
    port: int,
    timings: Timings,
    look_up: Callable[[str, int], Awaitable[list[Address]]] = resolve,
    *,
    family: socket.AddressFamily = socket.AF_UNSPEC,
) -> socket.socket:
    """Return a connected, non-blocking socket to `host`, which is a name or an IP address.

    Addresses of `family` are tried as in RFC 8305. Raises socket.gaierror without one, OSError when none responds.
    """
    if is_address(host):
        addresses = await resolve(host, port, flags=socket.AI_NUMERICHOST)
    else:
        timings.resolving = timings.now()
        addresses = await look_up(host, port)
        timings.resolved = timings.now()
    if family != socket.AF_UNSPEC:
        addresses = [address for address in addresses if address[0] == family]
        if not addresses:
            name = "IPv6" if family == socket.AF_INET6 else "IPv4"
            raise socket.gaierror(socket.EAI_NONAME, f"it has no {name} address")
    timings.connecting = timings.now()
    connection = await aiohappyeyeballs.start_connection(
        addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, interleave=1, loop=asyncio.get_running_loop()
    )
    timings.connected = timings.now()
    return connection
