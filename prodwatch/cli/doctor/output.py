"""Findings of `prodwatch doctor` as text and JSON, and their exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from prodwatch.access.doctor.findings import Finding, Report, State
from prodwatch.cli.live.colour import BOLD, DIM, GREEN, RED, YELLOW, Style
from prodwatch.model.exit_code import ExitCode
from prodwatch.text.sanitize import sanitize_line

_MARKS: dict[State, tuple[str, str, str]] = {
    "ok": ("✔", "+", GREEN),
    "warn": ("!", "!", YELLOW),
    "problem": ("✘", "x", RED),
    "unknown": ("?", "?", YELLOW),
    "skipped": ("–", "-", DIM),
}


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 3 when something needed is missing or could not be determined, else 0."""
    bad = any(each.state in {"problem", "unknown"} for each in findings)
    return ExitCode.ERROR if bad else ExitCode.OK


def as_json(environment: str, findings: Sequence[Finding]) -> bytes:
    """Return the report as a JSON document."""
    report = Report(environment=environment, ok=exit_code(findings) == ExitCode.OK, findings=tuple(findings))
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def as_text(findings: Sequence[Finding], style: Style, *, unicode: bool = True) -> list[str]:
    """Return the report as lines, grouped by area, in the order of `findings`."""
    lines: list[str] = []
    area = None
    for each in findings:
        if each.area != area:
            area = each.area
            lines.append(style.paint(area, BOLD))
        glyph, plain, colour = _MARKS[each.state]
        lines.append(f"  {style.paint(glyph if unicode else plain, colour)} {sanitize_line(each.message)}")
        if each.disables:
            lines.append(f"    disables: {sanitize_line(', '.join(each.disables))}")
    bad = sum(each.state in {"problem", "unknown"} for each in findings)
    warned = sum(each.state == "warn" for each in findings)
    summary = [f"{bad} {'problem' if bad == 1 else 'problems'}" if bad else "no problems"]
    if warned:
        summary.append(f"{warned} {'warning' if warned == 1 else 'warnings'}")
    lines.append(", ".join(summary))
    return lines
