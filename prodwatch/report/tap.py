"""TAP version 14: error and inconclusive are `not ok`."""

from __future__ import annotations

import re

from prodwatch.model.result import CheckResult, RunResult, SignalResult
from prodwatch.report.status_mapping import (
    compared_cases,
    details,
    headline,
    outcome,
    signal_details,
    signal_title,
    verdict_outcome,
)
from prodwatch.text.sanitize import encode_report, sanitize_line


def render(result: RunResult) -> bytes:
    """Return the document; the verdict is a comment, and a test point of its own where the points do not tell it."""
    own = verdict_outcome(result)
    compared = compared_cases(result)
    points = len(result.checks) + len(result.signals) + len(compared)
    lines = ["TAP version 14", f"1..{points + bool(own)}"]
    for number, check in enumerate(result.checks, 1):
        lines += _point(number, f"{check.id} {check.title}", check, details(check))
    for number, signal in enumerate(result.signals, len(result.checks) + 1):
        lines += _point(number, signal_title(signal), signal, signal_details(signal))
    for number, case in enumerate(compared, points - len(compared) + 1):
        ok = "not ok" if case.outcome == "failure" else "ok"
        directive = " # SKIP" if case.outcome == "skipped" else ""
        lines.append(f"{ok} {number} - {_description(f'{case.title}: {case.message}')}{directive}")
    if own:
        lines.append(f"not ok {points + 1} - verdict {_description(result.verdict.reason)}")
    lines += [f"# note {_one_line(sanitize_line(notice.message))}" for notice in result.notices]
    lines.append(f"# verdict {result.verdict.status}: {_one_line(result.verdict.reason)}")
    if result.verdict.status == "aborted":
        lines.append(f"Bail out! {_one_line(result.verdict.reason)}")
    return encode_report("\n".join(lines) + "\n")


def _point(number: int, title: str, item: CheckResult | SignalResult, body: list[str]) -> list[str]:
    check_outcome, shown = outcome(item), _description(title)
    if check_outcome == "skipped":
        return [f"ok {number} - {shown} # SKIP {_one_line(headline(item))}"]
    point = f"{'ok' if check_outcome == 'passed' else 'not ok'} {number} - {shown}"
    if item.status.value == "pass":
        return [point]
    return [
        point,
        "  ---",
        f"  status: {item.status.value}",
        f"  message: {_quoted(headline(item))}",
        # The indicator fixes the indentation: a first line that begins with blanks would change it.
        "  details: |2",
        *(f"    {line}" for line in body),
        "  ...",
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _description(text: str) -> str:
    # An unescaped # would read as a directive.
    return re.sub(r"([\\#])", r"\\\1", _one_line(text))


def _quoted(text: str) -> str:
    escaped = _one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
