"""Frames of a session file: each is one whole gzip member that carries its kind, time, length and digest.

A file of frames is a gzip file, so that any gzip program prints its content.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Literal

import msgspec

FrameKind = Literal["H", "E", "S", "Z"]
"""Header, events, snapshot of the state, end."""
KINDS: tuple[FrameKind, ...] = ("H", "E", "S", "Z")

FIRST_DIGEST = bytes(32)
"""Digest before the first frame."""
_FIXED = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"
"""Begin of a member: gzip, deflate, with an extra field, without a time, of an unknown system."""
_FIELD = struct.Struct("<H2sHcIQ32s")
"""Length of the extra field; name and length of its only subfield; kind, length of the member, time, digest."""
_NAME = b"PW"
_TAIL = struct.Struct("<II")
HEAD_BYTES = len(_FIXED) + _FIELD.size
_DIGEST_AT = HEAD_BYTES - len(FIRST_DIGEST)
_LEVEL = 1
"""Compression level: a higher one halves the speed and saves a tenth."""
MAX_CONTENT_BYTES = 256 * 1024 * 1024
"""Longest content of a frame; a longer one is damage, or was made to exhaust memory."""


class FrameHead(msgspec.Struct, frozen=True, kw_only=True):
    """A frame without its content."""

    number: int
    """From 0."""
    kind: FrameKind
    offset: int
    """Position of its first byte in the file."""
    length: int
    """Bytes in the file."""
    elapsed_us: int
    """Microseconds since the start of the recording, of its last event."""
    digest: bytes


class DamagedFrameError(ValueError):
    """The bytes are not a whole frame."""


def digest_of(previous: bytes, member: bytes) -> bytes:
    """Return the digest of a frame, which continues that of the frame before: it covers all its bytes but itself."""
    return hashlib.sha256(previous + member[:_DIGEST_AT] + FIRST_DIGEST + member[HEAD_BYTES:]).digest()


def pack(previous: bytes, kind: FrameKind, elapsed_us: int, content: bytes) -> tuple[bytes, bytes]:
    """Return a frame's bytes and its digest."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    length = HEAD_BYTES + len(body) + _TAIL.size
    field = _FIELD.pack(_FIELD.size - 2, _NAME, _FIELD.size - 6, kind.encode(), length, elapsed_us, FIRST_DIGEST)
    member = _FIXED + field + body + _TAIL.pack(zlib.crc32(content), len(content))
    digest = digest_of(previous, member)
    return member[:_DIGEST_AT] + digest + member[HEAD_BYTES:], digest


def read_head(head: bytes, number: int, offset: int) -> FrameHead:
    """Return the frame that begins with `head`. Raises DamagedFrameError."""
    if len(head) < HEAD_BYTES:
        raise DamagedFrameError("it ends within the head of a frame")
    extra, name, size, kind, length, elapsed_us, digest = _FIELD.unpack_from(head, len(_FIXED))
    if head[: len(_FIXED)] != _FIXED or (extra, name, size) != (_FIELD.size - 2, _NAME, _FIELD.size - 6):
        raise DamagedFrameError("these bytes are not the head of a frame")
    found = next((each for each in KINDS if each.encode() == kind), None)
    if found is None or length <= HEAD_BYTES + _TAIL.size:
        raise DamagedFrameError("the head of a frame has an unknown kind or an impossible length")
    return FrameHead(number=number, kind=found, offset=offset, length=length, elapsed_us=elapsed_us, digest=digest)


def unpack(head: FrameHead, member: bytes) -> bytes:
    """Return the content of a frame. Raises DamagedFrameError when it was cut or changed."""
    if len(member) != head.length:
        raise DamagedFrameError(f"frame {head.number} is cut: {len(member):,} of {head.length:,} bytes")
    crc, size = _TAIL.unpack_from(member, len(member) - _TAIL.size)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflate.decompress(member[HEAD_BYTES : -_TAIL.size], MAX_CONTENT_BYTES)
    except zlib.error as error:
        raise DamagedFrameError(f"frame {head.number} cannot be decompressed: {error}") from None
    if not inflate.eof or inflate.unused_data or len(content) & 0xFFFFFFFF != size or zlib.crc32(content) != crc:
        raise DamagedFrameError(f"frame {head.number} does not have the checksum or the length that it names")
    return content
