"""Resolves names to addresses without blocking the end of the program."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
"""Element of the list that `socket.getaddrinfo` returns."""


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address already."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


async def resolve(host: str, port: int, *, flags: int = 0) -> list[Address]:
    """Return the addresses of `host` by this machine's resolver, hosts file included; `socket.gaierror` when none.

    The look-up has a daemon thread of its own: one that hangs can be cancelled and keeps neither other look-ups nor
    the end of the program waiting, which asyncio's own look-up does.
    """
    if flags & socket.AI_NUMERICHOST:
        return _look_up(host, port, flags)  # sends no query
    loop = asyncio.get_running_loop()
    addresses: asyncio.Future[list[Address]] = loop.create_future()

    def settle(result: list[Address] | OSError) -> None:
        if addresses.done():
            return
        if isinstance(result, OSError):
            addresses.set_exception(result)
        else:
            addresses.set_result(result)

    def run() -> None:
        result: list[Address] | OSError
        try:
            result = _look_up(host, port, flags)
        except OSError as error:
            result = error
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the loop was closed while the look-up was hanging

    threading.Thread(target=run, name=f"resolve {host}", daemon=True).start()
    return await addresses


class Lookups:
    """Shares one look-up per name between all waiting callers."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Return what `resolve` does; cancelling one who waits does not disturb the others."""
        key = (host, port)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(resolve(host, port))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: tuple[str, int], task: asyncio.Task[list[Address]]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # retrieved here too, because all waiting callers may be cancelled

    async def close(self) -> None:
        """Cancel every look-up."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _look_up(host: str, port: int, flags: int) -> list[Address]:
    try:
        addresses = socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "it is not a valid host name") from error
    return [
        (int(family), int(kind), proto, name, (str(at[0]), int(at[1]), *at[2:]))
        for family, kind, proto, name, at in addresses
    ]


def endpoint(host: str, port: int) -> str:
    """Return the name of a target in messages: `host:port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
