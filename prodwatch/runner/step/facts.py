"""The things behind a value that does not hold: log lines, alarms, items, a body's beginning; bounded and masked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.assertions import MISSING, parse_path
from prodwatch.assertions.elements_behind import Placed, elements_behind
from prodwatch.assertions.errors import UndecidableError
from prodwatch.assertions.value_format import text_of
from prodwatch.model.result import AssertionResult
from prodwatch.model.spec import ProbeSpec
from prodwatch.runner.step.expectations import Expectation

MAX_FACTS = 5
"""Most things shown of one list; the rest is counted."""
MAX_CHARS = 300
"""Longest fact, in characters."""
MAX_FIELD_CHARS = 100
"""Longest value of one field of an element, in characters."""
MAX_TEXT_LINES = 5
"""Most lines shown of the beginning of a text."""
_TIMES = ("timestamp", "time", "since", "sent", "started_at")
_NAMES = ("id", "name", "key", "trace_id", "request_id")
_STATES = ("level", "state", "status", "reason", "root_cause")

Mask = Callable[[str], str]


def with_facts(
    judged: Iterable[tuple[Expectation, AssertionResult]],
    document: Mapping[str, Any],
    spec: ProbeSpec | None,
    *,
    values: Mapping[str, Any],
    now: datetime,
    mask: Mask,
    expected: bool = True,
) -> tuple[AssertionResult, ...]:
    """Return the results, those that are not as `expected` with the facts behind them.

    `values` holds the values of `${…}` by their text. `mask` masks secrets: a text is cut only after that.
    """
    return tuple(
        result
        if result.ok is expected
        else replace(result, facts=_facts(expectation, document, spec, values=values, now=now, mask=mask))
        for expectation, result in judged
    )


def _facts(
    expectation: Expectation,
    document: Mapping[str, Any],
    spec: ProbeSpec | None,
    *,
    values: Mapping[str, Any],
    now: datetime,
    mask: Mask,
) -> tuple[str, ...]:
    assertion = expectation.assertion
    holes = [values[hole] for hole in assertion.holes]
    elements = elements_behind(assertion, document, holes=holes, now=now)
    if elements and (assertion.quantifier or any(isinstance(each, Mapping) for _, each in elements)):
        return _listed(elements, mask, placed=bool(assertion.quantifier))
    behind = _behind(spec, assertion.fields)
    value = MISSING if behind is None else parse_path(behind).read(document, now=now)
    if isinstance(value, list | tuple):
        return _listed(list(enumerate(value)), mask, placed=False)
    if isinstance(value, Mapping):
        return (_cut(_element(value, mask)),) if value else ()
    return _beginning(value, mask) if isinstance(value, str) else ()


def _behind(spec: ProbeSpec | None, fields: frozenset[str]) -> str | None:
    """Return the path to what is behind the first of these fields that has such a thing."""
    if spec is None:
        return None
    return next((each.behind for each in spec.fields if each.behind and each.name in fields), None)


def _listed(elements: Sequence[Placed], mask: Mask, *, placed: bool) -> tuple[str, ...]:
    facts = [_cut((f"[{place}] " if placed else "") + _element(each, mask)) for place, each in elements[:MAX_FACTS]]
    more = len(elements) - len(facts)
    return (*facts, f"… and {more:,} more") if more else tuple(facts)


def _element(element: Any, mask: Mask) -> str:
    """Return one element in one line: its time and its identity first."""
    try:
        if not isinstance(element, Mapping):
            return _line(text_of(element), mask)
        message = element.get("message")
        if {"name", "state", "reason"} <= element.keys():
            since = f" since {text_of(element['since'])}" if element.get("since") else ""
            return _line(
                f"{text_of(element['name'])} {text_of(element['state'])}{since}: {text_of(element['reason'])}", mask
            )
        first = [name for name in (*_TIMES, *_NAMES, *_STATES) if name in element]
        if isinstance(message, str) and "timestamp" in element:
            known = [text_of(element[name]) for name in ("timestamp", "level") if name in element]
            return _line(" ".join((*known, _logged(message))), mask)
        others = [name for name in element if name not in first]
        shown = {name: _cut(_line(text_of(element[name]), mask), MAX_FIELD_CHARS) for name in (*first, *others)}
        return ", ".join(f"{_line(name, mask)} {value}" for name, value in shown.items())
    except UndecidableError as error:
        return str(error)


def _logged(line: str) -> str:
    """Return the message in a log line that is a JSON object, any other line as it is."""
    if not line.startswith("{"):
        return line
    from prodwatch.formats.lambda_json import parse_json_line

    parsed = parse_json_line(line)
    return line if parsed is None else parsed.message or line


def _line(text: str, mask: Mask) -> str:
    return " ".join(mask(text).split())


def _cut(text: str, limit: int = MAX_CHARS) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit:,} characters)"


def _beginning(text: str, mask: Mask) -> tuple[str, ...]:
    """Return the first lines of a text that are not empty."""
    lines = [line for line in map(str.strip, mask(text).splitlines()) if line]
    shown = [_cut(" ".join(line.split())) for line in lines[:MAX_TEXT_LINES]]
    more = len(lines) - len(shown)
    return (*shown, f"… and {more:,} more lines") if more else tuple(shown)
