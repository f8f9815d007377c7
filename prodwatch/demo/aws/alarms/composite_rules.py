"""The rule language of composite alarms: `ALARM("a") AND (OK(b) OR NOT INSUFFICIENT_DATA(c))`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prodwatch.demo.aws.alarms.model import AlarmState
from prodwatch.demo.aws.expression_parser import Cursor, Grammar, Predicate

States = Mapping[str, AlarmState]
Rule = Predicate[States]

_LEXER = re.compile(
    r"""(?P<space>\s+)
      | (?P<operator>[(),])
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<word>[^\s(),"']+)""",
    re.VERBOSE,
)
_STATES: dict[str, AlarmState] = {"OK": "OK", "ALARM": "ALARM", "INSUFFICIENT_DATA": "INSUFFICIENT_DATA"}


def parse_rule(rule: str) -> Rule:
    """Return the rule as a predicate over all alarms' states. Raises ExpressionError."""
    return _parse(rule)[0]


def alarms_in(rule: str) -> list[str]:
    """Return the names (or ARNs' names) in a rule. Raises ExpressionError."""
    return _parse(rule)[1]


def _parse(rule: str) -> tuple[Rule, list[str]]:
    cursor = Cursor(rule, _LEXER, "the alarm rule")
    names: list[str] = []
    grammar: Grammar[States]

    def condition(cursor: Cursor) -> Rule:
        if cursor.accept("NOT"):
            inner = condition(cursor)
            return lambda states: not inner(states)
        if cursor.accept("("):
            inner = grammar.parse(cursor)
            cursor.expect(")")
            return inner
        if constant := cursor.accept("TRUE", "FALSE"):
            return lambda _states: constant == "TRUE"
        if cursor.accept("AT_LEAST"):
            return _at_least(cursor, names)
        state = _state(cursor)
        cursor.expect("(")
        name = _name(cursor, names)
        cursor.expect(")")
        return lambda states: states.get(name) == state

    grammar = Grammar(condition, either="OR", both="AND")
    parsed = grammar.parse(cursor)
    cursor.end()
    return parsed, names


def _state(cursor: Cursor) -> AlarmState:
    token = cursor.take()
    if token.kind != "word" or token.text.upper() not in _STATES:
        raise cursor.unexpected(token, "a state such as ALARM")
    return _STATES[token.text.upper()]


def _name(cursor: Cursor, names: list[str]) -> str:
    name = cursor.take().text.rpartition(":alarm:")[2]
    names.append(name)
    return name


def _at_least(cursor: Cursor, every_name: list[str]) -> Rule:
    """Parse `(2, ALARM, (a, b, c))`; the count may be a share such as 50%."""
    cursor.expect("(")
    count = cursor.take().text
    cursor.expect(",")
    state = _state(cursor)
    cursor.expect(",")
    cursor.expect("(")
    names = [_name(cursor, every_name)]
    while cursor.accept(","):
        names.append(_name(cursor, every_name))
    cursor.expect(")")
    cursor.expect(")")
    try:
        needed = len(names) * float(count[:-1]) / 100 if count.endswith("%") else float(count)
    except ValueError:
        raise cursor.error(f"has {count!r} where AT_LEAST needs a number or a share") from None
    return lambda states: sum(states.get(name) == state for name in names) >= needed
