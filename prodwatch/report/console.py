"""A run for people at a terminal: red first with expected and actual, green in one line each, the verdict last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from prodwatch.model.result import AssertionResult, CheckResult, RunResult, SignalResult, StepResult
from prodwatch.model.status import Status
from prodwatch.report.status_mapping import (
    GLYPHS,
    actual,
    facts,
    failures_first,
    headline,
    signal_title,
    signal_value,
    text,
)
from prodwatch.text.sanitize import sanitize, sanitize_line
from prodwatch.text.units import format_ms
from prodwatch.views.comparisons import signature_title

STYLES = {
    Status.PASS: "green",
    Status.DEGRADED: "yellow",
    Status.FAIL: "bold red",
    Status.ERROR: "bold magenta",
    Status.INCONCLUSIVE: "bold cyan",
    Status.SKIPPED: "dim",
}
VERDICTS = {
    "pass": Status.PASS,
    "degraded": Status.DEGRADED,
    "fail": Status.FAIL,
    "error": Status.ERROR,
    "inconclusive": Status.INCONCLUSIVE,
    "empty": Status.INCONCLUSIVE,
    "aborted": Status.ERROR,
}
QUIET_FLAGS = frozenset({"unattested", "mutating"})
"""True of most checks, so that saying it each time would hide what matters; the JSON has them."""
MAX_GREEN = 40
"""More green checks than this are counted, not listed."""


def write(
    result: RunResult,
    stream: TextIO,
    *,
    color: bool | None = None,
    width: int | None = None,
    past: Mapping[str, Sequence[Status]] | None = None,
) -> None:
    """Write the run to `stream`; `color` None means: as the terminal and NO_COLOR say.

    `past` are the outcomes of earlier runs by check id, oldest first.
    """
    past = past or {}
    console = Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        width=width,
        no_color=True if color is False else None,
        force_terminal=True if color else None,
    )
    ordered = failures_first(result.checks)
    loud = [
        check
        for check in ordered
        if check.status is not Status.SKIPPED and (check.status is not Status.PASS or _flagged(check))
    ]
    quiet = [check for check in ordered if check.status is Status.PASS and not _flagged(check)]
    skipped = [check for check in ordered if check.status is Status.SKIPPED]
    for check in loud:
        _loud(console, check, past)
    if len(quiet) <= MAX_GREEN:
        for check in quiet:
            console.print(_line(check, past))
    else:
        console.print(Text(f"✔ {len(quiet)} more checks passed", style="green"))
    for check in skipped:
        console.print(_line(check, past).append(f"  {sanitize_line(headline(check))}", style="dim"))
    for signal in failures_first(result.signals):
        _signal(console, signal)
    for comparison in failures_first(result.comparisons):
        _compared(console, comparison.status, comparison.id, comparison.message)
    for signature in failures_first(result.signatures):
        _compared(console, signature.status, signature_title(signature), signature.message)
    if result.coverage is not None and result.coverage.functions:
        console.print(Text(f"routes  {sanitize_line(result.coverage.message)}"))
    for notice in result.notices:
        console.print(Text(f"note  {sanitize_line(notice.message)}", style="yellow"))
    _verdict(console, result)


def _flagged(check: CheckResult) -> bool:
    return not QUIET_FLAGS.issuperset(check.flags)


def _line(check: CheckResult, past: Mapping[str, Sequence[Status]]) -> Text:
    glyph, word = GLYPHS[check.status]
    style = STYLES[check.status]
    line = Text.assemble((f"{glyph} {word:<7} ", style), (sanitize_line(check.title), "" if style != "dim" else "dim"))
    if check.status is not Status.SKIPPED:
        line.append(f"  {format_ms(check.duration_ms)}", style="dim")
    for flag in check.flags:
        if flag not in QUIET_FLAGS:
            line.append(f"  [{flag}]", style="dim")
    if earlier := past.get(check.id):
        line.append(f"  before {''.join(GLYPHS[status][0] for status in earlier)}", style="dim")
    return line


def _loud(console: Console, check: CheckResult, past: Mapping[str, Sequence[Status]]) -> None:
    console.print(_line(check, past))
    if check.status is Status.PASS:
        return
    assertion_messages = {assertion.message for assertion in check.assertions}
    if check.message and check.message not in assertion_messages:
        console.print(Text(f"          {sanitize_line(check.message)}"))
    for assertion in check.assertions:
        _assertion(console, assertion, indent=10)
    for step in check.steps:
        _step(console, step, "step")
    for step in check.cleanup:
        _step(console, step, "cleanup")
    _evidence(console, check)
    for diagnostic in check.diagnosed_by:
        console.print(Text("          diagnosed by ", style="dim").append_text(_line(diagnostic, past)))
        if diagnostic.status is not Status.PASS:
            console.print(Text(f"                       {sanitize_line(headline(diagnostic))}"))


def _signal(console: Console, signal: SignalResult) -> None:
    glyph, word = GLYPHS[signal.status]
    style = STYLES[signal.status]
    line = Text.assemble((f"{glyph} {word:<7} ", style), sanitize_line(signal_title(signal)))
    line.append(f"  {signal_value(signal)}", style="dim")
    if signal.status is Status.SKIPPED:
        line.append(f"  {sanitize_line(headline(signal))}", style="dim")
    console.print(line)
    if signal.status in {Status.PASS, Status.SKIPPED}:
        return
    if signal.message not in {assertion.message for assertion in signal.assertions}:
        console.print(Text(f"          {sanitize_line(headline(signal))}"))
    for assertion in signal.assertions:
        _assertion(console, assertion, indent=10)


def _compared(console: Console, status: Status, title: str, message: str) -> None:
    glyph, word = GLYPHS[status]
    line = Text.assemble((f"{glyph} {word:<7} ", STYLES[status]), sanitize_line(title))
    console.print(line.append(f"  {sanitize_line(message)}", style="dim" if status is Status.PASS else ""))


def _evidence(console: Console, check: CheckResult) -> None:
    if len(check.attempts) > 1:
        total = sum(attempt.duration_ms for attempt in check.attempts)
        console.print(Text(f"          {len(check.attempts)} attempts, {format_ms(total)} on the wire", style="dim"))
    ids = [f"request {request_id}" for request_id in check.correlation.request_ids]
    if check.correlation.trace_id:
        ids.insert(0, f"trace {check.correlation.trace_id}")
    if ids:
        console.print(Text(f"          {sanitize_line('  '.join(ids))}", style="dim"))
    console.print(Text(f"          {sanitize_line(f'{check.id}  {check.source}')}", style="dim"))


def _step(console: Console, step: StepResult, what: str) -> None:
    if step.status in {Status.PASS, Status.SKIPPED} and not step.leftovers:
        return
    glyph, _ = GLYPHS[step.status]
    line = Text.assemble((f"          {glyph} {what} {sanitize_line(step.name)}", STYLES[step.status]))
    line.append(f"  {sanitize_line(step.message or '')}")
    console.print(line)
    for assertion in step.assertions:
        _assertion(console, assertion, indent=12)
    for leftover in step.leftovers:
        console.print(Text(f"            left behind: {sanitize_line(leftover)}", style="yellow"))


def _assertion(console: Console, assertion: AssertionResult, *, indent: int) -> None:
    if assertion.ok is True and not assertion.facts:
        return
    pad = " " * indent
    style = STYLES[Status.DEGRADED if assertion.severity == "warn" else Status.FAIL]
    only_warns = "  (a warning)" if assertion.severity == "warn" else ""
    console.print(Text(f"{pad}{sanitize_line(assertion.expression)}{only_warns}", style=style))
    if assertion.message:
        console.print(Text(f"{pad}  {sanitize_line(assertion.message)}"))
    if assertion.ok is True:
        pass  # it ended a wait: only the things behind it are of interest
    elif assertion.diff:
        for line in sanitize(assertion.diff).splitlines():
            mark = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
            console.print(Text(f"{pad}  {line}", style=mark))
    else:
        console.print(Text(f"{pad}  expected  {sanitize_line(text(assertion.expected))}"))
        console.print(Text(f"{pad}  actual    {sanitize_line(actual(assertion))}"))
    for fact in facts(assertion):
        console.print(Text(f"{pad}  {fact}"))


def _verdict(console: Console, result: RunResult) -> None:
    verdict = result.verdict
    counts = [
        f"{number} {name}"
        for name, number in (
            ("failed", result.summary.fail),
            ("errors" if result.summary.error != 1 else "error", result.summary.error),
            ("inconclusive", result.summary.inconclusive),
            ("degraded", result.summary.degraded),
            ("passed", result.summary.passed),
            ("skipped", result.summary.skipped),
            ("flaky", result.summary.flaky),
        )
        if number
    ]
    style = STYLES[VERDICTS[verdict.status]]
    console.print(
        Text.assemble(
            (f"{verdict.status.upper()}", style),
            f"  {sanitize_line(verdict.reason)}",
            (f"  ·  {', '.join(counts) or 'no checks'}  ·  {format_ms(result.run.duration_ms)}", "dim"),
            (f"  ·  exit {verdict.exit_code}", "dim"),
        )
    )
