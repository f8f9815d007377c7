"""Metrics and alarms read once: what gates is there, and what could not be read is inconclusive with its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AlarmTarget, Environment, MetricTarget, UnfilledTarget
from prodwatch.model.result import SignalResult
from prodwatch.model.status import Reason, Status
from prodwatch.sources.read_signals import read_signals, unread_signals
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

LATENCY = MetricTarget(name="latency", namespace="Shop", metric="Ms", expect=("value <= 5",))


def environment(*, metrics: tuple[MetricTarget, ...] = (), alarms: tuple[AlarmTarget, ...] = ()) -> Environment:
    return Environment(name="prod", title="prod", source=SourcePosition("f"), metrics=metrics, alarms=alarms)


def points(params: Any, *, value: float = 3.0, status: str = "Complete") -> dict[str, Any]:
    start, moments = params["StartTime"], []
    while start < params["EndTime"]:
        moments.append(start)
        start += timedelta(minutes=1)
    return {
        "MetricDataResults": [
            {"Id": each["Id"], "StatusCode": status, "Timestamps": moments, "Values": [value] * len(moments)}
            for each in params["MetricDataQueries"]
        ]
    }


def aws(**answers: Any) -> ScriptedAws:
    scripted = ScriptedAws()
    for name, answer in answers.items():
        table: dict[str, Any] = scripted.failing if isinstance(answer, AwsError) else scripted.answers
        table[f"cloudwatch:{name}"] = answer
    return scripted


async def read(scripted: ScriptedAws, of: Environment) -> dict[str, SignalResult]:
    results = await read_signals(of, scripted, clock=FakeClock(), clean=lambda text: text)
    return {each.id: each for each in results}


def denied(operation: str) -> AwsError:
    return AwsError(
        f"{operation} was denied",
        code="AccessDenied",
        reason=Reason.ACCESS_DENIED,
        service="cloudwatch",
        operation=operation,
    )


async def test_a_metric_is_judged_on_its_newest_settled_minute() -> None:
    results = await read(aws(GetMetricData=points), environment(metrics=(LATENCY,)))
    assert (results["latency"].status, results["latency"].value) == (Status.PASS, 3.0)
    assert results["latency"].at == datetime(2026, 1, 15, 11, 57, tzinfo=UTC)


async def test_what_does_not_gate_or_has_no_assertion_is_not_read() -> None:
    shown = MetricTarget(name="shown", namespace="Shop", metric="Ms", expect=("value <= 5",), gate=False)
    plain = MetricTarget(name="plain", namespace="Shop", metric="Ms")
    scripted = aws()
    assert not await read(scripted, environment(metrics=(shown, plain), alarms=(AlarmTarget(prefix="a", gate=False),)))
    assert not scripted.calls


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        (
            lambda _: {"MetricDataResults": []},
            Reason.SERVICE,
            "CloudWatch could not read Ms: the response leaves it out",
        ),
        (
            lambda params: points(params, status="Forbidden"),
            Reason.ACCESS_DENIED,
            "CloudWatch could not read Ms: Forbidden",
        ),
        (
            lambda params: points(params, status="InternalError"),
            Reason.SERVICE,
            "CloudWatch could not read Ms: InternalError",
        ),
        (denied("GetMetricData"), Reason.ACCESS_DENIED, "GetMetricData was denied"),
    ],
    ids=["left out", "forbidden", "internal", "denied"],
)
async def test_a10_a_metric_that_cannot_be_read_is_inconclusive(answer: Any, reason: Reason, message: str) -> None:
    results = (await read(aws(GetMetricData=answer), environment(metrics=(LATENCY,))))["latency"]
    assert (results.status, results.reason_code, results.message) == (Status.INCONCLUSIVE, reason, message)


async def test_a10_alarms_that_cannot_be_read_are_inconclusive_by_name() -> None:
    target = AlarmTarget(names=("a", "b"), prefix="shop-")
    results = await read(aws(DescribeAlarms=denied("DescribeAlarms")), environment(alarms=(target,)))
    assert {id_: (each.status, each.message) for id_, each in results.items()} == dict.fromkeys(
        ("a", "b", "shop-*"), (Status.INCONCLUSIVE, "DescribeAlarms was denied")
    )


async def test_one_account_that_refuses_does_not_silence_the_others() -> None:
    class OneDown(ScriptedAws):
        async def pages(
            self, service: str, operation: str, params: Any = None, **more: Any
        ) -> AsyncIterator[dict[str, Any]]:
            if more.get("account") == "pay":
                raise CannotVerifyError("the credentials belong to another account", Reason.WRONG_ACCOUNT)
            yield points(params)

    other = MetricTarget(name="other", namespace="Shop", metric="Ms", expect=("value <= 5",), account="pay")
    results = await read(OneDown(), environment(metrics=(LATENCY, other)))
    assert results["latency"].status is Status.PASS
    assert (results["other in pay"].status, results["other in pay"].reason_code) == (
        Status.INCONCLUSIVE,
        Reason.WRONG_ACCOUNT,
    )


async def test_a_reference_without_a_value_is_an_error_and_is_never_asked_for() -> None:
    metric = MetricTarget(
        name="latency", namespace="Shop", metric="Ms", dimensions={"Api": "${stack.shop.Api}"}, warn=("value < 5",)
    )
    shown = replace(metric, name="shown", warn=())
    alarms = AlarmTarget(prefix="${stack.shop.Name}-")
    unread = UnfilledTarget(kind="logs", label="x", message="no such output", reason=Reason.UNRESOLVED)
    unfilled = (
        replace(unread, kind="metric", target=metric),
        replace(unread, kind="metric", target=shown),
        replace(unread, kind="alarm", target=alarms),
        unread,
    )
    scripted = aws()
    results = await read(scripted, replace(environment(), unfilled=unfilled))
    assert {id_: each.reason_code for id_, each in results.items()} == dict.fromkeys(
        ("latency", "${stack.shop.Name}-*"), Reason.UNRESOLVED
    )
    assert all(each.status is Status.ERROR for each in results.values())
    assert not scripted.calls


async def test_the_history_of_alarms_is_not_read() -> None:
    reported = {"AlarmName": "a", "StateValue": "ALARM", "StateTransitionedTimestamp": START - timedelta(minutes=1)}
    scripted = aws(DescribeAlarms=lambda _: {"MetricAlarms": [reported]})
    results = await read(scripted, environment(alarms=(AlarmTarget(names=("a",)),)))
    assert results["a"].status is Status.FAIL
    assert {name for name, _ in scripted.calls} == {"cloudwatch:DescribeAlarms", "cloudwatch:ListAlarmMuteRules"}


def test_signals_that_were_never_read_are_all_inconclusive() -> None:
    of = environment(metrics=(LATENCY,), alarms=(AlarmTarget(names=("a",)), AlarmTarget(prefix="b", gate=False)))
    results = unread_signals(of, "the run was interrupted", Reason.INTERRUPTED)
    assert [(each.id, each.status, each.reason_code) for each in results] == [
        ("latency", Status.INCONCLUSIVE, Reason.INTERRUPTED),
        ("a", Status.INCONCLUSIVE, Reason.INTERRUPTED),
    ]
