"""Decodes bytes as text and as JSON with exact decimals; says what came in place of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

from prodwatch.assertions.errors import UndecidableError

_EXACT = msgspec.json.Decoder(float_hook=Decimal)
_BOM = b"\xef\xbb\xbf"
_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|\x00[^\x00]|[^\x00]\x00")
"""The beginning of JSON in UTF-16 or UTF-32."""
_POSITION = re.compile(r"\(byte (\d+)\)")
_MEMBER = re.compile(rb'"\s*:')
_LITERAL = re.compile(rb"true|false|null|t(r(ue?)?)?$|f(a(l(se?)?)?)?$|n(u(ll?)?)?$")
"""A literal of JSON, or the beginning of one that breaks off."""
_SHOWN_CHARS = 40


class AmbiguousObject(dict[str, Any]):
    """A JSON object with a repeated member, of which parsers keep different ones: reading it proves nothing.

    Raises UndecidableError for the repeated members, and for everything that reads all members.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = {name for name, _ in pairs if name in seen or seen.add(name)}  # type: ignore[func-returns-value]

    def __getitem__(self, name: str) -> Any:
        """Return the member; UndecidableError for a repeated one."""
        if name in self.repeated:
            self._refuse()
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the member or `default`; UndecidableError for a repeated one."""
        if name in self.repeated:
            self._refuse()
        return super().get(name, default)

    def items(self) -> NoReturn:
        """Raise UndecidableError."""
        self._refuse()

    def values(self) -> NoReturn:
        """Raise UndecidableError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        names = " and ".join(f'"{name}"' for name in sorted(self.repeated))
        raise UndecidableError(f"an object of the JSON has the key {names} twice, so its value is not certain")


class JsonText(msgspec.Struct, frozen=True):
    """A text read as JSON."""

    fields: Mapping[str, Any] = {}
    """`{"json": value}`; empty when the text is not JSON, or could not be read."""
    problem: str | None = None
    """Why there is no value, as a clause after the name of the text: `is text/html and begins with "<html>"`."""
    beyond_limits: bool = False
    """Whether it is JSON that this machine does not read: nested too deeply, or with a number of too many digits."""


def read_json(body: bytes, content_type: str | None = None) -> JsonText:
    """Read `body` as JSON with exact decimals; UTF-16 and UTF-32 are read too."""
    if body.startswith(_BOM):
        body = body[3:]
    elif _WIDE.match(body):
        try:
            body = body.decode(json.detect_encoding(body)).encode()
        except UnicodeError:
            return JsonText(problem=_kind_of(body, content_type))
    try:
        return JsonText({"json": _value(body)})
    except msgspec.ValidationError:
        problem = "is JSON with a number of too many digits to be read"
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        # msgspec before 0.23 raises UnicodeDecodeError for such a text.
        if isinstance(error, UnicodeDecodeError) or "UTF-8" in str(error):
            return JsonText(problem=f"is not UTF-8, as JSON must be; {_beginning(body)}")
        return JsonText(problem=_break(body, content_type, str(error)))
    except RecursionError:
        problem = "is JSON that is nested too deeply to be read"
    except (ArithmeticError, ValueError):
        problem = "is JSON with a number that cannot be read"
    return JsonText(problem=problem, beyond_limits=True)


def _value(body: bytes) -> Any:
    try:
        value = _EXACT.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        # msgspec refuses escaped lone surrogates, which real services do send.
        if b"\\ud" not in body.lower():
            raise
        try:
            return _parsed(body)
        except json.JSONDecodeError:
            raise error from None
    # Every member has a quote and a colon: when there are no more of these than members, none is repeated.
    return value if len(_MEMBER.findall(body)) == _count_members(value) else _parsed(body)


def _parsed(body: bytes) -> Any:
    return json.loads(body, object_pairs_hook=unambiguous, parse_float=Decimal, parse_constant=_refuse)


def unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object; an AmbiguousObject when one is repeated."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else AmbiguousObject(pairs)


def _count_members(value: Any) -> int:
    """Return the number of members of every object in `value`."""
    count, pending = 0, [value]
    while pending:
        each = pending.pop()
        if type(each) is dict:
            count += len(each)
            pending.extend(each.values())
        elif type(each) is list:
            pending.extend(each)
    return count


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _break(body: bytes, content_type: str | None, error: str) -> str:
    """Return where JSON ends to be JSON, or what came instead of it."""
    text = body.lstrip(b" \t\r\n")
    if not text:
        return "is empty"
    if text[:1] not in b'{["-0123456789tfn' or (text[:1] in b"tfn" and not _LITERAL.match(text)):
        return _kind_of(body, content_type)
    if "truncated" in error:
        return f"is JSON that breaks off at byte {len(body)}"
    match = _POSITION.search(error)
    # Of characters after the end of a value, msgspec names the place after the first.
    at = (int(match[1]) if match else 0) - ("trailing" in error)
    if at == len(body) - len(text):
        return _kind_of(body, content_type)
    after = decode_text(body[at : at + _SHOWN_CHARS])
    return f"is not JSON from byte {at} on, where {json.dumps(after, ensure_ascii=False)} is"


def _kind_of(body: bytes, content_type: str | None) -> str:
    kind = (content_type or "").partition(";")[0].strip()
    return f"is {kind or 'not JSON'} and {_beginning(body)}"


def _beginning(body: bytes) -> str:
    text = " ".join(decode_text(body[: _SHOWN_CHARS * 4]).split())
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return f"begins with {json.dumps(shown, ensure_ascii=False)}"


def decode_text(body: bytes, charset: str | None = None) -> str:
    """Return `body` as text in `charset` or UTF-8; bytes that cannot be decoded become U+FFFD."""
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except (LookupError, UnicodeError):
        # No charset at all, or one that is not for texts like this one: `idna` refuses even to replace.
        return body.decode("utf-8", errors="replace")
