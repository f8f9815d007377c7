"""The `ping` probe, over a scripted ICMP socket: sending real ones needs rights that test machines lack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import icmplib
import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation

Send = Callable[..., Awaitable[Observation]]


@pytest.fixture
def pinged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the calls made; each answers after 10, 20 and 30 ms."""
    calls: list[dict[str, Any]] = []

    async def ping(address: str, **options: Any) -> icmplib.Host:
        calls.append({"address": address, **options})
        return icmplib.Host(address, options["count"], [10.0, 20.0, 30.0][: options["count"]])

    monkeypatch.setattr(icmplib, "async_ping", ping)
    return calls


async def test_the_document(send: Send, pinged: list[dict[str, Any]]) -> None:
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is None
    assert dict(seen.document) == {
        "loss": Decimal(0),
        "sent": 3,
        "received": 3,
        "address": "127.0.0.1",
        "rtt": Duration.from_ms(20),
        "rtt_min": Duration.from_ms(10),
        "rtt_max": Duration.from_ms(30),
    }
    assert pinged[0]["privileged"] is False
    assert pinged[0]["count"] * pinged[0]["timeout"] + 2 * pinged[0]["interval"] < 5


async def test_part_of_it_lost(send: Send, pinged: list[dict[str, Any]]) -> None:
    seen = await send("ping", host="127.0.0.1", count=4)
    assert seen.failure is None
    assert seen.document["loss"] == Decimal("0.25")
    assert pinged[0]["count"] == 4


async def test_nothing_comes_back(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping(address: str, **options: Any) -> icmplib.Host:
        return icmplib.Host(address, options["count"], [])

    monkeypatch.setattr(icmplib, "async_ping", ping)
    seen = await send("ping", host="127.0.0.1", count=2)
    assert seen.document["loss"] == 1
    assert "rtt" not in seen.document
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TIMEOUT)
    assert "answered none of 2 echo requests" in seen.failure.message
    assert seen.failure.answered_by == ("loss", "received")


async def test_without_permission_it_is_skipped_and_says_how_to_get_it(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    async def ping(_address: str, *, privileged: bool, **_options: Any) -> icmplib.Host:
        tried.append(privileged)
        raise icmplib.SocketPermissionError(privileged)

    monkeypatch.setattr(icmplib, "async_ping", ping)
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.SKIPPED, Reason.UNAVAILABLE)
    assert "ping_group_range" in seen.failure.message
    assert tried == [False, True]


async def test_without_ipv6_it_is_skipped(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping(_address: str, **_options: Any) -> icmplib.Host:
        raise icmplib.ICMPSocketError("no such protocol")

    monkeypatch.setattr(icmplib, "async_ping", ping)
    seen = await send("ping", host="127.0.0.1")
    assert seen.failure is not None
    assert seen.failure.status is Status.SKIPPED


async def test_a_name_that_does_not_resolve(send: Send, pinged: list[dict[str, Any]]) -> None:
    seen = await send("ping", host="not..valid")
    assert seen.failure is not None
    assert seen.failure.reason is Reason.DNS
    assert "not..valid does not resolve" in seen.failure.message
    assert pinged == []


async def test_more_than_fits_into_the_timeout(send: Send, pinged: list[dict[str, Any]]) -> None:
    seen = await send("ping", host="127.0.0.1", count=100)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert "raise `timeout` above 22.2 s" in seen.failure.message
    assert pinged == []
