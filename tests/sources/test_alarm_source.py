"""Alarms: all three kinds, their history, and a message for every missing one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.signal import AlarmState, EvaluatedSignals, ReleaseEvent, SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.alarms import EVERY_S, NAMES_PER_CALL, AlarmSource
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

SINCE = START - timedelta(hours=1)


def alarm(name: str, state: str = "OK", since: datetime = START - timedelta(days=1)) -> dict[str, Any]:
    return {"AlarmName": name, "StateValue": state, "StateTransitionedTimestamp": since, "StateReason": f"{state}!"}


class Alarms(ScriptedAws):
    """Alarms by list and name, and the history of each."""

    def __init__(self) -> None:
        super().__init__()
        self.metric: list[dict[str, Any]] = []
        self.composite: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.answers = {
            "cloudwatch:DescribeAlarms": self.describe,
            "cloudwatch:DescribeAlarmHistory": lambda params: {
                "AlarmHistoryItems": self.history.get(params["AlarmName"], [])
            },
        }

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        def expected(each: Mapping[str, Any]) -> bool:
            if "AlarmNames" in params:
                return each["AlarmName"] in params["AlarmNames"]
            return bool(each["AlarmName"].startswith(params.get("AlarmNamePrefix", "")))

        kinds = params["AlarmTypes"]
        return {
            "MetricAlarms": [each for each in self.metric if expected(each) and "MetricAlarm" in kinds],
            "CompositeAlarms": [each for each in self.composite if expected(each) and "CompositeAlarm" in kinds],
            "LogAlarms": [each for each in self.log if expected(each) and "LogAlarm" in kinds],
        }


@pytest.fixture
def aws() -> Alarms:
    return Alarms()


def source(aws: Alarms, *targets: AlarmTarget, clock: FakeClock | None = None) -> AlarmSource:
    return AlarmSource(aws, targets, clock=clock or FakeClock(), since=SINCE, clean=lambda text: text)


async def states(source: AlarmSource) -> list[AlarmState]:
    return [each for each in await source.poll() if isinstance(each, AlarmState)]


async def events(source: AlarmSource) -> list[ReleaseEvent]:
    return [each for each in await source.poll() if isinstance(each, ReleaseEvent)]


async def test_all_three_kinds_come_back(aws: Alarms) -> None:
    aws.metric, aws.composite, aws.log = [alarm("shop-a")], [alarm("shop-b")], [alarm("shop-c", "ALARM")]
    results = await states(source(aws, AlarmTarget(prefix="shop-")))
    assert {each.name: (each.kind, each.state) for each in results} == {
        "shop-a": ("metric", "OK"),
        "shop-b": ("composite", "OK"),
        "shop-c": ("log", "ALARM"),
    }


async def test_an_alarm_whose_actions_are_disabled_is_known_as_such(aws: Alarms) -> None:
    aws.metric = [alarm("shop-a"), {**alarm("shop-b"), "ActionsEnabled": False}]
    results = await states(source(aws, AlarmTarget(prefix="shop-")))
    assert {each.name: each.actions_enabled for each in results} == {"shop-a": True, "shop-b": False}


@pytest.mark.parametrize(
    ("target", "note"),
    [
        (AlarmTarget(names=("shop-a", "shop-gone")), "alarm shop-gone does not exist"),
        (AlarmTarget(names=("shop-a", "shop-gone"), gate=False), "alarm shop-gone does not exist"),
        (AlarmTarget(prefix="pay-"), "no alarm name begins with pay-"),
        (AlarmTarget(names=("shop-a",)), None),
    ],
    ids=["name", "does not gate", "prefix", "there"],
)
async def test_a_missing_alarm_is_reported(aws: Alarms, target: AlarmTarget, note: str | None) -> None:
    aws.metric = [alarm("shop-a")]
    alarms = source(aws, target)
    await alarms.poll()
    assert alarms.note() == note
    assert alarms.status(0.0).unread == ()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (AlarmTarget(names=("shop-a", "shop-gone")), {"shop-a": "pass", "shop-gone": "inconclusive"}),
        (AlarmTarget(prefix="pay-"), {"pay-*": "inconclusive"}),
        (AlarmTarget(prefix="shop-"), {"shop-a": "pass"}),
    ],
    ids=["name", "prefix", "there"],
)
async def test_a10_an_alarm_that_is_not_there_is_never_green(
    aws: Alarms, target: AlarmTarget, status: dict[str, str]
) -> None:
    aws.metric = [alarm("shop-a")]
    (evaluated,) = [each for each in await source(aws, target).poll() if isinstance(each, EvaluatedSignals)]
    assert {each.id: each.status for each in evaluated.results} == status


async def test_an_alarm_that_is_deleted_does_not_stay_as_it_was(aws: Alarms) -> None:
    aws.metric = [alarm("shop-a", "OK"), alarm("shop-b", "OK")]
    alarms = source(aws, AlarmTarget(prefix="shop-"))
    await alarms.poll()
    aws.metric = [alarm("shop-a")]
    gone = next(each for each in await states(alarms) if each.name == "shop-b")
    assert gone.state == "INSUFFICIENT_DATA"
    assert "was deleted" in (gone.reason or "")
    assert [each.name for each in await states(alarms)] == ["shop-a"]


async def test_history_is_asked_only_of_what_changed_in_this_session(aws: Alarms) -> None:
    aws.metric = [alarm(f"shop-{number}") for number in range(50)]
    alarms = source(aws, AlarmTarget(prefix="shop-"))
    await alarms.poll()
    assert aws.count("cloudwatch:DescribeAlarmHistory") == 0
    aws.metric[7] = alarm("shop-7", "ALARM", START)
    await alarms.poll()
    requested = [params for name, params in aws.calls if name == "cloudwatch:DescribeAlarmHistory"]
    assert [(each["AlarmName"], each["AlarmTypes"]) for each in requested] == [("shop-7", ["MetricAlarm"])]


async def test_history_comes_in_order_once_and_with_its_reason(aws: Alarms) -> None:
    data = msgspec.json.encode({"newState": {"stateReason": "7 of 7 points above 5"}}).decode()
    aws.metric = [alarm("shop-a", "ALARM", START)]
    aws.history["shop-a"] = [
        {"Timestamp": START, "HistorySummary": "Alarm updated from OK to ALARM", "HistoryData": data},
        {
            "Timestamp": START - timedelta(minutes=9),
            "HistorySummary": "Alarm updated from ALARM to OK",
            "HistoryData": "x",
        },
    ]
    alarms = source(aws, AlarmTarget(prefix="shop-"))
    reported = await events(alarms)
    assert [(each.from_, each.to, each.detail) for each in reported] == [
        ("ALARM", "OK", None),
        ("OK", "ALARM", "7 of 7 points above 5"),
    ]
    aws.metric = [alarm("shop-a", "ALARM", START + timedelta(seconds=1))]
    assert not await events(alarms)


async def test_a_denied_history_hides_no_state_and_is_retried(aws: Alarms) -> None:
    clock = FakeClock()
    aws.fail("cloudwatch:DescribeAlarmHistory", Reason.ACCESS_DENIED)
    aws.metric = [alarm("shop-a", "ALARM", START)]
    aws.history["shop-a"] = [{"Timestamp": START, "HistorySummary": "Alarm updated from OK to ALARM"}]
    alarms = source(aws, AlarmTarget(prefix="shop-"), clock=clock)
    assert [each.state for each in await states(alarms)] == ["ALARM"]
    assert alarms.note() == "alarm history: cloudwatch:DescribeAlarmHistory failed"
    assert alarms.status(0.0).notes == ("history not read",)
    await clock.advance(EVERY_S)
    await alarms.poll()
    assert aws.count("cloudwatch:DescribeAlarmHistory") == 1
    aws.failing.clear()
    await clock.advance(DENIED_EVERY_S)
    assert [each.to for each in await events(alarms)] == ["ALARM"]
    assert alarms.note() is None


async def test_more_names_than_a_call_takes_are_asked_in_several(aws: Alarms) -> None:
    names = tuple(f"shop-{number}" for number in range(NAMES_PER_CALL + 1))
    aws.metric = [alarm(name) for name in names]
    assert len(await states(source(aws, AlarmTarget(names=names)))) == len(names)
    assert [len(params["AlarmNames"]) for _, params in aws.calls] == [NAMES_PER_CALL, 1]


async def test_an_alarm_named_twice_is_one_and_gates_when_either_says_so(aws: Alarms) -> None:
    aws.metric = [alarm("shop-a")]
    targets = (AlarmTarget(prefix="shop-", gate=False), AlarmTarget(names=("shop-a",), gate=True))
    for order in (targets, targets[::-1]):
        assert [each.gate for each in await states(source(aws, *order))] == [True]


async def test_what_is_throttled_for_long_still_says_when_it_was_read_last(aws: Alarms) -> None:
    aws.metric = [alarm("shop-a")]
    clock = FakeClock()
    reported: list[SourceStatus] = []

    async def follow() -> None:
        async for batch in source(aws, AlarmTarget(prefix="shop-"), clock=clock).batches():
            reported.extend([batch.status] if batch.status else [])

    aws.fail("cloudwatch:DescribeAlarms", Reason.THROTTLED)
    task = asyncio.create_task(follow())
    await clock.advance(5)
    assert (reported[-1].phase, reported[-1].fresh_at) == (SourcePhase.THROTTLED, None)
    aws.failing.clear()
    await clock.advance(120)
    aws.fail("cloudwatch:DescribeAlarms", Reason.THROTTLED)
    read_last = [each.fresh_at for each in reported if each.phase is SourcePhase.LIVE][-1]
    await clock.advance(600)
    assert reported[-1].phase is SourcePhase.THROTTLED
    assert read_last is not None
    assert reported[-1].fresh_at is not None
    assert reported[-1].fresh_at - read_last < timedelta(seconds=2 * EVERY_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_account_that_is_denied_hides_no_other(aws: Alarms) -> None:
    aws.metric = [alarm("shop-a")]
    describe = aws.answers["cloudwatch:DescribeAlarms"]

    def answer(params: Mapping[str, Any]) -> dict[str, Any]:
        if params.get("AlarmNamePrefix") == "pay-":
            raise AwsError(
                "denied", code="AccessDenied", reason=Reason.ACCESS_DENIED, service="c", operation="DescribeAlarms"
            )
        return describe(params)

    aws.answers["cloudwatch:DescribeAlarms"] = answer
    alarms = source(aws, AlarmTarget(prefix="shop-"), AlarmTarget(prefix="pay-"))
    assert [each.name for each in await states(alarms)] == ["shop-a"]
    assert alarms.note() == "denied"
    assert alarms.status(0.0).unread == ("denied",)
    with pytest.raises(AwsError):
        await source(aws, AlarmTarget(prefix="pay-")).poll()


@pytest.mark.parametrize("evaluation", ["EVALUATION_ERROR", "EVALUATION_FAILURE", "PARTIAL_DATA", "IN_WARM_UP"])
@pytest.mark.parametrize(
    ("state", "shown"), [("OK", "INSUFFICIENT_DATA"), ("ALARM", "ALARM"), ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA")]
)
async def test_W2_an_alarm_that_cannot_be_evaluated_is_not_ok(
    aws: Alarms, state: str, shown: str, evaluation: str
) -> None:
    aws.metric = [alarm("shop-a", state) | {"EvaluationState": evaluation}]
    records = await source(aws, AlarmTarget(prefix="shop-")).poll()
    (found,) = [each for each in records if isinstance(each, AlarmState)]
    assert found.state == shown
    assert (evaluation in (found.reason or "")) is (state == "OK")
    (signals,) = [each for each in records if isinstance(each, EvaluatedSignals)]
    assert all(each.status != "pass" for each in signals.results)
