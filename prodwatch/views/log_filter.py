"""Log filter and search: words, /regexes/, field:value, and ! for negation.

A value can have alternatives, `level:warn|error`; `=` before it requires an exact match: `group:=orders`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from prodwatch.assertions.errors import PathError
from prodwatch.assertions.patterns import compile_pattern
from prodwatch.model.identity import OWN_PLACE
from prodwatch.model.signal import Level, LogRecord
from prodwatch.views.log_fields import lookup

LIMIT_S = 0.02
"""Time limit of a regular expression on one line, in seconds."""
SHOWN = 60
"""Characters of an expression in an error."""

Test = Callable[[LogRecord], bool]
Found = TypeVar("Found")

_TERM = re.compile(r'!?(?:/(?:[^/\\]|\\.)*/|[A-Za-z_][\w.@-]*:"[^"]*"|"[^"]*"|\S+)')
_FIELD = re.compile(r'([A-Za-z_][\w.@-]*):(?!//)"?([^"]+)"?')
_SEVERITY = (Level.TRACE, Level.DEBUG, Level.INFO, Level.WARN, Level.ERROR, Level.FATAL)
_LEVEL_NAMES = {"warning": Level.WARN, "critical": Level.FATAL, "err": Level.ERROR, "information": Level.INFO}
_OWN_FIELDS: dict[str, Callable[[LogRecord], tuple[str | None, ...]]] = {
    "group": lambda record: (record.group, record.group.rsplit("/", 1)[-1], record.function),
    "place": lambda record: (str(record.place) or OWN_PLACE,),
    "region": lambda record: (record.place.region, _field_text(record, "region")),
    "account": lambda record: (record.place.account, _field_text(record, "account")),
    "stream": lambda record: (record.stream,),
    "version": lambda record: (record.version,),
    "request": lambda record: (record.request_id,),
    "trace": lambda record: (record.trace_id,),
    "id": lambda record: (record.request_id, record.trace_id, record.message),
    "kind": lambda record: (record.kind,),
}
"""Name → texts of a record, one of which must match.

