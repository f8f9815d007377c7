"""Makes remote text safe to show: it cannot control a terminal, reorder a line, or act as markup."""

from __future__ import annotations

import re
from typing import Any

MAX_CHARS = 10_000
"""Longest text kept; the number of cut characters is appended."""

# C0 and C1 controls, DEL, bidi marks and overrides, zero-width characters, line and paragraph separators, the BOM, lone
# surrogates, noncharacters and tag characters. Callers handle newline and tab.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd"


def sanitize(text: str, *, limit: int = MAX_CHARS) -> str:
    """Return `text` with control and bidi characters made visible; newlines and tabs remain.

    Text longer than `limit` characters is cut, with the number of cut characters at the end.
    """
    if len(text) > limit:
        text = f"{text[:limit]}… (+{len(text) - limit} characters)"
    if text.isprintable():
        return text
    return _UNSAFE.sub(_visible, text)


def sanitize_line(text: str, *, limit: int = MAX_CHARS) -> str:
    """Return `text` as one line: newlines as `⏎`, tabs as spaces."""
    clean = sanitize(text, limit=limit)
    if clean.isprintable():
        return clean
    return clean.replace("\r\n", "⏎").replace("\n", "⏎").expandtabs(4)


def sanitize_document(document: bytes) -> bytes:
    """Return a whole UTF-8 document with control and bidi characters made visible; newlines and tabs remain."""
    text = document.decode("utf-8", "surrogateescape")
    return document if _UNSAFE.search(text) is None else _UNSAFE.sub(_visible, text).encode()


def encode_report(text: str) -> bytes:
    """Return the text of a report as UTF-8, with control and bidi characters made visible; newlines and tabs remain."""
    return _UNSAFE.sub(_visible, text).encode()


def escape_json(document: bytes) -> bytes:
    """Return a JSON document with control and bidi characters escaped, which readers decode to the same text."""
    text = document.decode()
    return document if _UNSAFE.search(text) is None else _UNSAFE.sub(_json_escape, text).encode()


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def sanitize_value(value: Any, *, limit: int = MAX_CHARS) -> Any:
    """Return a JSON-like value with all its texts sanitised, keys included."""
    if isinstance(value, str):
        return sanitize(value, limit=limit)
    if isinstance(value, dict):
        return {sanitize(str(key)): sanitize_value(item, limit=limit) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sanitize_value(item, limit=limit) for item in value]
    return value
