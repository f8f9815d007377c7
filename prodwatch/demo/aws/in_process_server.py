"""The embedded AWS inside the caller's event loop, for tests where a child process would be slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prodwatch.demo.aws.server import EmbeddedAws


@asynccontextmanager
async def embedded_aws(**arguments: Any) -> AsyncIterator[tuple[EmbeddedAws, str]]:
    """Yield (aws, url) of a started server on a free port; the arguments are those of EmbeddedAws."""
    aws = EmbeddedAws(**arguments)
    url = await aws.start()
    try:
        yield aws, url
    finally:
        await aws.stop()
