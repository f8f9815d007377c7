"""Event streams: answers that go on, on connections of their own."""

from __future__ import annotations

from typing import Any

from prodwatch.aws.errors import Call

SILENCE_S = 15.0
"""Streams of AWS say something every second, if only that there is nothing; longer silence is a dead connection."""


async def open_stream(client: Any, call: Call) -> Any:
    """Send `call` and return botocore's event stream, which its caller closes; raises what botocore does."""
    from botocore import xform_name

    response = await getattr(client, xform_name(call.operation))(**call.params)
    return next(value for value in response.values() if hasattr(value, "__aiter__"))
