"""One check in detail: requests, responses, assertions, and the ids that find them in traces and logs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.model.result import AssertionResult, AttemptResult, CheckResult, Exchange, StepResult
from prodwatch.model.status import Status
from prodwatch.store.check_history import CheckTrack, RoundOutcome
from prodwatch.store.store import Store

_SERVICE_NAMES = {
    "lambda": "Lambda",
    "dynamodb": "DynamoDB",
    "stepfunctions": "Step Functions",
    "events": "EventBridge",
    "logs": "CloudWatch Logs",
    "cloudwatch": "CloudWatch",
    "xray": "X-Ray",
}
"""boto3 service name → usual name, where it is not the name in capitals."""


class AssertionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One assertion with its expected and actual value."""

    step: str | None
    """Name of the flow's step it belongs to; None for a check without steps."""
    expression: str
    ok: bool | None
    severity: str
    actual: str
    expected: str
    message: str | None
    diff: tuple[str, ...]
    facts: tuple[str, ...]
    """The things behind a value that does not hold, one line each."""


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a retry, poll or hold."""

    step: str | None
    attempt: AttemptResult


class CheckDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the check's screen shows, apart from its trace and log lines."""

    id: str
    title: str
    status: Status | None
    running: bool
    since: datetime | None
    streak: int
    rounds: int
    latest: CheckResult | None
    assertions: tuple[AssertionRow, ...]
    """Failed first, then undecidable, then in the order defined."""
    attempts: tuple[AttemptRow, ...]
    exchanges: tuple[tuple[str | None, Exchange], ...]
    """(step, exchange) in the order sent."""
    diagnostics: tuple[CheckResult, ...]
    history: tuple[RoundOutcome, ...]
    """Newest first."""
    trace_ids: tuple[str, ...]
    request_ids: tuple[str, ...]
    request_sources: dict[str, str]
    """Request id → the service that issued it: `API`, `Lambda`, `DynamoDB`."""
    version: str | None
    links: dict[str, str]
    logged: bool
    """Whether log lines can contain its ids: it called a program, not only an API of AWS itself."""


def check_detail(store: Store, check_id: str) -> CheckDetail | None:
    """Return the check; None for an unknown id."""
    track = store.checks.get(check_id)
    return detail_of(track) if track else None


def detail_of(track: CheckTrack) -> CheckDetail:
    """Return the check of a track."""
    latest = track.latest
    steps = (*latest.steps, *latest.cleanup) if latest else ()
    correlations = [latest.correlation, *(step.correlation for step in steps)] if latest else []
    return CheckDetail(
        id=track.id,
        title=track.title,
        status=track.status,
        running=track.running_since is not None,
        since=track.status_since,
        streak=track.streak,
        rounds=track.rounds,
        latest=latest,
        assertions=_assertions(latest, steps),
        attempts=_attempts(latest, steps),
        exchanges=_exchanges(latest, steps),
        diagnostics=latest.diagnosed_by if latest else (),
        history=tuple(reversed(track.history)),
        trace_ids=_distinct(correlation.trace_id for correlation in correlations if correlation.trace_id),
        request_ids=_distinct(request for correlation in correlations for request in correlation.request_ids),
        request_sources=_request_sources(latest, steps),
        version=latest.version if latest else None,
        links={**latest.links, **latest.correlation.links} if latest else {},
        logged=any(correlation.trace_id for correlation in correlations)
        or any(_calls_a_program(exchange) for _, exchange in _exchanges(latest, steps)),
    )


def _assertions(latest: CheckResult | None, steps: Iterable[StepResult]) -> tuple[AssertionRow, ...]:
    rows = [_assertion(None, assertion) for assertion in latest.assertions] if latest else []
    rows += [_assertion(step.name, assertion) for step in steps for assertion in step.assertions]
    return tuple(sorted(rows, key=lambda row: {False: 0, None: 1, True: 2}[row.ok]))


def _assertion(step: str | None, assertion: AssertionResult) -> AssertionRow:
    return AssertionRow(
        step=step,
        expression=assertion.expression,
        ok=assertion.ok,
        severity=assertion.severity,
        actual=compact(assertion.actual),
        expected=compact(assertion.expected),
        message=assertion.message,
        diff=tuple(assertion.diff.splitlines()) if assertion.diff else (),
        facts=assertion.facts,
    )


def _attempts(latest: CheckResult | None, steps: Iterable[StepResult]) -> tuple[AttemptRow, ...]:
    rows = [AttemptRow(step=None, attempt=attempt) for attempt in latest.attempts] if latest else []
    rows += [AttemptRow(step=step.name, attempt=attempt) for step in steps for attempt in step.attempts]
    return tuple(rows)


def _exchanges(latest: CheckResult | None, steps: Iterable[StepResult]) -> tuple[tuple[str | None, Exchange], ...]:
    own = ((None, latest.exchange),) if latest and latest.exchange else ()
    return (*own, *((step.name, step.exchange) for step in steps if step.exchange))


def _request_sources(latest: CheckResult | None, steps: Iterable[StepResult]) -> dict[str, str]:
    sources: dict[str, str] = {}
    for result in (*steps, *((latest,) if latest else ())):
        source = _source_of(result.exchange) if result.exchange else ""
        if source:
            for request_id in result.correlation.request_ids:
                sources.setdefault(request_id, source)
    return sources


def _source_of(exchange: Exchange) -> str:
    """Return the name of the service that an exchange's requests went to; empty when it is not known."""
    if "url" in exchange.request:
        return "API"
    service = str(exchange.request.get("service") or "")
    return _SERVICE_NAMES.get(service, service.upper())


def _calls_a_program(exchange: Exchange) -> bool:
    """Return whether an exchange runs a program that logs, not only an API of AWS itself."""
    request = exchange.request
    invokes = request.get("service") == "lambda" and str(request.get("operation")).startswith("Invoke")
    return "url" in request or invokes


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def compact(value: Any) -> str:
    """Return a JSON value in one line, strings without quotes; empty for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def pretty(value: Any) -> list[str]:
    """Return a JSON value, or a string that contains JSON, as indented lines."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value.splitlines() or [""]
        if not isinstance(value, dict | list):
            return [str(value)]
    return json.dumps(value, ensure_ascii=False, indent=2, default=str).splitlines()


def copy_text(detail: CheckDetail, form: str) -> str | None:
    """Return the check as `curl`, `aws` or `json`; None when it has no such form."""
    if form == "json":
        if detail.latest is None:
            return None
        return json.dumps(msgspec.to_builtins(detail.latest), ensure_ascii=False, indent=2)
    commands = [exchange.curl if form == "curl" else exchange.aws_cli for _, exchange in detail.exchanges]
    return "\n".join(command for command in commands if command) or None
