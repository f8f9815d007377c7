"""A job summary in Markdown and annotations at the lines that define red checks."""

from __future__ import annotations

from prodwatch.model.comparison import ComparisonResult, SignatureResult
from prodwatch.model.result import CheckResult, RunResult, SignalResult
from prodwatch.model.status import Status
from prodwatch.report.status_mapping import (
    GLYPHS,
    details,
    failures_first,
    first_facts,
    headline,
    signal_title,
    signal_value,
)
from prodwatch.text.sanitize import encode_report
from prodwatch.text.units import format_ms
from prodwatch.views.comparisons import signature_title

MAX_BYTES = 900_000
"""GitHub rejects a step summary above 1 MiB; a truncated summary ends with a note."""


def summary(result: RunResult) -> bytes:
    """Return Markdown: the verdict first, red before green, what could not be measured apart."""
    verdict = result.verdict
    lines = [
        f"## prodwatch · {md_text(result.environment.title)}: **{verdict.status.upper()}**",
        "",
        md_text(verdict.reason),
        "",
    ]
    if result.release and result.release.version:
        previous = md_text(result.release.previous or "nothing known")
        note = ": configuration only" if result.release.change == "configuration" else ""
        lines += [
            f"Release {md_text(result.release.version)}, before it {previous}{note}.",
            "",
        ]
    groups = (
        ("Failed", (Status.FAIL,)),
        ("Could not be measured", (Status.ERROR, Status.INCONCLUSIVE)),
        ("Degraded", (Status.DEGRADED,)),
        ("Passed", (Status.PASS,)),
        ("Skipped", (Status.SKIPPED,)),
    )
    ordered = failures_first(result.checks)
    for title, statuses in groups:
        members = [check for check in ordered if check.status in statuses]
        if members:
            lines += [f"### {title} ({len(members)})", "", "| | check | message | time |", "|---|---|---|--:|"]
            lines += [_row(check) for check in members]
            lines.append("")
            if statuses[0] in {Status.FAIL, Status.ERROR}:
                lines += _blocks(members)
    lines += _signals(result.signals)
    lines += _compared(
        "Comparisons", [(each.status, each.id, each.message) for each in failures_first(result.comparisons)]
    )
    lines += _compared(
        "Error signatures of the new version",
        [(each.status, signature_title(each), each.message) for each in failures_first(result.signatures)],
    )
    if result.coverage is not None and result.coverage.functions:
        lines += [f"Routes: {md_text(result.coverage.message)}.", ""]
    lines += [f"_{notice.code}: {md_text(notice.message)}_" for notice in result.notices]
    lines.append(
        f"\n<sub>run {result.run.id} · {format_ms(result.run.duration_ms)} · prodwatch {result.tool.version}</sub>"
    )
    return _capped("\n".join(lines) + "\n")


def workflow_commands(result: RunResult) -> list[str]:
    """Return workflow commands, one per check, signal, comparison and signature that is red or degraded."""
    commands = []
    for check in failures_first(result.checks):
        if check.status in {Status.PASS, Status.SKIPPED}:
            continue
        red = check.status is not Status.DEGRADED and "advisory" not in check.flags
        title = _property(f"{check.status.value}: {check.title}")
        message = "\n".join([headline(check), *first_facts(check)])
        place = f"file={_property(check.source.file)},line={check.source.line},title={title}"
        commands.append(f"::{'error' if red else 'warning'} {place}::{_data(message)}")
    for signal in failures_first(result.signals):
        if signal.status not in {Status.PASS, Status.SKIPPED}:
            red = signal.status is not Status.DEGRADED and signal.gate
            title = _property(f"{signal.status.value}: {signal_title(signal)}")
            commands.append(f"::{'error' if red else 'warning'} title={title}::{_data(headline(signal))}")
    compared: tuple[ComparisonResult | SignatureResult, ...] = (*result.comparisons, *result.signatures)
    for each in compared:
        if each.status in {Status.FAIL, Status.DEGRADED}:
            red = each.status is Status.FAIL and each.gate
            name = signature_title(each) if isinstance(each, SignatureResult) else each.id
            title = _property(f"{each.status.value}: {name}")
            commands.append(f"::{'error' if red else 'warning'} title={title}::{_data(each.message)}")
    if result.verdict.exit_code and not any(command.startswith("::error") for command in commands):
        commands.append(f"::error title=prodwatch::{_data(result.verdict.reason)}")
    return commands


def _row(check: CheckResult) -> str:
    glyph, word = GLYPHS[check.status]
    message = "" if check.status is Status.PASS else headline(check)
    flags = "".join(f" `{flag}`" for flag in check.flags)
    return f"| {glyph} {word} | {md_text(check.title)}{flags} | {md_text(message)} | {format_ms(check.duration_ms)} |"


def _signals(signals: tuple[SignalResult, ...]) -> list[str]:
    if not signals:
        return []
    lines = [f"### Signals ({len(signals)})", "", "| | signal | message | value |", "|---|---|---|--:|"]
    for each in failures_first(signals):
        glyph, word = GLYPHS[each.status]
        message = "" if each.status is Status.PASS else headline(each)
        lines.append(
            f"| {glyph} {word} | {md_text(signal_title(each))} | {md_text(message)} | {md_text(signal_value(each))} |"
        )
    return [*lines, ""]


def _compared(title: str, rows: list[tuple[Status, str, str]]) -> list[str]:
    if not rows:
        return []
    lines = [f"### {title} ({len(rows)})", "", "| | | message |", "|---|---|---|"]
    for status, name, message in rows:
        glyph, word = GLYPHS[status]
        lines.append(f"| {glyph} {word} | {md_text(name)} | {md_text(message)} |")
    return [*lines, ""]


def _blocks(members: list[CheckResult]) -> list[str]:
    lines: list[str] = []
    for check in members:
        body = "\n".join(details(check))
        longest = max((len(run) for run in _backtick_runs(body)), default=0)
        fence = "`" * max(3, longest + 1)
        lines += [f"<details><summary>{_html(check.title)}</summary>", "", fence, body, fence, "</details>", ""]
    return lines


def _backtick_runs(text: str) -> list[str]:
    import re

    return re.findall("`+", text)


def _capped(text: str) -> bytes:
    encoded = encode_report(text)
    if len(encoded) <= MAX_BYTES:
        return encoded
    cut = encoded[:MAX_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{cut}\n\n_Truncated: GitHub accepts at most 1 MiB. The JSON result is complete._\n".encode()


def md_text(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in r"\`*_{}[]<>|#~" else char for char in flat)


def _html(text: str) -> str:
    import html

    return html.escape(" ".join(text.split()))


def _data(text: str) -> str:
    return encode_report(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")).decode()


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
