"""Alarms of one name in several accounts and regions: one that cannot be read hides nothing of the others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.identity import HOME, AlarmId, Place
from prodwatch.model.signal import AlarmState, EvaluatedSignals, ReleaseEvent
from prodwatch.model.status import Reason
from prodwatch.sources.alarms import EVERY_S, AlarmSource
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.testing.clock import START, FakeClock
from tests.support.placed_aws import EAST, PAY, PLACES, PlacedAws

SINCE = START - timedelta(hours=1)
NAME = "pay-errors"


class Alarms(PlacedAws):
    """`states` holds each alarm's state by place and name; each fired at START."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[Place, dict[str, str]] = {place: {NAME: "ALARM"} for place in PLACES}
        self.placed = {"cloudwatch:DescribeAlarms": self.describe, "cloudwatch:DescribeAlarmHistory": self.history}
        self.refuses_log_alarms: set[Place] = set()

    def describe(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if place in self.refuses_log_alarms and "LogAlarm" in params["AlarmTypes"]:
            raise refusal("DescribeAlarms", "ValidationError")
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": state, "StateTransitionedTimestamp": START}
                for name, state in self.states[place].items()
                if name in params.get("AlarmNames", [name]) and name.startswith(params.get("AlarmNamePrefix", ""))
            ]
        }

    def history(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del place
        item = {"Timestamp": START, "HistorySummary": "Alarm updated from OK to ALARM"}
        return {"AlarmHistoryItems": [item] if params["AlarmName"] != "gone" else []}


def refusal(operation: str, code: str) -> AwsError:
    return AwsError(f"{operation}: {code}", code=code, reason=Reason.API_ERROR, service="c", operation=operation)


def watch(aws: Alarms, clock: FakeClock, *places: Place, **target: Any) -> AlarmSource:
    named = target or {"names": (NAME,)}
    targets = [AlarmTarget(account=place.account or None, region=place.region or None, **named) for place in places]
    return AlarmSource(aws, targets, clock=clock, since=SINCE, clean=lambda text: text)


async def polled(source: AlarmSource, kind: type[Any]) -> list[Any]:
    return [each for each in await source.poll() if isinstance(each, kind)]


async def test_K16_namesakes_have_states_and_events_of_their_own() -> None:
    source = watch(Alarms(), FakeClock(), *PLACES)
    records = await source.poll()
    assert [each.id for each in records if isinstance(each, AlarmState)] == [AlarmId(NAME, place) for place in PLACES]
    told = [AlarmId(each.subject, each.place) for each in records if isinstance(each, ReleaseEvent)]
    assert told == [AlarmId(NAME, place) for place in PLACES]
    (signals,) = [each for each in records if isinstance(each, EvaluatedSignals)]
    assert [each.id for each in signals.results] == [NAME, f"{NAME} in us-east-1", f"{NAME} in pay"]


@pytest.mark.parametrize("broken", PLACES, ids=["home", "region", "account"])
async def test_K17_a_history_that_is_denied_in_one_place_stops_no_other(broken: Place) -> None:
    aws, clock = Alarms(), FakeClock()
    aws.fail_in(broken, "cloudwatch:DescribeAlarmHistory")
    source = watch(aws, clock, *PLACES)
    events = await polled(source, ReleaseEvent)
    assert {each.place for each in events} == set(PLACES) - {broken}
    assert source.status(0.0).notes == ("history not read",)
    await clock.advance(EVERY_S)
    assert await polled(source, ReleaseEvent) == []
    aws.failing_in.clear()
    await clock.advance(DENIED_EVERY_S)
    assert [each.place for each in await polled(source, ReleaseEvent)] == [broken]
    assert source.status(0.0).notes == ()


async def test_K17_a_history_that_only_one_alarm_refuses_stops_no_other_of_its_place() -> None:
    aws, clock = Alarms(), FakeClock()
    aws.states[HOME] = {"a": "ALARM", "b": "ALARM"}
    history = aws.placed["cloudwatch:DescribeAlarmHistory"]

    def answer(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if params["AlarmName"] == "a":
            raise refusal("DescribeAlarmHistory", "ResourceNotFound")
        return history(place, params)

    aws.placed["cloudwatch:DescribeAlarmHistory"] = answer
    source = watch(aws, clock, HOME, prefix="")
    assert [each.subject for each in await polled(source, ReleaseEvent)] == ["b"]
    assert source.status(0.0).notes == ("history not read",)


@pytest.mark.parametrize("broken", PLACES, ids=["home", "region", "account"])
async def test_K17_deletions_elsewhere_are_seen_while_one_place_cannot_be_read(broken: Place) -> None:
    aws, clock = Alarms(), FakeClock()
    source = watch(aws, clock, *PLACES, prefix="pay-")
    await source.poll()
    aws.fail_in(broken, "cloudwatch:DescribeAlarms")
    for place in PLACES:
        aws.states[place] = {}
    deleted = await polled(source, AlarmState)
    assert {each.place: each.state for each in deleted} == dict.fromkeys(set(PLACES) - {broken}, "INSUFFICIENT_DATA")
    assert len(source.status(0.0).unread) == 1
    aws.failing_in.clear()
    assert [each.place for each in await polled(source, AlarmState)] == [broken]


async def test_K17_an_alarm_that_another_target_of_its_place_may_cover_is_not_deleted() -> None:
    aws, clock = Alarms(), FakeClock()
    targets = (AlarmTarget(prefix="pay-"), AlarmTarget(names=(NAME,)))
    source = AlarmSource(aws, targets, clock=clock, since=SINCE, clean=str)
    await source.poll()
    describe = aws.placed["cloudwatch:DescribeAlarms"]

    def answer(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if "AlarmNames" in params:
            raise refusal("DescribeAlarms", "InternalServiceError")
        return describe(place, params) if "AlarmNamePrefix" not in params else {"MetricAlarms": []}

    aws.placed["cloudwatch:DescribeAlarms"] = answer
    assert await polled(source, AlarmState) == []


@pytest.mark.parametrize("code", ["ValidationError", "InvalidParameterValue", "ValidationException"])
async def test_K35_alarms_are_read_where_log_alarms_are_not_known(code: str) -> None:
    aws, clock = Alarms(), FakeClock()
    aws.refuses_log_alarms = {EAST}
    describe = aws.placed["cloudwatch:DescribeAlarms"]

    def answer(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return describe(place, params)
        except AwsError as error:
            raise refusal("DescribeAlarms", code) from error

    aws.placed["cloudwatch:DescribeAlarms"] = answer
    source = watch(aws, clock, *PLACES)
    for _ in range(3):
        assert {each.place: each.state for each in await polled(source, AlarmState)} == dict.fromkeys(PLACES, "ALARM")
    assert source.status(0.0).unread == ()


async def test_K35_the_history_is_read_where_its_types_are_not_known() -> None:
    aws, clock = Alarms(), FakeClock()
    history = aws.placed["cloudwatch:DescribeAlarmHistory"]

    def answer(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if place == PAY and "AlarmTypes" in params:
            raise refusal("DescribeAlarmHistory", "ValidationError")
        return history(place, params)

    aws.placed["cloudwatch:DescribeAlarmHistory"] = answer
    source = watch(aws, clock, *PLACES)
    assert {each.place for each in await polled(source, ReleaseEvent)} == set(PLACES)
    assert source.note() is None


async def test_K35_a_request_that_is_invalid_either_way_is_an_error() -> None:
    aws, clock = Alarms(), FakeClock()

    def answer(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        raise refusal("DescribeAlarms", "ValidationError")

    aws.placed["cloudwatch:DescribeAlarms"] = answer
    with pytest.raises(AwsError):
        await watch(aws, clock, HOME).poll()
