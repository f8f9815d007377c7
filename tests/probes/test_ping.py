"""The `ping` probe, over a scripted ICMP socket: sending real ones needs rights that test machines lack."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Self

import pytest

from prodwatch.clock import SystemClock
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.ping import icmp, probe

Send = Callable[..., Awaitable[Observation]]
V4, V6 = socket.AF_INET, socket.AF_INET6
TOKEN = bytes(range(16))


class Wire:
    """Stands in for the loop's socket calls: `reply(sequence, request)` gives the packets that come back."""

    def __init__(self, reply: Callable[[int, bytes], list[bytes] | OSError]) -> None:
        self.reply = reply
        self.waiting: list[bytes] = []
        self.requests: list[bytes] = []

    async def send(self, _socket: Any, packet: bytes) -> None:
        self.requests.append(packet)
        came = self.reply(len(self.requests), packet)
        if isinstance(came, OSError):
            raise came
        self.waiting += came

    async def receive(self, _socket: Any, _size: int) -> bytes:
        if not self.waiting:
            raise TimeoutError  # as if the time to wait were over
        return self.waiting.pop(0)


def echo(request: bytes, *, header: bytes = b"") -> bytes:
    kind = {8: 0, 128: 129}[request[0]]
    return header + bytes([kind]) + request[1:]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Wire]:
    """Return `wire(reply)`, which puts the probe on a `Wire`; nothing is waited for."""

    def connect(reply: Callable[[int, bytes], list[bytes] | OSError]) -> Wire:
        made = Wire(reply)
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "sock_sendall", made.send, raising=False)
        monkeypatch.setattr(loop, "sock_recv", made.receive, raising=False)

        class Opened:
            family = V4

            def connect(self, address: Any) -> None:
                assert address == ("127.0.0.1", 0)

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(icmp, "open_socket", lambda _family: Opened())
        monkeypatch.setattr(probe, "INTERVAL_S", 0.0)
        return made

    return connect


async def test_the_document(send: Send, wire: Callable[..., Wire]) -> None:
    line = wire(lambda _sequence, request: [echo(request)])
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is None
    document = dict(seen.document)
    assert document["rtt_min"] <= document["rtt"] <= document["rtt_max"]
    assert {name: document[name] for name in ("loss", "sent", "received", "address")} == {
        "loss": Decimal(0),
        "sent": 3,
        "received": 3,
        "address": "127.0.0.1",
    }
    assert len(line.requests) == 3


async def test_part_of_it_lost(send: Send, wire: Callable[..., Wire]) -> None:
    wire(lambda sequence, request: [] if sequence == 2 else [echo(request)])
    seen = await send("ping", host="127.0.0.1", count=4)
    assert seen.failure is None
    assert (seen.document["loss"], seen.document["received"]) == (Decimal("0.25"), 3)


async def test_replies_to_others_and_late_ones_do_not_count(send: Send, wire: Callable[..., Wire]) -> None:
    sent: list[bytes] = []

    def reply(sequence: int, request: bytes) -> list[bytes]:
        sent.append(request)
        foreign = echo(icmp.echo_request(V4, sequence, TOKEN))
        return [request, b"", foreign, *map(echo, sent[:-1])]

    wire(reply)
    seen = await send("ping", host="127.0.0.1", count=2)
    assert seen.document["received"] == 0


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ECONNREFUSED])
async def test_nothing_comes_back(send: Send, wire: Callable[..., Wire], code: int) -> None:
    wire(lambda sequence, _request: OSError(code, "unreachable") if sequence == 1 else [])
    seen = await send("ping", host="127.0.0.1", count=2)
    assert seen.document["loss"] == 1
    assert "rtt" not in seen.document
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TIMEOUT)
    assert "replied to none of 2 echo requests" in seen.failure.message
    assert seen.failure.answered_by == ("loss", "received")


async def test_without_a_network_it_is_an_error_of_this_machine(send: Send, wire: Callable[..., Wire]) -> None:
    wire(lambda _sequence, _request: OSError(errno.ENETUNREACH, "Network is unreachable"))
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.NETWORK)


async def test_without_permission_it_is_skipped_and_says_how_to_get_it(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(_family: int, kind: int, _protocol: int) -> socket.socket:
        tried.append(kind)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.SKIPPED, Reason.UNAVAILABLE)
    assert "ping_group_range" in seen.failure.message
    assert tried == [socket.SOCK_DGRAM, socket.SOCK_RAW]


async def test_without_ipv6_it_is_skipped(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(icmp, "open_socket", refuse)
    seen = await send("ping", host="::1")
    assert seen.failure is not None
    assert seen.failure.status is Status.SKIPPED
    assert "Address family not supported" in seen.failure.message


async def test_a_name_that_does_not_resolve(send: Send, wire: Callable[..., Wire]) -> None:
    line = wire(lambda _sequence, request: [echo(request)])
    seen = await send("ping", host="not..valid")
    assert seen.failure is not None
    assert seen.failure.reason is Reason.DNS
    assert "not..valid does not resolve" in seen.failure.message
    assert line.requests == []


async def test_a_reply_is_waited_for_no_longer_than_given() -> None:
    silent, opened = (socket.socket(V4, socket.SOCK_DGRAM) for _ in range(2))
    with silent, opened:
        silent.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        opened.connect(silent.getsockname())
        assert await icmp.ping(opened, 2, interval_s=0, wait_s=0.001, clock=SystemClock()) == []


async def test_more_than_fits_into_the_timeout(send: Send) -> None:
    seen = await send("ping", host="127.0.0.1", count=100)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert "raise `timeout` above 22.2 s" in seen.failure.message


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    for token in (TOKEN, TOKEN[:15], b"\xff" * 16):
        assert icmp.checksum(icmp.echo_request(V4, 7, token)) == 0  # a packet with its checksum sums up to nothing


@pytest.mark.parametrize(
    ("family", "header"), [(V4, b""), (V4, b"\x45" + b"\0" * 19), (V4, b"\x46" + b"\0" * 23), (V6, b"")]
)
def test_a_reply_is_known_by_its_token_with_and_without_an_ip_header(family: Any, header: bytes) -> None:
    packet = echo(icmp.echo_request(family, 5, TOKEN), header=header)
    assert icmp.is_reply(packet, family, 5, TOKEN)
    assert not icmp.is_reply(packet, family, 6, TOKEN)
    assert not icmp.is_reply(packet, family, 5, TOKEN[::-1])
    assert not icmp.is_reply(packet[:-1], family, 5, TOKEN)
    assert not icmp.is_reply(icmp.echo_request(family, 5, TOKEN), family, 5, TOKEN)
    assert not icmp.is_reply(packet[:6], family, 5, TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_this_machine_answers_itself(send: Send, host: str) -> None:
    seen = await send("ping", host=host, count=1)
    if seen.failure is not None and seen.failure.reason in {Reason.UNAVAILABLE, Reason.NETWORK}:
        pytest.skip(seen.failure.message)
    assert seen.failure is None
    assert (seen.document["received"], seen.document["address"]) == (1, host)
