"""The rule language of composite alarms: `ALARM("a") AND (OK(b) OR NOT INSUFFICIENT_DATA(c))`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from prodwatch.demo.aws.alarms.model import AlarmState

Rule = Callable[[Mapping[str, AlarmState]], bool]

_TOKEN = re.compile(r'\s*(?:(\(|\)|,)|"([^"]*)"|\'([^\']*)\'|([^\s(),"\']+))')
_STATES: dict[str, AlarmState] = {"OK": "OK", "ALARM": "ALARM", "INSUFFICIENT_DATA": "INSUFFICIENT_DATA"}


class RuleError(ValueError):
    """A rule that cannot be read; the text says why."""


def parse_rule(rule: str) -> Rule:
    """Return the rule as a function of all alarms' states. Raises RuleError."""
    parser = _Parser(rule)
    found = parser.either()
    parser.end()
    return found


def alarms_in(rule: str) -> list[str]:
    """Return the names (or ARNs' names) a rule mentions. Raises RuleError."""
    parser = _Parser(rule)
    parser.either()
    return parser.names


class _Parser:
    def __init__(self, rule: str) -> None:
        self._tokens: list[tuple[str, bool]] = []
        self._at = 0
        self.names: list[str] = []
        at = 0
        rule = rule.strip()
        while at < len(rule):
            match = _TOKEN.match(rule, at)
            if match is None:
                raise RuleError(f"the alarm rule cannot be read from character {at + 1} on")
            at = match.end()
            punctuation, double, single, word = match.groups()
            quoted = double if double is not None else single
            self._tokens.append((quoted, True) if quoted is not None else (punctuation or word, False))

    def _peek(self) -> str | None:
        if self._at >= len(self._tokens):
            return None
        text, quoted = self._tokens[self._at]
        return None if quoted else text.upper()

    def _take(self) -> str:
        if self._at >= len(self._tokens):
            raise RuleError("the alarm rule ends too early")
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _expect(self, text: str) -> None:
        found = self._take()
        if found.upper() != text:
            raise RuleError(f"the alarm rule has {found!r} where {text!r} should be")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise RuleError(f"the alarm rule goes on with {self._tokens[self._at][0]!r} after its end")

    def either(self) -> Rule:
        rules = [self._both()]
        while self._peek() == "OR":
            self._take()
            rules.append(self._both())
        return lambda states: any(rule(states) for rule in rules)

    def _both(self) -> Rule:
        rules = [self._one()]
        while self._peek() == "AND":
            self._take()
            rules.append(self._one())
        return lambda states: all(rule(states) for rule in rules)

    def _one(self) -> Rule:
        word = self._take().upper()
        if word == "NOT":
            inner = self._one()
            return lambda states: not inner(states)
        if word == "(":
            inner = self.either()
            self._expect(")")
            return inner
        if word in {"TRUE", "FALSE"}:
            return lambda _states: word == "TRUE"
        if word == "AT_LEAST":
            return self._at_least()
        if word not in _STATES:
            raise RuleError(f"the alarm rule has {word!r} where a state such as ALARM should be")
        self._expect("(")
        name = self._name()
        self._expect(")")
        wanted = _STATES[word]
        return lambda states: states.get(name) == wanted

    def _name(self) -> str:
        name = self._take().rpartition(":alarm:")[2]
        self.names.append(name)
        return name

    def _at_least(self) -> Rule:
        """Parse `(2, ALARM, (a, b, c))`; the count may be a share such as 50%."""
        self._expect("(")
        count = self._take()
        self._expect(",")
        state = self._take().upper()
        if state not in _STATES:
            raise RuleError(f"AT_LEAST needs a state, not {state!r}")
        self._expect(",")
        self._expect("(")
        names = [self._name()]
        while self._peek() == ",":
            self._take()
            names.append(self._name())
        self._expect(")")
        self._expect(")")
        try:
            needed = len(names) * float(count[:-1]) / 100 if count.endswith("%") else float(count)
        except ValueError:
            raise RuleError(f"AT_LEAST needs a number or a share, not {count!r}") from None
        wanted = _STATES[state]
        return lambda states: sum(states.get(name) == wanted for name in names) >= needed
