"""Proxies, client certificates and address families of connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from prodwatch.errors import UnusableError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.http.proxy import proxy_for
from prodwatch.probes.http.url import parse_url
from prodwatch.testing.targets import Talk, answering, http_answer, read_request, responding, serving
from tests.probes.conftest import Certificates

Send = Callable[..., Awaitable[Observation]]
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "variables", "written", "expected"),
    [
        ("http://shop.example/", {}, None, None),
        ("http://shop.example/", {"HTTP_PROXY": "http://p:3128"}, None, ("p", 3128, "HTTP_PROXY")),
        ("http://shop.example/", {"http_proxy": "p:3128"}, None, ("p", 3128, "HTTP_PROXY")),
        ("https://shop.example/", {"HTTP_PROXY": "http://p:3128"}, None, None),
        ("https://shop.example/", {"HTTPS_PROXY": "http://p:3128"}, None, ("p", 3128, "HTTPS_PROXY")),
        ("https://shop.example/", {"ALL_PROXY": "http://p:3128"}, None, ("p", 3128, "ALL_PROXY")),
        ("http://shop.example/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "shop.example"}, None, None),
        ("http://a.shop.example/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".shop.example"}, None, None),
        ("http://shop.example:81/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "shop.example:81"}, None, None),
        ("http://shop.example/", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None, None),
        ("http://shop.example/", {"HTTP_PROXY": "http://p:1"}, "direct", None),
        ("http://shop.example/", {"NO_PROXY": "*"}, "http://q:2", ("q", 2, "`proxy`")),
    ],
)
def test_the_proxy_is_that_of_the_check_else_of_the_environment(
    url: str,
    variables: dict[str, str],
    written: str | None,
    expected: tuple[str, int, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(parse_url(url), {} if written is None else {"proxy": written}, {})
    assert (None if found is None else (found.host, found.port, found.source)) == expected


@pytest.mark.parametrize("text", ["socks5://p:1", "https://p:1", "http://"])
def test_a_proxy_that_is_not_supported_is_refused(text: str) -> None:
    with pytest.raises(UnusableError, match="`proxy`"):
        proxy_for(parse_url("http://shop.example/"), {"proxy": text}, {})


async def test_B6_a_request_goes_through_the_proxy_of_the_environment(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, requests = answering(http_answer(b"ok"))
    async with serving(talk) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://svc:s%40cret@127.0.0.1:{proxy.port}")
        seen = await send("http", url="http://intranet.invalid/health?a=1")
    assert seen.document["status"] == 200
    assert requests[0].startswith(b"GET http://intranet.invalid/health?a=1 HTTP/1.1\r\nHost: intranet.invalid\r\n")
    assert b"\r\nProxy-Authorization: Basic c3ZjOnNAY3JldA==\r\n" in requests[0]
    assert seen.exchange is not None
    assert seen.exchange.request["proxy"] == f"127.0.0.1:{proxy.port} (HTTP_PROXY)"
    assert "s%40cret" not in repr(seen)
    assert "c3ZjOnNAY3JldA" not in repr(seen)


def tunnel(port: int, seen: list[bytes], *, status: str = "200 OK") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if not status.startswith("200"):
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)

        try:
            await asyncio.gather(copy(reader, back), copy(there, writer))
        finally:
            back.close()

    return talk


async def test_B6_https_goes_through_a_tunnel_of_the_proxy(send: Send, trusted: Certificates) -> None:
    talk, _ = answering(http_answer(b"ok"))
    seen: list[bytes] = []
    async with serving(talk, ssl=trusted.server("good")) as target, serving(tunnel(target.port, seen)) as proxy:
        url = f"https://localhost:{target.port}/"
        found = await send("http", url=url, proxy=f"http://127.0.0.1:{proxy.port}")
    assert found.failure is None, found.failure
    assert seen[0].startswith(f"CONNECT localhost:{target.port} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("url", ["http://intranet.invalid/", "https://intranet.invalid/"])
async def test_B6_a_proxy_that_cannot_be_reached_is_an_error(send: Send, url: str, closed_port: int) -> None:
    found = await send("http", url=url, proxy=f"http://u:geheim@127.0.0.1:{closed_port}")
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.NETWORK), found.failure
    assert "the proxy 127.0.0.1:" in found.failure.message
    assert "geheim" not in repr(found)


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_B6_a_tunnel_that_the_proxy_refuses_is_an_error(send: Send, status: str) -> None:
    async with serving(tunnel(0, [], status=status)) as proxy:
        found = await send("http", url="https://intranet.invalid/", proxy=f"http://127.0.0.1:{proxy.port}")
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.NETWORK), found.failure
    assert status in found.failure.message


async def test_B6_a_proxy_that_never_answers_is_an_error(send: Send) -> None:
    async with serving(responding(b"", hold=True)) as proxy:
        found = await send(
            "http", url="https://intranet.invalid/", proxy=f"http://127.0.0.1:{proxy.port}", timeout_s=0.2
        )
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.NETWORK), found.failure


async def test_B6_a_proxy_that_wants_other_credentials_is_an_error(send: Send) -> None:
    async with serving(responding(http_answer(b"no", "407 Proxy Authentication Required"))) as proxy:
        found = await send("http", url="http://intranet.invalid/", proxy=f"http://127.0.0.1:{proxy.port}")
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.NETWORK), found.failure


@pytest.fixture
def mutual(trusted: Certificates) -> ssl.SSLContext:
    """Return a server's context that wants a certificate of the client."""
    context = trusted.server("good")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted.authority)
    return context


