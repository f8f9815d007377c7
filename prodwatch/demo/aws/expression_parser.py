"""Parser shared by the embedded AWS's expression languages: log filter patterns, alarm rules, X-Ray filters.

A language brings a lexer (a verbose pattern whose group names are token kinds) and its own conditions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Predicate = Callable[[T], bool]


class ExpressionError(ValueError):
    """An expression that AWS refuses; the text names the reason."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression; `kind` is the name of the lexer's group."""

    kind: str
    text: str


class Cursor:
    """Walks over the tokens of one expression; `subject` names the language in errors ("the alarm rule")."""

    def __init__(self, text: str, lexer: re.Pattern[str], subject: str) -> None:
        """Split `text` into tokens; group `space` is dropped, groups `string` and `regex` lose their delimiters."""
        self._subject = subject
        self._at = 0
        self._tokens: list[Token] = []
        at = 0
        while at < len(text):
            match = lexer.match(text, at)
            if match is None or match.end() == at:
                raise self.error(f"cannot be read from character {at + 1} on: {text[at : at + 12]!r}")
            at = match.end()
            kind = str(match.lastgroup)
            if kind == "string":
                self._tokens.append(Token(kind, re.sub(r"\\(.)", r"\1", match[0][1:-1])))
            elif kind == "regex":
                self._tokens.append(Token(kind, match[0][1:-1]))
            elif kind != "space":
                self._tokens.append(Token(kind, match[0]))

    def error(self, problem: str) -> ExpressionError:
        """Return an error with the text "<subject> <problem>"."""
        return ExpressionError(f"{self._subject} {problem}")

    def unexpected(self, token: Token, expected: str) -> ExpressionError:
        """Return the error for a token in the place of another."""
        return self.error(f"has {token.text!r} where {expected} should be")

    def peek(self) -> Token | None:
        """Return the next token without consuming it, None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self) -> Token:
        """Consume and return the next token. Raises ExpressionError at the end."""
        token = self.peek()
        if token is None:
            raise self.error("ends too early")
        self._at += 1
        return token

    def accept(self, *texts: str) -> str | None:
        """Consume the next token if its upper-cased text is one of `texts`; quoted text never is."""
        token = self.peek()
        if token is None or token.kind in {"string", "regex", "number"} or token.text.upper() not in texts:
            return None
        self._at += 1
        return token.text.upper()

    def expect(self, text: str) -> None:
        """Consume exactly this operator. Raises ExpressionError for any other token."""
        token = self.take()
        if token.kind != "operator" or token.text != text:
            raise self.unexpected(token, repr(text))

    def end(self) -> None:
        """Raise ExpressionError when a token is left."""
        if token := self.peek():
            raise self.error(f"continues with {token.text!r} after its end")


class Grammar(Generic[T]):
    """Conditions joined by "or" and "and", with "and" binding closer."""

    def __init__(self, condition: Callable[[Cursor], Predicate[T]], *, either: str, both: str) -> None:
        """`either` and `both` are the language's words for "or" and "and"."""
        self._condition = condition
        self._either = either
        self._both = both

    def parse(self, cursor: Cursor) -> Predicate[T]:
        """Return the predicate of the conditions at the cursor."""
        terms = [self._term(cursor)]
        while cursor.accept(self._either):
            terms.append(self._term(cursor))
        return terms[0] if len(terms) == 1 else lambda value: any(term(value) for term in terms)

    def _term(self, cursor: Cursor) -> Predicate[T]:
        factors = [self._condition(cursor)]
        while cursor.accept(self._both):
            factors.append(self._condition(cursor))
        return factors[0] if len(factors) == 1 else lambda value: all(factor(value) for factor in factors)
