"""The shop's checks: their definitions, and rounds of results in which two of them meet the bad release."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent, RunProgress
from prodwatch.model.result import (
    AssertionResult,
    AttemptResult,
    CheckResult,
    Correlation,
    Exchange,
    StepResult,
)
from prodwatch.model.status import Reason, Status
from tests.support.scene.release import Timing

EVERY = timedelta(seconds=15)
FAILED_TRACE_ID = "1-68a7c1f2-9c0ffee0123456789abcdef0"
FAILED_REQUEST_ID = "8f2c41d7-52be-4b1e-9d5e-0c7a3e1b6f42"


class _Plan(msgspec.Struct, frozen=True):
    id: str
    title: str
    type: str
    latency_ms: int
    kind: str = "smoke"
    owner: str | None = "orders"


PLANS = (
    _Plan("orders/api-answers", "api answers", "http", 38),
    _Plan("orders/order-in-euros", "order in euros", "http", 212),
    _Plan("orders/orders-answer-in-time", "orders answer in time", "metric", 141),
    _Plan("orders/inbox-to-table", "inbox → table", "flow", 2310, owner="platform"),
    _Plan("orders/order-is-stored", "an order is stored", "flow", 1470),
    _Plan("orders/version-answers", "v42 answers when asked", "lambda", 96),
    _Plan("orders/no-dead-letters", "no dead letters", "sqs", 44, owner="platform"),
    _Plan("orders/table-has-orders", "the table has fresh orders", "dynamodb", 21),
    _Plan("edge/certificate", "certificate", "tls", 31, owner="edge"),
    _Plan("edge/name-resolves", "api name resolves", "dns", 6, owner="edge"),
    _Plan("edge/price-list", "price list is served", "s3", 33, owner="edge"),
    _Plan("signals/no-alarm", "no alarm fires", "alarm", 57, owner=None),
    _Plan("signals/no-throttles", "no throttles", "metric", 118, owner=None),
    _Plan("signals/traces-are-clean", "traces are clean", "traces", 402, owner=None),
    _Plan("signals/release-is-moving", "release is moving", "release", 73, owner=None),
    _Plan("edge/partner-bank", "partner bank answers", "http", 187, owner="payments"),
    _Plan("orders/table-reachable", "orders table reachable", "dynamodb", 18, kind="diagnostic"),
    _Plan("orders/recent-errors", "recent errors", "logs", 611, kind="diagnostic"),
)


def definitions() -> tuple[CheckDefinition, ...]:
    """Return the checks as their files define them."""
    return tuple(
        CheckDefinition(
            id=plan.id,
            name=plan.title,
            title=plan.title,
            kind="diagnostic" if plan.kind == "diagnostic" else "smoke",
            type=plan.type,
            source=_source(index),
            owner=plan.owner,
            advisory=plan.id == "edge/partner-bank",
            critical=plan.id == "orders/api-answers",
            every_s=None if plan.kind == "diagnostic" else EVERY.total_seconds(),
            diagnose=("orders/table-reachable", "orders/recent-errors") if plan.id == "orders/order-in-euros" else (),
        )
        for index, plan in enumerate(PLANS)
    )


def events(timing: Timing, dice: random.Random, rounds: int) -> Iterator[RunEvent]:
    """Yield `rounds` rounds that end at `timing.now`."""
    smoke = [plan for plan in PLANS if plan.kind == "smoke"]
    for number in range(rounds, 0, -1):
        begin = timing.now - EVERY * number + timedelta(seconds=12)
        for index, plan in enumerate(smoke):
            yield CheckStarted(id=plan.id, at=begin)
            yield CheckFinished(result=result(plan.id, begin, timing.share_of_new(begin) > 0, dice))
            yield RunProgress(done=index + 1, total=len(smoke))


def result(check_id: str, at: datetime, new_has_traffic: bool, dice: random.Random) -> CheckResult:
    """Return one round of one check, begun at `at`."""
    index, plan = next((index, plan) for index, plan in enumerate(PLANS) if plan.id == check_id)
    duration_ms = max(1, round(plan.latency_ms * dice.uniform(0.85, 1.2)))
    good = CheckResult(
        id=plan.id,
        name=plan.title,
        title=plan.title,
        kind=plan.kind,
        type=plan.type,
        owner=plan.owner,
        status=Status.PASS,
        started_at=at,
        duration_ms=duration_ms,
        assertions=(AssertionResult(expression="status == 200", ok=True, actual=200, expected=200),),
        attempts=(AttemptResult(n=1, status=Status.PASS, duration_ms=duration_ms, started_at=at),),
        source=_source(index),
    )
    if check_id == "orders/order-in-euros":
        return _order_in_euros(good, new_has_traffic)
    if check_id == "orders/inbox-to-table":
        return _inbox_to_table(good, at, dice)
    if new_has_traffic and check_id == "orders/orders-answer-in-time":
        return _too_slow(good)
    if check_id == "edge/partner-bank":
        message = "the bank's status page needs a token: set ${secret.bank_token} to run this check"
        return msgspec.structs.replace(
            good,
            status=Status.SKIPPED,
            reason_code=Reason.PREREQUISITE,
            message=message,
            duration_ms=0,
            assertions=(),
            attempts=(),
            flags=("advisory",),
        )
    return good


def _order_in_euros(good: CheckResult, new_has_traffic: bool) -> CheckResult:
    body = '{"message": "Internal Server Error"}' if new_has_traffic else '{"id": "TEST-7f3a", "currency": "EUR"}'
    exchange = Exchange(
        request={
            "method": "POST",
            "url": "https://api.shop.example/orders",
            "headers": {"content-type": "application/json", "authorization": "•••"},
            "body": '{"id": "TEST-7f3a", "total": 19.9, "currency": "EUR"}',
        },
        response={
            "status": 500 if new_has_traffic else 201,
            "headers": {"content-type": "application/json", "x-version": "v42" if new_has_traffic else "v41"},
            "body": body,
        },
        phases_ms={"dns": 0.4, "connect": 1.1, "tls": 9.8, "ttfb": 198.2, "download": 2.5},
        curl="curl -X POST https://api.shop.example/orders -H 'content-type: application/json' -d '{…}'",
    )
    if not new_has_traffic:
        return msgspec.structs.replace(good, exchange=exchange, version="41")
    message = "status == 201: actual 500, and json.currency == 'EUR': the path is missing"
    return msgspec.structs.replace(
        good,
        status=Status.FAIL,
        reason_code=Reason.ASSERTION,
        message=message,
        version="42",
        exchange=exchange,
        assertions=(
            AssertionResult(
                expression="status == 201", ok=False, actual=500, expected=201, message="expected 201, got 500"
            ),
            AssertionResult(
                expression="json.currency == 'EUR'",
                ok=False,
                actual=None,
                expected="EUR",
                message="the path is missing",
                diff='- "EUR"\n+ (missing)',
            ),
            AssertionResult(expression="latency < 1s", ok=True, actual="212ms", expected="1s"),
            AssertionResult(
                expression="header('x-version') == 'v42'", ok=True, severity="attest", actual="v42", expected="v42"
            ),
        ),
        attempts=(
            AttemptResult(
                n=1, status=Status.FAIL, duration_ms=good.duration_ms, message="status 500", started_at=good.started_at
            ),
        ),
        correlation=Correlation(trace_id=FAILED_TRACE_ID, request_ids=(FAILED_REQUEST_ID,)),
        diagnosed_by=_diagnosis(good),
    )


def _diagnosis(good: CheckResult) -> tuple[CheckResult, ...]:
    reachable, errors = (plan for plan in PLANS if plan.kind == "diagnostic")
    base = msgspec.structs.replace(good, kind="diagnostic", attempts=(), assertions=())
    return (
        msgspec.structs.replace(
            base, id=reachable.id, name=reachable.title, title=reachable.title, type=reachable.type, duration_ms=18
        ),
        msgspec.structs.replace(
            base,
            id=errors.id,
            name=errors.title,
            title=errors.title,
            type=errors.type,
            duration_ms=611,
            status=Status.FAIL,
            reason_code=Reason.ASSERTION,
            message="count == 0: actual 57, the latest is KeyError: 'currency' at orders.py:88",
        ),
    )


def _inbox_to_table(good: CheckResult, at: datetime, dice: random.Random) -> CheckResult:
    slow = dice.random() < 0.3
    polls = 4 if slow else 2
    steps = (
        StepResult(name="post", type="http", status=Status.PASS, started_at=at, duration_ms=81),
        StepResult(
            name="stored",
            type="dynamodb",
            status=Status.PASS,
            started_at=at + timedelta(milliseconds=81),
            duration_ms=good.duration_ms - 81,
            attempts=tuple(
                AttemptResult(
                    n=n,
                    kind="poll",
                    status=Status.PASS if n == polls else Status.FAIL,
                    duration_ms=19 + n,
                    message=None if n == polls else "item is absent",
                )
                for n in range(1, polls + 1)
            ),
        ),
    )
    if not slow:
        return msgspec.structs.replace(good, steps=steps, attempts=())
    warning = AssertionResult(
        expression="latency < 2500ms",
        ok=False,
        severity="warn",
        actual=f"{good.duration_ms}ms",
        expected="2500ms",
        message="slower than it should be",
    )
    return msgspec.structs.replace(
        good,
        status=Status.DEGRADED,
        reason_code=Reason.WARNING,
        message=f"latency < 2500ms: actual {good.duration_ms + 400}ms",
        steps=steps,
        attempts=(),
        assertions=(warning,),
    )


def _too_slow(good: CheckResult) -> CheckResult:
    return msgspec.structs.replace(
        good,
        status=Status.FAIL,
        reason_code=Reason.ASSERTION,
        message="p95 < 500ms: actual 620ms on v42 over 5 minutes, 912 requests",
        assertions=(
            AssertionResult(
                expression="p95 < 500ms", ok=False, actual="620ms", expected="500ms", message="620ms is not below 500ms"
            ),
        ),
    )


def _source(index: int) -> SourcePosition:
    return SourcePosition("checks/shop.toml", 12 + 9 * index, 1)
