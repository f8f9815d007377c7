"""One line for a monitoring plug-in, with performance data and the plug-in's own exit codes."""

from __future__ import annotations

import re

from prodwatch.model.result import RunResult
from prodwatch.text.sanitize import encode_report

CODES = {"pass": 0, "degraded": 1, "fail": 2, "error": 3, "inconclusive": 3, "empty": 3, "aborted": 3}
"""Verdict → plug-in exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def exit_code(result: RunResult) -> int:
    """Return the plug-in exit code; what prodwatch itself would not call 0 is never OK here."""
    code = CODES[result.verdict.status]
    if result.verdict.exit_code == 0 and result.verdict.status == "empty":
        return 0
    if result.verdict.exit_code == 1 and code < 2:
        return 2
    return code


def render(result: RunResult) -> bytes:
    """Return `PRODWATCH CRITICAL - reason | 'check'=0.212s …`."""
    reason = " ".join(result.verdict.reason.split()).replace("|", "¦")
    summary = result.summary
    figures = [
        f"passed={summary.passed}",
        f"degraded={summary.degraded}",
        f"failed={summary.fail}",
        f"errors={summary.error}",
        f"inconclusive={summary.inconclusive}",
        f"skipped={summary.skipped}",
        f"time={result.run.duration_ms / 1000:.3f}s",
        *(
            f"'{_label(check.id)}'={check.duration_ms / 1000:.3f}s"
            for check in result.checks
            if check.status.value != "skipped"
        ),
    ]
    return encode_report(f"PRODWATCH {WORDS[exit_code(result)]} - {reason} | {' '.join(figures)}\n")


def _label(id_: str) -> str:
    return re.sub(r"['=|\s]", "_", id_)
