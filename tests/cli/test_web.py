"""The dashboard in a browser: loopback unless told otherwise, and nothing without the token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from prodwatch.cli.browser import address, make_server
from prodwatch.cli.browser_server import COOKIE, guard
from prodwatch.cli.options import Common
from prodwatch.errors import ConfigurationError

TOKEN = "a-token-nobody-guesses"


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="dashboard")

    app = web.Application(middlewares=[guard(TOKEN)])
    app.router.add_get("/", hello)
    app.router.add_get("/ws", hello)
    async with TestClient(TestServer(app)) as found:
        yield found


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
    ("text", "found"), [("8000", ("127.0.0.1", 8000)), ("0.0.0.0:80", ("0.0.0.0", 80))], ids=["port", "host and port"]
)
def test_the_address_is_loopback_unless_told_otherwise(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize("text", ["", "host", ":80", "127.0.0.1:0", "127.0.0.1:x", "1:99999"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--web takes"):
        address(text)


def test_the_browser_gets_the_same_options() -> None:
    common = Common(env="prod", at="during", var=("a=b c",), no_color=True)
    server = make_server("127.0.0.1", 8000, common.arguments(), TOKEN)
    assert server.command.endswith("-m prodwatch --env=prod --at=during '--var=a=b c' --no-color")
    assert TOKEN not in server.command
