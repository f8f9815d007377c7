"""Hostile replies to `dns`, `sql`, `tcp` and `ping`: never a pass on noise, never a hang, never an exception."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import sqlite3
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.connect import open_socket
from prodwatch.probes.ping import icmp
from prodwatch.testing.targets import Talk, serving
from tests.support.name_server import hung_up, name_server

Send = Callable[..., Awaitable[Observation]]
TIMEOUT_S = 1.0
PATIENCE_S = 10 * TIMEOUT_S
"""Far above the timeout on a slow machine, and below SQLite's own wait and every endless reply."""
NAME, FOREIGN = "shop.example.", "evil.example."
ADDRESS = "10.0.0.1"


def assert_of_target(seen: Observation, detail: object) -> None:
    """Check that an observation is a failure of the target and not a fault or limit of prodwatch."""
    assert seen.failure is not None, detail
    assert (seen.failure.status, seen.failure.reason is Reason.INTERNAL) == (Status.FAIL, False), (detail, seen.failure)


# -- dns


def response(query: bytes, *records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, cut: bool = False) -> bytes:
    """Return the response to `query` with `records`, each `owner class type data`."""
    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.set_rcode(rcode)
    if cut:
        reply.flags |= dns.flags.TC
    for record in records:
        owner, class_, kind, data = record.split(" ", 3)
        reply.answer.append(dns.rrset.from_text(owner, 60, class_, kind, data))
    return reply.to_wire()


def right(query: bytes) -> bytes:
    return response(query, f"{NAME} IN A {ADDRESS}")


def with_owner(query: bytes, owner: bytes, data: bytes = b"\x0a\0\0\1", class_: int = 1) -> bytes:
    """Return a response with one address record whose owner is given in wire format."""
    head = bytearray(response(query))
    head[6:8] = struct.pack("!H", 1)
    return bytes(head) + owner + struct.pack("!HHIH", 1, class_, 60, len(data)) + data


def other_question(query: bytes) -> bytes:
    other = dns.message.make_query(FOREIGN, "A", id=struct.unpack("!H", query[:2])[0])
    return response(other.to_wire(), f"{FOREIGN} IN A {ADDRESS}")


