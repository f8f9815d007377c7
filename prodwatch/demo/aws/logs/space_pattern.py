"""Space-delimited filter patterns: `[ip, user, ..., status = 4*, bytes > 1000]`."""

from __future__ import annotations

import re
from collections.abc import Callable

from prodwatch.demo.aws.logs.filter_lexer import Cursor, PatternError, Test, Token, tokenize, value_test

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
    """Return the predicate: as many fields as named (`...` stands for any number), every condition true."""
    cursor = Cursor(tokenize(text, _LEXER))
    cursor.expect("[")
    before: list[Test | None] = []
    after: list[Test | None] = []
    open_ended = False
    while not cursor.accept("]"):
        if before or open_ended or after:
            cursor.expect(",")
        if cursor.accept("..."):
            if open_ended:
                raise PatternError("a space-delimited filter pattern may have ... only once")
            open_ended = True
        else:
            (after if open_ended else before).append(_either(cursor))
    cursor.end()

    def matches(message: str) -> bool:
        fields = [quoted or bracketed or plain for quoted, bracketed, plain in _FIELD.findall(message)]
        named = len(before) + len(after)
        if len(fields) < named or (not open_ended and len(fields) != named):
            return False
        pairs = [*zip(before, fields, strict=False), *zip(after, fields[len(fields) - len(after) :], strict=True)]
        return all(test is None or test(value) for test, value in pairs)

    return matches


def _either(cursor: Cursor) -> Test | None:
    tests = [_both(cursor)]
    while cursor.accept("||"):
        tests.append(_both(cursor))
    real = [test for test in tests if test is not None]
    return (lambda value: any(test(value) for test in real)) if real else None


def _both(cursor: Cursor) -> Test | None:
    tests = [_condition(cursor)]
    while cursor.accept("&&"):
        tests.append(_condition(cursor))
    real = [test for test in tests if test is not None]
    return (lambda value: all(test(value) for test in real)) if real else None


def _condition(cursor: Cursor) -> Test | None:
    if cursor.accept("("):
        test = _either(cursor)
        cursor.expect(")")
        return test
    name = cursor.take()
    if name.kind != "word":
        raise PatternError(f"the filter pattern has {name.text!r} where the name of a field should be")
    operator = cursor.accept("=", "!=", "<", "<=", ">", ">=")
    if operator is None:
        return None
    operand: Token = cursor.take()
    return value_test(operator, operand)
