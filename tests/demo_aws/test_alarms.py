"""Alarms through both SDKs: evaluation, composites, history, and errors as by AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import CompositeAlarm, EmbeddedAws, MetricAlarm, MetricQuery
from prodwatch.demo.aws.alarms.composite_rules import alarms_in, parse_rule
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.demo.workload import MetricSample

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

DIMENSIONS = {"FunctionName": "orders"}
ERRORS = MetricAlarm(name="errors", namespace="AWS/Lambda", metric="Errors", dimensions=DIMENSIONS, threshold=5)


def put(aws: EmbeddedAws, wall: Any, *values: float, metric: str = "Errors") -> None:
    """Put one value into each of the minutes before now, the last one last."""
    for back, value in enumerate(reversed(values), start=1):
        aws.metrics.put("AWS/Lambda", metric, DIMENSIONS, wall.now_s - 60 * back, [value])


async def state(call: Any, name: str = "errors", kind: str = "MetricAlarm") -> Any:
    response = await call("cloudwatch", "DescribeAlarms", AlarmNames=[name], AlarmTypes=[kind])
    (result,) = response["MetricAlarms"] + response["CompositeAlarms"]
    return result["StateValue"]


async def test_an_alarm_follows_its_metric(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.alarms.put(ERRORS)
    assert await state(call) == "INSUFFICIENT_DATA"
    for value, expected in ((1.0, "OK"), (9.0, "ALARM"), (5.0, "OK")):
        wall.now_s += 60
        put(aws, wall, value)
        assert await state(call) == expected
    history = await call("cloudwatch", "DescribeAlarmHistory", AlarmName="errors")
    assert [item["HistorySummary"] for item in history["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
        'Alarm "errors" created',
    ]
    newest = json.loads(history["AlarmHistoryItems"][0]["HistoryData"])
    assert newest["newState"]["stateValue"] == "OK"


async def test_points_that_are_not_visible_yet_do_not_count(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.alarms.put(ERRORS)
    aws.metrics.put("AWS/Lambda", "Errors", DIMENSIONS, wall.now_s - 60, [9.0], visible_s=wall.now_s + 90)
    aws.alarms.put(MetricAlarm(**{**fields(ERRORS), "name": "wide", "evaluation_periods": 4, "datapoints_to_alarm": 1}))
    assert (await state(call), await state(call, "wide")) == ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA")
    wall.now_s += 120
    assert (await state(call), await state(call, "wide")) == ("INSUFFICIENT_DATA", "ALARM")
    (item,) = (await call("cloudwatch", "DescribeAlarmHistory", AlarmName="wide", HistoryItemType="StateUpdate"))[
        "AlarmHistoryItems"
    ]
    assert item["Timestamp"].timestamp() == wall.now_s


def fields(alarm: MetricAlarm) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in alarm.__slots__}


@pytest.mark.parametrize(
    ("changes", "values", "expected"),
    [
        ({}, [9.0], "ALARM"),
        ({}, [5.0], "OK"),
        ({"comparison": "GreaterThanOrEqualToThreshold"}, [5.0], "ALARM"),
        ({"comparison": "LessThanThreshold"}, [4.0], "ALARM"),
        ({"comparison": "LessThanOrEqualToThreshold"}, [5.0], "ALARM"),
        ({"evaluation_periods": 3}, [9.0, 9.0, 1.0], "OK"),
        ({"evaluation_periods": 3, "datapoints_to_alarm": 2}, [9.0, 9.0, 1.0], "ALARM"),
        ({"evaluation_periods": 3}, [9.0], "ALARM"),
        ({"evaluation_periods": 3, "missing": "notBreaching"}, [9.0], "OK"),
        ({"missing": "breaching"}, [], "ALARM"),
        ({"missing": "notBreaching"}, [], "OK"),
        ({"missing": "missing"}, [], "INSUFFICIENT_DATA"),
        ({"missing": "ignore"}, [], "INSUFFICIENT_DATA"),
        ({"stat": "p50"}, [6.0], "ALARM"),
        ({"period_s": 120}, [3.0, 3.0], "ALARM"),
    ],
    ids=str,
)
@over_aiobotocore
async def test_rules_of_evaluation(
    call: Any, aws: EmbeddedAws, wall: Any, changes: Any, values: Any, expected: Any
) -> None:
    put(aws, wall, *values)
    aws.alarms.put(MetricAlarm(**fields(ERRORS) | changes))
    assert await state(call) == expected


async def test_missing_data_keeps_the_state_when_ignored_and_ends_it_otherwise(
    call: Any, aws: EmbeddedAws, wall: Any
) -> None:
    put(aws, wall, 9.0)
    aws.alarms.put(ERRORS)
    aws.alarms.put(MetricAlarm(**fields(ERRORS) | {"name": "patient", "missing": "ignore"}))
    assert (await state(call), await state(call, "patient")) == ("ALARM", "ALARM")
    wall.now_s += 120
    assert (await state(call), await state(call, "patient")) == ("INSUFFICIENT_DATA", "ALARM")


async def test_maths_and_percentiles(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    put(aws, wall, 2.0)
    put(aws, wall, 20.0, metric="Invocations")
    queries = (
        MetricQuery(id="e", namespace="AWS/Lambda", metric="Errors", dimensions=DIMENSIONS),
        MetricQuery(id="i", namespace="AWS/Lambda", metric="Invocations", dimensions=DIMENSIONS),
        MetricQuery(id="rate", expression="100 * e / i", returns=True),
    )
    aws.alarms.put(MetricAlarm(name="rate", queries=queries, threshold=5))
    (results,) = (await call("cloudwatch", "DescribeAlarms", AlarmNames=["rate"]))["MetricAlarms"]
    assert results["StateValue"] == "ALARM"
    assert [item["Id"] for item in results["Metrics"]] == ["e", "i", "rate"]
    assert "10.0" in results["StateReason"]


async def test_an_alarm_created_in_the_past_has_a_history(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    put(aws, wall, *[1.0] * 10, *[9.0] * 5, *[1.0] * 15)
    aws.alarms.put(ERRORS, created_s=wall.now_s - 1800)
    aws.alarms.put(ERRORS, created_s=wall.now_s - 1800)
    items = await call(
        "cloudwatch", "DescribeAlarmHistory", AlarmName="errors", HistoryItemType="StateUpdate",
        ScanBy="TimestampAscending",
    )  # fmt: skip
    changes = [
        (round(item["Timestamp"].timestamp() - wall.now_s), item["HistorySummary"].rpartition(" ")[2])
        for item in items["AlarmHistoryItems"]
    ]
    assert changes[0][1] == "OK"
    assert await state(call) == "OK"


class Past:
    """A history of one metric that rises for five minutes in the past."""

    def __init__(self, now_s: float) -> None:
        self._start_s = int(now_s) - 1800

    def log_groups(self) -> dict[str, int]:
        return {}

    def log_events(self, *_args: Any) -> list[Any]:
        return []

    def segments(self, *_args: Any) -> list[Any]:
        return []

    def metric_names(self) -> list[Any]:
        return [("AWS/Lambda", "Errors", DIMENSIONS)]

    def metric_samples(self, _namespace: str, _metric: str, _dimensions: Any, start_s: int, end_s: int) -> list[Any]:
        return [
            MetricSample(
                timestamp_s=minute,
                values=(9.0 if 600 <= minute - self._start_s < 900 else 1.0,),
                counts=(1.0,),
                visible_s=minute + 60,
            )
            for minute in range(start_s, end_s, 60)
            if self._start_s <= minute
        ]


async def test_alarms_change_when_points_of_history_became_visible(wall: Any, sdk_at: Any) -> None:
    async with embedded_aws(wall=wall, history=Past(wall.now_s)) as (aws, url):
        aws.alarms.put(ERRORS, created_s=wall.now_s - 1800, state="OK")
        items = await sdk_at(url)(
            "cloudwatch", "DescribeAlarmHistory", AlarmName="errors", HistoryItemType="StateUpdate"
        )
        changes = [
            (item["Timestamp"].timestamp() - wall.now_s + 1800, item["HistorySummary"])
            for item in items["AlarmHistoryItems"]
        ]
    assert changes[:2] == [
        (960, "Alarm updated from ALARM to OK"),
        (660, "Alarm updated from OK to ALARM"),
    ]


async def test_alarms_created_at_one_past_time_use_each_others_past_states(wall: Any, sdk_at: Any) -> None:
    async with embedded_aws(wall=wall, history=Past(wall.now_s)) as (aws, url):
        past_s = wall.now_s - 1800
        aws.alarms.put(CompositeAlarm(name="any", rule="ALARM(errors)"), created_s=past_s, state="OK")
        aws.alarms.put(ERRORS, created_s=past_s, state="OK")
        items = await sdk_at(url)(
            "cloudwatch", "DescribeAlarmHistory", AlarmTypes=["CompositeAlarm"], HistoryItemType="StateUpdate"
        )
    assert [item["Timestamp"].timestamp() - past_s for item in items["AlarmHistoryItems"]] == [960, 660]


async def test_alarms_of_every_kind_over_the_api(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    base = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 5.0}
    await call(
        "cloudwatch", "PutMetricAlarm", AlarmName="errors", Namespace="AWS/Lambda", MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": "orders"}], Period=60, Statistic="Sum",
        AlarmActions=["arn:aws:sns:eu-west-1:1:x"], AlarmDescription="too many", TreatMissingData="notBreaching",
        **base,
    )  # fmt: skip
    await call(
        "cloudwatch", "PutMetricAlarm", AlarmName="slow", Namespace="AWS/Lambda", MetricName="Duration", Period=60,
        ExtendedStatistic="p99", **base,
    )  # fmt: skip
    metric = {"Metric": {"Namespace": "AWS/Lambda", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
    await call(
        "cloudwatch", "PutMetricAlarm", AlarmName="maths",
        Metrics=[{"Id": "e", "MetricStat": metric, "ReturnData": False}, {"Id": "x", "Expression": "e * 2"}], **base,
    )  # fmt: skip
    await call("cloudwatch", "PutCompositeAlarm", AlarmName="any", AlarmRule='ALARM("errors") OR ALARM(slow)')
    alone = await call("cloudwatch", "DescribeAlarms")
    assert [item["AlarmName"] for item in alone["MetricAlarms"]] == ["errors", "maths", "slow"]
    assert alone["CompositeAlarms"] == []
    both = await call("cloudwatch", "DescribeAlarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    (composite,) = both["CompositeAlarms"]
    assert composite["AlarmRule"] == 'ALARM("errors") OR ALARM(slow)'
    errors = both["MetricAlarms"][0]
    assert (errors["Statistic"], errors["AlarmDescription"], errors["TreatMissingData"]) == (
        "Sum",
        "too many",
        "notBreaching",
    )
    assert errors["AlarmArn"] == "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:errors"
    assert both["MetricAlarms"][2]["ExtendedStatistic"] == "p99"
    put(aws, wall, 9.0)
    wall.now_s += 60
    put(aws, wall, 9.0)
    assert await state(call, "any", "CompositeAlarm") == "ALARM"
    firing = await call(
        "cloudwatch", "DescribeAlarms", StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    assert [item["AlarmName"] for item in firing["MetricAlarms"] + firing["CompositeAlarms"]] == ["errors", "any"]
    by_prefix = await call("cloudwatch", "DescribeAlarms", AlarmNamePrefix="sl")
    assert [item["AlarmName"] for item in by_prefix["MetricAlarms"]] == ["slow"]
    acting = await call("cloudwatch", "DescribeAlarms", ActionPrefix="arn:aws:sns")
    assert [item["AlarmName"] for item in acting["MetricAlarms"]] == ["errors"]
    of_metric = await call(
        "cloudwatch", "DescribeAlarmsForMetric", Namespace="AWS/Lambda", MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": "orders"}],
    )  # fmt: skip
    assert [item["AlarmName"] for item in of_metric["MetricAlarms"]] == ["errors"]
    await call("cloudwatch", "DisableAlarmActions", AlarmNames=["errors", "unknown"])
    (quiet,) = (await call("cloudwatch", "DescribeAlarms", AlarmNames=["errors"]))["MetricAlarms"]
    assert (quiet["ActionsEnabled"], quiet["StateValue"]) == (False, "ALARM")
    await call("cloudwatch", "EnableAlarmActions", AlarmNames=["errors"])
    await call("cloudwatch", "DeleteAlarms", AlarmNames=["any", "slow"])
    assert len((await call("cloudwatch", "DescribeAlarms"))["MetricAlarms"]) == 2


async def test_a_forced_state_lasts_until_the_next_evaluation(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    put(aws, wall, 1.0, 1.0)
    aws.alarms.put(ERRORS)
    await call(
        "cloudwatch", "SetAlarmState", AlarmName="errors", StateValue="ALARM", StateReason="drill",
        StateReasonData='{"why": "drill"}',
    )  # fmt: skip
    (result,) = (await call("cloudwatch", "DescribeAlarms"))["MetricAlarms"]
    assert (result["StateValue"], result["StateReason"], json.loads(result["StateReasonData"])) == (
        "ALARM",
        "drill",
        {"why": "drill"},
    )
    wall.now_s += 60
    put(aws, wall, 1.0)
    assert await state(call) == "OK"


async def test_pages(call: Any, aws: EmbeddedAws) -> None:
    for number in range(5):
        aws.alarms.put(MetricAlarm(**fields(ERRORS) | {"name": f"a{number}"}))
    first = await call("cloudwatch", "DescribeAlarms", MaxRecords=3)
    rest = await call("cloudwatch", "DescribeAlarms", MaxRecords=3, NextToken=first["NextToken"])
    assert [item["AlarmName"] for item in first["MetricAlarms"] + rest["MetricAlarms"]] == [f"a{n}" for n in range(5)]
    assert "NextToken" not in rest
    history = await call("cloudwatch", "DescribeAlarmHistory", MaxRecords=2)
    assert len(history["AlarmHistoryItems"]) == 2
    with pytest.raises(ClientError) as caught:
        await call("cloudwatch", "DescribeAlarmHistory", NextToken="made up")
    assert caught.value.response["Error"]["Code"] == "InvalidNextToken"


async def test_composites_of_composites_are_resolved_in_one_evaluation(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    put(aws, wall, 9.0)
    aws.alarms.put(CompositeAlarm(name="a-top", rule="ALARM(middle) AND NOT OK(errors)"))
    aws.alarms.put(CompositeAlarm(name="middle", rule="ALARM(errors)"))
    aws.alarms.put(ERRORS)
    assert await state(call, "a-top", "CompositeAlarm") == "ALARM"


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("SetAlarmState", {"AlarmName": "none", "StateValue": "OK", "StateReason": "x"}, "ResourceNotFound"),
        (
            "SetAlarmState",
            {"AlarmName": "errors", "StateValue": "OK", "StateReason": "x", "StateReasonData": "{"},
            "InvalidFormat",
        ),
        ("SetAlarmState", {"AlarmName": "errors", "StateValue": "BAD", "StateReason": "x"}, "ValidationError"),
        ("DeleteAlarms", {"AlarmNames": ["errors", "none"]}, "ResourceNotFound"),
        ("PutCompositeAlarm", {"AlarmName": "x", "AlarmRule": "ALARM(none)"}, "ValidationError"),
        ("PutCompositeAlarm", {"AlarmName": "x", "AlarmRule": "ALARM("}, "ValidationError"),
        ("DescribeAlarms", {"AlarmNames": ["a"], "AlarmNamePrefix": "a"}, "ValidationError"),
        ("DescribeAlarms", {"AlarmNames": [f"a{n}" for n in range(101)]}, "ValidationError"),
        (
            "PutMetricAlarm",
            {"AlarmName": "x", "ComparisonOperator": "GreaterThanUpperThreshold", "EvaluationPeriods": 1},
            "ValidationError",
        ),
    ],
    ids=str,
)
@over_boto3
async def test_what_is_refused(call: Any, aws: EmbeddedAws, operation: str, params: Any, code: str) -> None:
    aws.alarms.put(ERRORS)
    with pytest.raises(ClientError) as caught:
        await call("cloudwatch", operation, **params)
    assert caught.value.response["Error"]["Code"] == code


STATES: Any = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(a)", True),
        ('OK("b") AND INSUFFICIENT_DATA(c)', True),
        ("NOT ALARM(a)", False),
        ("ALARM(b) OR NOT (ALARM(a) AND OK(c))", True),
        ("TRUE AND NOT FALSE", True),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:1:alarm:a)", True),
        ("ALARM('a')", True),
        ("AT_LEAST(1, ALARM, (a, b, c))", True),
        ("AT_LEAST(2, ALARM, (a, b, c))", False),
        ("AT_LEAST(50%, OK, (a, b))", True),
        ("alarm(a) and ok(b)", True),
    ],
)
def test_rule_language(rule: str, expected: bool) -> None:
    assert parse_rule(rule)(STATES) is expected


@pytest.mark.parametrize(
    "rule", ["", "ALARM", "ALARM(a", "ALARM(a) b", "MAYBE(a)", "AT_LEAST(x, ALARM, (a))", "AT_LEAST(1, BAD, (a))", "("]
)
def test_unreadable_rules_are_refused(rule: str) -> None:
    with pytest.raises(ExpressionError):
        parse_rule(rule)


def test_names_of_alarms_in_a_rule() -> None:
    assert alarms_in('ALARM("a") OR AT_LEAST(1, OK, (b, arn:aws:cloudwatch:e:1:alarm:c))') == ["a", "b", "c"]


async def test_a_mute_rule_is_active_within_its_window(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.alarms.put(ERRORS)
    start = datetime.fromtimestamp(wall.now_s // 60 * 60 + 600, UTC)
    rule = {"Schedule": {"Expression": f"at({start:%Y-%m-%dT%H:%M})", "Duration": "PT1H30M"}}
    targets = {"AlarmNames": ["errors"]}
    await call("cloudwatch", "PutAlarmMuteRule", Name="night", Rule=rule, MuteTargets=targets)

    async def names(**options: Any) -> list[str]:
        listed = await call("cloudwatch", "ListAlarmMuteRules", **options)
        return [each["AlarmMuteRuleArn"].rpartition(":")[2] for each in listed["AlarmMuteRuleSummaries"]]

    for after_s, status in ((0, "SCHEDULED"), (600, "ACTIVE"), (5400, "EXPIRED")):
        wall.now_s += after_s
        assert await names(AlarmName="errors", Statuses=[status]) == ["night"]
        assert (await call("cloudwatch", "GetAlarmMuteRule", AlarmMuteRuleName="night"))["Status"] == status
    assert await names(AlarmName="other") == []
    await call("cloudwatch", "DeleteAlarmMuteRule", AlarmMuteRuleName="night")
    assert await names() == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await call("cloudwatch", "GetAlarmMuteRule", AlarmMuteRuleName="night")
    weekly = {"Schedule": {"Expression": "cron(0 2 * * SUN *)", "Duration": "PT1H"}}
    with pytest.raises(ClientError, match="ValidationError"):
        await call("cloudwatch", "PutAlarmMuteRule", Name="weekly", Rule=weekly)
