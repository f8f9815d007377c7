"""JUnit XML as CI systems read it: fail is `<failure>`, error and inconclusive are `<error>`."""

from __future__ import annotations

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
    """Return the document: one suite for the run, one case per check, signal and comparison."""
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", {"name": "prodwatch", "time": _seconds(result.run.duration_ms)})
    suite = ET.SubElement(root, "testsuite", {"name": f"prodwatch {result.environment.name}"})
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("verdict", result.verdict.status),
        ("exit_code", str(result.verdict.exit_code)),
        ("reason", result.verdict.reason),
        ("run", result.run.id),
        ("version", result.release.version if result.release and result.release.version else ""),
        *(("notice", sanitize_line(notice.message)) for notice in result.notices),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": value})
    counts = dict.fromkeys(("passed", "failure", "error", "skipped"), 0)
    for check in result.checks:
        counts[outcome(check)] += 1
        _case(suite, check)
    for signal in result.signals:
        counts[outcome(signal)] += 1
        _signal_case(suite, signal)
    for compared in compared_cases(result):
        counts[compared.outcome] += 1
        names = {"classname": "comparisons", "name": compared.title, "time": _seconds(0)}
        case = ET.SubElement(suite, "testcase", names)
        if compared.outcome == "passed":
            ET.SubElement(case, "system-out").text = compared.message
        else:
            _note(case, compared.outcome, compared.message, compared.status.value, "")
    own = verdict_outcome(result)
    if own:
        counts[own] += 1
        case = ET.SubElement(suite, "testcase", {"classname": "prodwatch", "name": "verdict", "time": "0.000"})
        _note(case, own, result.verdict.reason, result.verdict.status, "")
    for element in (root, suite):
        element.set("tests", str(sum(counts.values())))
        element.set("failures", str(counts["failure"]))
        element.set("errors", str(counts["error"]))
        element.set("skipped", str(counts["skipped"]))
    suite.set("time", _seconds(result.run.duration_ms))
    suite.set("timestamp", result.run.started_at.replace(tzinfo=None).isoformat(timespec="seconds"))
    suite.set("hostname", result.run.host)
    ET.indent(root)
    return encode_report(f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n')


def _case(suite: object, check: CheckResult) -> None:
    from xml.etree import ElementTree as ET

    case = ET.SubElement(
        suite,  # type: ignore[arg-type]
        "testcase",
        {
            "classname": check.id.rpartition("/")[0] or "checks",
            "name": check.title,
            "time": _seconds(check.duration_ms),
            "file": check.source.file,
            "line": str(check.source.line),
        },
    )
    _outcome(case, check, details(check), check.flags)


def _signal_case(suite: object, signal: SignalResult) -> None:
    from xml.etree import ElementTree as ET

    case = ET.SubElement(
        suite,  # type: ignore[arg-type]
        "testcase",
        {"classname": "signals", "name": signal_title(signal), "time": _seconds(0)},
    )
    _outcome(case, signal, signal_details(signal))


def _outcome(case: object, item: CheckResult | SignalResult, body: list[str], flags: tuple[str, ...] = ()) -> None:
    from xml.etree import ElementTree as ET

    check_outcome = outcome(item)
    if check_outcome != "passed":
        _note(case, check_outcome, headline(item), item.reason_code or item.status.value, "\n".join(body))
        return
    if item.status.value != "pass" or flags:
        marks = ET.SubElement(case, "properties")  # type: ignore[arg-type]
        ET.SubElement(marks, "property", {"name": "status", "value": item.status.value})
        for flag in flags:
            ET.SubElement(marks, "property", {"name": "flag", "value": flag})
    if item.status.value not in {"pass", "skipped"}:
        ET.SubElement(case, "system-out").text = "\n".join([headline(item), *body])  # type: ignore[arg-type]


def _note(case: object, kind: str, message: str, type_: str, body: str) -> None:
    from xml.etree import ElementTree as ET

    attributes = {"message": message}
    if kind != "skipped":
        attributes["type"] = type_
    note = ET.SubElement(case, kind, attributes)  # type: ignore[arg-type]
    if kind != "skipped":
        note.text = body


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
