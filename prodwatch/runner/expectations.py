"""A step's assertions, parsed once and judged together on each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from prodwatch.assertions import MISSING, Assertion, Path, evaluate, parse, parse_path
from prodwatch.model.result import AssertionResult
from prodwatch.runner.judgement import Judgement

Severity = Literal["expect", "warn", "until", "implicit", "attest"]


_NOT_THERE: Mapping[str, tuple[Any, ...]] = {"status": (404, 410), "exists": (False,), "deleted": (False,)}
"""Field → values by which an answer says that there is nothing."""


class Expectation(msgspec.Struct, frozen=True):
    """One assertion of a step."""

    assertion: Assertion
    severity: Severity

    @property
    def fields(self) -> frozenset[str]:
        """Leading fields of the document it mentions."""
        return self.assertion.fields

    @property
    def holes(self) -> tuple[str, ...]:
        """The `${…}` in it, as written."""
        return self.assertion.holes


class Court(msgspec.Struct, frozen=True):
    """What judging needs besides the document."""

    values: Mapping[str, Any]
    """Values of holes, by their text."""
    now: datetime
    complete: bool
    load_schema: Callable[[str], Any]
    redact: Callable[[str], str]


@lru_cache(maxsize=4096)
def compile_assertions(texts: tuple[str, ...], severity: Severity) -> tuple[Expectation, ...]:
    """Parse assertions; AssertionSyntaxError for one that is none."""
    return tuple(Expectation(parse(text), severity) for text in texts)


def judge(expectations: Iterable[Expectation], document: Mapping[str, Any], court: Court) -> Judgement:
    """Judge every assertion; together they hold when all do."""
    results: list[AssertionResult] = []
    ok: bool | None = True
    nothing_there = False
    for each in expectations:
        result = _judge(each, document, court)
        results.append(result)
        if result.ok is not True and (ok is True or (ok is None and result.ok is False)):
            ok, nothing_there = result.ok, _is_nothing(each, result.actual)
    return Judgement(tuple(results), ok, nothing_there)


def judge_any(expectations: Iterable[Expectation], document: Mapping[str, Any], court: Court) -> Judgement:
    """Judge every assertion; together they hold when one does (`stop_when`)."""
    results = tuple(_judge(each, document, court) for each in expectations)
    return Judgement(results, any(result.ok is True for result in results))


def _judge(expectation: Expectation, document: Mapping[str, Any], court: Court) -> AssertionResult:
    assertion = expectation.assertion
    return evaluate(
        assertion,
        document,
        holes=[court.values[hole] for hole in assertion.holes] if assertion.holes else (),
        severity=expectation.severity,
        complete=court.complete,
        now=court.now,
        load_schema=court.load_schema,
        redact=court.redact,
    )


def _is_nothing(expectation: Expectation, actual: Any) -> bool:
    """Missing, null, no element, no character, none counted, not found: what was waited for has not turned up."""
    if any(actual in _NOT_THERE.get(field, ()) for field in expectation.fields):
        return True
    return actual is None or (not isinstance(actual, bool) and actual in (0, "", [], {}))


__all__ = [
    "MISSING",
    "Court",
    "Expectation",
    "Path",
    "compile_assertions",
    "judge",
    "judge_any",
    "parse_path",
]