HOSTILE_DNS: dict[str, Callable[[bytes], bytes]] = {
    "cut in the header": lambda query: right(query)[:7],
    "cut in the record": lambda query: right(query)[:-3],
    "empty": lambda _query: b"",
    "the question itself": lambda query: query,
    "the identifier of another query": lambda query: bytes([query[0] ^ 1]) + right(query)[1:],
    "the response to another question": other_question,
    "records of another name": lambda query: response(query, f"{FOREIGN} IN A {ADDRESS}"),
    "records of another class": lambda query: with_owner(query, b"\xc0\x0c", class_=4),
    "aliases in a loop": lambda query: response(
        query, f"{NAME} IN CNAME {FOREIGN}", f"{FOREIGN} IN CNAME {NAME}", f"x.{FOREIGN} IN A {ADDRESS}"
    ),
    "records of a server that failed": lambda query: response(
        query, f"{NAME} IN A {ADDRESS}", rcode=dns.rcode.SERVFAIL
    ),
    "records of a name that does not exist": lambda query: response(
        query, f"{NAME} IN A {ADDRESS}", rcode=dns.rcode.NXDOMAIN
    ),
    "a pointer to itself": lambda query: with_owner(query, struct.pack("!H", 0xC000 | 30)),
    "a pointer forward": lambda query: with_owner(query, b"\xff\xff"),
    "pointers in a ring": lambda query: with_owner(query, b"\x01a\xc0\x1e"),
    "an address of three bytes": lambda query: with_owner(query, b"\xc0\x0c", b"\x0a\0\0"),
    "65,535 records announced": lambda query: right(query)[:6] + b"\xff\xff" + right(query)[8:],
    "60 kB of zeros": lambda query: right(query) + bytes(60_000),
}


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def over_tcp(reply: Callable[[bytes], bytes], length: int | None = None) -> Talk:
    """Return a name server's end of a connection, which announces `length` instead of the real one if given."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = reply(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
        writer.write((len(content) if length is None else length).to_bytes(2) + content)
        await writer.drain()

    return talk


async def look_up(send: Send, over_udp: Callable[[bytes], bytes | None], stream: Talk = hung_up) -> Observation:
    async with name_server(over_udp, stream) as server, asyncio.timeout(PATIENCE_S):
        return await send("dns", name=NAME, server=server, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("kind", HOSTILE_DNS)
async def test_hostile_datagrams_of_a_name_server(send: Send, kind: str) -> None:
    assert_of_target(await look_up(send, HOSTILE_DNS[kind]), kind)


async def test_a_silent_name_server(send: Send) -> None:
    seen = await look_up(send, lambda _query: None)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.TIMEOUT


@pytest.mark.parametrize("kind", HOSTILE_DNS)
async def test_hostile_responses_of_a_name_server_over_tcp(send: Send, kind: str) -> None:
    seen = await look_up(send, lambda query: response(query, cut=True), over_tcp(HOSTILE_DNS[kind]))
    assert_of_target(seen, kind)


async def test_a_long_chain_of_aliases_with_the_last_one_first(send: Send) -> None:
    names = [NAME, *(f"{number}." for number in range(1500))]
    aliases = [f"{owner} IN CNAME {target}" for owner, target in itertools.pairwise(names)]
    records = [f"{names[-1]} IN A {ADDRESS}", *reversed(aliases)]
    seen = await look_up(
        send, lambda query: response(query, cut=True), over_tcp(lambda query: response(query, *records))
    )
    assert seen.failure is None
    assert seen.document["answers"] == [ADDRESS]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(hung_up, id="closed"),
        pytest.param(silent, id="silent"),
        pytest.param(reset, id="reset"),
        pytest.param(over_tcp(right, 65535), id="announced longer"),
        pytest.param(over_tcp(right, 20), id="announced shorter"),
        pytest.param(over_tcp(right, 0), id="announced as empty"),
    ],
)
async def test_connections_to_a_name_server_that_end_early(send: Send, stream: Talk) -> None:
    assert_of_target(await look_up(send, lambda query: response(query, cut=True), stream), "tcp")


async def test_noise_of_a_name_server_is_a_pass_only_with_the_right_address(send: Send) -> None:
    random = Random("dns")
    passed = 0
    for number in range(120):

        def noisy(query: bytes) -> bytes:
            content = bytearray(right(query))
            # The last ten bytes, time to live and address, hold any value; every other byte is checked.
            for _ in range(random.randrange(3)):
                content[random.randrange(len(content) - 10)] = random.randrange(256)
            return bytes(content[: random.choice([len(content), random.randrange(len(content))])])

        seen = await look_up(send, noisy)
        if seen.failure is None:
            passed += 1
            assert seen.document["answers"] == [ADDRESS], number
        else:
            assert_of_target(seen, number)
    assert 0 < passed < 120


# -- sql


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """Return the content of a database file with 200 orders."""
    path = tmp_path / "whole.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table orders (id integer, name text)")
        connection.executemany("insert into orders values (?, ?)", [(number, "tea" * 50) for number in range(200)])
    return path.read_bytes()


@pytest.fixture(autouse=True)
async def no_threads() -> AsyncIterator[None]:
    """Wait for SQLite's threads: one that ends after this test's loop would disturb another test."""
    yield
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)


async def select(send: Send, path: Path, statement: str = "select * from orders", **keys: Any) -> Observation:
    async with asyncio.timeout(PATIENCE_S):
        return await send(
            "sql", url=f"sqlite+aiosqlite:///{path}", statement=statement, **{"timeout_s": TIMEOUT_S, **keys}
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"id integer, name text", b"id integer, n\xffm\xfe text", id="name of a column"),
        pytest.param(b"CREATE TABLE orders", b"CREA\x81E TABLE orders", id="message of an error"),
        pytest.param(b"tea" * 50, b"\xff" * 150, id="value"),
    ],
)
async def test_text_of_a_database_that_is_not_utf_8(
    send: Send, tmp_path: Path, content: bytes, old: bytes, new: bytes
) -> None:
    path = tmp_path / "hostile.db"
    path.write_bytes(content.replace(old, new))
    assert content != path.read_bytes()
    assert_of_target(await select(send, path), new)


async def test_damaged_database_files(send: Send, tmp_path: Path, content: bytes) -> None:
    random = Random("sql")
    path = tmp_path / "hostile.db"
    for number in range(100):
        damaged = bytearray(content)
        match number % 4:
            case 0:
                damaged = damaged[: random.randrange(1, len(damaged))]
            case 1:
                damaged = bytearray(random.randbytes(random.randrange(1, 5000)))
            case 2:
                damaged[16:100] = random.randbytes(84)
            case _:
                for _ in range(random.randrange(1, 60)):
                    damaged[random.randrange(4096)] = random.randrange(256)
        path.write_bytes(damaged)
        seen = await select(send, path)
        if seen.failure is not None:
            assert_of_target(seen, number)
        else:
            assert len(seen.document["rows"]) == seen.document["count"] <= 200, number
            assert number % 4 != 1, "noise without the format's signature"


async def test_a_locked_database_ends_with_the_timeout_and_not_with_the_drivers_own(
    send: Send, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(content)
    waits: list[float] = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def noted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        waits.append(options["timeout"])
        return connect(*arguments, **options)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        monkeypatch.setattr(sqlite3, "connect", noted)
        seen = await select(send, path, timeout_s=0.2)
    assert_of_target(seen, "locked")
    assert waits == [0.2]


@pytest.mark.parametrize("statement", ["select count(*) from endless", "select i from endless"])
async def test_an_endless_view_ends_in_time(send: Send, tmp_path: Path, statement: str) -> None:
    path = tmp_path / "endless.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "create view endless as with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
        )
    seen = await select(send, path, statement, timeout_s=0.2)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TIMEOUT)


async def test_values_of_other_types_and_a_huge_row(send: Send, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "types.db"
    path.write_bytes(content)
    statement = (
        "select 1 as id union all select 'one' union all select x'ff' union all select null union all select 1e999"
    )
    seen = await select(send, path, statement)
    assert seen.failure is None
    assert [row["id"] for row in seen.document["rows"]] == [1, "one", "/w==", None, "inf"]
    seen = await select(send, path, "select hex(zeroblob(4000000)) as id", timeout_s=PATIENCE_S)
    assert seen.failure is None
    assert seen.document["rows"] == [{"id": "0" * 8_000_000}]


async def test_values_that_the_driver_cannot_send_are_an_error_of_the_check(
    send: Send, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "whole.db"
    path.write_bytes(content)
    for seen in (
        await select(send, path, "select :a as a", parameters={"a": 2**70}),
        await select(send, Path(f"{path}\0")),
    ):
        assert seen.failure is not None
        assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)


# -- tcp


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not reader.at_eof():
        writer.write(bytes(65536))
        await writer.drain()


@pytest.mark.parametrize("talk", [hung_up, silent, reset, endless])
async def test_tcp_measures_the_connection_only(send: Send, talk: Talk) -> None:
    async with serving(talk) as server, asyncio.timeout(PATIENCE_S):
        seen = await send("tcp", host="127.0.0.1", port=server.port, timeout_s=TIMEOUT_S)
    if seen.failure is None:
        assert seen.document["address"] == "127.0.0.1"
    else:
        assert (talk, seen.failure.status, seen.failure.reason) == (reset, Status.FAIL, Reason.CONNECT)


async def test_a_connection_that_is_reset_before_it_is_looked_at(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened_and_reset(*arguments: Any, **options: Any) -> socket.socket:
        opened = await open_socket(*arguments, **options)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(opened, 1)
        return opened

    monkeypatch.setattr("prodwatch.probes.tcp.probe.open_socket", opened_and_reset)
    async with serving(reset) as server, asyncio.timeout(PATIENCE_S):
        seen = await send("tcp", host="127.0.0.1", port=server.port, timeout_s=TIMEOUT_S)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.CONNECT)
    assert seen.failure.message == f"127.0.0.1:{server.port} reset the connection"


# -- ping


def reply_to(request: bytes) -> bytes:
    return b"\0" + request[1:]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[bytes], Iterator[bytes | OSError]]], None]:
    """Return `wire(replies)`: puts the probe on a socket that receives at once what `replies(request)` gives."""

    def put(replies: Callable[[bytes], Iterator[bytes | OSError]]) -> None:
        waiting: Iterator[bytes | OSError] = iter(())

        async def sent(_socket: Any, request: bytes) -> None:
            nonlocal waiting
            waiting = replies(request)

        async def receive(_socket: Any, _size: int) -> bytes:
            packet = next(waiting, None)
            if packet is None:
                raise TimeoutError
            if isinstance(packet, OSError):
                raise packet
            return packet

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "sock_sendall", sent, raising=False)
        monkeypatch.setattr(loop, "sock_recv", receive, raising=False)
        monkeypatch.setattr(icmp, "open_socket", lambda family: socket.socket(family, socket.SOCK_DGRAM))
        monkeypatch.setattr("prodwatch.probes.ping.probe.INTERVAL_S", 0.0)

    return put


def damaged(request: bytes, random: Random) -> bytes:
    """Return a packet that differs from the reply to `request` in what identifies it."""
    reply = reply_to(request)
    match random.randrange(6):
        case 0:
            return reply[: random.randrange(len(reply))]
        case 1:
            return random.randbytes(random.randrange(2048))
        case 2:
            return request
        case 3:
            return reply + b"\0" * random.randrange(1, 2000)
        case 4:
            return bytes([3, 1, 0, 0, 0, 0, 0, 0, 0x45]) + bytes(19) + request
        case _:
            # Byte 0 and 1 are type and code, 6 and 7 the sequence number, and the token follows.
            at = random.choice([0, 1, 6, *range(8, len(reply))])
            return reply[:at] + bytes([reply[at] ^ random.randrange(1, 256)]) + reply[at + 1 :]


async def test_hostile_replies_are_no_echo(send: Send, wire: Callable[..., None]) -> None:
    random = Random("ping")
    wire(lambda request: (damaged(request, random) for _ in range(200)))
    seen = await send("ping", host="127.0.0.1", count=5, timeout_s=60.0)
    assert seen.document["received"] == 0
    assert_of_target(seen, "damaged")


async def test_a_reply_counts_once_among_hostile_ones(send: Send, wire: Callable[..., None]) -> None:
    random = Random("ping")
    wire(lambda request: iter([damaged(request, random), *[reply_to(request)] * 3, OSError(errno.EIO, "late")]))
    seen = await send("ping", host="127.0.0.1", count=5, timeout_s=60.0)
    assert seen.failure is None
    assert (seen.document["received"], seen.document["loss"]) == (5, 0)


async def test_a_flood_of_foreign_packets_ends_in_time(send: Send, wire: Callable[..., None]) -> None:
    # A flood without an end would hang this test instead of failing it.
    packets = 0

    def flood(_request: bytes) -> Iterator[bytes]:
        nonlocal packets
        for packets in itertools.count():
            if packets > 3_000_000:
                return
            yield b"\0" * 24

    wire(flood)
    seen = await send("ping", host="127.0.0.1", count=1, timeout_s=0.1)
    assert_of_target(seen, "flood")
    assert packets < 3_000_000


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (errno.EPERM, Status.ERROR, Reason.NETWORK),
        (errno.ENOBUFS, Status.ERROR, Reason.NETWORK),
        (errno.EHOSTUNREACH, Status.FAIL, Reason.TIMEOUT),
    ],
)
async def test_errors_of_the_icmp_socket(
    send: Send, wire: Callable[..., None], code: int, status: Status, reason: Reason
) -> None:
    wire(lambda _request: iter([OSError(code, os.strerror(code))]))
    seen = await send("ping", host="127.0.0.1", count=1)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (status, reason)