@pytest.mark.parametrize("form", ["path", "text", "two texts"])
async def test_a_client_certificate_is_sent(
    form: str, send: Send, trusted: Certificates, mutual: ssl.SSLContext
) -> None:
    path = trusted.folder / "good.pem"
    pem = path.read_text()
    given: dict[str, Any] = {
        "path": {"cert": str(path)},
        "text": {"cert": pem},
        "two texts": {"cert": pem[pem.index("-----BEGIN CERT") :], "key": pem[: pem.index("-----BEGIN CERT")]},
    }
    talk, _ = answering(http_answer(b"ok"))
    async with serving(talk, ssl=mutual) as target:
        found = await send("http", url=f"https://localhost:{target.port}/", client_certificate=given[form])
    assert found.failure is None, found.failure
    assert found.document["status"] == 200


@pytest.mark.usefixtures("trusted")
async def test_a_target_that_wants_a_client_certificate_says_so(send: Send, mutual: ssl.SSLContext) -> None:
    # A server on a socket of its own: asyncio's drops the alert that names the reason.
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connected, _ = listening.accept()
            with connected, contextlib.suppress(OSError):
                mutual.wrap_socket(connected, server_side=True).recv(1)

        refusing = asyncio.create_task(asyncio.to_thread(refuse))
        found = await send("http", url=f"https://localhost:{listening.getsockname()[1]}/")
        await refusing
    assert found.failure is not None
    assert found.failure.status is Status.FAIL
    assert "client certificate" in found.failure.message


@pytest.mark.parametrize("cert", ["missing.pem", "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----"])
async def test_a_client_certificate_that_cannot_be_used_is_an_error(send: Send, cert: str) -> None:
    found = await send("http", url="https://localhost:1/", client_certificate={"cert": cert})
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert "client_certificate" in found.failure.message


@pytest.mark.parametrize("type_", ["http", "tcp"])
async def test_only_addresses_of_the_family_are_tried(type_: str, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, _ = answering(http_answer(b"ok"))
    async with serving(talk) as target:
        here = {"url": f"http://shop.test:{target.port}/"} if type_ == "http" else {"host": "shop.test"}
        if type_ == "tcp":
            here["port"] = target.port  # type: ignore[assignment]

        def both(_host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            ]

        monkeypatch.setattr("prodwatch.probes.name_resolution.socket.getaddrinfo", both)
        good = await send(type_, **here, address_family="ipv4")
        bad = await send(type_, **here, address_family="ipv6")
    assert good.failure is None
    assert bad.failure is not None
    assert bad.failure.status is Status.FAIL


async def test_a_name_without_an_address_of_the_family_is_a_failure(send: Send) -> None:
    found = await send("tcp", host="127.0.0.1", port=1, address_family="ipv6")
    assert found.failure is not None
    assert (found.failure.status, found.failure.reason) == (Status.FAIL, Reason.DNS)
    assert "no IPv6 address" in found.failure.message
