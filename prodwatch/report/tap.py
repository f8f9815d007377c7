"""TAP version 14: error and inconclusive are `not ok`."""

from __future__ import annotations

import re

from prodwatch.model.result import RunResult
from prodwatch.report.status_mapping import details, headline, outcome, verdict_outcome


def render(result: RunResult) -> bytes:
    """Return the document; the verdict is a comment, and a test point of its own where the points do not tell it."""
    own = verdict_outcome(result)
    lines = ["TAP version 14", f"1..{len(result.checks) + bool(own)}"]
    number = 0
    for check in result.checks:
        number += 1
        found = outcome(check)
        title = _description(f"{check.id} {check.title}")
        if found == "skipped":
            lines.append(f"ok {number} - {title} # SKIP {_one_line(headline(check))}")
            continue
        lines.append(f"{'ok' if found == 'passed' else 'not ok'} {number} - {title}")
        if check.status.value != "pass":
            lines.append("  ---")
            lines.append(f"  status: {check.status.value}")
            lines.append(f"  message: {_quoted(headline(check))}")
            lines.append("  details: |")
            lines.extend(f"    {line}" for line in details(check))
            lines.append("  ...")
    if own:
        lines.append(f"not ok {number + 1} - verdict {_description(result.verdict.reason)}")
    lines.append(f"# verdict {result.verdict.status}: {_one_line(result.verdict.reason)}")
    if result.verdict.status == "aborted":
        lines.append(f"Bail out! {_one_line(result.verdict.reason)}")
    return "\n".join(lines).encode() + b"\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _description(text: str) -> str:
    # An unescaped # would read as a directive.
    return re.sub(r"([\\#])", r"\\\1", _one_line(text))


def _quoted(text: str) -> str:
    escaped = _one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
