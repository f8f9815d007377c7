"""Judges an assertion against a document: true, false with a sentence, or not decidable; never raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.assertions.diff import Redact, difference, subset_difference, unordered_difference
from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.assertions.incomplete_data import OF_THE_REQUEST, survives_more_data
from prodwatch.assertions.jmespath_interpreter import Evaluation
from prodwatch.assertions.operators import OperatorContext, judge
from prodwatch.assertions.patterns import as_shown
from prodwatch.assertions.quantifiers import judge_each
from prodwatch.assertions.syntax import Assertion
from prodwatch.assertions.value_equality_and_order import MISSING
from prodwatch.assertions.value_format import to_json
from prodwatch.model.result import AssertionResult

Severity = Literal["expect", "warn", "until", "implicit", "attest"]
_PRESENCE = frozenset({"exists", "absent"})
_DIFFERENCES = frozenset({"!=", "not in", "not contains"})


class _Finding(msgspec.Struct):
    """Result so far, so that an error half-way still shows the rest."""

    ok: bool | None = None
    actual: Any = None
    expected: Any = None
    message: str | None = None
    diff: str | None = None


class _Context(msgspec.Struct, frozen=True):
    """Inputs of judging other than the document."""

    run: Evaluation
    means: OperatorContext
    complete: bool
    redact: Redact | None


def evaluate(
    assertion: Assertion,
    document: Any,
    *,
    holes: Sequence[Any] = (),
    severity: Severity = "expect",
    complete: bool = True,
    now: datetime | None = None,
    load_schema: Callable[[str], Any] | None = None,
    redact: Redact | None = None,
) -> AssertionResult:
    """Judge `assertion` against `document`.

    `holes` are the values of `assertion.holes`, in that order. With `complete=False` the source could not be read
    to its end: only results that further data cannot change are decided. `now` is the time that `age()` counts from.
    `load_schema` returns the parsed JSON Schema of a file named by `satisfies`. `redact` masks secrets in texts
    before a difference cuts them into lines; all other parts are returned whole, to be redacted by the caller.
    """
    finding = _Finding()
    expression = assertion.source.strip()
    try:
        if len(holes) == len(assertion.holes):
            if holes:
                expression = assertion.render(holes)
            circumstances = _Context(Evaluation(holes, now), OperatorContext(load_schema), complete, redact)
            _judge(assertion, document, circumstances, finding)
        else:
            finding.message = f"values are needed for {len(assertion.holes)} references, and there are {len(holes)}"
    except UndecidableError as problem:
        finding.ok, finding.message = None, str(problem)
    except PathError as problem:
        finding.ok, finding.message = False, str(problem)
        if not complete and not (assertion.fields and assertion.fields <= OF_THE_REQUEST):
            finding.ok = None
            finding.message = f"{problem}; the source could not be read to its end, and the rest may have it"
    except RecursionError:
        finding.ok, finding.message = None, "the value is nested too deeply to be judged"
    except Exception as problem:  # noqa: BLE001 -- one broken assertion must not take the run with it
        finding.ok = None
        finding.message = f"this could not be judged because of a bug in prodwatch ({type(problem).__name__})"
    return AssertionResult(
        expression=expression,
        ok=finding.ok,
        severity=severity,
        actual=finding.actual,
        expected=finding.expected,
        diff=finding.diff,
        message=None if finding.ok else finding.message,
    )


def _judge(assertion: Assertion, document: Any, context: _Context, finding: _Finding) -> None:
    run = context.run
    expected = assertion.expected(run.holes)
    finding.expected = to_json(as_shown(expected))
    if assertion.operator in _PRESENCE:
        finding.expected = "a value" if assertion.operator == "exists" else "no value"
    try:
        actual = assertion.path.resolve(document, run, keep_missing=bool(assertion.quantifier))
    except PathError as problem:
        raise PathError(assertion.path.function_error(problem, document, run)) from None
    if _judge_presence_in_several(assertion, actual, run, finding):
        return
    finding.actual = to_json(actual)
    if actual is MISSING:
        _judge_missing(assertion, document, run, finding)
    elif actual == [] and assertion.path.selects and assertion.operator in _PRESENCE and not assertion.quantifier:
        finding.ok = assertion.operator == "absent"
        finding.message = f"`{assertion.path.render(run.holes)}` selects nothing"
    elif assertion.quantifier:
        name = assertion.path.render(run.holes)
        finding.message = judge_each(assertion.quantifier, assertion.operator, name, actual, expected, context.means)
        finding.ok = finding.message is None
    else:
        outcome = judge(assertion.operator, actual, expected, context.means)
        finding.ok = outcome.ok
        if not outcome.ok:
            finding.message = f"`{assertion.path.render(run.holes)}` {outcome.phrase}"
            finding.diff = _diff(assertion.operator, expected, actual, context.redact) if outcome.comparable else None
    _discount_unmatched_fields(assertion, run, finding)
    if context.complete or finding.ok is None:
        return
    if not survives_more_data(assertion, actual, expected, ok=finding.ok):
        opposite = "false" if finding.ok else "true"
        finding.ok, finding.diff = None, None
        finding.message = f"the source could not be read to its end: the unread part could still make this {opposite}"


def _judge_presence_in_several(assertion: Assertion, actual: Any, run: Evaluation, finding: _Finding) -> bool:
    """Judge whether a value is there that is one of several; return whether the assertion is such a claim."""
    if not isinstance(actual, FirstOfSeveral) or assertion.operator not in _PRESENCE or assertion.quantifier:
        return False
    if assertion.operator == "exists" and any(element is MISSING for element in actual.elements):
        actual.refuse()
    finding.actual = actual.what
    finding.ok = assertion.operator == "exists"
    finding.message = f"`{assertion.path.render(run.holes)}` is there: {actual.what}"
    return True


def _discount_unmatched_fields(assertion: Assertion, run: Evaluation, finding: _Finding) -> None:
    """Make a claim undecided that holds because of a field no element has, or of values that cannot be compared."""
    differs = assertion.operator in _DIFFERENCES or assertion.quantifier == "none"
    presence = assertion.operator == "absent"
    reason = assertion.path.unmatched_read(run, projections=not presence, selected=bool(finding.ok) and differs)
    if reason is None:
        return
    if finding.ok:
        finding.ok, finding.message = None, reason
    elif finding.message is not None:
        finding.message = f"{finding.message}; {reason}"


def _judge_missing(assertion: Assertion, document: Any, run: Evaluation, finding: _Finding) -> None:
    """Judge a missing value: only `absent` holds, and only inside a field that was read."""
    where_missing = assertion.path.where_missing(document, run)
    finding.ok, finding.message = False, str(where_missing)
    if assertion.operator != "absent" or assertion.quantifier or where_missing.blocked:
        return
    if where_missing.unread:
        finding.ok = None
        finding.message = f"{where_missing}, so nothing could be read from it and its absence proves nothing"
    else:
        finding.ok = True


def _diff(operator: str, expected: Any, actual: Any, redact: Redact | None) -> str | None:
    if operator == "==":
        return difference(expected, actual, redact)
    if operator == "includes":
        return subset_difference(expected, actual)
    return unordered_difference(expected, actual) if operator == "equals unordered" else None
