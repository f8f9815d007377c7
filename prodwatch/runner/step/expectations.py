"""A step's assertions, parsed once and judged together on each answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from prodwatch.assertions import MISSING, Assertion, Path, evaluate, parse, parse_path
from prodwatch.assertions.incomplete_data import OF_THE_REQUEST
from prodwatch.model.result import AssertionResult
from prodwatch.runner.step.judgement import Judgement

Severity = Literal["expect", "warn", "until", "implicit", "attest"]


_BESIDE = OF_THE_REQUEST | {"complete"}
"""Fields that do not speak of what was found."""
_STEPS = re.compile(r"\bsteps\b")
_STEP = re.compile(r'\bsteps\.(?:"(?P<quoted>[^"\\]+)"|(?P<name>\w+))(?:\.(?P<field>\w+))?')
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


class JudgingContext(msgspec.Struct, frozen=True):
    """What judging needs besides the document."""

    values: Mapping[str, Any]
    """Values of holes, by their text."""
    now: datetime
    complete: bool
    load_schema: Callable[[str], Any]
    redact: Callable[[str], str]
    doubt: str | None = None
    """Why nothing that holds of the answer is proven; None when there is no such reason."""
    partial: frozenset[str] = frozenset()
    """Of a flow's own assertions: the steps whose source could not be read to its end."""


@lru_cache(maxsize=4096)
def compile_assertions(texts: tuple[str, ...], severity: Severity) -> tuple[Expectation, ...]:
    """Parse assertions; AssertionSyntaxError for one that is none."""
    return tuple(Expectation(parse(text), severity) for text in texts)


def judge(expectations: Iterable[Expectation], document: Mapping[str, Any], judging: JudgingContext) -> Judgement:
    """Judge every assertion; together they hold when all do."""
    results: list[AssertionResult] = []
    ok: bool | None = True
    nothing_there = False
    for each in expectations:
        result = _judge(each, document, judging)
        results.append(result)
        if result.ok is not True and (ok is True or (ok is None and result.ok is False)):
            ok, nothing_there = result.ok, _is_nothing(each, result.actual)
    return Judgement(tuple(results), ok, nothing_there)


def judge_any(expectations: Iterable[Expectation], document: Mapping[str, Any], judging: JudgingContext) -> Judgement:
    """Judge every assertion; together they hold when one does (`stop_when`)."""
    results = tuple(_judge(each, document, judging) for each in expectations)
    return Judgement(results, any(result.ok is True for result in results))


def _judge(expectation: Expectation, document: Mapping[str, Any], judging: JudgingContext) -> AssertionResult:
    assertion = expectation.assertion
    result = evaluate(
        assertion,
        document,
        holes=[judging.values[hole] for hole in assertion.holes] if assertion.holes else (),
        severity=expectation.severity,
        complete=judging.complete and not (judging.partial and rests_on(str(assertion.path), judging.partial)),
        now=judging.now,
        load_schema=judging.load_schema,
        redact=judging.redact,
    )
    if judging.doubt is not None and result.ok and not (assertion.fields and assertion.fields <= _BESIDE):
        return replace(result, ok=None, diff=None, message=judging.doubt)
    return result


def rests_on(path: str, partial: Collection[str]) -> bool:
    """Tell whether the path of a flow's own assertion reads what one of the steps `partial` did not read to its end."""
    read = list(_STEP.finditer(path))
    if len(read) != len(_STEPS.findall(path)):
        return True
    names = ((match["quoted"] or match["name"], match["field"]) for match in read)
    return any(name in partial and field not in _BESIDE for name, field in names)


def _is_nothing(expectation: Expectation, actual: Any) -> bool:
    """Missing, null, no element, no character, none counted, not found: what was waited for has not turned up."""
    if any(actual in _NOT_THERE.get(field, ()) for field in expectation.fields):
        return True
    return actual is None or (not isinstance(actual, bool) and actual in (0, "", [], {}))


__all__ = [
    "MISSING",
    "Expectation",
    "JudgingContext",
    "Path",
    "compile_assertions",
    "judge",
    "judge_any",
    "parse_path",
]
