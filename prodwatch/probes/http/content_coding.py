"""Decodes content codings (gzip, deflate) up to a bound of bytes, and demands their end."""

from __future__ import annotations

import zlib
from typing import Protocol

_DECODED = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP_BITS = 16 + zlib.MAX_WBITS
_GZIP_BEGINS = b"\x1f\x8b"


class CodingError(Exception):
    """A body that does not follow its content coding, or ends before its coding does; the text completes "a body …"."""


class BodyDecoder(Protocol):
    """Decodes one body, part by part."""

    def feed(self, data: bytes, room: int) -> bytes:
        """Return what `data` decodes to, at most `room` bytes of it. Raises CodingError."""
        ...

    def finish(self) -> None:
        """Raise CodingError unless the coding ended."""
        ...


class Plain:
    """A body without a content coding."""

    def feed(self, data: bytes, room: int) -> bytes:
        """Return `data`, at most `room` bytes of it."""
        return data[:room]

    def finish(self) -> None:
        """Return: only the connection knows where the body ends."""


class Compressed:
    """A body in gzip or deflate; deflate with or without the wrapper of zlib, as servers send either."""

    def __init__(self, coding: str) -> None:
        self._coding = "gzip" if coding == "x-gzip" else coding
        self._begin = b""
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes, room: int) -> bytes:
        """Return what `data` decodes to, at most `room` bytes of it. Raises CodingError."""
        decoded = bytearray()
        data = self._begin + data
        self._begin = b""
        while data and len(decoded) < room:
            if self._inflater is None:
                if len(data) < 2:
                    self._begin = data  # one byte does not identify the format
                    break
                self._inflater = zlib.decompressobj(self._bits(data))
            elif self._inflater.eof:
                if data == _GZIP_BEGINS[:1]:
                    self._begin = data
                    break
                if self._coding != "gzip" or not data.startswith(_GZIP_BEGINS):
                    break  # padding after the end, which clients ignore
                self._inflater = zlib.decompressobj(_GZIP_BITS)
            try:
                decoded += self._inflater.decompress(data, room - len(decoded))
            except zlib.error as error:
                raise CodingError(f"that does not match its Content-Encoding {self._coding}") from error
            data = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        return bytes(decoded)

    def finish(self) -> None:
        """Raise CodingError unless the coding ended."""
        if self._inflater is None or not self._inflater.eof:
            raise CodingError(f"whose {self._coding} coding breaks off before its end")

    def _bits(self, data: bytes) -> int:
        if self._coding == "gzip":
            return _GZIP_BITS
        wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


def codings_of(header: str) -> list[str]:
    """Return the content codings of a Content-Encoding header, in the order in which they were applied."""
    return [coding for each in header.split(",") if (coding := each.strip().lower()) not in {"", "identity"}]


def can_decode(codings: list[str]) -> bool:
    """Return whether there is a decoder for these codings: for at most one, and only for those that are asked for."""
    return not codings or (len(codings) == 1 and codings[0] in _DECODED)


def body_decoder(codings: list[str]) -> BodyDecoder:
    """Return the decoder of codings that `can_decode` accepts."""
    return Compressed(codings[0]) if codings else Plain()
