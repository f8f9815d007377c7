"""X-Ray filter expressions: `service("api") { fault } AND annotation.tier = "gold" AND responsetime > 0.5`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from prodwatch.demo.aws.expression_parser import Cursor, ExpressionError, Grammar, Predicate
from prodwatch.demo.aws.xray.filter_scope import Scope

Filter = Predicate[Scope]
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


@lru_cache(maxsize=256)
def parse_filter(expression: str) -> Filter:
    """Return the predicate of a filter expression. Raises ExpressionError."""
    if len(expression) > MAX_EXPRESSION:
        raise ExpressionError(f"the filter expression is longer than {MAX_EXPRESSION} characters")
    cursor = Cursor(expression, _LEXER, "the filter expression")
    predicate = _GRAMMAR.parse(cursor)
    cursor.end()
    return predicate


def _condition(cursor: Cursor) -> Filter:
    if cursor.accept("!", "NOT"):
        inner = _condition(cursor)
        return lambda scope: not inner(scope)
    if cursor.accept("("):
        inner = _GRAMMAR.parse(cursor)
        cursor.expect(")")
        return inner
    token = cursor.take()
    if token.kind != "word":
        raise cursor.unexpected(token, "a keyword")
    return _keyword(cursor, token.text)


_GRAMMAR = Grammar(_condition, either="OR", both="AND")


def _keyword(cursor: Cursor, word: str) -> Filter:  # noqa: PLR0911 -- one return per kind of keyword reads best
    lowered = word.lower()
    if lowered == "service":
        return _service(cursor)
    if lowered == "edge":
        return _edge(cursor)
    if lowered == "annotation" or lowered.startswith("annotation."):
        return _annotation(cursor, word)
    if lowered in _FLAGS:
        return _flag(cursor, lowered)
    if lowered in _NUMBERS:
        return _comparison(cursor, lambda scope: scope.numbers.get(lowered, ()), wants=float)
    if lowered in _TEXTS:
        return _comparison(cursor, lambda scope: scope.texts.get(lowered, ()), wants=str)
    if lowered == "id":
        name, kind = _id(cursor)
        return lambda scope: any(_is(part.service.name, name) and _is(part.service.type, kind) for part in scope.parts)
    raise ExpressionError(f"the embedded AWS does not know the keyword {word!r}")


def _flag(cursor: Cursor, name: str) -> Filter:
    expected = True
    if operator := cursor.accept("=", "!="):
        value = cursor.take().text.lower()
        if value not in {"true", "false"}:
            raise ExpressionError(f"{name} compares with true or false, not {value!r}")
        expected = (value == "true") is (operator == "=")
    return lambda scope: scope.flags.get(name, False) is expected


def _comparison(cursor: Cursor, values: Callable[[Scope], Any], *, wants: type | None) -> Filter:
    operator = cursor.accept(*_COMPARE)
    if operator is None:
        return lambda scope: bool(values(scope))
    operand = _value(cursor)
    if wants is not None and not isinstance(operand, wants):
        raise ExpressionError(f"the operator {operator} has {operand!r}, which is of the wrong type")
    if operator in _TEXT_ONLY and not isinstance(operand, str):
        raise ExpressionError(f"the operator {operator} needs text")
    compare = _COMPARE[operator]
    kind = bool if isinstance(operand, bool) else float if isinstance(operand, float) else str
    return lambda scope: any(isinstance(value, kind) and compare(value, operand) for value in values(scope))


def _value(cursor: Cursor) -> str | float | bool:
    token = cursor.take()
    if token.kind == "string":
        return token.text
    if token.kind == "number":
        return float(token.text)
    if token.text.lower() in {"true", "false"}:
        return token.text.lower() == "true"
    raise cursor.unexpected(token, "a value")


def _annotation(cursor: Cursor, word: str) -> Filter:
    key = word.partition(".")[2]
    if not key:
        cursor.expect("[")
        key = cursor.take().text
        cursor.expect("]")
    return _comparison(cursor, lambda scope: scope.annotations.get(key, ()), wants=None)


def _service(cursor: Cursor) -> Filter:
    name, kind = _node(cursor)
    block = _block(cursor)
    return lambda scope: any(
        _is(part.service.name, name) and _is(part.service.type, kind) and (block is None or block(part))
        for part in scope.parts
    )


def _edge(cursor: Cursor) -> Filter:
    cursor.expect("(")
    source = _name_or_id(cursor)
    cursor.expect(",")
    target = _name_or_id(cursor)
    cursor.expect(")")
    block = _block(cursor)
    return lambda scope: any(
        _is(caller.name, source[0])
        and _is(caller.type, source[1])
        and _is(part.service.name, target[0])
        and _is(part.service.type, target[1])
        and (block is None or block(part))
        for caller, part in scope.edges
    )


def _node(cursor: Cursor) -> tuple[str | None, str | None]:
    cursor.expect("(")
    if cursor.accept(")"):
        return None, None
    node = _name_or_id(cursor)
    cursor.expect(")")
    return node


def _name_or_id(cursor: Cursor) -> tuple[str | None, str | None]:
    if cursor.accept("ID"):
        return _id(cursor)
    token = cursor.take()
    if token.kind != "string":
        raise cursor.unexpected(token, "a name")
    return token.text, None


def _id(cursor: Cursor) -> tuple[str | None, str | None]:
    cursor.expect("(")
    parts: dict[str, str] = {}
    while not cursor.accept(")"):
        if parts:
            cursor.expect(",")
        key = cursor.take().text.lower()
        cursor.expect(":")
        parts[key] = cursor.take().text
    return parts.get("name"), parts.get("type")


def _block(cursor: Cursor) -> Filter | None:
    if not cursor.accept("{"):
        return None
    inner = _GRAMMAR.parse(cursor)
    cursor.expect("}")
    return inner


def _is(name: str, expected: str | None) -> bool:
    return expected is None or name == expected
