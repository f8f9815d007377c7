"""JSON filter patterns: `{ $.level = "ERROR" && ($.latency >= 500 || $.user NOT EXISTS) }`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from prodwatch.demo.aws.logs.filter_lexer import Cursor, PatternError, Test, Token, tokenize, value_test

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
    cursor = Cursor(tokenize(text, _LEXER))
    cursor.expect("{")
    test = _either(cursor)
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


def _either(cursor: Cursor) -> Test:
    tests = [_both(cursor)]
    while cursor.accept("||"):
        tests.append(_both(cursor))
    return tests[0] if len(tests) == 1 else lambda document: any(test(document) for test in tests)


def _both(cursor: Cursor) -> Test:
    tests = [_condition(cursor)]
    while cursor.accept("&&"):
        tests.append(_condition(cursor))
    return tests[0] if len(tests) == 1 else lambda document: all(test(document) for test in tests)


def _condition(cursor: Cursor) -> Test:
    if cursor.accept("("):
        test = _either(cursor)
        cursor.expect(")")
        return test
    token = cursor.take()
    if token.kind != "selector":
        raise PatternError(f"the filter pattern has {token.text!r} where a selector such as $.level should be")
    select = _selector(token.text)
    if cursor.accept("NOT"):
        if not cursor.accept("EXISTS"):
            raise PatternError("NOT in a filter pattern must be followed by EXISTS")
        return lambda document: not select(document)
    if cursor.accept("EXISTS"):
        return lambda document: bool(select(document))
    if cursor.accept("IS"):
        wanted = {"NULL": None, "TRUE": True, "FALSE": False}
        word = cursor.accept(*wanted)
        if word is None:
            raise PatternError("IS in a filter pattern must be followed by NULL, TRUE or FALSE")
        return lambda document: any(value is wanted[word] for value in select(document))
    operator = cursor.accept("=", "!=", "<", "<=", ">", ">=")
    if operator is None:
        raise PatternError(f"the filter pattern has no operator after {token.text}")
    test = value_test(operator, _operand(cursor))
    return lambda document: any(test(value) for value in select(document))


def _operand(cursor: Cursor) -> Token:
    token = cursor.take()
    if token.kind not in {"string", "regex", "word"}:
        raise PatternError(f"the filter pattern has {token.text!r} where a value should be")
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
        found = [document]
        for step in steps:
            found = [value for item in found for value in _children(item, step)]
        return found

    return select


def _children(item: Any, step: str | int | None) -> list[Any]:
    if step is None:
        return item if isinstance(item, list) else []
    if isinstance(step, int):
        return [item[step]] if isinstance(item, list) and step < len(item) else []
    return [item[step]] if isinstance(item, dict) and step in item else []
