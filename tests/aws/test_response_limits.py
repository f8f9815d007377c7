"""What prodwatch reads of a response of AWS: bytes, depth, digits, pages and headers have a bound each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from prodwatch.aws import aws_calls, http_session
from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.interface import AwsError
from prodwatch.clock import SystemClock
from prodwatch.model.status import Reason
from tests.aws.conftest import environment

IDS = {"x-amzn-RequestId": "r-1", "Content-Type": "application/x-amz-json-1.0"}
DEEP = b"[" * 100_000 + b"]" * 100_000
MANY_DIGITS = b"9" * 5_000
Respond = Callable[[int], web.StreamResponse]


class Endpoint:
    """An endpoint whose responses a test writes; `answered` counts them."""

    def __init__(self) -> None:
        self.respond: Respond = lambda _number: web.Response(body=b"{}", headers=IDS)
        self.answered = 0
        self.endless = False
        """Whether the body of every response never ends."""
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.answered += 1
        if self.endless:
            response = web.StreamResponse(headers=IDS)
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65536)
        return self.respond(self.answered)


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", found.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = site.name
    yield found
    await runner.cleanup()


@pytest_asyncio.fixture
async def aws(endpoint: Endpoint) -> AsyncIterator[Aws]:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    async with Aws(environment(endpoint.url), keys, SystemClock(), jitter=lambda: 0.0) as session:
        yield session


def body(content: bytes, **headers: str) -> Respond:
    return lambda _number: web.Response(body=content, headers=IDS | headers)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"Messages": [{"Body": ' + DEEP + b"}]}", "nested more deeply"),
        (b'{"Messages": [{"Body": ' + MANY_DIGITS + b"}]}", "more digits"),
        (b'{"other": ' + MANY_DIGITS + b', "Messages": []}', "more digits"),
        (b'{"Messages": [{"Body": "' + b"x" * 2_000_000 + b'"}]}', "larger than 1.0 MB"),
    ],
    ids=("deep", "digits", "digits of an unknown member", "large"),
)
async def test_a_response_beyond_a_limit_is_never_an_empty_document(
    content: bytes, sentence: str, endpoint: Endpoint, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_session, "MAX_RESPONSE_BYTES", 1 << 20)
    endpoint.respond = body(content)
    with pytest.raises(AwsError, match=sentence) as caught:
        await aws.call("sqs", "ReceiveMessage", {"QueueUrl": f"{endpoint.url}/queue"})
    assert caught.value.reason is Reason.LIMIT
    assert endpoint.answered == 1, "a response beyond a limit is not asked for again"


async def test_a_body_that_never_ends_is_cut_off_at_the_limit(
    endpoint: Endpoint, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_session, "MAX_RESPONSE_BYTES", 1 << 20)
    endpoint.endless = True
    with pytest.raises(AwsError, match=r"larger than 1\.0 MB") as caught:
        await aws.call("logs", "FilterLogEvents", {"logGroupName": "a"})
    assert caught.value.reason is Reason.LIMIT


async def test_text_that_is_not_utf8_is_not_read_as_a_document(endpoint: Endpoint, aws: Aws) -> None:
    endpoint.respond = body(b'{"Messages": [{"Body": "\xff"}]}')
    with pytest.raises(AwsError, match="JSON that is not UTF-8 at byte 24") as caught:
        await aws.call("sqs", "ReceiveMessage", {"QueueUrl": f"{endpoint.url}/queue"}, retries=False)
    assert caught.value.reason is Reason.SERVICE


async def test_an_error_with_a_long_number_is_no_error_of_ours(endpoint: Endpoint, aws: Aws) -> None:
    content = b'{"__type": "X", "n": ' + MANY_DIGITS + b"}"
    endpoint.respond = lambda _number: web.Response(status=400, body=content, headers=IDS)
    with pytest.raises(AwsError, match="more digits") as caught:
        await aws.call("sqs", "ReceiveMessage", {"QueueUrl": f"{endpoint.url}/queue"})
    assert caught.value.reason is Reason.LIMIT


async def test_a_header_beyond_the_limit_is_named(endpoint: Endpoint, aws: Aws) -> None:
    endpoint.respond = body(b"{}", **{"X-Long": "x" * 20_000})
    with pytest.raises(AwsError, match="header") as caught:
        await aws.call("sqs", "ReceiveMessage", {"QueueUrl": f"{endpoint.url}/queue"})
    assert caught.value.reason is Reason.LIMIT


async def test_pages_without_an_end_are_cut_off(endpoint: Endpoint, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_calls, "MAX_PAGES", 5)

    def page(number: int) -> web.Response:
        content = json.dumps({"TableNames": [], "LastEvaluatedTableName": f"table-{number}"})
        return web.Response(body=content, headers=IDS)

    endpoint.respond = page
    pages: list[Any] = []

    async def read() -> None:
        async for each in aws.pages("dynamodb", "ListTables"):
            pages.append(each)  # noqa: PERF401 -- what was read before the error counts

    with pytest.raises(AwsError, match="more than 5 pages") as caught:
        await read()
    assert caught.value.reason is Reason.LIMIT
    assert len(pages) == endpoint.answered == 5
