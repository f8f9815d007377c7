"""Comparisons of filter patterns: numbers, text with `*`, and regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from prodwatch.demo.aws.expression_parser import ExpressionError, Token

SUBJECT = "the filter pattern"
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

    A number compares with numbers; text compares as a whole, `*` in it matches any text.
    """
    if operand.kind == "regex":
        return _regex_test(operator, operand.text)
    operand_number = number(operand.text) if operand.kind == "word" else None
    if operand_number is not None:
        compare = NUMERIC[operator]
        return lambda value: (present := number(value)) is not None and compare(present, operand_number)
    if operator not in {"=", "!="}:
        raise ExpressionError(f"the operator {operator} needs a number, not {operand.text!r}")
    glob = re.compile(".*".join(map(re.escape, operand.text.split("*"))), re.DOTALL)
    positive = operator == "="
    return lambda value: (text := _text(value)) is not None and (glob.fullmatch(text) is not None) is positive


def _regex_test(operator: str, pattern: str) -> Test:
    if operator not in {"=", "!="}:
        raise ExpressionError(f"the operator {operator} cannot take a regular expression")
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ExpressionError(f"the regular expression %{pattern}% is not valid: {error}") from error
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
