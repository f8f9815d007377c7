"""Decodes bytes as text and as JSON with exact decimals."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

_EXACT = msgspec.json.Decoder(float_hook=Decimal)
_FIRST_BYTES = frozenset(b'{["-0123456789tfn \t\r\n\xef')
"""First bytes of a JSON text, including those of a byte order mark."""


def json_fields(body: bytes) -> dict[str, Any]:
    """Return `{"json": value}` with exact decimals, or `{}` when `body` is not JSON."""
    if not body or body[0] not in _FIRST_BYTES:
        return {}
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    try:
        return {"json": _EXACT.decode(body)}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _lenient(body)
    except (ArithmeticError, RecursionError, ValueError):
        return {}


def _lenient(body: bytes) -> dict[str, Any]:
    # msgspec refuses escaped lone surrogates, which real services do send.
    try:
        text = body.decode()
        return {"json": json.loads(text, parse_float=Decimal, parse_constant=_refuse)} if "\\ud" in text.lower() else {}
    except (ArithmeticError, RecursionError, ValueError):
        return {}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def decode_text(body: bytes, charset: str | None = None) -> str:
    """Return `body` as text in `charset` or UTF-8; bytes that cannot be decoded become U+FFFD."""
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except (LookupError, UnicodeError):
        # No charset at all, or one that is not for texts like this one: `idna` refuses even to replace.
        return body.decode("utf-8", errors="replace")
