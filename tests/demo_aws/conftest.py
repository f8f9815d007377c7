"""An embedded AWS with a clock set by the test, and calls through either SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import boto3
import pytest
import pytest_asyncio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.config import Config

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.in_process_server import embedded_aws

NOW_S = 1_768_478_400.0
"""2026-01-15T12:00:00Z."""
_CREDENTIALS: Any = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
_CONFIG: Any = {"retries": {"max_attempts": 0}, "inject_host_prefix": False, "read_timeout": 20}
_BOTO3: Any = boto3.Session(**_CREDENTIALS, region_name="eu-west-1")
_AIO = get_session()


class Wall:
    """A wall clock that only the test moves."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest_asyncio.fixture
async def aws(wall: Wall) -> AsyncIterator[EmbeddedAws]:
    async with embedded_aws(wall=wall) as (server, _):
        yield server


class Sdk:
    """Calls operations by their AWS names; responses are without ResponseMetadata."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = url
        self._stack = AsyncExitStack()
        self._clients: dict[tuple[str, str], Any] = {}

    async def client(self, service: str, region: str = "eu-west-1") -> Any:
        key = (service, region)
        if key not in self._clients:
            # Without `verify=False` each client loads the machine's certificates: 30 ms for a server without TLS.
            where: Any = {"endpoint_url": self.url, "region_name": region, "verify": False}
            if self.kind == "boto3":
                made = _BOTO3.client(service, **where, config=Config(**_CONFIG))
                self._stack.callback(made.close)
            else:
                made = await self._stack.enter_async_context(
                    _AIO.create_client(service, **where, config=AioConfig(**_CONFIG), **_CREDENTIALS)
                )
            self._clients[key] = made
        return self._clients[key]

    async def __call__(self, service: str, operation: str, *, region: str = "eu-west-1", **params: Any) -> Any:
        client = await self.client(service, region)
        method = getattr(client, _snake(client, operation))
        response = await asyncio.to_thread(method, **params) if self.kind == "boto3" else await method(**params)
        response.pop("ResponseMetadata")
        return response

    async def read(self, body: Any) -> bytes:
        data = await asyncio.to_thread(body.read) if self.kind == "boto3" else await body.read()
        assert isinstance(data, bytes)
        return data

    async def close(self) -> None:
        await self._stack.aclose()


def _snake(client: Any, operation: str) -> str:
    return next(str(name) for name, api in client.meta.method_to_api_mapping.items() if api == operation)


@pytest_asyncio.fixture
async def sdk_at() -> AsyncIterator[Callable[..., Sdk]]:
    """Make an Sdk for a URL of the test's own server."""
    made: list[Sdk] = []

    def make(url: str, kind: str = "aiobotocore") -> Sdk:
        made.append(Sdk(kind, url))
        return made[-1]

    yield make
    for sdk in made:
        await sdk.close()


@pytest_asyncio.fixture(params=["boto3", "aiobotocore"])
async def call(request: pytest.FixtureRequest, aws: EmbeddedAws) -> AsyncIterator[Sdk]:
    sdk = Sdk(request.param, aws.url)
    yield sdk
    await sdk.close()