For a group: its full name and its last part.
"""


def _field_text(record: LogRecord, name: str) -> str | None:
    value = lookup(record.fields, name)
    return None if value is None else str(value)


class FilterError(ValueError):
    """Invalid filter; the message gives the reason in one sentence."""


class Expression:
    """A user's regular expression, case ignored; every search has a time limit, because some never end."""

    def __init__(self, source: str) -> None:
        """Compile `source`; FilterError when it is not a regular expression."""
        try:
            self._pattern = compile_pattern(f"(?i){source}")
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                # Refuses sets that mean something else in other versions: Python only warns of them.
                re.compile(source)
        except (PathError, re.error, OverflowError, RecursionError, Warning) as error:
            raise FilterError(f"/{source[:SHOWN]}/ is not a regular expression: {error}") from None
        self._source = source

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return start and end of each match that is not empty; FilterError after `LIMIT_S` seconds."""
        return self._limited(
            lambda: [
                match.span() for match in self._pattern.finditer(text, timeout=LIMIT_S) if match.end() > match.start()
            ]
        )

    def search(self, text: str) -> bool:
        """Return whether the expression matches anywhere in `text`; FilterError after `LIMIT_S` seconds."""
        return self._limited(lambda: self._pattern.search(text, timeout=LIMIT_S) is not None)

    def _limited(self, search: Callable[[], Found]) -> Found:
        try:
            return search()
        except (TimeoutError, MemoryError, RecursionError):
            raise FilterError(
                f"/{self._source[:SHOWN]}/ was stopped after {LIMIT_S * 1000:.0f} ms on one line;"
                " write it without nested repetition"
            ) from None


class LogFilter(msgspec.Struct, frozen=True):
    """A filter and its text; an empty one matches every line."""

    text: str
    tests: tuple[Test, ...] = ()
    is_timed: bool = False
    """Whether a term is a regular expression, which may take long on some lines."""

    def matches(self, record: LogRecord) -> bool:
        """Return whether every term matches; FilterError when an expression takes too long."""
        return all(test(record) for test in self.tests)


EVERYTHING = LogFilter("")


def parse_filter(text: str) -> LogFilter:
    """Return the filter for `text`; FilterError for an invalid regex or an unknown level."""
    terms = _TERM.findall(text)
    if not terms:
        return EVERYTHING
    return LogFilter(text.strip(), tuple(map(_term, terms)), any(map(_is_expression, terms)))


def _is_expression(term: str) -> bool:
    term = term.removeprefix("!")
    return len(term) > 2 and term.startswith("/") and term.endswith("/")


def _term(term: str) -> Test:
    if len(term) > 1 and term.startswith("!"):
        inner = _term(term[1:])
        return lambda record: not inner(record)
    if _is_expression(term):
        expression = Expression(term[1:-1])
        return lambda record: expression.search(record.message)
    field = _FIELD.fullmatch(term)
    if field:
        return _field(field[1], field[2], term)
    return _word(term.strip('"'))


def _word(word: str) -> Test:
    folded = word.casefold()

    def test(record: LogRecord) -> bool:
        return (
            folded in record.message.casefold()
            or word in {record.request_id, record.trace_id}
            or folded in record.group.casefold()
        )

    return test


def _field(name: str, value: str, term: str) -> Test:
    if name == "level":
        levels = [_level(part) for part in value.split("|")]
        return lambda record: any(test(record) for test in levels)
    fits = _fits(value)
    own = _OWN_FIELDS.get(name)
    if own is not None:
        return lambda record: any(fits(text.casefold()) for text in own(record) if text)
    whole = term.casefold()

    def test(record: LogRecord) -> bool:
        field_value = lookup(record.fields, name) if record.fields else None
        # A text such as `KeyError:x` looks like a field: it is also searched for as written.
        return (field_value is not None and fits(str(field_value).casefold())) or whole in record.message.casefold()

    return test


def _fits(value: str) -> Callable[[str], bool]:
    """Return a test whether a text in lower case equals or contains one of the alternatives in `value`."""
    exact = value.startswith("=") and len(value) > 1
    alternatives = [part.casefold() for part in value[exact:].split("|") if part] or [value.casefold()]
    return lambda text: text in alternatives if exact else any(alternative in text for alternative in alternatives)


def _level(value: str) -> Test:
    name = value.rstrip("+").casefold()
    levels_by_name = {level.value.casefold(): level for level in Level} | _LEVEL_NAMES
    if name not in levels_by_name:
        raise FilterError(f'there is no level "{name}"; levels are {", ".join(sorted(levels_by_name))}')
    level = levels_by_name[name]
    if value.endswith("+") and level in _SEVERITY:
        levels = frozenset(_SEVERITY[_SEVERITY.index(level) :])
        return lambda record: record.level in levels
    return lambda record: record.level is level or record.level == level


def toggled(text: str, term: str) -> str:
    """Return the filter with `term` added, or removed if it contains it."""
    terms = _TERM.findall(text)
    kept = [other for other in terms if other != term]
    return " ".join(kept if len(kept) < len(terms) else [*terms, term])


def quoted(value: str) -> str:
    """Return a value for a filter, in quotes if it contains spaces."""
    return f'"{value}"' if re.search(r"\s", value) else value


def search_text(message: str) -> str:
    """Return the filter for lines that begin like a message: up to its first line end or quote, 60 characters."""
    first = message.split("⏎", 1)[0].split('"', 1)[0].strip()
    return f'"{first[:60]}"'


class Find(NamedTuple):
    """A search within lines."""

    text: str
    expression: Expression
    word: str | None
    """The words in lower case; None for a regular expression. Searching for words is ten times as fast."""

    def hits(self, message: str) -> bool:
        """Return whether `message` matches; FilterError when the expression takes too long."""
        if self.word is not None:
            return self.word in message.lower()
        return self.expression.search(message)


def parse_find(text: str) -> Find | None:
    """Return the search, None for an empty text; FilterError for an invalid regex."""
    if not text:
        return None
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        return Find(text, Expression(text[1:-1]), None)
    return Find(text, Expression(re.escape(text)), text.lower())
