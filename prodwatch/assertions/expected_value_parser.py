"""Reads the right-hand side of an assertion: JSON, raw strings, quantities, times and holes."""

from __future__ import annotations

import re
from typing import Any

from prodwatch.assertions.errors import AssertionSyntaxError
from prodwatch.assertions.literals_and_templates import (
    Constant,
    Hole,
    ListTemplate,
    Literal,
    ObjectTemplate,
    TextTemplate,
    read_hole,
    read_text,
)
from prodwatch.assertions.value_format import canonical_text

MAX_DEPTH = 60
_WHITESPACE = " \t\r\n"
_PLAIN_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?![\w.:%+-])")
_WORD = re.compile(r"[^\s,\[\]{}]+")
_KEYWORDS: dict[str, Any] = {"true": True, "false": False, "null": None}
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}


def read_bare_hole(source: str, start: int, holes: list[str]) -> tuple[Hole, int]:
    """Read the `${…}` at `start`, and a unit right behind it."""
    end = read_hole(source, start)
    holes.append(source[start:end])
    unit = ""
    if source[end : end + 1].strip():
        from prodwatch.assertions.quantities import unit_behind

        unit = unit_behind(source, end)
    return Hole(len(holes) - 1, source[start:end], unit), end + len(unit)


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
        """Read `expected` if it is the next whole word; return whether it is."""
        self.skip()
        end = self.position + len(expected)
        following = self.source[end : end + 1]
        if not self.source.startswith(expected, self.position) or following.isalnum() or following == "_":
            return False
        self.position = end
        return True

    def read(self, depth: int = 0) -> Literal:
        """Read one value; AssertionSyntaxError when it is missing or malformed."""
        self.skip()
        if self.position >= len(self.source):
            raise self._problem("a value is missing here")
        if depth > MAX_DEPTH:
            raise self._problem(f"values nest at most {MAX_DEPTH} deep")
        character = self.source[self.position]
        nested = {"[": self._list, "{": self._object, "`": self._backticks}.get(character)
        if nested is not None:
            return nested(depth)
        literal: Literal
        if character in "'\"":
            literal, self.position = read_text(self.source, self.position, self.holes)
        elif self.source.startswith("${", self.position):
            literal, self.position = read_bare_hole(self.source, self.position, self.holes)
        elif character in "+-." or character.isdigit():
            literal = self._number()
        else:
            literal = self._keyword()
        return literal

    def finish(self) -> None:
        """Raise AssertionSyntaxError when anything but white space is left."""
        self.skip()
        if self.position < len(self.source):
            rest = self.source[self.position :]
            hint = ""
            if rest.startswith(("&&", "||", "and ", "or ")):
                hint = "; write one assertion per claim; all of them must hold"
            raise self._problem(f"`{_brief(rest)}` follows the end of the assertion{hint}")

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
        match = _PLAIN_INTEGER.match(source, start)
        if match is not None:
            self.position = match.end()
            return Constant(int(match[0]), match[0])
        from prodwatch.assertions.quantities import NoQuantityError, read_quantity

        try:
            literal, self.position = read_quantity(source, start)
        except NoQuantityError as problem:
            raise self._problem(str(problem)) from None
        return literal

    def _keyword(self) -> Constant:
        match = _WORD.match(self.source, self.position)
        word = match[0] if match else self.source[self.position]
        if word in _KEYWORDS:
            self.position += len(word)
            return Constant(_KEYWORDS[word], word)
        if word in _PYTHON_WORDS:
            raise self._problem(f"write `{_PYTHON_WORDS[word]}` instead of `{word}`")
        if not match or not (word[0].isalpha() or word[0] in "_/@"):
            raise self._problem(f"`{_brief(word)}` is not a value; put text in single quotes")
        raise self._problem(
            f"`{_brief(word)}` is not a value; put text in quotes: {canonical_text(_brief(word))}."
            " To compare two fields write (a == b) == true"
        )

    def _problem(self, message: str) -> AssertionSyntaxError:
        return AssertionSyntaxError(message, self.position + 1)


def backtick_content(source: str, start: int) -> tuple[str, int]:
    r"""Return the text between the backticks at `start`, `\`` unescaped, and the position after them."""
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
