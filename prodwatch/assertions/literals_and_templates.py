"""Literal values of the language, with `${…}` holes that are filled after parsing and never parsed again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from prodwatch.assertions.errors import AssertionSyntaxError, PathError
from prodwatch.assertions.value_equality_and_order import ARITHMETIC
from prodwatch.assertions.value_format import canonical_text, double_quoted, is_raw_safe, literal_text, text_of
from prodwatch.model.quantity import Duration

UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
UNIT_FACTOR = {
    "B": Decimal(1),
    "kB": Decimal(10**3),
    "MB": Decimal(10**6),
    "GB": Decimal(10**9),
    "TB": Decimal(10**12),
    "KiB": Decimal(2**10),
    "MiB": Decimal(2**20),
    "GiB": Decimal(2**30),
    "TiB": Decimal(2**40),
    "%": Decimal("0.01"),
}
UNITS = (*UNIT_NS, *UNIT_FACTOR)

_MOST_DIGITS = 60

Holes = Sequence[Any] | None
"""Values for the holes, in order of appearance; None renders the holes themselves."""


def in_unit(number: Decimal, unit: str) -> Any:
    """Return `number` of `unit`: a Duration for times, a plain number for sizes and percentages."""
    if unit in UNIT_NS:
        return Duration(round(ARITHMETIC.multiply(number, Decimal(UNIT_NS[unit]))))
    exact = ARITHMETIC.multiply(number, UNIT_FACTOR[unit])
    return int(exact) if exact == exact.to_integral_value() else exact


class Constant(msgspec.Struct, frozen=True):
    """A literal value; `text` is its canonical form."""

    value: Any
    text: str

    def fill(self, holes: Sequence[Any]) -> Any:  # noqa: ARG002 -- one shape for all literals
        """Return the value."""
        return self.value

    def render(self, holes: Holes = None) -> str:  # noqa: ARG002 -- one shape for all literals
        """Return the canonical text."""
        return self.text

    def render_double(self, holes: Holes = None) -> str:  # noqa: ARG002 -- one shape for both kinds of text
        """Return the text in double quotes."""
        return double_quoted(str(self.value))


class Hole(msgspec.Struct, frozen=True):
    """A `${…}` that is a whole value and keeps its type; a unit turns a number into a quantity."""

    index: int
    text: str
    """With its `${` and `}`."""
    unit: str = ""

    def fill(self, holes: Sequence[Any]) -> Any:
        """Return the hole's value; PathError when a unit follows something that is not a number."""
        value = holes[self.index]
        if not self.unit:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise PathError(f"{self.text}{self.unit} needs a number before `{self.unit}`, not {literal_text(value)}")
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
            raise PathError(f"{self.text}{self.unit} needs a number of at most 60 digits before `{self.unit}`")
        return in_unit(number, self.unit)

    def render(self, holes: Holes = None) -> str:
        """Return the hole as written, or its value as a literal."""
        return f"{self.text if holes is None else literal_text(holes[self.index])}{self.unit}"


class TextTemplate(msgspec.Struct, frozen=True):
    """A quoted text with holes in it; each hole becomes text, whatever its type."""

    parts: tuple[str | Hole, ...]

    def fill(self, holes: Sequence[Any]) -> str:
        """Return the text with every hole replaced."""
        return "".join(part if isinstance(part, str) else text_of(holes[part.index]) for part in self.parts)

    def render(self, holes: Holes = None) -> str:
        """Return the quoted text, holes as written or filled."""
        if holes is not None:
            return literal_text(self.fill(holes))
        body = [part.replace("${", "$${") if isinstance(part, str) else part for part in self.parts]
        fixed = "".join(part for part in body if isinstance(part, str))
        if is_raw_safe(fixed):
            return "'" + "".join(part if isinstance(part, str) else part.text for part in body) + "'"
        return self.render_double(holes)

    def render_double(self, holes: Holes = None) -> str:
        """Return the text in double quotes."""
        if holes is not None:
            return json.dumps(self.fill(holes), ensure_ascii=False)
        pieces = (double_quoted(part)[1:-1] if isinstance(part, str) else part.text for part in self.parts)
        return '"' + "".join(pieces) + '"'


