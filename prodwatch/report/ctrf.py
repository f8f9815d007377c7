"""Common Test Report Format: error and inconclusive are `other`, the real word is in `rawStatus`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import msgspec

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
from prodwatch.text.sanitize import escape_json, sanitize_line

_STATUS = {"passed": "passed", "failure": "failed", "error": "other", "skipped": "skipped"}
_SPACE = uuid.UUID("6f3f2f0e-5d0c-5b7e-9f39-7c2f6a3c9d51")


def render(result: RunResult) -> bytes:
    """Return the document, indented; times are integer milliseconds."""
    tests = [*(_test(check) for check in result.checks), *(_signal_test(each) for each in result.signals)]
    tests += [
        {
            "name": each.title,
            "status": _STATUS[each.outcome],
            "duration": 0,
            "suite": "comparisons",
            "message": each.message,
            "rawStatus": each.status.value,
        }
        for each in compared_cases(result)
    ]
    own = verdict_outcome(result)
    if own:
        tests.append(
            {
                "name": "verdict",
                "status": _STATUS[own],
                "duration": 0,
                "message": result.verdict.reason,
                "rawStatus": result.verdict.status,
            }
        )
    counts = {name: sum(test["status"] == name for test in tests) for name in ("passed", "failed", "skipped", "other")}
    environment: dict[str, Any] = {
        "testEnvironment": result.environment.name,
        "healthy": result.verdict.exit_code == 0,
        "extra": {
            "prodwatch": {
                "verdict": result.verdict,
                "account": result.environment.account,
                "notices": [sanitize_line(notice.message) for notice in result.notices],
            }
        },
    }
    if result.release and result.release.version:
        environment["appVersion"] = result.release.version
    document = {
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "reportId": str(uuid.uuid5(_SPACE, result.run.id)),
        "timestamp": result.run.ended_at,
        "generatedBy": "prodwatch",
        "results": {
            "tool": {"name": "prodwatch", "version": result.tool.version},
            "summary": {
                "tests": len(tests),
                "passed": counts["passed"],
                "failed": counts["failed"],
                "pending": 0,
                "skipped": counts["skipped"],
                "other": counts["other"],
                "start": _ms(result.run.started_at),
                "stop": _ms(result.run.ended_at),
            },
            "tests": tests,
            "environment": environment,
        },
    }
    return msgspec.json.format(escape_json(msgspec.json.encode(document)), indent=2) + b"\n"


def _test(check: CheckResult) -> dict[str, Any]:
    check_outcome = outcome(check)
    test: dict[str, Any] = {
        "id": str(uuid.uuid5(_SPACE, check.id)),
        "name": check.title,
        "status": _STATUS[check_outcome],
        "duration": check.duration_ms,
        "suite": check.id.rpartition("/")[0] or "checks",
        "rawStatus": check.status.value,
        "tags": list(check.tags),
        "type": check.kind,
        "filePath": check.source.file,
        "line": check.source.line,
        "retries": max(0, sum(attempt.kind == "request" for attempt in check.attempts) - 1),
        "flaky": "flaky" in check.flags,
        "extra": {"prodwatch": {"id": check.id, "reason_code": check.reason_code, "flags": list(check.flags)}},
    }
    if check.started_at:
        test["start"] = _ms(check.started_at)
        test["stop"] = _ms(check.started_at) + check.duration_ms
    if check.status.value != "pass":
        test["message"] = headline(check)
        test["trace"] = "\n".join(details(check))
    if check.steps:
        test["steps"] = [
            {"name": step.name, "status": "passed" if step.status.value in {"pass", "degraded"} else "failed"}
            for step in check.steps
            if step.status.value != "skipped"
        ]
    return test


def _signal_test(signal: SignalResult) -> dict[str, Any]:
    test: dict[str, Any] = {
        "id": str(uuid.uuid5(_SPACE, signal_title(signal))),
        "name": signal_title(signal),
        "status": _STATUS[outcome(signal)],
        "duration": 0,
        "suite": "signals",
        "rawStatus": signal.status.value,
        "type": signal.kind,
        "extra": {"prodwatch": {"id": signal.id, "reason_code": signal.reason_code, "value": signal.value}},
    }
    if signal.status.value != "pass":
        test["message"] = headline(signal)
        test["trace"] = "\n".join(signal_details(signal))
    return test


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
