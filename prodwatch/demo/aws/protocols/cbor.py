"""The part of CBOR that Smithy's RPC v2 uses: definite and indefinite items, epoch tags, half to double floats."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

_BREAK = 0xFF
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


@dataclass(frozen=True, slots=True)
class Epoch:
    """A timestamp to be written with tag 1."""

    seconds: float


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError(f"{value} does not fit into a CBOR head")


def _write(out: bytearray, value: Any) -> None:  # noqa: C901 -- one case per CBOR type reads best
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            out += _head(0, value) if value >= 0 else _head(1, -1 - value)
        case float():
            out.append(0xFB)
            out += struct.pack(">d", value)
        case str():
            encoded = value.encode()
            out += _head(3, len(encoded)) + encoded
        case bytes():
            out += _head(2, len(value)) + value
        case Epoch():
            out.append(0xC1)
            _write(out, float(value.seconds))
        case dict():
            out += _head(5, len(value))
            for key, item in value.items():
                _write(out, key)
                _write(out, item)
        case list() | tuple():
            out += _head(4, len(value))
            for item in value:
                _write(out, item)
        case _:
            raise TypeError(f"cannot write {type(value).__name__} as CBOR")


def encode(value: Any) -> bytes:
    """Return `value` (None, bool, int, float, str, bytes, Epoch, lists and dicts of them) as CBOR."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        chunk = self._data[self._at : self._at + size]
        if len(chunk) != size:
            raise ValueError("CBOR ends in the middle of an item")
        self._at += size
        return chunk

    def at_break(self) -> bool:
        if self._data[self._at : self._at + 1] == bytes([_BREAK]):
            self._at += 1
            return True
        return False

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info > 27:
            raise ValueError(f"CBOR additional information {info} is not supported")
        return int.from_bytes(self.take(1 << (info - 24)), "big")

    def _bytes(self, info: int) -> bytes:
        if info != 31:
            return self.take(self._argument(info))
        chunks = []
        while not self.at_break():
            chunks.append(self._bytes(self.take(1)[0] & 31))
        return b"".join(chunks)

    def _list(self, info: int) -> list[Any]:
        if info != 31:
            return [self.item() for _ in range(self._argument(info))]
        items = []
        while not self.at_break():
            items.append(self.item())
        return items

    def _map(self, info: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        count = None if info == 31 else self._argument(info)
        while (not self.at_break()) if count is None else len(pairs) < count:
            key = self.item()
            pairs[key] = self.item()
        return pairs

    def item(self) -> Any:  # noqa: PLR0911 -- one return per major type reads best
        head = self.take(1)[0]
        major, info = head >> 5, head & 31
        match major:
            case 0:
                return self._argument(info)
            case 1:
                return -1 - self._argument(info)
            case 2:
                return self._bytes(info)
            case 3:
                return self._bytes(info).decode()
            case 4:
                return self._list(info)
            case 5:
                return self._map(info)
            case 6:
                self._argument(info)
                return self.item()
            case _ if info in _SIMPLE:
                return _SIMPLE[info]
            case _ if info in _FLOATS:
                layout, size = _FLOATS[info]
                return struct.unpack(layout, self.take(size))[0]
            case _:
                raise ValueError(f"CBOR simple value {info} is not supported")


def decode(data: bytes) -> Any:
    """Return the one item in `data`; tags are dropped. Raises ValueError for what is not CBOR."""
    return _Reader(data).item()
