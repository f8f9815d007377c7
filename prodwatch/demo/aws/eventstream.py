"""Encoder of `application/vnd.amazon.eventstream` frames."""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one frame: prelude with its checksum, string headers, payload, checksum of everything."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + bytes([_STRING]) + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 12 + len(encoded) + len(payload) + 4, len(encoded))
    body = prelude + struct.pack(">I", crc32(prelude)) + encoded + payload
    return body + struct.pack(">I", crc32(body))


def event(name: str, payload: bytes, content_type: str = "application/json") -> bytes:
    """Return the frame of a modelled event; the first one must be `initial-response`."""
    return frame({":message-type": "event", ":event-type": name, ":content-type": content_type}, payload)


def exception(name: str, payload: bytes) -> bytes:
    """Return the frame of a modelled exception, which ends a stream."""
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    return frame(headers, payload)
