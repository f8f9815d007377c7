"""Whatever a server does to an `http` probe, the answer is one sentence, no exception and nothing left open."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.testing.targets import Talk, answering, http_answer, read_request, responding, serving

Send = Callable[..., Awaitable[Observation]]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfour"


@pytest.mark.parametrize(
    ("talk", "reason", "says", "transient"),
    [
        pytest.param(responding(b""), Reason.CONNECT, "closed the connection without a response", True, id="closes"),
        pytest.param(responding(b"", reset), Reason.CONNECT, "reset the connection", True, id="resets"),
        pytest.param(
            responding(b"HTTP/1.1 20"), Reason.CONNECT, "without a response", True, id="stops in the status line"
        ),
        pytest.param(
            responding(PARTIAL),
            Reason.CONNECT,
            "closed the connection inside its response, after 4 of 100 bytes",
            True,
            id="truncated",
        ),
        pytest.param(
            responding(PARTIAL, reset),
            Reason.CONNECT,
            "closed the connection inside its response",
            True,
            id="reset mid-body",
        ),
        pytest.param(
            responding(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            Reason.CONNECT,
            "closed the connection inside its response, after 2 bytes",
            True,
            id="chunk truncated",
        ),
        pytest.param(
            responding(b"HTTP/1.1 200 OK\r\n\r\nall there is", reset),
            Reason.CONNECT,
            "closed the connection inside its response",
            True,
            id="reset where only the end would end the body",
        ),
        pytest.param(responding(b"SSH-2.0-OpenSSH_9\r\n"), Reason.PROTOCOL, "is not HTTP", False, id="ssh"),
        pytest.param(responding(b"220 mail ESMTP\r\n\r\n"), Reason.PROTOCOL, "is not HTTP", False, id="smtp"),
        pytest.param(
            responding(b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n"), Reason.PROTOCOL, "is not HTTP", False, id="tls"
        ),
        pytest.param(
            responding(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
            Reason.PROTOCOL,
            "is not HTTP",
            False,
            id="length",
        ),
        pytest.param(
            responding(http_answer(b"not gzip", Content_Encoding="gzip")),
            Reason.PROTOCOL,
            "Content-Encoding",
            False,
            id="wrong encoding",
        ),
    ],
)
async def test_what_servers_do(send: Send, talk: Talk, reason: Reason, says: str, transient: bool) -> None:
    async with serving(talk) as server:
        seen = await send("http", url=server.url)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, reason)
    assert says in seen.failure.message
    assert f"127.0.0.1:{server.port}" in seen.failure.message
    assert "\n" not in seen.failure.message
    assert seen.failure.transient is transient
    assert seen.document == {}
    assert seen.exchange is not None


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        pytest.param(responding(b"", hold=True), "did not answer within", id="no answer"),
        pytest.param(responding(b"HTTP/1.1 200 OK\r\n", hold=True), "did not answer within", id="half a head"),
        pytest.param(
            responding(PARTIAL, hold=True),
            "did not finish its response (status 200, 4 bytes received) within",
            id="half a body",
        ),
    ],
)
async def test_slow_servers_cost_their_timeout_only(send: Send, talk: Talk, says: str) -> None:
    told = ""
    async with serving(talk) as server:
        # On a machine under load even the first bytes may need longer than the shortest of these.
        for timeout_s in (0.05, 0.5, 5.0):
            seen = await send("http", url=server.url, timeout_s=timeout_s)
            assert seen.failure is not None
            assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TIMEOUT)
            told = seen.failure.message
            if says in told:
                break
    assert says in told


async def test_a_tls_handshake_that_never_ends(send: Send) -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as server:
        seen = await send("http", url=server.url.replace("http:", "https:"), timeout_s=0.05)
    assert seen.failure is not None
    assert "did not finish the TLS handshake within 50 ms" in seen.failure.message


async def test_refused(send: Send, closed_port: int) -> None:
    seen = await send("http", url=f"http://127.0.0.1:{closed_port}/")
    assert seen.failure is not None
    assert (seen.failure.reason, seen.failure.transient) == (Reason.CONNECT, True)
    assert f"127.0.0.1:{closed_port} refused the connection" in seen.failure.message


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "not..valid"])
async def test_a_name_that_does_not_resolve(send: Send, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    real = socket.getaddrinfo

    def offline(name: str, *rest: Any, **options: Any) -> Any:
        if name == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    seen = await send("http", url=f"http://{host}/")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.DNS)
    assert f"{host} does not resolve: " in seen.failure.message


async def test_a_look_up_that_hangs_costs_its_timeout_only(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    over = threading.Event()

    def hangs(*_rest: Any, **_options: Any) -> Any:
        over.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        seen = await send("http", url="http://slow.example/", timeout_s=0.05)
    finally:
        over.set()
    assert seen.failure is not None
    assert seen.failure.message == "slow.example:80 did not resolve within 50 ms"


async def test_our_own_network_is_an_error_not_a_failure(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import aiohappyeyeballs

    async def unreachable(*_rest: Any, **_options: Any) -> Any:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", unreachable)
    seen = await send("http", url="http://127.0.0.1:9/")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.NETWORK)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_kept_alive_connection_that_is_gone_is_replaced(send: Send, method: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Says nothing of closing, answers once, and hangs up on the second request.
        await read_request(reader)
        writer.write(http_answer())
        await read_request(reader)

    async with serving(once) as server:
        for _ in range(2):
            seen = await send("http", url=server.url, method=method)
            assert seen.failure is None
        assert server.connections == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_what_may_change_something_is_sent_once_on_a_connection_of_its_own(send: Send, method: str) -> None:
    talk, requests = answering(http_answer())
    async with serving(talk) as server:
        await send("http", url=server.url)
        await send("http", url=server.url, method=method)
        assert server.connections == 2
    assert len(requests) == 2


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_request_without_an_answer_is_not_sent_again(send: Send, method: str) -> None:
    talk, requests = answering(b"", keep_alive=False)
    async with serving(talk) as server:
        seen = await send("http", url=server.url, method=method)
    assert seen.failure is not None
    assert len(requests) == 1


async def test_an_unread_rest_is_never_taken_for_the_next_answer(send: Send) -> None:
    talk, _ = answering(http_answer(b"one") + b"HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n", http_answer(b"two"))
    async with serving(talk) as server:
        first = await send("http", url=server.url)
        second = await send("http", url=server.url)
        assert server.connections == 2
    assert (first.document["body"], second.document["body"]) == ("one", "two")


async def test_cancelling_leaves_nothing_open(send: Send) -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        begun.set()
        await reader.read()
        closed.set()

    async with serving(talk) as server:
        task = asyncio.ensure_future(send("http", url=server.url))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_deadline_from_outside_stays_a_cancellation(send: Send) -> None:
    async with serving(responding(b"", hold=True)) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await send("http", url=server.url)
