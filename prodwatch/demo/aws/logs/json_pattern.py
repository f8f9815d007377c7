"""JSON filter patterns: `{ $.level = "ERROR" && ($.latency >= 500 || $.user NOT EXISTS) }`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from prodwatch.demo.aws.expression_parser import Cursor, Grammar, Token
from prodwatch.demo.aws.logs.filter_comparison import SUBJECT, Test, value_test

_LEXER = re.compile(
    r"""(?P<space>\s+)
      | (?P<selector>\$(?:\.[\w@-]+|\[(?:\d+|\*|'[^']*'|"[^"]*")\])*)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<regex>%(?:[^%\\]|\\.)+%)
      | (?P<operator>&&|\|\||!=|<=|>=|[=<>(){}])
      | (?P<word>[^\s"%()={}<>!&|]+)""",
    re.VERBOSE,
)
_STEP = re.compile(r"""\.([\w@-]+)|\[(\d+)\]|\[(\*)\]|\['([^']*)'\]|\["([^"]*)"\]""")

_Select = Callable[[Any], list[Any]]


def compile_json(text: str) -> Callable[[str], bool]:
    """Return the predicate of a JSON pattern; messages that are not JSON objects never match."""
    cursor = Cursor(text, _LEXER, SUBJECT)
    cursor.expect("{")
    test = _GRAMMAR.parse(cursor)
    cursor.expect("}")
    cursor.end()
    decoder = msgspec.json.Decoder()

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            document = decoder.decode(message)
        except msgspec.DecodeError:
            return False
        return test(document)

    return matches


def _condition(cursor: Cursor) -> Test:
    if cursor.accept("("):
        test = _GRAMMAR.parse(cursor)
        cursor.expect(")")
        return test
    token = cursor.take()
    if token.kind != "selector":
        raise cursor.unexpected(token, "a selector such as $.level")
    select = _selector(token.text)
    if cursor.accept("NOT"):
        if not cursor.accept("EXISTS"):
            raise cursor.error("needs EXISTS after NOT")
        return lambda document: not select(document)
    if cursor.accept("EXISTS"):
        return lambda document: bool(select(document))
    if cursor.accept("IS"):
        constants = {"NULL": None, "TRUE": True, "FALSE": False}
        word = cursor.accept(*constants)
        if word is None:
            raise cursor.error("needs NULL, TRUE or FALSE after IS")
        return lambda document: any(value is constants[word] for value in select(document))
    operator = cursor.accept("=", "!=", "<", "<=", ">", ">=")
    if operator is None:
        raise cursor.error(f"has no operator after {token.text}")
    test = value_test(operator, _operand(cursor))
    return lambda document: any(test(value) for value in select(document))


_GRAMMAR = Grammar(_condition, either="||", both="&&")


def _operand(cursor: Cursor) -> Token:
    token = cursor.take()
    if token.kind not in {"string", "regex", "word"}:
        raise cursor.unexpected(token, "a value")
    return token


def _selector(text: str) -> _Select:
    steps: list[str | int | None] = []
    for name, index, star, single, double in _STEP.findall(text):
        if star:
            steps.append(None)
        elif index:
            steps.append(int(index))
        else:
            steps.append(name or single or double)

    def select(document: Any) -> list[Any]:
        values = [document]
        for step in steps:
            values = [child for value in values for child in _children(value, step)]
        return values

    return select


def _children(item: Any, step: str | int | None) -> list[Any]:
    if step is None:
        return item if isinstance(item, list) else []
    if isinstance(step, int):
        return [item[step]] if isinstance(item, list) and step < len(item) else []
    return [item[step]] if isinstance(item, dict) and step in item else []
