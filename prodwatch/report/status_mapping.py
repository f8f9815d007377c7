"""Names of a status in other formats: one table, so that all formats report the same outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeVar

import msgspec

from prodwatch.model.comparison import ComparisonResult, SignatureResult
from prodwatch.model.result import (
    AssertionResult,
    CheckResult,
    RunResult,
    SignalResult,
    StepResult,
    Summary,
    VerdictStatus,
)
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.text.sanitize import sanitize_line
from prodwatch.views.status_style import STATES

Outcome = Literal["passed", "failure", "error", "skipped"]
_Item = TypeVar("_Item", CheckResult, SignalResult, ComparisonResult, SignatureResult)

_OUTCOMES: dict[Status, Outcome] = {
    Status.PASS: "passed",
    Status.DEGRADED: "passed",
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "error",
    Status.SKIPPED: "skipped",
}

GLYPHS = {
    status: (glyph, STATES[status].word)
    for status, glyph in (
        (Status.PASS, "✔"),
        (Status.DEGRADED, "!"),
        (Status.FAIL, "✘"),
        (Status.ERROR, "✖"),
        (Status.INCONCLUSIVE, "?"),
        (Status.SKIPPED, "–"),
    )
}
"""Status → glyph and word, the same in every place people look."""

VERDICTS: dict[VerdictStatus, Status] = {
    "pass": Status.PASS,
    "degraded": Status.DEGRADED,
    "fail": Status.FAIL,
    "error": Status.ERROR,
    "inconclusive": Status.INCONCLUSIVE,
    "empty": Status.INCONCLUSIVE,
    "aborted": Status.ERROR,
}
"""Status of a verdict → the status of a check that looks like it."""


def outcome(item: CheckResult | SignalResult) -> Outcome:
    """Return what test reports call this check or signal; one that never gates never reads as red there."""
    mapped = _OUTCOMES[item.status]
    gates = item.gate if isinstance(item, SignalResult) else "advisory" not in item.flags
    return mapped if gates or mapped not in {"failure", "error"} else "passed"


def signal_title(signal: SignalResult) -> str:
    """Return what people call a signal: `metric checkout latency`, `alarm shop-errors in payments`."""
    return f"{signal.kind} {signal.id}"


def signal_value(signal: SignalResult) -> str:
    """Return the value with its unit, the alarm's state, or an empty text when nothing was read."""
    if signal.value is None:
        return ""
    shown = f"{signal.value:g}" if isinstance(signal.value, float) else str(signal.value)
    return sanitize_line(" ".join(filter(None, (shown, signal.unit))))


