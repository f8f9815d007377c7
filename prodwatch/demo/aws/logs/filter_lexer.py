"""The lexical ground shared by JSON and space-delimited filter patterns, and how their values compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Test = Callable[[Any], bool]
Comparison = Callable[[Any, Any], bool]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

NUMERIC: Mapping[str, Comparison] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class PatternError(ValueError):
    """A filter pattern CloudWatch refuses; the text says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a pattern: `kind` is `string`, `regex`, `operator` or `word`."""

    kind: str
    text: str


class Cursor:
    """Walks over tokens, with one sentence for whatever is not where it should be."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """Return a token without taking it."""
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def take(self) -> Token:
        """Return the next token."""
        token = self.peek()
        if token is None:
            raise PatternError("the filter pattern ends too early")
        self._at += 1
        return token

    def accept(self, *texts: str) -> str | None:
        """Take the next token if it is one of these operators or (upper-cased) words."""
        token = self.peek()
        if token is None or token.kind in {"string", "regex"} or token.text.upper() not in texts:
            return None
        self._at += 1
        return token.text.upper()

    def expect(self, text: str) -> None:
        """Take exactly this operator."""
        token = self.take()
        if token.kind != "operator" or token.text != text:
            raise PatternError(f"the filter pattern has {token.text!r} where {text!r} should be")

    def end(self) -> None:
        """Insist that nothing is left."""
        if token := self.peek():
            raise PatternError(f"the filter pattern goes on with {token.text!r} after its end")


def tokenize(text: str, lexer: re.Pattern[str]) -> list[Token]:
    """Split by a lexer whose group names are token kinds (`space` is dropped)."""
    tokens = []
    at = 0
    while at < len(text):
        match = lexer.match(text, at)
        if match is None or match.end() == at:
            raise PatternError(f"the filter pattern cannot be read from {text[at : at + 12]!r} on")
        at = match.end()
        kind = str(match.lastgroup)
        if kind == "string":
            tokens.append(Token(kind, re.sub(r"\\(.)", r"\1", match[0][1:-1])))
        elif kind == "regex":
            tokens.append(Token(kind, match[0][1:-1]))
        elif kind != "space":
            tokens.append(Token(kind, match[0]))
    return tokens


def number(value: Any) -> float | None:
    """Return a JSON number, or text that is one, as float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return None


def value_test(operator: str, operand: Token) -> Test:
    """Return the test `value operator operand` for a value that is present.

    A number compares with numbers; text compares as a whole, `*` in it stands for anything.
    """
    if operand.kind == "regex":
        return _regex_test(operator, operand.text)
    wanted = number(operand.text) if operand.kind == "word" else None
    if wanted is not None:
        compare = NUMERIC[operator]
        return lambda value: (found := number(value)) is not None and compare(found, wanted)
    if operator not in {"=", "!="}:
        raise PatternError(f"the operator {operator} needs a number, not {operand.text!r}")
    glob = re.compile(".*".join(map(re.escape, operand.text.split("*"))), re.DOTALL)
    positive = operator == "="
    return lambda value: (text := _text(value)) is not None and (glob.fullmatch(text) is not None) is positive


def _regex_test(operator: str, pattern: str) -> Test:
    if operator not in {"=", "!="}:
        raise PatternError(f"the operator {operator} cannot take a regular expression")
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise PatternError(f"the regular expression %{pattern}% is not valid: {error}") from error
    positive = operator == "="
    return lambda value: (text := _text(value)) is not None and (search(text) is not None) is positive


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None
