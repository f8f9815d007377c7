"""Judges an assertion against a document: true, false with a sentence, or not decidable; never raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from prodwatch.assertions.compare import a_kind, kind
from prodwatch.assertions.diff import Redact, difference, subset_difference, unordered_difference
from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.interpret import Run
from prodwatch.assertions.missing import MISSING
from prodwatch.assertions.operators import Judgement, Means, judge
from prodwatch.assertions.patterns import LIMIT_S
from prodwatch.assertions.proof import stands
from prodwatch.assertions.show import to_json
from prodwatch.assertions.syntax import Assertion
from prodwatch.model.result import AssertionResult

Severity = Literal["expect", "warn", "until", "implicit", "attest"]
_SHORTEST_SEARCH_S = 0.005


@dataclass(slots=True)
class _Finding:
    """What judging has found so far; filled step by step so that a failure half-way still shows the rest."""

    ok: bool | None = None
    actual: Any = None
    expected: Any = None
    message: str | None = None
    diff: str | None = None


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
    to its end: only what further data cannot overturn is decided. `now` is what `age()` counts from.
    `load_schema` gives the parsed JSON Schema of a file named by `satisfies`. `redact` masks secrets in texts
    before a difference cuts them into lines; everything else is handed out whole, to be redacted on its way out.
    """
    finding = _Finding()
    expression = assertion.source.strip()
    try:
        if len(holes) != len(assertion.holes):
            finding.message = f"{len(assertion.holes)} values are needed for {', '.join(assertion.holes)}"
        else:
            if holes:
                expression = assertion.render(holes)
            _judge(assertion, document, Run(holes, now), Means(load_schema), finding, complete=complete, redact=redact)
    except UndecidableError as problem:
        finding.ok, finding.message = None, str(problem)
    except PathError as problem:
        finding.ok, finding.message = False, str(problem)
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


def _judge(
    assertion: Assertion,
    document: Any,
    run: Run,
    means: Means,
    finding: _Finding,
    *,
    complete: bool,
    redact: Redact | None,
) -> None:
    expected = assertion.expected(run.holes)
    finding.expected = to_json(expected)
    actual = assertion.path.resolve(document, run, each=bool(assertion.quantifier))
    finding.actual = to_json(actual)
    if assertion.quantifier:
        _judge_each(assertion, actual, expected, document, run, means, finding)
    elif assertion.operator == "absent" and actual is MISSING:
        _judge_absent(assertion, document, run, finding)
    else:
        outcome = judge(assertion.operator, actual, expected, means)
        finding.ok = outcome.ok
        if not outcome.ok:
            finding.message = _sentence(assertion, outcome, actual, document, run)
            if outcome.sound:
                finding.diff = _diff(assertion.operator, expected, actual, redact)
    if not complete and finding.ok is not None and not stands(assertion, finding.ok, actual):
        claim = "nothing more would turn up" if finding.ok else "it will not turn up"
        finding.ok, finding.diff = None, None
        finding.message = f"the source could not be read to its end, so nothing shows that {claim}"


def _sentence(assertion: Assertion, outcome: Judgement, actual: Any, document: Any, run: Run) -> str:
    if actual is MISSING:
        return str(assertion.path.lost(document, run))
    return f"`{assertion.path.render(run.holes)}` {outcome.phrase}"


def _judge_absent(assertion: Assertion, document: Any, run: Run, finding: _Finding) -> None:
    """An absence holds where one could have looked: in a field that was read."""
    lost = assertion.path.lost(document, run)
    finding.ok = None if lost.unread else not lost.blocked
    if lost.unread:
        finding.message = f"{lost}, so nothing could be looked up in it and its absence proves nothing"
    elif lost.blocked:
        finding.message = str(lost)


def _judge_each(
    assertion: Assertion, items: Any, expected: Any, document: Any, run: Run, means: Means, finding: _Finding
) -> None:
    name = assertion.path.render(run.holes)
    if items is MISSING:
        finding.ok, finding.message = False, str(assertion.path.lost(document, run))
        return
    if kind(items) != "array":
        finding.ok = False
        finding.message = f"`{name}` is {a_kind(items)}, and `{assertion.quantifier}` needs an array"
        return
    if not items:
        raise UndecidableError(f"`{name}` is an empty list, so `{assertion.quantifier}` has nothing to judge")
    limit_s = max(_SHORTEST_SEARCH_S, LIMIT_S / len(items))
    means = Means(means.load_schema, limit_s)
    about_presence = assertion.operator in {"exists", "absent"}
    if not about_presence and assertion.quantifier != "all" and all(item is MISSING for item in items):
        raise UndecidableError(f"no element of the list has `{name}`, so `{assertion.quantifier}` has nothing to judge")
    for position, item in enumerate(items):
        outcome = judge(assertion.operator, item, expected, means)
        if assertion.quantifier == "any":
            if outcome.ok:
                finding.ok = True
                return
        elif assertion.quantifier == "all":
            if not outcome.ok:
                finding.ok, finding.message = False, f"`{name}`: element {position} {outcome.phrase}"
                return
        elif outcome.ok or not (outcome.sound or item is MISSING):
            problem = f"{_true_phrase(assertion, expected)}" if outcome.ok else outcome.phrase
            finding.ok, finding.message = False, f"`{name}`: element {position} {problem}"
            return
    finding.ok = assertion.quantifier != "any"
    if not finding.ok:
        finding.message = f"`{name}`: none of its {len(items):,} elements does what is claimed of one of them"


def _true_phrase(assertion: Assertion, expected: Any) -> str:
    from prodwatch.assertions.show import short

    value = "" if expected is None and assertion.operand is None else f" {short(expected)}"
    return f"does what none may do: {assertion.operator}{value}"


def _diff(operator: str, expected: Any, actual: Any, redact: Redact | None) -> str | None:
    if operator == "==":
        return difference(expected, actual, redact)
    if operator == "includes":
        return subset_difference(expected, actual)
    if operator == "equals unordered":
        return unordered_difference(expected, actual)
    return None
