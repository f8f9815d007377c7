"""What people see of an HTTP request: no secret in it, and a curl command that sends the same."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.probes.base import Observation
from prodwatch.probes.http.exchange import quoted, shown_headers
from prodwatch.testing.targets import answering, http_answer, serving

Send = Callable[..., Awaitable[Observation]]

SECRETS = {
    "headers": {"Authorization": "Bearer hunter2", "Cookie": "hunter2", "X-Api-Key": "hunter2", "X-Plain": "seen"},
}


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(SECRETS, id="headers"),
        pytest.param({"auth": {"bearer": "hunter2"}}, id="bearer"),
        pytest.param({"auth": {"basic": {"user": "ann", "password": "hunter2"}}}, id="basic"),
        pytest.param({"auth": {"header": {"name": "x-own", "value": "hunter2"}}}, id="own header"),
        pytest.param({"auth": {"header": {"name": "x-own", "value": "a"}}, "headers": {"X-Own": "hunter2"}}, id="same"),
    ],
)
async def test_no_secret_is_shown(send: Send, params: dict[str, Any]) -> None:
    talk, requests = answering(http_answer(Set_Cookie="s=hunter2"))
    async with serving(talk) as server:
        seen = await send("http", url=server.url, **params)
    assert "hunter2" not in repr(seen.exchange)
    assert b"hunter2" in requests[0] or "basic" in params.get("auth", {})


CURL = [
    pytest.param({}, id="get"),
    pytest.param({"method": "HEAD"}, id="head"),
    pytest.param({"method": "DELETE"}, id="delete"),
    pytest.param({"method": "POST"}, id="post without body"),
    pytest.param({"method": "POST", "json": {"it's": '$HOME `id` \\ "x" ü\n\t!'}}, id="quoting"),
    pytest.param({"method": "PUT", "body": "@not-a-file"}, id="at sign"),
    pytest.param({"method": "POST", "form": {"a": "b c"}}, id="form"),
    pytest.param({"headers": {"X-Odd": 'it\'s "$(id)"', "X-Empty": "", "Accept": "text/*"}}, id="headers"),
    pytest.param({"query": {"q": "[a-c]{x,y}"}}, id="globs"),
]


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
@pytest.mark.parametrize("params", CURL)
async def test_curl_sends_the_same(send: Send, params: dict[str, Any]) -> None:
    talk, requests = answering(http_answer(b""), keep_alive=False)
    async with serving(talk) as server:
        seen = await send("http", url=f"{server.url}/a/../b", trace=False, **params)
        assert seen.exchange is not None
        assert seen.exchange.curl is not None
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", seen.exchange.curl, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        await process.communicate()
    ours, curls = map(comparable, requests)
    assert ours == curls


def comparable(request: bytes) -> tuple[bytes, set[bytes], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    aside = (b"user-agent", b"accept-encoding", b"host", b"content-length: 0", b"accept: */*")
    kept = {
        name.lower() + b":" + value.rstrip()
        for name, _, value in (line.partition(b":") for line in lines)
        if not (name + b":" + value).lower().startswith(aside)
    }
    return first, kept, body


@given(st.text(min_size=1))
def test_quoting_never_leaves_its_word(text: str) -> None:
    word = quoted(text)
    assert word.isprintable()
    if not word.startswith("$'"):
        assert shlex.split(word) == [text]


def test_repeated_headers_are_a_list() -> None:
    assert shown_headers([("A", "1"), ("B", "2"), ("A", "3"), ("A", "4")]) == {"A": ["1", "3", "4"], "B": "2"}
