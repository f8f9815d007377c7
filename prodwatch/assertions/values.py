"""Reads the right-hand side of an assertion: JSON, raw strings, quantities, times and holes."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from prodwatch.assertions.errors import AssertionSyntaxError
from prodwatch.assertions.literals import (
    UNIT_NS,
    UNITS,
    Constant,
    Hole,
    ListTemplate,
    Literal,
    ObjectTemplate,
    TextTemplate,
    in_unit,
    read_hole,
    read_text,
)
from prodwatch.assertions.show import canonical_text
from prodwatch.model.quantity import Duration

MAX_DEPTH = 60
MAX_QUANTITY_DIGITS = 20
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
_WHITESPACE = " \t\r\n"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)(?![\w.:+-])")
_TIME_LIKE = re.compile(r"\d{4}-\d\d(?:-\d\d)?(?:[Tt ][\d:.]*)?[\w:+-]*")
_COMPOUND = re.compile(r"-?(?:\d+(?:\.\d+)?(?:d|h|ms|m|us|µs|ns|s)){2,}(?![\w.%])")
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|us|µs|ns|s)")
_QUANTITY = re.compile(rf"(-?(?:0|[1-9]\d*)(?:\.\d+)?)({_UNIT})(?![\w.%])")
_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*))(\.\d+)?([eE][+-]?\d+)?(?![\w.%-])")
_NUMBER_LIKE = re.compile(r"[+-]?[\d.][\w.%+-]*")
_HOLE_UNIT = re.compile(rf"({_UNIT})(?![\w.%])")
_WORD = re.compile(r"[^\s,\[\]{}]+")
_KEYWORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}


def read_bare_hole(source: str, start: int, holes: list[str]) -> tuple[Hole, int]:
    """Read the `${…}` at `start`, and a unit right behind it."""
    end = read_hole(source, start)
    holes.append(source[start:end])
    unit = _HOLE_UNIT.match(source, end)
    return Hole(len(holes) - 1, source[start:end], unit[1] if unit else ""), unit.end() if unit else end


class ValueReader:
    """Reads literals from `source`, counting holes in `holes`."""

    __slots__ = ("holes", "position", "source")

    def __init__(self, source: str, position: int, holes: list[str]) -> None:
        self.source = source
        self.position = position
        self.holes = holes

    def skip(self) -> None:
        """Move past white space."""
        source, length = self.source, len(self.source)
        while self.position < length and source[self.position] in _WHITESPACE:
            self.position += 1

    def word(self, expected: str) -> bool:
        """Take `expected` if it stands next as a whole word."""
        self.skip()
        end = self.position + len(expected)
        following = self.source[end : end + 1]
        if not self.source.startswith(expected, self.position) or following.isalnum() or following == "_":
            return False
        self.position = end
        return True

    def read(self, depth: int = 0) -> Literal:
        """Read one value; AssertionSyntaxError when there is none."""
        self.skip()
        if self.position >= len(self.source):
            raise self._problem("a value is missing here")
        if depth > MAX_DEPTH:
            raise self._problem(f"values nest at most {MAX_DEPTH} deep")
        character = self.source[self.position]
        nested = {"[": self._list, "{": self._object, "`": self._backticks}.get(character)
        if nested is not None:
            return nested(depth)
        found: Literal
        if character in "'\"":
            found, self.position = read_text(self.source, self.position, self.holes)
        elif self.source.startswith("${", self.position):
            found, self.position = read_bare_hole(self.source, self.position, self.holes)
        elif character in "+-." or character.isdigit():
            found = self._number()
        else:
            found = self._keyword()
        return found

    def finish(self) -> None:
        """AssertionSyntaxError when anything but white space is left."""
        self.skip()
        if self.position < len(self.source):
            rest = self.source[self.position :]
            hint = ""
            if rest.startswith(("&&", "||", "and ", "or ")):
                hint = "; write one assertion per claim, all of them must hold"
            raise self._problem(f"`{_brief(rest)}` stands behind the end of the assertion{hint}")

    def _list(self, depth: int) -> Literal:
        opened = self.position
        self.position += 1
        items: list[Literal] = []
        while not self._closes("]", opened):
            if items:
                self._comma("]")
            items.append(self.read(depth + 1))
        template = ListTemplate(tuple(items))
        if all(isinstance(item, Constant) for item in items):
            return Constant(template.fill(()), template.render())
        return template

    def _object(self, depth: int) -> Literal:
        opened = self.position
        self.position += 1
        pairs: list[tuple[Constant | TextTemplate, Literal]] = []
        while not self._closes("}", opened):
            if pairs:
                self._comma("}")
            self.skip()
            if self.source[self.position : self.position + 1] not in ("'", '"'):
                raise self._problem("a key in quotes is expected here")
            key, self.position = read_text(self.source, self.position, self.holes)
            self.skip()
            if self.source[self.position : self.position + 1] != ":":
                raise self._problem("`:` is expected between a key and its value")
            self.position += 1
            pairs.append((key, self.read(depth + 1)))
        template = ObjectTemplate(tuple(pairs))
        if all(isinstance(key, Constant) and isinstance(value, Constant) for key, value in pairs):
            if len(template.fill(())) < len(pairs):
                raise AssertionSyntaxError("a key appears twice in this object", opened + 1)
            return Constant(template.fill(()), template.render())
        return template

    def _closes(self, bracket: str, opened: int) -> bool:
        self.skip()
        if self.position >= len(self.source):
            raise AssertionSyntaxError(f"the `{self.source[opened]}` here is never closed; add `{bracket}`", opened + 1)
        if self.source[self.position] != bracket:
            return False
        self.position += 1
        return True

    def _comma(self, bracket: str) -> None:
        self.skip()
        if self.source[self.position : self.position + 1] != ",":
            raise self._problem(f"`,` or `{bracket}` is expected here")
        self.position += 1

    def _backticks(self, depth: int) -> Literal:
        content, end = backtick_content(self.source, self.position)
        inner = ValueReader(content, 0, self.holes)
        try:
            value = inner.read(depth + 1)
            inner.finish()
        except AssertionSyntaxError as problem:
            raise AssertionSyntaxError(problem.message, self.position + 1 + problem.column) from None
        self.position = end
        return value

    def _number(self) -> Constant:
        source, start = self.source, self.position
        found: Constant | None = None
        if match := _TIME.match(source, start):
            found = Constant(self._time(match[0]), match[0].upper())
        elif match := _COMPOUND.match(source, start):
            total = sum(self._quantity(number, unit).ns for number, unit in _PART.findall(match[0]))
            found = Constant(Duration(-total if match[0][0] == "-" else total), match[0])
        elif match := _QUANTITY.match(source, start):
            found = Constant(self._quantity(match[1], match[2]), match[0])
        elif match := _NUMBER.match(source, start):
            found = Constant(self._plain_number(match), match[0])
        if match is None or found is None:
            raise self._number_problem()
        self.position = match.end()
        return found

    def _quantity(self, number: str, unit: str) -> Any:
        if len(number) > MAX_QUANTITY_DIGITS:
            raise self._problem(f"a number with a unit has at most {MAX_QUANTITY_DIGITS} digits")
        value = in_unit(Decimal(number), unit)
        if unit in UNIT_NS and Decimal(number) * UNIT_NS[unit] != value.ns:
            raise self._problem(f"`{number}{unit}` is finer than a nanosecond")
        return value

    def _plain_number(self, match: re.Match[str]) -> int | Decimal:
        if match[2] or match[3]:
            number = Decimal(match[0])
            if not number.is_finite() or abs(number.adjusted()) > 10_000:
                raise self._problem(f"`{_brief(match[0])}` is beyond any number worth comparing")
            return number
        if len(match[0]) > 1_000:
            raise self._problem("a number has at most 1,000 digits")
        return int(match[0])

    def _time(self, text: str) -> datetime:
        # Python keeps microseconds; further digits would be dropped silently.
        fraction = re.search(r"\.\d{6}(\d+)", text)
        if fraction and fraction[1].strip("0"):
            raise self._problem("a time has at most six digits behind the second")
        trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
        try:
            return datetime.fromisoformat(trimmed.upper())
        except ValueError as problem:
            raise self._problem(f"`{text}` is no valid time: {problem}") from None

    def _number_problem(self) -> AssertionSyntaxError:
        like = _TIME_LIKE.match(self.source, self.position)
        if like and len(like[0]) > 5:
            return self._problem(f"`{like[0].strip()}` is no complete time; write one like 2026-01-15T12:00:00Z")
        found = _NUMBER_LIKE.match(self.source, self.position)
        text = found[0] if found else self.source[self.position]
        unit = re.search(r"[A-Za-zµ%]+$", text)
        if unit and unit[0] not in UNITS:
            return self._problem(f"`{text}` has an unknown unit; units are {', '.join(UNITS)}")
        return self._problem(f"`{text}` is no number; numbers look like 5, -3, 0.25, 1e6, 300ms, 10kB or 5%")

    def _keyword(self) -> Constant:
        found = _WORD.match(self.source, self.position)
        word = found[0] if found else self.source[self.position]
        if word in _KEYWORDS:
            self.position += len(word)
            return Constant(_KEYWORDS[word], word)
        if word in _PYTHON_WORDS:
            raise self._problem(f"write `{_PYTHON_WORDS[word]}` instead of `{word}`")
        if not found or not (word[0].isalpha() or word[0] in "_/@"):
            raise self._problem(f"`{_brief(word)}` is no value; texts stand in single quotes")
        raise self._problem(
            f"`{_brief(word)}` is no value; a text needs quotes: {canonical_text(_brief(word))}."
            " To compare two fields write (a == b) == true"
        )

    def _problem(self, message: str) -> AssertionSyntaxError:
        return AssertionSyntaxError(message, self.position + 1)


def backtick_content(source: str, start: int) -> tuple[str, int]:
    r"""Return what stands between the backticks at `start`, `\`` unescaped, and the position after them."""
    position = start + 1
    while position < len(source):
        character = source[position]
        if character == "`":
            return source[start + 1 : position].replace("\\`", "`"), position + 1
        if character == "\\":
            position += 2
        elif source.startswith("${", position) and source[position - 1] != "$":
            position = read_hole(source, position)
        else:
            position += 1
    raise AssertionSyntaxError("the literal that begins with ` is never closed", start + 1)


def _brief(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
