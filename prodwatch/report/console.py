"""A run for people at a terminal: green in one line each, red below it with the evidence, the verdict last."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from prodwatch.model.result import AssertionResult, CheckResult, RunResult, SignalResult, StepResult
from prodwatch.model.status import Status
from prodwatch.report.status_mapping import (
    GLYPHS,
    VERDICTS,
    facts,
    first_facts,
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
QUIET_FLAGS = frozenset({"unattested", "mutating"})
"""True of most checks, so that saying it each time would hide what matters; the JSON has them."""
MAX_GREEN = 20
"""More green checks than this are counted, not listed."""
MAX_BLOCKING = 5
"""Further items that prevent a green verdict are counted, not listed."""
_INDENT = 10
"""Cells before the lines that belong to a check."""
_NARROWEST = 40
"""Columns below which lines are not wrapped."""
_DIAGNOSTIC_FACTS = 1
"""Facts of a red diagnostic that are shown, such as one of the lines that it counted."""
_GREEN_FIRST = (Status.PASS, Status.SKIPPED, Status.DEGRADED, Status.INCONCLUSIVE, Status.ERROR, Status.FAIL)
"""Order of the output: the end, where a terminal leaves the reader, belongs to failures."""
_LONG_NUMBER = re.compile(r"(?<![\w.])(\d+\.0*\d{6})\d{4,}(?![\w.])")
_PLACE = re.compile(r"^\| \[\d+\] ")
_MORE = re.compile(r" \(and \d+ more\)$")
"""Count of the other false assertions, which are listed below."""


def write(
    result: RunResult,
    stream: TextIO,
    *,
    color: bool | None = None,
    width: int | None = None,
    past: Mapping[str, Sequence[Status]] | None = None,
    exceptions: Mapping[str, str] | None = None,
) -> None:
    """Write the run to `stream`; `color` None means: as the terminal and NO_COLOR say.

    `past` are the outcomes of earlier runs by check id, oldest first; `exceptions` those in the traces of red checks.
    """
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
    page = _Page(console, past or {}, exceptions or {})
    quiet = [each for each in result.checks if _is_quiet(each)]
    if len(quiet) <= MAX_GREEN:
        for check in quiet:
            page.show(page.line(check))
    else:
        page.show(Text(f"✔ {len(quiet)} checks passed", style="green"))
    for status in _GREEN_FIRST:
        page.of_status(status, result)
        if status is Status.SKIPPED:
            page.remarks(result)
    _blocking(page, result)
    _verdict(console, result)


def _is_quiet(check: CheckResult) -> bool:
    return check.status is Status.PASS and QUIET_FLAGS.issuperset(check.flags)


class _Page:
    """Writes the items of one run; on a terminal, long lines are wrapped under their own indentation."""

    def __init__(self, console: Console, past: Mapping[str, Sequence[Status]], exceptions: Mapping[str, str]) -> None:
        self._console = console
        self._exceptions = exceptions
        self._past = past
        # Programs that read a pipe search in whole lines.
        self._wraps = console.is_terminal and console.width >= _NARROWEST

    def show(self, text: Text, indent: int = 0, hanging: int = 2) -> None:
        """Write one line, indented; what does not fit on a terminal continues `hanging` cells further right."""
        room = self._console.width - indent - hanging
        if not self._wraps or indent + text.cell_len <= self._console.width:
            self._console.print(Text(" " * indent).append_text(text))
            return
        for number, line in enumerate(text.wrap(self._console, room)):
            line.rstrip()
            self._console.print(Text(" " * (indent + (hanging if number else 0))).append_text(line))

    def of_status(self, status: Status, result: RunResult) -> None:
        """Write everything with this status, except checks that passed without anything to add."""
        for check in result.checks:
            if check.status is status and not _is_quiet(check):
                self._check(check)
        for signal in result.signals:
            if signal.status is status:
                self._signal(signal)
        for comparison in result.comparisons:
            if comparison.status is status:
                self._compared(status, comparison.id, comparison.message)
        for signature in result.signatures:
            if signature.status is status:
                self._compared(status, signature_title(signature), signature.message)

    def line(self, check: CheckResult) -> Text:
        """Return status, title, duration, flags and earlier outcomes of a check."""
        glyph, word = GLYPHS[check.status]
        style = STYLES[check.status]
        dim = check.status is Status.SKIPPED
        line = Text.assemble((f"{glyph} {word:<7} ", style), (sanitize_line(check.title), "dim" if dim else ""))
        if not dim:
            line.append(f"  {format_ms(check.duration_ms)}", style="dim")
        for flag in check.flags:
            if flag not in QUIET_FLAGS:
                line.append(f"  [{flag}]", style="dim")
        if earlier := self._past.get(check.id):
            line.append(f"  before {''.join(GLYPHS[status][0] for status in earlier)}", style="dim")
        return line

    def _check(self, check: CheckResult) -> None:
        """Write a check that is not a plain pass, with its evidence."""
        if check.status is Status.SKIPPED:
            self.show(self.line(check).append(f"  {sanitize_line(headline(check))}", style="dim"), 0, _INDENT)
            return
        self.show(self.line(check), 0, _INDENT)
        if check.status is Status.PASS:
            return
        known: set[str] = set()
        if check.message and not _is_below(check.message, check):
            self.show(Text(_shown(check.message)), _INDENT)
        self._assertions(check.assertions, _INDENT, known)
        for step in check.steps:
            self._step(step, "step", known)
        for step in check.cleanup:
            self._step(step, "cleanup", known)
        self._evidence(check)
        for diagnostic in check.diagnosed_by:
            self._diagnostic(diagnostic)

    def _assertions(self, assertions: Iterable[AssertionResult], indent: int, known: set[str]) -> None:
        for assertion in assertions:
            if assertion.ok is not True or assertion.facts:
                self._assertion(assertion, indent, known)

    def _assertion(self, assertion: AssertionResult, indent: int, known: set[str]) -> None:
        style = STYLES[Status.DEGRADED if assertion.severity == "warn" else Status.FAIL]
        only_warns = "  (a warning)" if assertion.severity == "warn" else ""
        self.show(Text(f"{sanitize_line(assertion.expression)}{only_warns}", style=style), indent)
        if assertion.message:
            self.show(Text(_shown(assertion.message)), indent + 2)
        if assertion.ok is not True and assertion.diff:
            for line in sanitize(assertion.diff).splitlines():
                mark = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
                self.show(Text(line, style=mark), indent + 2)
        elif assertion.ok is not True:
            above = f"{assertion.expression}\n{assertion.message or ''}"
            if not _mentions(above, expected := text(assertion.expected)):
                self.show(Text(f"expected  {_shown(expected)}"), indent + 2, 10)
            is_absent = assertion.actual is None and assertion.message
            if not is_absent and not _mentions(above, value := text(assertion.actual)):
                self.show(Text(f"actual    {_shown(value)}"), indent + 2, 10)
        for fact in facts(assertion):
            if (bare := _PLACE.sub("| ", fact)) not in known:
                known.add(bare)
                self.show(Text(fact), indent + 2)

    def _step(self, step: StepResult, what: str, known: set[str]) -> None:
        if step.status in {Status.PASS, Status.SKIPPED} and not step.leftovers:
            return
        glyph, _ = GLYPHS[step.status]
        line = Text(f"{glyph} {what} {sanitize_line(step.name)}", style=STYLES[step.status])
        if step.message and not _is_of(step.message, step.assertions):
            line.append(f"  {_shown(step.message)}", style="default")
        self.show(line, _INDENT)
        self._assertions(step.assertions, _INDENT + 2, known)
        for leftover in step.leftovers:
            self.show(Text(f"left behind: {sanitize_line(leftover)}", style="yellow"), _INDENT + 2)

    def _evidence(self, check: CheckResult) -> None:
        if len(check.attempts) > 1:
            total = sum(attempt.duration_ms for attempt in check.attempts)
            self.show(Text(f"{len(check.attempts)} attempts, {format_ms(total)} on the wire", style="dim"), _INDENT)
        if exception := self._exceptions.get(check.id):
            self.show(Text(f"in its trace  {sanitize_line(exception)}"), _INDENT)
        ids = [f"request {request_id}" for request_id in check.correlation.request_ids]
        if check.correlation.trace_id:
            ids.insert(0, f"trace {check.correlation.trace_id}")
        together = "  ".join(map(sanitize_line, ids))
        fits = not self._wraps or _INDENT + cell_len(together) <= self._console.width
        for shown in filter(None, [together] if fits else map(sanitize_line, ids)):
            self.show(Text(shown, style="dim"), _INDENT)
        self.show(Text(sanitize_line(f"{check.id}  {check.source}"), style="dim"), _INDENT)

    def _diagnostic(self, diagnostic: CheckResult) -> None:
        self.show(Text("diagnosed by ", style="dim").append_text(self.line(diagnostic)), _INDENT, 13)
        if diagnostic.status is Status.PASS:
            return
        self.show(Text(_shown(headline(diagnostic))), _INDENT + 13)
        for fact in first_facts(diagnostic)[:_DIAGNOSTIC_FACTS]:
            self.show(Text(fact), _INDENT + 13)

    def _signal(self, signal: SignalResult) -> None:
        """Write a metric or an alarm."""
        glyph, word = GLYPHS[signal.status]
        line = Text.assemble((f"{glyph} {word:<7} ", STYLES[signal.status]), sanitize_line(signal_title(signal)))
        if value := signal_value(signal):
            line.append(f"  {value}", style="dim")
        if signal.status is Status.SKIPPED:
            line.append(f"  {sanitize_line(headline(signal))}", style="dim")
        self.show(line, 0, _INDENT)
        if signal.status in {Status.PASS, Status.SKIPPED}:
            return
        if signal.message is None or not _is_of(signal.message, signal.assertions):
            self.show(Text(_shown(headline(signal))), _INDENT)
        self._assertions(signal.assertions, _INDENT, set())

    def _compared(self, status: Status, title: str, message: str) -> None:
        """Write a comparison of the versions or an error signature."""
        glyph, word = GLYPHS[status]
        line = Text.assemble((f"{glyph} {word:<7} ", STYLES[status]), sanitize_line(title))
        self.show(line.append(f"  {sanitize_line(message)}", style="dim" if status is Status.PASS else ""), 0, _INDENT)

    def remarks(self, result: RunResult) -> None:
        """Write the covered routes and the notices."""
        if result.coverage is not None and result.coverage.functions:
            self.show(Text(f"routes  {sanitize_line(result.coverage.message)}"), 0, 8)
        for notice in result.notices:
            self.show(Text(f"note  {sanitize_line(notice.message)}", style="yellow"), 0, 6)


def _is_below(message: str, check: CheckResult) -> bool:
    """Return whether the lines below a check's title state its message."""
    if _is_of(message, check.assertions):
        return True
    for what, steps in (("step", check.steps), ("cleanup", check.cleanup)):
        for step in steps:
            rest = message.removeprefix(f"{what} {step.name}: ")
            if rest != message and (rest == step.message or _is_of(rest, step.assertions)):
                return True
    return False


