"""The dashboard in a browser: loopback unless told otherwise, and nothing without the token."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from prodwatch.cli.browser import address, addresses, base_url, make_server
from prodwatch.cli.browser_server import cookie_name, guard
from prodwatch.cli.options import Common
from prodwatch.errors import ConfigurationError

TOKEN = "a-token-nobody-guesses"
PORT = 8000
COOKIE = cookie_name(PORT)


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(dashboard(TOKEN, PORT))) as found:
        yield found


def dashboard(token: str, port: int) -> web.Application:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="dashboard")

    app = web.Application(middlewares=[guard(token, port)])
    app.router.add_get("/", hello)
    app.router.add_get("/ws", hello)
    return app


@pytest.mark.parametrize("path", ["/", "/ws", "/?token=", "/?token=wrong", "/ws?token=a-token-nobody-guesse"])
async def test_without_the_token_nothing_is_served(client: TestClient[web.Request, web.Application], path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 403
    assert "dashboard needs" in await answer.text()


async def test_the_token_opens_by_link_once_and_by_cookie_then(
    client: TestClient[web.Request, web.Application],
) -> None:
    answer = await client.get("/", params={"token": TOKEN}, allow_redirects=False)
    assert answer.status == 302
    assert "token" not in answer.headers["Location"]
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert await (await client.get("/")).text() == "dashboard"


async def test_another_site_cannot_use_the_cookie(client: TestClient[web.Request, web.Application]) -> None:
    headers = {"Cookie": f"{COOKIE}={TOKEN}", "Origin": "https://evil.example"}
    async with ClientSession() as other:
        answer = await other.get(client.make_url("/ws"), headers=headers)
        assert answer.status == 403
        same = {"Cookie": f"{COOKIE}={TOKEN}", "Origin": str(client.make_url("")).rstrip("/")}
        assert (await other.get(client.make_url("/ws"), headers=same)).status == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [("8000", ("127.0.0.1", 8000)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:8000", ("::1", 8000))],
    ids=["port", "host and port", "IPv6"],
)
def test_the_address_is_loopback_unless_told_otherwise(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        ":80",
        "127.0.0.1:0",
        "127.0.0.1:x",
        "1:99999",
        "::1:8000",
        "[::1]",
        "[]:80",
        "[h]:80",
        "[::1:80",
        "h:²",
    ],
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--web takes"):
        address(text)


def test_the_browser_gets_the_same_options() -> None:
    common = Common(env="prod", at="during", var=("a=b c",), no_color=True)
    server = make_server("127.0.0.1", 8000, common.arguments(), TOKEN)
    assert server.command.endswith("-m prodwatch --env=prod --at=during '--var=a=b c' --no-color")
    assert TOKEN not in server.command


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000"), ("h", "http://h:8000")]
)
def test_K25_an_ipv6_address_has_brackets_in_a_url_only(host: str, url: str) -> None:
    assert base_url(host, PORT) == url
    server = make_server(host, PORT, (), TOKEN)
    assert (server.host, server.public_url) == (host, url)


@pytest.mark.parametrize(("host", "loopback"), [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")])
def test_every_printed_address_can_be_opened(host: str, loopback: str) -> None:
    (here, _), (named, reach) = addresses(host, PORT)
    assert (here, named) == (loopback, f"http://{socket.gethostname()}:{PORT}")
    assert "know this one by that name" in reach
    assert addresses("127.0.0.1", PORT) == (("http://127.0.0.1:8000", ""),)


async def test_the_page_finds_its_parts_under_the_name_by_which_it_was_reached() -> None:
    server = make_server("0.0.0.0", PORT, (), TOKEN)
    async with TestClient(TestServer(await server._make_app())) as browser:
        headers = {"Cookie": f"{COOKIE}={TOKEN}", "Host": "build-7.example:9000"}
        page = await (await browser.get("/", headers=headers)).text()
    assert "ws://build-7.example:9000/ws" in page
    assert "0.0.0.0" not in page


async def test_K25_two_dashboards_of_one_host_leave_each_other_logged_in() -> None:
    async with (
        TestServer(dashboard("first", 18101)) as first,
        TestServer(dashboard("second", 18102)) as second,
        # A browser's jar: cookies know no ports.
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        for server, token in ((first, "first"), (second, "second")):
            assert (await browser.get(server.make_url("/"), params={"token": token})).status == 200
        for server in (first, second):
            for path in ("/", "/ws"):
                assert (await browser.get(server.make_url(path))).status == 200
