"""The `tcp` and `tls` probes against servers that are there, are not, or should not be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.certificate import days_left, read_certificate
from prodwatch.testing.targets import serving

Send = Callable[..., Awaitable[Observation]]


async def quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read whatever comes and say nothing."""
    await reader.read()


async def test_tcp_connects_and_sends_nothing(send: Send) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def listening(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())

    async with serving(listening) as server:
        seen = await send("tcp", host="127.0.0.1", port=server.port)
        assert await heard == b""
    assert seen.failure is None
    assert set(seen.document) == {"connect", "address"}
    assert isinstance(seen.document["connect"], Duration)
    assert seen.document["address"] == "127.0.0.1"


async def test_tcp_by_name_says_how_long_the_name_took(send: Send) -> None:
    async with serving(quiet) as server:
        seen = await send("tcp", host="localhost", port=server.port)
    assert set(seen.document) == {"dns", "connect", "address"}
    assert seen.exchange is not None
    assert list(seen.exchange.phases_ms) == ["dns", "connect"]


@pytest.mark.parametrize("type_", ["tcp", "tls"])
async def test_refused(send: Send, closed_port: int, type_: str) -> None:
    seen = await send(type_, host="127.0.0.1", port=closed_port)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.CONNECT)
    assert seen.failure.transient
    assert seen.failure.message.startswith(f"127.0.0.1:{closed_port} refused the connection")


@pytest.mark.parametrize("type_", ["tcp", "tls"])
async def test_names_that_do_not_resolve(send: Send, type_: str) -> None:
    seen = await send(type_, host="not..valid", port=443)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.DNS)


@pytest.mark.parametrize("type_", ["tcp", "tls"])
async def test_nobody_accepts(send: Send, monkeypatch: pytest.MonkeyPatch, type_: str) -> None:
    async def never(*_rest: Any, **_options: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("aiohappyeyeballs.start_connection", never)
    seen = await send(type_, host="127.0.0.1", port=9, timeout_s=0.02)
    assert seen.failure is not None
    assert seen.failure.message == "127.0.0.1:9 did not accept the connection within 20 ms"


async def test_tls_facts(send: Send, trusted: Any) -> None:
    async with serving(quiet, ssl=trusted.server("good")) as server:
        seen = await send("tls", host="127.0.0.1", port=server.port)
    assert seen.failure is None
    document = seen.document
    assert document["verified"] is True
    assert "error" not in document
    assert (document["subject"], document["issuer"]) == ("CN=good", "CN=authority")
    assert document["sans"] == ["localhost", "127.0.0.1"]
    assert document["protocol"] == "TLSv1.3"
    assert document["cipher"].startswith("TLS_")
    assert Decimal(29) < document["days_left"] <= Decimal(30)
    assert document["expires"].tzinfo is UTC
    assert isinstance(document["connect"], Duration)
    assert isinstance(document["handshake"], Duration)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("expired", "certificate has expired"),
        ("other", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("self", "self-signed certificate"),
    ],
)
async def test_bad_certificates_give_all_their_facts_and_fail_unless_asked_about(
    send: Send, trusted: Any, kind: str, error: str
) -> None:
    async with serving(quiet, ssl=trusted.server(kind)) as server:
        seen = await send("tls", host="127.0.0.1", port=server.port)
    document = seen.document
    assert (document["verified"], document["error"], document["subject"]) == (False, error, f"CN={kind}")
    assert (document["days_left"] < 0) is (kind == "expired")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TLS)
    assert seen.failure.answered_by == ("verified", "error")
    assert error in seen.failure.message


async def test_the_server_name_is_what_counts(send: Send, trusted: Any) -> None:
    async with serving(quiet, ssl=trusted.server("other")) as server:
        seen = await send("tls", host="127.0.0.1", port=server.port, server_name="elsewhere.example")
    assert seen.failure is None
    assert seen.document["verified"] is True


async def test_tls_where_nobody_speaks_it(send: Send) -> None:
    async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read(5)

    async with serving(greeting) as server:
        seen = await send("tls", host="127.0.0.1", port=server.port)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.TLS
    assert "does not speak TLS" in seen.failure.message


async def test_a_handshake_that_never_ends(send: Send) -> None:
    async with serving(quiet) as server:
        seen = await send("tls", host="127.0.0.1", port=server.port, timeout_s=0.3)
    assert seen.failure is not None
    assert "did not finish the TLS handshake within 300 ms" in seen.failure.message


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=30), "30.00"),
        (timedelta(hours=-36), "-1.50"),
        (timedelta(0), "0.00"),
    ],
)
def test_days_left(left: timedelta, expected: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert str(days_left(now + left, now)) == expected


def test_what_is_no_certificate() -> None:
    with pytest.raises(ValueError, match="asn1"):
        read_certificate(b"nonsense")
