"""ICMP echo requests and replies, over a datagram socket where the system allows it and else over a raw one."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct

from prodwatch.clock import Clock

_ECHO_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_ECHO_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_HEADER = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence number."""
_TOKEN_BYTES = 16
_RECEIVE_BYTES = 2048
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ECONNREFUSED})
"""Errors by which a router or the host itself reports that a request was not delivered: it counts as unanswered."""


def open_socket(family: socket.AddressFamily) -> socket.socket:
    """Return a non-blocking ICMP socket; PermissionError where this process may open neither kind."""
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM, _PROTOCOL[family])
    except PermissionError:
        # Linux refuses root the datagram kind outside `ping_group_range` and allows it the raw kind.
        opened = socket.socket(family, socket.SOCK_RAW, _PROTOCOL[family])
    opened.setblocking(False)
    return opened


def echo_request(family: socket.AddressFamily, sequence: int, token: bytes) -> bytes:
    """Return the packet that asks for an echo of `token`; the system completes the identifier and ICMPv6's checksum."""
    unsigned = _HEADER.pack(_ECHO_REQUEST[family], 0, 0, 0, sequence) + token
    if family == socket.AF_INET6:
        return unsigned
    return _HEADER.pack(_ECHO_REQUEST[family], 0, checksum(unsigned), 0, sequence) + token


def is_reply(packet: bytes, family: socket.AddressFamily, sequence: int, token: bytes) -> bool:
    """Return whether `packet` is the reply to the request with this sequence number and token.

    The token identifies the request: the system rewrites the identifier of datagram sockets, and a raw socket also
    receives the packets of other processes.
    """
    # Raw IPv4 sockets, and those of macOS, deliver the IP header too; no echo reply begins with its version, 4.
    if family == socket.AF_INET and packet and packet[0] >> 4 == 4:
        packet = packet[(packet[0] & 0x0F) * 4 :]
    if len(packet) < _HEADER.size:
        return False
    kind, code, _, _, number = _HEADER.unpack_from(packet)
    return (kind, code, number) == (_ECHO_REPLY[family], 0, sequence) and packet[_HEADER.size :] == token


def checksum(data: bytes) -> int:
    """Return the Internet checksum of `data` (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


async def ping(opened: socket.socket, count: int, *, interval_s: float, wait_s: float, clock: Clock) -> list[float]:
    """Send `count` echo requests over a connected socket; return the round-trip times in seconds of those answered.

    Each reply is waited for at most `wait_s`. Raises OSError where a request cannot be sent.
    """
    loop = asyncio.get_running_loop()
    family = socket.AddressFamily(opened.family)
    token = os.urandom(_TOKEN_BYTES)
    round_trips_s = []
    for sequence in range(1, count + 1):
        if sequence > 1:
            await clock.sleep(interval_s)
        try:
            async with asyncio.timeout(wait_s):
                sent_at = clock.monotonic_s()
                await loop.sock_sendall(opened, echo_request(family, sequence, token))
                while True:
                    if is_reply(await loop.sock_recv(opened, _RECEIVE_BYTES), family, sequence, token):
                        break
                    # A packet that has already arrived is received without a pause: a flood would keep timers waiting.
                    await asyncio.sleep(0)
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
            continue
        round_trips_s.append(clock.monotonic_s() - sent_at)
    return round_trips_s
