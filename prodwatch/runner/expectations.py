"""A step's assertions, parsed once and judged together on each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.assertions import MISSING, Assertion, Path, evaluate, parse, parse_path
from prodwatch.model.result import AssertionResult
from prodwatch.runner.judgement import Judgement

Severity = Literal["expect", "warn", "until", "implicit", "attest"]


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


def compile_assertions(texts: Iterable[str], severity: Severity) -> tuple[Expectation, ...]:
    """Parse assertions; AssertionSyntaxError for one that is none."""
    if not texts:
        return ()
    return tuple(Expectation(parse(text), severity) for text in texts)


def judge(expectations: Iterable[Expectation], document: Mapping[str, Any], court: Court) -> Judgement:
    """Judge every assertion; together they hold when all do."""
    results = [_judge(each, document, court) for each in expectations]
    ok: bool | None = True
    first_bad: AssertionResult | None = None
    for result in results:
        if result.ok is not True and (first_bad is None or (ok is None and result.ok is False)):
            first_bad, ok = result, result.ok
    return Judgement(tuple(results), ok, first_bad is not None and _is_nothing(first_bad.actual))


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


def _is_nothing(actual: Any) -> bool:
    """Missing, null, no element, no character, none counted: what was waited for has not turned up."""
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
