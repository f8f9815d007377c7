"""Space-delimited filter patterns: `[ip, user, ..., status = 4*, bytes > 1000]`."""

from __future__ import annotations

import re
from collections.abc import Callable

from prodwatch.demo.aws.expression_parser import Cursor, Grammar
from prodwatch.demo.aws.logs.filter_comparison import SUBJECT, Test, value_test

_LEXER = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<regex>%(?:[^%\\]|\\.)+%)
      | (?P<operator>&&|\|\||\.\.\.|!=|<=|>=|[=<>(),\[\]])
      | (?P<word>[^\s"%(),=\[\]<>!&|]+)""",
    re.VERBOSE,
)
_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')


def compile_space_delimited(text: str) -> Callable[[str], bool]:
    """Return the predicate: as many fields as named (`...` matches any number), every condition true."""
    cursor = Cursor(text, _LEXER, SUBJECT)
    cursor.expect("[")
    before: list[Test] = []
    after: list[Test] = []
    open_ended = False
    while not cursor.accept("]"):
        if before or open_ended or after:
            cursor.expect(",")
        if cursor.accept("..."):
            if open_ended:
                raise cursor.error("may have ... only once")
            open_ended = True
        else:
            (after if open_ended else before).append(_GRAMMAR.parse(cursor))
    cursor.end()

    def matches(message: str) -> bool:
        fields = [quoted or bracketed or plain for quoted, bracketed, plain in _FIELD.findall(message)]
        named = len(before) + len(after)
        if len(fields) < named or (not open_ended and len(fields) != named):
            return False
        pairs = [*zip(before, fields, strict=False), *zip(after, fields[len(fields) - len(after) :], strict=True)]
        return all(test(value) for test, value in pairs)

    return matches


def _condition(cursor: Cursor) -> Test:
    if cursor.accept("("):
        test = _GRAMMAR.parse(cursor)
        cursor.expect(")")
        return test
    name = cursor.take()
    if name.kind != "word":
        raise cursor.unexpected(name, "the name of a field")
    operator = cursor.accept("=", "!=", "<", "<=", ">", ">=")
    if operator is None:
        return lambda _value: True  # a field that is only named
    return value_test(operator, cursor.take())


_GRAMMAR = Grammar(_condition, either="||", both="&&")