class ComparedCase(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of the versions, or an error signature bound to the new one, as a case of a test report."""

    title: str
    status: Status
    outcome: Outcome
    message: str


def compared_cases(result: RunResult) -> list[ComparedCase]:
    """Return the comparisons, then the signatures that fail; an open one reads as skipped."""
    cases = [_compared(f"comparison {each.id}", each) for each in result.comparisons]
    cases += [
        _compared(f"signature {each.id} {each.function}", each)
        for each in result.signatures
        if each.status is Status.FAIL
    ]
    return cases


def _compared(title: str, item: ComparisonResult | SignatureResult) -> ComparedCase:
    mapped = "skipped" if item.status is Status.INCONCLUSIVE else _OUTCOMES[item.status]
    return ComparedCase(
        title=title,
        status=item.status,
        outcome=mapped if item.gate or mapped == "skipped" else "passed",
        message=sanitize_line(item.message),
    )


def verdict_outcome(result: RunResult) -> Outcome | None:
    """Return an outcome for the run itself, or None when its checks and signals already show it.

    A format that only counts cases would call a run green in which everything was skipped, nothing was selected,
    the run was interrupted, or `--strict` made a warning count: those get a case of their own.
    """
    if result.verdict.exit_code == 0:
        return None
    items: tuple[CheckResult | SignalResult, ...] = (*result.checks, *result.signals)
    outcomes = {*map(outcome, items), *(each.outcome for each in compared_cases(result))}
    if outcomes & {"failure", "error"}:
        return None
    return "failure" if result.verdict.exit_code == 1 else "error"


def failures_first(items: Iterable[_Item]) -> list[_Item]:
    """Return items worst first; within a status the run's own order stays."""
    return sorted(items, key=lambda item: WORST_FIRST.index(item.status))


def headline(item: CheckResult | SignalResult) -> str:
    """Return one sentence on a check or signal that is not a plain pass."""
    return sanitize_line(item.message or item.reason_code or item.status.value)


def signal_details(signal: SignalResult) -> list[str]:
    """Return the lines that explain a signal that is not green: every assertion that does not hold, and the value."""
    value = signal_value(signal)
    lines = [*_assertions(signal.assertions), *([f"value {value}"] if value else [])]
    if signal.at is not None:
        lines.append(f"at {signal.at.isoformat()}")
    return [sanitize_line(line) for line in lines]


def first_facts(check: CheckResult) -> list[str]:
    """Return the facts of the assertion that made a check red: its first one that has any."""
    judged = (*check.assertions, *(assertion for step in check.steps for assertion in step.assertions))
    return next((facts(assertion) for assertion in judged if assertion.facts), [])


def details(check: CheckResult) -> list[str]:
    """Return the lines that explain a red check: false assertions, failed steps, leftovers, then its position."""
    lines = _assertions(check.assertions)
    for step in check.steps:
        if step.status not in {Status.PASS, Status.SKIPPED}:
            lines.append(_step("step", step))
            lines.extend(f"  {line}" for line in _assertions(step.assertions))
    for step in check.cleanup:
        if step.leftovers:
            lines.append(f"cleanup {step.name} left: {', '.join(step.leftovers)}")
        elif step.status is not Status.PASS:
            lines.append(_step("cleanup", step))
    if check.correlation.trace_id:
        lines.append(f"trace {check.correlation.trace_id}")
    if check.correlation.request_ids:
        lines.append(f"request {' '.join(check.correlation.request_ids)}")
    lines.append(str(check.source))
    return [sanitize_line(line) for line in lines]


def _assertions(judged: Iterable[AssertionResult]) -> list[str]:
    lines: list[str] = []
    for assertion in judged:
        if assertion.ok is True and not assertion.facts:
            continue
        lines.append(assertion.expression)
        if assertion.ok is True:
            lines.extend(f"  {line}" for line in facts(assertion))
            continue
        if assertion.message:
            lines.append(f"  {assertion.message}")
        if assertion.diff:
            lines.extend(f"  {line}" for line in assertion.diff.splitlines())
        else:
            lines.append(f"  expected {text(assertion.expected)}")
            lines.append(f"  actual   {actual(assertion)}")
        lines.extend(f"  {line}" for line in facts(assertion))
    return lines


def facts(assertion: AssertionResult) -> list[str]:
    """Return the lines that show the things behind a value: log lines, alarms, items, a body's beginning."""
    return [f"| {sanitize_line(fact)}" for fact in assertion.facts]


def _step(what: str, step: StepResult) -> str:
    why = step.message or step.reason_code
    return f"{what} {step.name}: {step.status.value}" + (f": {why}" if why else "")


def actual(assertion: AssertionResult) -> str:
    """Return the actual value as text, `(nothing)` without one."""
    if assertion.actual is None and assertion.message:
        return "(nothing)"
    return text(assertion.actual)


def text(value: object, *, limit: int = 400) -> str:
    """Return a JSON value as one short text."""
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown if len(shown) <= limit else f"{shown[:limit]}… (+{len(shown) - limit} characters)"


def counted_outcomes(summary: Summary) -> list[str]:
    """Return how many checks ended in each way, as `3 passed`; ways without a check are left out."""
    counts = (
        (summary.passed, "passed"),
        (summary.degraded, "degraded"),
        (summary.fail, "failed"),
        (summary.error, "not measured"),
        (summary.inconclusive, "unsure"),
        (summary.skipped, "skipped"),
    )
    return [f"{count} {word}" for count, word in counts if count]
