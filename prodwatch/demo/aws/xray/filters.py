"""X-Ray filter expressions: `service("api") { fault } AND annotation.tier = "gold" AND responsetime > 0.5`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prodwatch.demo.aws.xray.scope import Scope

Predicate = Callable[[Scope], bool]
MAX_EXPRESSION = 2000

_LEXER = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<operator>!=|<=|>=|[=<>!(){},:\[\]])
      | (?P<word>[A-Za-z_][\w.\-]*)""",
    re.VERBOSE,
)
_FLAGS = frozenset({"ok", "fault", "error", "throttle", "partial", "inferred", "first", "last", "remote", "root"})
_NUMBERS = frozenset({"responsetime", "duration", "http.status", "coldstart"})
_TEXTS = frozenset(
    {
        "http.url",
        "http.method",
        "http.useragent",
        "http.clientip",
        "user",
        "name",
        "type",
        "resource.arn",
        "instance.id",
        "availabilityzone",
        "message",
    }
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "CONTAINS": lambda a, b: b in a,
    "BEGINSWITH": lambda a, b: a.startswith(b),
    "ENDSWITH": lambda a, b: a.endswith(b),
}
_TEXT_ONLY = frozenset({"CONTAINS", "BEGINSWITH", "ENDSWITH"})


class FilterError(ValueError):
    """An expression X-Ray refuses; the text says why."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@lru_cache(maxsize=256)
def parse_filter(expression: str) -> Predicate:
    """Return the predicate of a filter expression. Raises FilterError."""
    if len(expression) > MAX_EXPRESSION:
        raise FilterError(f"the filter expression is longer than {MAX_EXPRESSION} characters")
    parser = _Parser(_tokens(expression))
    predicate = parser.either()
    parser.end()
    return predicate


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    while at < len(text):
        match = _LEXER.match(text, at)
        if match is None:
            raise FilterError(f"the filter expression cannot be read from character {at + 1} on")
        at = match.end()
        kind = str(match.lastgroup)
        if kind == "string":
            tokens.append(_Token(kind, re.sub(r"\\(.)", r"\1", match[0][1:-1])))
        elif kind != "space":
            tokens.append(_Token(kind, match[0]))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> str | None:
        if self._at >= len(self._tokens) or self._tokens[self._at].kind in {"string", "number"}:
            return None
        return self._tokens[self._at].text

    def _take(self) -> _Token:
        if self._at >= len(self._tokens):
            raise FilterError("the filter expression ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, *texts: str) -> str | None:
        found = self._peek()
        if found is None or found.upper() not in texts:
            return None
        self._at += 1
        return found.upper()

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.kind != "operator" or token.text != text:
            raise FilterError(f"the filter expression has {token.text!r} where {text!r} should be")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise FilterError(f"the filter expression goes on with {self._tokens[self._at].text!r} after its end")

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._accept("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda scope: any(part(scope) for part in parts)

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._accept("AND"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda scope: all(part(scope) for part in parts)

    def _one(self) -> Predicate:
        if self._accept("!", "NOT"):
            inner = self._one()
            return lambda scope: not inner(scope)
        if self._accept("("):
            inner = self.either()
            self._expect(")")
            return inner
        token = self._take()
        if token.kind != "word":
            raise FilterError(f"the filter expression has {token.text!r} where a keyword should be")
        return self._keyword(token.text)

    def _keyword(self, word: str) -> Predicate:  # noqa: PLR0911 -- one return per kind of keyword reads best
        lowered = word.lower()
        if lowered == "service":
            return self._service()
        if lowered == "edge":
            return self._edge()
        if lowered == "annotation" or lowered.startswith("annotation."):
            return self._annotation(word)
        if lowered in _FLAGS:
            return self._flag(lowered)
        if lowered in _NUMBERS:
            return self._comparison(lambda scope: scope.numbers.get(lowered, ()), wants=float)
        if lowered in _TEXTS:
            return self._comparison(lambda scope: scope.texts.get(lowered, ()), wants=str)
        if lowered == "id":
            name, kind = self._id()
            return lambda scope: any(_is(one.service.name, name) and _is(one.service.type, kind) for one in scope.parts)
        raise FilterError(f"the embedded AWS does not know the keyword {word!r}")

    def _flag(self, name: str) -> Predicate:
        wanted = True
        if operator := self._accept("=", "!="):
            value = self._take().text.lower()
            if value not in {"true", "false"}:
                raise FilterError(f"{name} compares with true or false, not {value!r}")
            wanted = (value == "true") is (operator == "=")
        return lambda scope: scope.flags.get(name, False) is wanted

    def _comparison(self, values: Callable[[Scope], Any], *, wants: type | None) -> Predicate:
        operator = self._accept(*_COMPARE)
        if operator is None:
            return lambda scope: bool(values(scope))
        operand = self._value()
        if wants is not None and not isinstance(operand, wants):
            raise FilterError(f"the operator {operator} has {operand!r}, which is of the wrong type")
        if operator in _TEXT_ONLY and not isinstance(operand, str):
            raise FilterError(f"the operator {operator} needs text")
        compare = _COMPARE[operator]
        kind = bool if isinstance(operand, bool) else float if isinstance(operand, float) else str
        return lambda scope: any(isinstance(one, kind) and compare(one, operand) for one in values(scope))

    def _value(self) -> str | float | bool:
        token = self._take()
        if token.kind == "string":
            return token.text
        if token.kind == "number":
            return float(token.text)
        if token.text.lower() in {"true", "false"}:
            return token.text.lower() == "true"
        raise FilterError(f"the filter expression has {token.text!r} where a value should be")

    def _annotation(self, word: str) -> Predicate:
        key = word.partition(".")[2]
        if not key:
            self._expect("[")
            key = self._take().text
            self._expect("]")
        return self._comparison(lambda scope: scope.annotations.get(key, ()), wants=None)

    def _service(self) -> Predicate:
        name, kind = self._node()
        block = self._block()
        return lambda scope: any(
            _is(part.service.name, name) and _is(part.service.type, kind) and (block is None or block(part))
            for part in scope.parts
        )

    def _edge(self) -> Predicate:
        self._expect("(")
        source = self._name_or_id()
        self._expect(",")
        target = self._name_or_id()
        self._expect(")")
        block = self._block()
        return lambda scope: any(
            _is(caller.name, source[0])
            and _is(caller.type, source[1])
            and _is(part.service.name, target[0])
            and _is(part.service.type, target[1])
            and (block is None or block(part))
            for caller, part in scope.edges
        )

    def _node(self) -> tuple[str | None, str | None]:
        self._expect("(")
        if self._accept(")"):
            return None, None
        found = self._name_or_id()
        self._expect(")")
        return found

    def _name_or_id(self) -> tuple[str | None, str | None]:
        if self._accept("ID"):
            return self._id()
        token = self._take()
        if token.kind != "string":
            raise FilterError(f"the filter expression has {token.text!r} where a name should be")
        return token.text, None

    def _id(self) -> tuple[str | None, str | None]:
        self._expect("(")
        parts: dict[str, str] = {}
        while not self._accept(")"):
            if parts:
                self._expect(",")
            key = self._take().text.lower()
            self._expect(":")
            parts[key] = self._take().text
        return parts.get("name"), parts.get("type")

    def _block(self) -> Predicate | None:
        if not self._accept("{"):
            return None
        inner = self.either()
        self._expect("}")
        return inner


def _is(found: str, wanted: str | None) -> bool:
    return wanted is None or found == wanted
