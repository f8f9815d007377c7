"""Encoded frames, decoded by botocore's own reader."""

from __future__ import annotations

from typing import Any

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws import eventstream


@given(st.binary(max_size=300), st.text(alphabet="abcXYZ-", min_size=1, max_size=20))
def test_an_encoded_frame_is_decoded_by_botocore(payload: bytes, name: str) -> None:
    buffer = EventStreamBuffer()
    data = eventstream.event(name, payload) + eventstream.exception(name, payload)
    for start in range(0, len(data), 7):
        buffer.add_data(data[start : start + 7])
    frames: list[Any] = list(buffer)
    event, exception = frames
    assert event.payload == exception.payload == payload
    assert event.headers == {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
    assert exception.headers[":exception-type"] == name