def _is_of(message: str, assertions: Iterable[AssertionResult]) -> bool:
    """Return whether this is the message of one of the assertions."""
    return _MORE.sub("", message) in {assertion.message for assertion in assertions}


def _mentions(sentences: str, value: str) -> bool:
    """Return whether sentences already hold a value, as a word of its own."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)", sentences) is not None


def _shown(sentence: str) -> str:
    """Return a sentence for display: a number of many digits is cut, marked by `…`."""
    return _LONG_NUMBER.sub(r"\1…", sanitize_line(sentence))


def _blocking(page: _Page, result: RunResult) -> None:
    """Write the first blocking items that neither the verdict's reason nor a line above states."""
    listed = {each.id for each in result.checks}
    listed.update(each.id for each in result.signals)
    listed.update(each.id for each in result.comparisons)
    listed.update(each.id for each in result.signatures)
    further = [each for each in result.verdict.further if each.id not in listed]
    for each in further[:MAX_BLOCKING]:
        page.show(Text(f"blocks  {_shown(each.sentence)}", style=STYLES[each.status]), 0, 8)
    if (left := len(further) - MAX_BLOCKING) > 0:
        page.show(Text(f"blocks  {left} more: `verdict.blocking` of the JSON result lists all", style="dim"), 0, 8)


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
