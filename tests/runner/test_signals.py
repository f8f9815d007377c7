"""Metrics and alarms next to the checks of one run: red or unread they are never green, and they never hold it up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import AlarmTarget, AwsTarget, MetricTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import RunResult
from prodwatch.model.status import Reason, Status
from prodwatch.report import console, ctrf, github, json, junit, nagios, tap
from prodwatch.runner import RunOptions, merge_results
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import plain
from tests.support.waiting import until

LATENCY = MetricTarget(name="latency", namespace="Shop", metric="Ms", unit="ms", expect=("value <= 800ms",))
ALARM = AlarmTarget(names=("errors",))


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """A project of one green check, a metric at 700 ms and an alarm that is OK."""
    bench.script("scripted", {"ok": True})
    bench.environment = replace(bench.environment, metrics=(LATENCY,), alarms=(ALARM,))
    measures(bench, 700.0)
    alarm_is(bench, "OK")
    return bench


def measures(bench: Bench, value: float) -> None:
    def points(params: Any) -> dict[str, Any]:
        moments = []
        moment = params["StartTime"]
        while moment < params["EndTime"]:
            moments.append(moment)
            moment += timedelta(minutes=1)
        queries = params["MetricDataQueries"]
        return {
            "MetricDataResults": [
                {"Id": each["Id"], "StatusCode": "Complete", "Timestamps": moments, "Values": [value] * len(moments)}
                for each in queries
            ]
        }

    bench.aws.answers["cloudwatch:GetMetricData"] = points


def alarm_is(bench: Bench, state: str) -> None:
    told = {"AlarmName": "errors", "StateValue": state, "StateTransitionedTimestamp": bench.clock.now()}
    bench.aws.answers["cloudwatch:DescribeAlarms"] = lambda _: {"MetricAlarms": [told]}


async def run(bench: Bench, **keys: Any) -> RunResult:
    return await bench.run(plain("c", expect=["ok == true"]), **keys)


def statuses(result: RunResult) -> dict[str, str]:
    return {each.id: each.status.value for each in result.signals}


async def test_green_checks_and_green_signals_pass(shop: Bench) -> None:
    result = await run(shop)
    assert (result.verdict.exit_code, statuses(result)) == (0, {"latency": "pass", "errors": "pass"})


@pytest.mark.parametrize(
    ("value", "state", "verdict", "exit_code"),
    [
        (900.0, "OK", "fail", 1),
        (700.0, "ALARM", "fail", 1),
        (700.0, "INSUFFICIENT_DATA", "inconclusive", 4),
        (900.0, "INSUFFICIENT_DATA", "fail", 1),
    ],
)
async def test_a10_a_red_signal_is_never_green_next_to_green_checks(
    shop: Bench, value: float, state: str, verdict: str, exit_code: int
) -> None:
    measures(shop, value)
    alarm_is(shop, state)
    result = await run(shop)
    assert (result.verdict.status, result.verdict.exit_code) == (verdict, exit_code)
    assert {each.kind for each in result.verdict.blocking} <= {"metric", "alarm"}


async def test_a_false_warning_of_a_metric_degrades(shop: Bench) -> None:
    shop.environment = replace(shop.environment, metrics=(replace(LATENCY, warn=("value <= 400ms",)),))
    assert (await run(shop)).verdict.status == "degraded"
    assert (await run(shop, strict=True)).verdict.exit_code == 1


@pytest.mark.parametrize("operation", ["GetMetricData", "DescribeAlarms"])
async def test_a10_a_signal_that_cannot_be_read_is_never_green(shop: Bench, operation: str) -> None:
    shop.aws.failing[f"cloudwatch:{operation}"] = AwsError(
        f"{operation} was denied with token-of-the-shop",
        code="AccessDenied",
        reason=Reason.ACCESS_DENIED,
        service="cloudwatch",
        operation=operation,
    )
    shop.redactor.add("token-of-the-shop")
    result = await run(shop)
    assert result.verdict.exit_code == 4
    assert [each.message for each in result.signals if each.message] == [f"{operation} was denied with •••"]


async def test_what_does_not_gate_is_not_read(shop: Bench) -> None:
    alarm_is(shop, "ALARM")
    shop.environment = replace(shop.environment, metrics=(), alarms=(replace(ALARM, gate=False),))
    result = await run(shop)
    assert (result.verdict.exit_code, result.signals, shop.aws.calls) == (0, (), [])


async def test_signals_left_out_are_mentioned(shop: Bench) -> None:
    alarm_is(shop, "ALARM")
    result = await run(shop, no_signals=True)
    assert (result.verdict.exit_code, result.signals, shop.aws.calls) == (0, (), [])
    assert [each.message for each in result.notices] == [
        "--no-signals left out 1 [[metric]] and 1 [[alarm]]: the verdict rests on the checks alone"
    ]


async def test_where_there_is_no_signal_nothing_is_left_out(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    assert (await run(bench, no_signals=True)).notices == ()


async def test_without_a_selected_check_signals_are_not_read(shop: Bench) -> None:
    result = await shop.run()
    assert (result.verdict.status, result.verdict.exit_code, shop.aws.calls) == ("empty", 5, [])


async def test_credentials_of_another_account_read_no_signal(shop: Bench) -> None:
    shop.environment = replace(shop.environment, aws=AwsTarget(account="210987654321"))

    async def another(_account: str | None = None) -> str:
        raise AwsError(
            "another account", code="Account", reason=Reason.WRONG_ACCOUNT, service="sts", operation="GetCallerIdentity"
        )

    shop.aws.account_id = another  # type: ignore[assignment]
    result = await run(shop)
    assert (result.verdict.exit_code, result.signals, shop.aws.calls) == (3, (), [])


async def test_a_response_that_cannot_be_read_takes_no_result_with_it(shop: Bench) -> None:
    shop.aws.answers["cloudwatch:GetMetricData"] = lambda _: {"MetricDataResults": [{"Id": "m0", "Timestamps": 7}]}
    result = await run(shop)
    assert (result.verdict.exit_code, result.checks[0].status) == (4, "pass")
    assert {each.reason_code for each in result.signals} == {Reason.INTERNAL}


async def test_K1_a_response_without_the_series_that_was_asked_for_is_an_unread_metric(shop: Bench) -> None:
    shop.aws.answers["cloudwatch:GetMetricData"] = lambda _: {"MetricDataResults": [{"Id": "unknown"}]}
    result = await run(shop)
    assert (result.verdict.exit_code, result.checks[0].status) == (4, "pass")
    (metric,) = (each for each in result.signals if each.kind == "metric")
    assert metric.reason_code is Reason.SERVICE
    assert "the response leaves it out" in str(metric.message)


def never_responds(bench: Bench) -> None:
    async def pages(*_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        await asyncio.Event().wait()
        yield {}

    bench.aws.pages = pages  # type: ignore[method-assign]


async def test_the_deadline_cuts_off_signals_too(shop: Bench) -> None:
    never_responds(shop)
    result = await run(shop, deadline_s=10)
    assert (result.verdict.exit_code, result.checks[0].status) == (4, "pass")
    assert {each.reason_code for each in result.signals} == {Reason.DEADLINE}


async def test_an_interruption_while_signals_are_read_keeps_the_results(shop: Bench) -> None:
    never_responds(shop)
    definition = plain("c", expect=["ok == true"])
    running = asyncio.create_task(shop.runner([definition]).run([definition], RunOptions()))
    await until(lambda: any(isinstance(each, CheckFinished) for each in shop.events))
    running.cancel()
    result = await running
    assert (result.verdict.exit_code, result.checks[0].status) == (130, "pass")
    assert {each.reason_code for each in result.signals} == {Reason.INTERRUPTED}


async def test_merged_shards_keep_each_signal_once_and_the_worse_reading(shop: Bench) -> None:
    first = await run(shop, shard=(1, 2))
    alarm_is(shop, "ALARM")
    second = await run(shop, shard=(2, 2))
    for shards in ((first, second), (second, first)):
        merged = merge_results(shards)
        assert statuses(merged) == {"latency": "pass", "errors": "fail"}
        assert merged.verdict.exit_code == 1


def console_text(result: RunResult) -> bytes:
    stream = StringIO()
    console.write(result, stream, color=False, width=120)
    return stream.getvalue().encode()


FORMATS: dict[str, tuple[Callable[[RunResult], bytes], str]] = {
    "console": (console_text, r"FAIL .*latency"),
    "json": (json.encode, r'"status": "fail",\s+"exit_code": 1'),
    "ndjson": (json.result_line, r'"status":"fail","exit_code":1'),
    "junit": (junit.render, r'(?s)name="metric latency".*?<failure '),
    "ctrf": (ctrf.render, r'(?s)metric latency[^}]*"status": ?"failed"'),
    "tap": (tap.render, r"not ok \d+ - metric latency"),
    "nagios": (nagios.render, r"^(CRITICAL|PRODWATCH CRITICAL)"),
    "github": (github.summary, r"(?i)fail.*latency"),
    "annotations": (lambda result: "\n".join(github.workflow_commands(result)).encode(), r"::error.*latency"),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_a_false_expect_is_red_in_every_format(shop: Bench, name: str) -> None:
    measures(shop, 900.0)
    result = await run(shop)
    assert [check.status for check in result.checks] == [Status.PASS]
    written, red = FORMATS[name]
    assert re.search(red, written(result).decode()), written(result).decode()
    assert nagios.exit_code(result) == 2


async def test_a_false_expect_of_a_merged_run_is_red(shop: Bench) -> None:
    green = await run(shop)
    measures(shop, 900.0)
    assert merge_results([green, await run(shop)]).verdict.status == "fail"