class ListTemplate(msgspec.Struct, frozen=True):
    """A list with holes somewhere inside."""

    items: tuple[Literal, ...]

    def fill(self, holes: Sequence[Any]) -> list[Any]:
        """Return the list."""
        return [item.fill(holes) for item in self.items]

    def render(self, holes: Holes = None) -> str:
        """Return the list as text."""
        return "[" + ", ".join(item.render(holes) for item in self.items) + "]"


class ObjectTemplate(msgspec.Struct, frozen=True):
    """An object with holes somewhere inside, keys included."""

    pairs: tuple[tuple[Constant | TextTemplate, Literal], ...]

    def fill(self, holes: Sequence[Any]) -> dict[str, Any]:
        """Return the object."""
        return {key.fill(holes): value.fill(holes) for key, value in self.pairs}

    def render(self, holes: Holes = None) -> str:
        """Return the object as text."""
        return "{" + ", ".join(f"{key.render(holes)}: {value.render(holes)}" for key, value in self.pairs) + "}"


Literal = Constant | Hole | TextTemplate | ListTemplate | ObjectTemplate


def read_hole(source: str, start: int) -> int:
    """Return where the hole that begins at `start` ends; quotes inside it may hold braces."""
    position = start + 2
    while position < len(source):
        character = source[position]
        if character == "}":
            if not source[start + 2 : position].strip():
                raise AssertionSyntaxError("`${}` names nothing; write a reference such as ${vars.id}", start + 1)
            return position + 1
        if character in "'\"":
            closing = source.find(character, position + 1)
            if closing == -1:
                break
            position = closing
        position += 1
    raise AssertionSyntaxError("`${` is never closed; add `}`, or write `$${` for the two characters", start + 1)


_PLAIN_RUN = re.compile(r"[^'\"`\\$]+")


def read_quoted(source: str, start: int, holes: list[str]) -> tuple[list[str | Hole], int]:
    """Read the quoted text at `start`; return its raw parts, escapes untouched, and the position after it."""
    quote = source[start]
    parts: list[str | Hole] = []
    run: list[str] = []
    position = start + 1
    while position < len(source):
        plain = _PLAIN_RUN.match(source, position)
        if plain:
            run.append(plain[0])
            position = plain.end()
            continue
        character = source[position]
        if character == quote:
            if run or not parts:
                parts.append("".join(run))
            return parts, position + 1
        if character == "\\":
            run.append(source[position : position + 2])
            position += 2
        elif source.startswith("$${", position):
            run.append("${")
            position += 3
        elif source.startswith("${", position):
            if run:
                parts.append("".join(run))
                run = []
            end = read_hole(source, position)
            holes.append(source[position:end])
            parts.append(Hole(len(holes) - 1, source[position:end]))
            position = end
        else:
            run.append(character)
            position += 1
    raise AssertionSyntaxError(f"the text that begins with {quote} is never closed", start + 1)


def unescape(part: str, quote: str, column: int) -> str:
    r"""Return a raw part as the text it means: JSON escapes in double quotes, only `\'` in single ones."""
    if quote == "'":
        return part.replace("\\'", "'") if "\\" in part else part
    if "\\" not in part and part.isprintable():
        return part
    try:
        text = json.loads(f'"{part}"')
    except ValueError as problem:
        reason = str(problem).split(":", maxsplit=1)[0].lower()
        raise AssertionSyntaxError(
            f"a text in double quotes follows JSON, and this one does not: {reason}", column
        ) from None
    return str(text)


def read_text(source: str, start: int, holes: list[str]) -> tuple[Constant | TextTemplate, int]:
    """Read a text in single or double quotes as a literal."""
    quote = source[start]
    raw, end = read_quoted(source, start, holes)
    parts = tuple(unescape(part, quote, start + 1) if isinstance(part, str) else part for part in raw)
    if len(parts) == 1 and isinstance(parts[0], str):
        return Constant(parts[0], canonical_text(parts[0])), end
    return TextTemplate(parts), end
