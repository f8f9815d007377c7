"""Assertions of a step, parsed once and judged together on each response."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.assertions import Assertion, evaluate, parse
from prodwatch.assertions.evaluate import Severity
from prodwatch.assertions.incomplete_data import OF_THE_REQUEST
from prodwatch.model.result import AssertionResult

_NOT_CONTENT = OF_THE_REQUEST | {"complete"}
"""Fields that describe the request, not the content that was read."""
_STEPS = re.compile(r"\bsteps\b")
_STEP = re.compile(r'\bsteps\.(?:"(?P<quoted>[^"\\]+)"|(?P<name>\w+))(?:\.(?P<field>\w+))?')
_AT_LEAST = frozenset({">", ">=", "between", "==", "!="})
"""Operators of claims that a longer time can make true."""
_NOT_THERE: Mapping[str, tuple[Any, ...]] = {"status": (404, 410), "exists": (False,), "deleted": (False,)}
"""Field → values by which a response reports that the thing does not exist."""


class Expectation(msgspec.Struct, frozen=True):
    """One assertion of a step."""

    assertion: Assertion
    severity: Severity

    @property
    def fields(self) -> frozenset[str]:
        """Leading fields of the document that it mentions."""
        return self.assertion.fields

    @property
    def holes(self) -> tuple[str, ...]:
        """Each `${…}` in it, as written."""
        return self.assertion.holes


def mentions(expectation: Expectation, name: str) -> bool:
    """Return whether it reads a leading field, or for `results.error` a field of that name below one."""
    leading, _, below = name.partition(".")
    if leading not in expectation.fields:
        return False
    return not below or re.search(rf"\b{re.escape(below)}\b", expectation.assertion.source) is not None


class Judgement(msgspec.Struct, frozen=True):
    """Assertions judged on one document; nothing in it is redacted yet."""

    results: tuple[AssertionResult, ...] = ()
    ok: bool | None = True
    """True when all hold, False when one does not, None when none is false but one cannot be decided."""
    nothing_there: bool = False
    """The first assertion that does not hold read a missing, null, empty or zero value."""

    @property
    def first_bad(self) -> AssertionResult | None:
        """Return the first false assertion, else the first undecidable one, else None."""
        if self.ok is True:
            return None
        return next((result for result in self.results if result.ok is self.ok), None)


NOT_JUDGED = Judgement()


class JudgingContext(msgspec.Struct, frozen=True):
    """Inputs of judging other than the document."""

    values: Mapping[str, Any]
    """Values of the assertions' `${…}`, by their text."""
    now: datetime
    complete: bool
    """False when the source could not be read to its end."""
    load_schema: Callable[[str], Any]
    redact: Callable[[str], str]
    doubt: str | None = None
    """Why an assertion that holds still proves nothing; None when there is no such reason."""
    remarks: Mapping[str, str] = {}
    """Addition to the message of a failed assertion, by field."""
    partial: frozenset[str] = frozenset()
    """For a flow's own assertions: steps whose source could not be read to its end."""


def rest_on_time(
    judged: Iterable[tuple[Expectation, AssertionResult]], is_timed: Callable[[Expectation], bool]
) -> bool:
    """Return whether a longer time than the target took can be why these assertions have their results.

    `is_timed` returns whether a claim is about a measured time. Another claim that does not hold decides alone.
    """
    seen = False
    for expectation, result in judged:
        if not is_timed(expectation):
            if result.ok is not True and expectation.severity != "warn":
                return False
        elif result.ok is False or (result.ok is True and expectation.assertion.operator in _AT_LEAST):
            seen = True
    return seen


@lru_cache(maxsize=4096)
def compile_assertions(texts: tuple[str, ...], severity: Severity) -> tuple[Expectation, ...]:
    """Parse assertions; raises AssertionSyntaxError for a text that is not an assertion."""
    return tuple(Expectation(parse(text), severity) for text in texts)


def judge(expectations: Iterable[Expectation], document: Mapping[str, Any], context: JudgingContext) -> Judgement:
    """Judge every assertion; together they hold when all of them do."""
    results: list[AssertionResult] = []
    ok: bool | None = True
    nothing_there = False
    for expectation in expectations:
        result = _judge(expectation, document, context)
        results.append(result)
        if result.ok is not True and (ok is True or (ok is None and result.ok is False)):
            ok, nothing_there = result.ok, _reports_nothing(expectation, result.actual)
    return Judgement(tuple(results), ok, nothing_there)


def judge_any(expectations: Iterable[Expectation], document: Mapping[str, Any], context: JudgingContext) -> Judgement:
    """Judge every assertion; together they hold when one of them does (`stop_when`)."""
    results = tuple(_judge(expectation, document, context) for expectation in expectations)
    return Judgement(results, any(result.ok is True for result in results))


def _judge(expectation: Expectation, document: Mapping[str, Any], context: JudgingContext) -> AssertionResult:
    assertion = expectation.assertion
    result = evaluate(
        assertion,
        document,
        holes=[context.values[hole] for hole in assertion.holes] if assertion.holes else (),
        severity=expectation.severity,
        complete=context.complete and not (context.partial and reads_partial(str(assertion.path), context.partial)),
        now=context.now,
        load_schema=context.load_schema,
        redact=context.redact,
    )
    if context.remarks and not result.ok and result.message is not None:
        remark = next((each for field, each in context.remarks.items() if field in assertion.fields), None)
        if remark is not None:
            result = replace(result, message=f"{result.message}: {remark}")
    if context.doubt is not None and result.ok and not (assertion.fields and assertion.fields <= _NOT_CONTENT):
        return replace(result, ok=None, diff=None, message=context.doubt)
    return result


def reads_partial(path: str, partial: Collection[str]) -> bool:
    """Return whether the path of a flow's own assertion reads content that one of the steps `partial` left unread."""
    reads = _steps_read(path)
    return reads is None or any(name in partial and field not in _NOT_CONTENT for name, field in reads)


def reads_time(path: str, timed: Mapping[str, Collection[str]]) -> bool:
    """Return whether the path of a flow's own assertion reads a time that was measured; `timed`: step → its fields."""
    reads = _steps_read(path)
    return reads is None or any(field is None or field in timed[name] for name, field in reads if name in timed)


def _steps_read(path: str) -> list[tuple[str, str | None]] | None:
    """Return the steps that a path names, with the field it reads; None when it may read any step."""
    matches = list(_STEP.finditer(path))
    if len(matches) != len(_STEPS.findall(path)):
        return None
    return [(match["quoted"] or match["name"], match["field"]) for match in matches]


def _reports_nothing(expectation: Expectation, actual: Any) -> bool:
    """Return whether a value means that the awaited thing does not exist: missing, null, empty, zero, not found."""
    if any(actual in _NOT_THERE.get(field, ()) for field in expectation.fields):
        return True
    return actual is None or (not isinstance(actual, bool) and actual in (0, "", [], {}))
