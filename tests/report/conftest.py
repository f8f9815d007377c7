"""One run with every status in it, and runs that end without a checkable red case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.result import (
    AssertionResult,
    AttemptResult,
    Blocking,
    CheckResult,
    Correlation,
    EnvironmentInfo,
    Notice,
    ReleaseInfo,
    RunInfo,
    RunResult,
    SignalResult,
    StepResult,
    Summary,
    Tool,
    Usage,
    Verdict,
)
from prodwatch.model.status import Reason, Status

T0 = datetime(2026, 11, 20, 14, 0, 0, tzinfo=UTC)


def check(name: str, status: Status, **more: object) -> CheckResult:
    values: dict[str, object] = {
        "id": f"orders/{name}",
        "name": name,
        "title": name.replace("-", " "),
        "kind": "smoke",
        "type": "http",
        "tags": ("orders",),
        "status": status,
        "started_at": T0,
        "duration_ms": 212,
        "source": SourcePosition("checks/orders.toml", 12, 1),
    }
    return CheckResult(**(values | more))  # type: ignore[arg-type]


CHECKS = (
    check("api-answers", Status.PASS, duration_ms=38),
    check(
        "order-in-euros",
        Status.FAIL,
        flags=("critical",),
        reason_code=Reason.ASSERTION,
        message="json.currency is missing",
        assertions=(
            AssertionResult(expression="status == 201", ok=True, actual=201, expected=201),
            AssertionResult(
                expression="json.currency == 'EUR'", ok=False, expected="EUR", message="json.currency is missing"
            ),
            AssertionResult(
                expression="body == 'a|b'",
                ok=False,
                actual="a\x1b]0;x\x07",
                expected="a|b",
                diff="- a|b\n+ a\x1b]0;x\x07",
            ),
        ),
        correlation=Correlation(trace_id="1-67891233-abcdef012345678912345678", request_ids=("8f2c-1",)),
        diagnosed_by=(check("db-reachable", Status.PASS, kind="diagnostic", type="tcp"),),
    ),
    check("slow", Status.DEGRADED, reason_code=Reason.WARNING, message="latency is 612 ms, not < 300 ms"),
    check("denied", Status.ERROR, reason_code=Reason.ACCESS_DENIED, message="no permission for logs:FilterLogEvents"),
    check("thin", Status.INCONCLUSIVE, reason_code=Reason.NO_DATA, message="no lines | in <b>the</b> window"),
    check("later", Status.SKIPPED, reason_code=Reason.PROTECTED, message="prod is protected; run with --allow-writes"),
    check(
        "flow",
        Status.FAIL,
        type="flow",
        flags=("advisory",),
        reason_code=Reason.ASSERTION,
        message="step stored: never appeared",
        attempts=(
            AttemptResult(n=1, status=Status.FAIL, duration_ms=5),
            AttemptResult(n=2, status=Status.FAIL, duration_ms=6),
        ),
        steps=(
            StepResult(name="post", type="http", status=Status.PASS),
            StepResult(name="stored", type="dynamodb", status=Status.FAIL, message="never appeared in 10 attempts"),
        ),
        cleanup=(StepResult(name="cleanup 1", type="dynamodb", status=Status.FAIL, leftovers=("TEST-1",)),),
    ),
    check("blip", Status.PASS, flags=("flaky",)),
)


SIGNALS = (
    SignalResult(
        kind="metric",
        id="checkout latency",
        name="checkout latency",
        status=Status.FAIL,
        reason_code=Reason.ASSERTION,
        message="`value` is 912ms, not <= 800ms",
        value=912.0,
        unit="ms",
        at=T0,
        assertions=(
            AssertionResult(
                expression="value <= 800ms",
                ok=False,
                actual="912ms",
                expected="800ms",
                message="`value` is 912ms, not <= 800ms",
            ),
        ),
    ),
    SignalResult(
        kind="alarm",
        id="shop-*",
        name="shop-*",
        status=Status.INCONCLUSIVE,
        reason_code=Reason.NO_DATA,
        message="no alarm begins with shop-\x1b]0;x\x07",
    ),
    SignalResult(kind="alarm", id="pay-errors", name="pay-errors", status=Status.PASS, value="OK", since=T0),
    SignalResult(
        kind="alarm",
        id="pay-new",
        name="pay-new",
        status=Status.SKIPPED,
        reason_code=Reason.NO_DATA,
        message="the alarm has INSUFFICIENT_DATA",
        value="INSUFFICIENT_DATA",
    ),
)


def run(checks: tuple[CheckResult, ...], verdict: Verdict, signals: tuple[SignalResult, ...] = ()) -> RunResult:
    count = dict.fromkeys(Status, 0)
    for each in checks:
        count[each.status] += 1
    return RunResult(
        tool=Tool(version="0.0.0"),
        run=RunInfo(
            id="20261120T140000-abcd",
            mode="check",
            started_at=T0,
            ended_at=T0 + timedelta(milliseconds=1840),
            duration_ms=1840,
            host="ci-7",
        ),
        environment=EnvironmentInfo(name="prod", title="Shop · production", account="123456789012", region="eu-west-1"),
        release=ReleaseInfo(
            version="42", previous="41", state="shifting", weights={"41": 0.9, "42": 0.1}, change="configuration"
        ),
        verdict=verdict,
        summary=Summary(
            passed=count[Status.PASS],
            degraded=count[Status.DEGRADED],
            fail=count[Status.FAIL],
            error=count[Status.ERROR],
            inconclusive=count[Status.INCONCLUSIVE],
            skipped=count[Status.SKIPPED],
            flaky=sum("flaky" in each.flags for each in checks),
            total=len(checks),
        ),
        checks=checks,
        signals=signals,
        notices=(Notice(code="sampled", message="120 log lines were sampled away"),),
        usage=Usage(calls={"logs:FilterLogEvents": 3}, cost_usd=0.01),
    )


@pytest.fixture
def red() -> RunResult:
    """A run with every status."""
    return run(
        CHECKS,
        Verdict(
            status="fail",
            exit_code=1,
            reason_code=Reason.ASSERTION,
            reason="order in euros: json.currency is missing",
            blocking=(Blocking(kind="check", id="orders/order-in-euros", status=Status.FAIL, message="…"),),
        ),
        SIGNALS,
    )


@pytest.fixture
def green() -> RunResult:
    """A run in which everything passed."""
    return run(CHECKS[:1], Verdict(status="pass", exit_code=0, reason="1 check passed"))


SILENT_REDS = {
    "all-skipped": ((CHECKS[5],), Verdict(status="inconclusive", exit_code=4, reason="all checks were skipped")),
    "aborted": ((CHECKS[0],), Verdict(status="aborted", exit_code=130, reason="interrupted")),
    "strict": ((CHECKS[2],), Verdict(status="degraded", exit_code=1, reason="1 check is degraded, and --strict")),
    "critical-skipped": (
        CHECKS[:1],
        Verdict(status="inconclusive", exit_code=4, reason="a critical check was skipped"),
    ),
}
"""Runs that are not green although no single check is red."""


@pytest.fixture(params=SILENT_REDS)
def silent_red(request: pytest.FixtureRequest) -> RunResult:
    checks, verdict = SILENT_REDS[request.param]
    return run(checks, verdict)
