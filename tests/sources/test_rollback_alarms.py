"""Alarms of a deployment group: read from CodeDeploy, watched as gate alarms, with their mute rules."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.environment import AlarmTarget, ReleaseTarget
from prodwatch.model.identity import HOME
from prodwatch.model.signal import AlarmState, EvaluatedSignals, ReleaseState, RollbackAlarms, SourcePhase
from prodwatch.model.status import Reason, Status
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.release.event_sources import EVERY_S, ordered_source
from prodwatch.sources.release.rollback_alarms import EVERY_S as GROUP_EVERY_S
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.alarm_and_error_rows import alarm_reason
from tests.sources.test_deployment_places import CodeDeploy, environment

SINCE = START - timedelta(hours=3)
WATCHED = {
    "alarmConfiguration": {"enabled": True, "ignorePollAlarmFailure": True, "alarms": [{"name": "pay errors"}]},
    "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]},
}


def released(group: Mapping[str, Any]) -> tuple[ReleaseSource, CodeDeploy, FakeClock]:
    """Return a source whose one deployment is of a group with this document."""
    aws, clock = CodeDeploy(), FakeClock()
    bare = aws.info
    aws.info = lambda id_: {**bare(id_), "applicationName": "shop", "deploymentGroupName": "pay"}  # type: ignore[method-assign]
    aws.placed["codedeploy:GetDeploymentGroup"] = lambda *_: {"deploymentGroupInfo": group}
    return ReleaseSource(aws, environment(HOME), clock=clock, since=SINCE, clean=str), aws, clock


def refuse(aws: CodeDeploy, name: str) -> None:
    del aws.placed[name]
    aws.fail(name, Reason.ACCESS_DENIED)


async def state(source: ReleaseSource) -> ReleaseState:
    return next(each for each in await source.poll() if isinstance(each, ReleaseState))


@pytest.mark.parametrize(
    ("group", "expected", "targets"),
    [
        pytest.param(
            WATCHED,
            RollbackAlarms(group="pay", alarms=("pay errors",), ignores_unread=True),
            (AlarmTarget(names=("pay errors",)),),
            id="watched",
        ),
        pytest.param(
            {**WATCHED, "alarmConfiguration": {"enabled": False, "alarms": [{"name": "pay errors"}]}},
            RollbackAlarms(group="pay", alarms=("pay errors",), enabled=False),
            (),
            id="disabled",
        ),
        pytest.param(
            {**WATCHED, "autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}},
            RollbackAlarms(group="pay", alarms=("pay errors",), rolls_back=False, ignores_unread=True),
            (AlarmTarget(names=("pay errors",)),),
            id="stopped without a rollback",
        ),
        pytest.param({}, RollbackAlarms(group="pay", enabled=False, rolls_back=False), (), id="nothing configured"),
    ],
)
async def test_the_group_of_a_deployment_names_the_alarms_that_roll_it_back(
    group: Mapping[str, Any], expected: RollbackAlarms, targets: tuple[AlarmTarget, ...]
) -> None:
    source, _, _ = released(group)
    assert source.rollback_targets() is None
    assert (await state(source)).rollback == expected
    assert source.rollback_targets() == targets


async def test_a_group_that_cannot_be_read_keeps_its_alarms_and_says_why() -> None:
    source, aws, clock = released(WATCHED)
    await source.poll()
    refuse(aws, "codedeploy:GetDeploymentGroup")
    await clock.advance(GROUP_EVERY_S)
    rollback = (await state(source)).rollback
    assert rollback is not None
    assert (rollback.alarms, rollback.unread) == (("pay errors",), "codedeploy:GetDeploymentGroup failed")
    assert source.rollback_targets() == (AlarmTarget(names=("pay errors",)),)
    assert source.unread() == ("alarms of deployment group pay: codedeploy:GetDeploymentGroup failed",)


async def test_a_group_that_was_never_read_leaves_the_release_unread_until_it_is() -> None:
    source, aws, _ = released(WATCHED)
    answer = aws.placed.pop("codedeploy:GetDeploymentGroup")
    aws.fail("codedeploy:GetDeploymentGroup", Reason.API_ERROR)
    await source.poll()
    assert source.rollback_targets() == ()
    assert source.unread() == ("alarms of deployment group pay: codedeploy:GetDeploymentGroup failed",)
    aws.placed["codedeploy:GetDeploymentGroup"] = answer
    await source.poll()
    assert (source.rollback_targets(), source.unread()) == ((AlarmTarget(names=("pay errors",)),), ())


async def test_a_group_that_was_deleted_has_no_alarm() -> None:
    source, aws, _ = released(WATCHED)
    del aws.placed["codedeploy:GetDeploymentGroup"]
    aws.fail("codedeploy:GetDeploymentGroup", Reason.API_ERROR, "DeploymentGroupDoesNotExistException")
    assert (await state(source)).rollback == RollbackAlarms(group="pay", enabled=False, rolls_back=False)
    assert source.unread() == ()


def alarms(aws: ScriptedAws, *own: AlarmTarget, rollback: tuple[AlarmTarget, ...] | None = None) -> AlarmSource:
    return AlarmSource(
        aws, own, clock=FakeClock(), since=SINCE, clean=lambda text: text, rollback_targets=lambda: rollback
    )


def firing(params: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in params.get("AlarmNames", ["pay errors"]) if name == "pay errors"]
    return {"MetricAlarms": [{"AlarmName": each, "StateValue": "ALARM"} for each in names]}


GROUP = (AlarmTarget(names=("pay errors", "deleted")),)


async def test_the_alarms_of_a_deployment_group_gate(aws: ScriptedAws) -> None:
    aws.answers["cloudwatch:DescribeAlarms"] = firing
    records = await alarms(aws, rollback=GROUP).poll()
    assert [(each.name, each.gate) for each in records if isinstance(each, AlarmState)] == [("pay errors", True)]
    (evaluated,) = (each for each in records if isinstance(each, EvaluatedSignals))
    # A deleted alarm is a notice of the gate, not a signal without data.
    assert [(each.name, each.gate, each.status) for each in evaluated.results] == [("pay errors", True, Status.FAIL)]


async def test_the_file_decides_whether_an_alarm_that_it_names_gates(aws: ScriptedAws) -> None:
    aws.answers["cloudwatch:DescribeAlarms"] = firing
    records = await alarms(aws, AlarmTarget(prefix="pay", gate=False), rollback=GROUP).poll()
    assert [each.gate for each in records if isinstance(each, AlarmState)] == [False]


async def test_alarms_are_starting_until_those_of_the_groups_are_known(aws: ScriptedAws) -> None:
    unknown = alarms(aws, rollback=None)
    await unknown.poll()
    assert unknown.status(0.0).phase is SourcePhase.STARTING
    known = alarms(aws, rollback=())
    await known.poll()
    assert known.status(0.0).phase is SourcePhase.LIVE


@pytest.mark.parametrize(("known_at_s", "polled_at_s"), [(None, [0, 15, 30, 45]), (4, [0, 4, 19, 34])])
async def test_alarms_are_read_at_their_own_pace_however_long_those_of_the_groups_are_unknown(
    aws: ScriptedAws, known_at_s: int | None, polled_at_s: list[int]
) -> None:
    clock = FakeClock()
    began_s = clock.monotonic_s()
    polled: list[int] = []

    def describe(_: Mapping[str, Any]) -> dict[str, Any]:
        polled.append(int(clock.monotonic_s() - began_s))
        return {}

    def rollback_targets() -> tuple[AlarmTarget, ...] | None:
        return None if known_at_s is None or clock.monotonic_s() - began_s < known_at_s else ()

    aws.answers["cloudwatch:DescribeAlarms"] = describe
    source = AlarmSource(
        aws,
        (AlarmTarget(prefix="pay"),),
        clock=clock,
        since=SINCE,
        clean=lambda text: text,
        rollback_targets=rollback_targets,
    )

    async def read() -> None:
        async for _ in source.batches():
            pass

    reading = asyncio.create_task(read())
    await clock.advance(46)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert polled == polled_at_s


@pytest.mark.parametrize(("state", "asked"), [("ALARM", 1), ("OK", 0)])
async def test_the_mute_rule_of_an_alarm_of_the_file_that_fires_is_named_and_mutes_no_verdict(
    aws: ScriptedAws, state: str, asked: int
) -> None:
    aws.answers["cloudwatch:DescribeAlarms"] = lambda _: {
        "MetricAlarms": [{"AlarmName": "pay errors", "StateValue": state, "StateReason": "3 > 1"}]
    }
    aws.answers["cloudwatch:ListAlarmMuteRules"] = lambda _: {
        "AlarmMuteRuleSummaries": [{"AlarmMuteRuleArn": "arn:aws:cloudwatch:eu-west-1:1:alarm-mute-rule:night"}]
    }
    records = await alarms(aws, AlarmTarget(names=("pay errors",)), rollback=()).poll()
    assert aws.count("cloudwatch:ListAlarmMuteRules") == asked
    if not asked:
        return
    (alarm,) = (each for each in records if isinstance(each, AlarmState))
    assert alarm_reason(alarm) == "mute rule night suppresses its actions, not its state: 3 > 1"
    (evaluated,) = (each for each in records if isinstance(each, EvaluatedSignals))
    (signal,) = evaluated.results
    assert (signal.status, signal.gate) == (Status.FAIL, True)
    assert signal.message == (
        "the alarm is firing although mute rule night suppresses its actions, not its state: 3 > 1"
    )


async def test_the_mute_rule_of_a_rollback_alarm_is_named(aws: ScriptedAws) -> None:
    aws.answers["cloudwatch:DescribeAlarms"] = firing
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm-mute-rule:night"
    aws.answers["cloudwatch:ListAlarmMuteRules"] = lambda params: {
        "AlarmMuteRuleSummaries": [{"AlarmMuteRuleArn": arn, "ExpireDate": START}] if params["AlarmName"] else []
    }
    records = await alarms(aws, rollback=GROUP).poll()
    (muted,) = (each.muted_by for each in records if isinstance(each, AlarmState))
    assert muted == f"night, which expires {START:%Y-%m-%d %H:%M} UTC"


async def test_mute_rules_that_cannot_be_read_are_a_note(aws: ScriptedAws) -> None:
    aws.answers["cloudwatch:DescribeAlarms"] = firing
    aws.fail("cloudwatch:ListAlarmMuteRules", Reason.ACCESS_DENIED)
    source = alarms(aws, rollback=(AlarmTarget(names=("pay errors",)),))
    await source.poll()
    await source.poll()
    assert source.note() == "alarm mute rules: cloudwatch:ListAlarmMuteRules failed"
    assert [name for name, _ in aws.calls].count("cloudwatch:ListAlarmMuteRules") == 1


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"EventSourceArn": "arn:aws:kinesis:eu-west-1:1:stream/orders"}, "Kinesis stream orders"),
        (
            {"EventSourceArn": "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/2026-01-01T00:00:00.000"},
            "DynamoDB stream of table orders",
        ),
        ({"EventSourceArn": "arn:aws:sqs:eu-west-1:1:orders.fifo"}, "FIFO queue orders.fifo"),
        ({"EventSourceArn": "arn:aws:sqs:eu-west-1:1:orders"}, None),
        ({"EventSourceArn": "arn:aws:mq:eu-west-1:1:broker:b:1"}, None),
        ({"EventSourceArn": "arn:aws:kafka:eu-west-1:1:cluster/a/b", "Topics": ["orders"]}, "Kafka topic orders"),
        ({"SelfManagedEventSource": {"Endpoints": {}}, "Topics": ["orders"]}, "Kafka topic orders"),
        ({"EventSourceArn": "arn:aws:rds:eu-west-1:1:cluster:orders"}, "DocumentDB change stream orders"),
        ({}, None),
    ],
)
def test_sources_that_send_in_order(mapping: Mapping[str, Any], expected: str | None) -> None:
    assert ordered_source(mapping) == expected


async def test_a_release_names_the_ordered_sources_of_its_alias() -> None:
    source, aws, clock = released(WATCHED)
    arn = "arn:aws:kinesis:eu-west-1:1:stream/orders"
    asked = []

    def mappings(_place: object, params: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(params["FunctionName"])
        active = {"EventSourceArn": arn, "State": "Enabled"}
        return {"EventSourceMappings": [active, {**active, "EventSourceArn": f"{arn}-old", "State": "Disabled"}]}

    aws.placed["lambda:ListEventSourceMappings"] = mappings
    assert (await state(source)).ordered_sources == ("Kinesis stream orders",)
    refuse(aws, "lambda:ListEventSourceMappings")
    await clock.advance(EVERY_S)
    # They remain known while they cannot be read.
    assert (await state(source)).ordered_sources == ("Kinesis stream orders",)
    assert source.note() == "event sources of pay: lambda:ListEventSourceMappings failed"
    assert asked == ["pay:live"]


async def test_alarms_of_a_file_without_deployments_wait_for_none(aws: ScriptedAws) -> None:
    built = build_sources(
        replace(environment(), alarms=(AlarmTarget(prefix="pay"),), release=ReleaseTarget()),
        aws,
        clock=FakeClock(),
        redactor=Redactor(),
        logs_since=SINCE,
        since=SINCE,
    )
    (source,) = (each for each in built if isinstance(each, AlarmSource))
    await source.poll()
    assert source.status(0.0).phase is SourcePhase.LIVE
