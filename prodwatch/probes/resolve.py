"""Turns names into addresses without ever holding up the end of the program."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]
"""What `socket.getaddrinfo` returns for one address."""


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address already."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


async def resolve(host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Address]:
    """Return the addresses of `host` by this machine's resolver, hosts file included; `socket.gaierror` when none.

    The look-up has a daemon thread of its own: one that hangs can be cancelled and keeps neither other look-ups nor
    the end of the program waiting, which asyncio's own look-up does.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Address]] = loop.create_future()

    def settle(result: list[Address] | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    def look_up() -> None:
        result: list[Address] | OSError
        try:
            result = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)  # type: ignore[assignment]
        except UnicodeError:
            result = socket.gaierror(socket.EAI_NONAME, "it is not a valid host name")
        except OSError as error:
            result = error
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the loop was closed while the look-up hung: nobody is waiting any more

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    return await found
