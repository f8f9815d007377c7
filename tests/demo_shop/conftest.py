"""One demo for all tests that need a running one: a child process, so that no test's event loop owns it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from prodwatch.demo.process import DemoServer, start_demo


@pytest.fixture(scope="session")
def during() -> Iterator[DemoServer]:
    """The bad release, held at ten percent."""
    with start_demo(at="during") as server:
        yield server


@pytest.fixture(scope="session")
def aws(during: DemoServer) -> Any:
    """`aws(service)`: a boto3 client of the running demo."""
    clients: dict[str, Any] = {}

    def client(service: Any) -> Any:
        if service not in clients:
            clients[service] = boto3.client(
                service,
                endpoint_url=during.url,
                region_name="eu-west-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        return clients[service]

    return client
