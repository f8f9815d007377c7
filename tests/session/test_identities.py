"""Two functions of one name each in two accounts and two regions, through every source, view and window."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import (
    AlarmTarget,
    AwsTarget,
    Environment,
    FunctionTarget,
    MetricTarget,
    ReleaseTarget,
    StackReference,
)
from prodwatch.model.identity import HOME, AlarmId, FunctionId, GroupId, Place
from prodwatch.model.signal import UNREADABLE, ReleasePhase
from prodwatch.session.past import FixedClock, PastReader
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.supervisor import Supervisor
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.alarm_and_error_rows import alarm_rows, signature_rows
from prodwatch.views.events_in_window import changes
from prodwatch.views.time_window import Window
from prodwatch.views.timeline import timeline
from tests.support.placed_aws import EAST, PAY, PlacedAws

PAY_EAST = Place("pay", "us-east-1")
PLACES = (HOME, EAST, PAY, PAY_EAST)
NAMES = ("orders", "mail")
END = START
WINDOW = Window(start=START - timedelta(hours=1), end=END)


class Shop(PlacedAws):
    """Everything is healthy but in the `bad` place, where orders fails in every respect at START - 30 min."""

    def __init__(self, bad: Place) -> None:
        super().__init__()
        self.bad = bad
        self.at = START - timedelta(minutes=30)
        self.placed = {
            "logs:FilterLogEvents": self.lines,
            "lambda:GetAlias": lambda *_: {"FunctionVersion": "41"},
            "lambda:GetFunctionConfiguration": lambda *_: {"CodeSha256": "", "Timeout": 3},
            "codedeploy:ListDeploymentGroups": lambda *_: {"deploymentGroups": ["orders"]},
            "codedeploy:ListDeployments": lambda place, _: {"deployments": [self.deployment(place)]},
            "codedeploy:BatchGetDeployments": self.describe,
            "codedeploy:ListDeploymentTargets": lambda *_: {"targetIds": ["t"]},
            "codedeploy:GetDeploymentTarget": lambda *_: {"deploymentTarget": {"lambdaTarget": self.target()}},
            "cloudformation:DescribeStackEvents": self.stack,
            "cloudwatch:DescribeAlarms": self.alarms,
            "cloudwatch:DescribeAlarmHistory": self.history,
            "cloudwatch:GetMetricData": self.metrics,
            "xray:GetTraceSummaries": self.traces,
        }

    def lines(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        bad = place == self.bad and params["logGroupName"] == "/aws/lambda/orders"
        message = "[ERROR] KeyError: boom" if bad else "[INFO] placed"
        at_ms = int(self.at.timestamp() * 1000)
        stream = {"logStreamName": "2026/01/15/[41]ab"}
        events = [
            {"eventId": "e0", "timestamp": at_ms - 3_600_000, "ingestionTime": at_ms, "message": "[INFO] placed"},
            {"eventId": "e1", "timestamp": at_ms, "ingestionTime": at_ms, "message": message},
        ]
        return {"events": [each | stream for each in events]}

    @staticmethod
    def deployment(place: Place) -> str:
        return f"d-{place or 'home'}"

    def describe(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        info = {
            "deploymentId": params["deploymentIds"][0],
            "createTime": self.at,
            "completeTime": self.at,
            "status": "Failed" if place == self.bad else "Succeeded",
        }
        return {"deploymentsInfo": [info]}

    def target(self) -> dict[str, Any]:
        versions = {"currentVersion": "40", "targetVersion": "41"}
        return {"lambdaFunctionInfo": {"functionName": "orders", "functionAlias": "live", **versions}}

    def stack(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        status = "UPDATE_ROLLBACK_COMPLETE" if place == self.bad else "UPDATE_COMPLETE"
        event = {"EventId": "s1", "Timestamp": self.at, "LogicalResourceId": params["StackName"]}
        return {"StackEvents": [event | {"ResourceStatus": status, "StackId": "arn", "PhysicalResourceId": "arn"}]}

    def alarms(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        state = "ALARM" if place == self.bad else "OK"
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": state, "StateTransitionedTimestamp": self.at}
                for name in params["AlarmNames"]
            ]
        }

    def history(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        before, after = ("OK", "ALARM") if place == self.bad else ("ALARM", "OK")
        return {
            "AlarmHistoryItems": [{"Timestamp": self.at, "HistorySummary": f"Alarm updated from {before} to {after}"}]
        }

    def metrics(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        value = 9.0 if place == self.bad else 1.0
        first_s = int(params["StartTime"].timestamp()) // 60 * 60 + 60
        stamps = [datetime.fromtimestamp(at, UTC) for at in range(first_s, int(params["EndTime"].timestamp()), 60)]
        return {
            "MetricDataResults": [
                {"Id": each["Id"], "StatusCode": "Complete", "Timestamps": stamps, "Values": [value] * len(stamps)}
                for each in params["MetricDataQueries"]
            ]
        }

    def traces(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        summary = {"Id": f"1-6b0040ff-{PLACES.index(place):024x}", "Duration": 0.1, "HasFault": place == self.bad}
        return {"TraceSummaries": [summary | {"StartTime": self.at}]}


def own(place: Place) -> dict[str, Any]:
    return {"account": place.account or None, "region": place.region or None}


ENVIRONMENT = Environment(
    name="t",
    title="T",
    source=SourcePosition("config/t.toml"),
    aws=AwsTarget(region="eu-west-1"),
    accounts={"pay": AwsTarget(region="eu-west-1")},
    functions=tuple(FunctionTarget(name=name, alias="live", **own(place)) for place in PLACES for name in NAMES),
    metrics=tuple(MetricTarget(name="depth", namespace="Shop", metric="Depth", **own(place)) for place in PLACES),
    alarms=tuple(AlarmTarget(names=("orders-errors",), **own(place)) for place in PLACES),
    stacks={f"s{number}": StackReference(name="shop", **own(place)) for number, place in enumerate(PLACES)},
    release=ReleaseTarget(codedeploy=("shop",)),
)
CALLS = (
    "logs:FilterLogEvents",
    "lambda:GetAlias",
    "codedeploy:ListDeployments",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "xray:GetTraceSummaries",
    "cloudformation:DescribeStackEvents",
)


@dataclass
class Engine:
    environment: Environment
    aws: Any
    redactor: Redactor

    def clean(self, text: str) -> str:
        return self.redactor.text(text)


async def live(aws: Shop) -> Store:
    """Return what a dashboard knows after some seconds."""
    clock = FakeClock()
    store = Store(clock)
    since = START - timedelta(hours=2)
    sources = build_sources(ENVIRONMENT, aws, clock=clock, redactor=Redactor(), logs_since=since, since=since)
    supervisor = Supervisor(sources, store.apply, clock=clock, clean=str)
    supervisor.start()
    await clock.advance(20)
    await supervisor.stop()
    return store


async def past(aws: Shop) -> Store:
    """Return what a window that has ended shows."""
    clock = FakeClock()
    store = Store(FixedClock(END, clock))
    engine: Any = Engine(ENVIRONMENT, aws, Redactor())
    reading = asyncio.create_task(PastReader(engine, WINDOW, store, clock).run())
    await clock.advance(30)
    # A source that cannot be read is tried until the session stops.
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return store


WAYS = {"live": live, "past": past}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", PLACES, ids=str)
async def test_K13_one_bad_place_is_bad_and_no_other(bad: Place, way: str) -> None:
    store = await WAYS[way](Shop(bad))
    others = set(PLACES) - {bad}
    assert {(id_.name, id_.place) for id_ in store.logs.groups} == {
        (f"/aws/lambda/{name}", place) for name in NAMES for place in PLACES
    }
    assert {id_: tally.errors for id_, tally in store.logs.groups.items() if tally.errors} == {
        GroupId("/aws/lambda/orders", bad): 1
    }
    (signature,) = [row.signature for row in signature_rows(store, END, since=WINDOW.start).rows]
    assert signature.group == GroupId("/aws/lambda/orders", bad)
    assert {id_ for id_, alarm in store.release.alarms.items() if alarm.state == "ALARM"} == {
        AlarmId("orders-errors", bad)
    }
    assert next(row.place for row in alarm_rows(store)) == bad
    assert {trace.place for trace in store.traces.summaries.values() if trace.fault} == {bad}
    assert {trace.place for trace in store.traces.summaries.values()} == set(PLACES)
    depths = [series for key, series in store.metrics.series.items() if key.metric == "Depth"]
    values = {series.key.place: series.points[-1].value for series in depths}
    assert values == {bad: 9.0, **dict.fromkeys(others, 1.0)}
    if way == "live":
        phases = {id_: state.phase for id_, state in store.release.states.items()}
        failed = {id_ for id_, phase in phases.items() if phase is ReleasePhase.FAILED}
        assert failed == {FunctionId("orders", "live", bad)}
        assert len(phases) == len(ENVIRONMENT.functions)
        title = store.release.states[FunctionId("orders", "live", bad)].title
        assert title == (f"orders in {bad}" if bad else "orders")
    incidents = [row for row in changes(store, WINDOW, END).rows if row.bad and row.kind != "figure"]
    assert {(row.kind, row.place) for row in incidents} == {
        ("alarm", bad),
        ("deployment", bad),
        ("errors", bad),
        ("stack", bad),
    }
    if bad:
        named = [row.text for row in incidents if row.kind in {"alarm", "stack", "errors"}]
        assert all(f" in {bad}" in text for text in named), named
    rows = timeline(store, END).rows
    assert {row.place for row in rows if row.lane == "alarm" and "ALARM" in row.text.rpartition("→")[2]} == {bad}
    assert {row.place for row in rows if row.lane == "codedeploy"} == set(PLACES)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("broken", [HOME, PAY_EAST], ids=str)
async def test_K17_one_place_that_cannot_be_read_is_named_and_hides_no_other(
    broken: Place, call: str, way: str
) -> None:
    bad = next(place for place in reversed(PLACES) if place != broken)
    aws = Shop(bad)
    aws.fail_in(broken, call)
    store = await WAYS[way](aws)
    rest = set(PLACES) - {broken}
    seen = {
        "logs:FilterLogEvents": {id_.place for id_ in store.logs.groups},
        "lambda:GetAlias": {id_.place for id_ in store.release.states} if way == "live" else rest,
        "codedeploy:ListDeployments": {each.place for each in store.release.events if each.source == "codedeploy"},
        "cloudwatch:DescribeAlarms": {id_.place for id_ in store.release.alarms},
        "cloudwatch:GetMetricData": {key.place for key in store.metrics.series},
        "xray:GetTraceSummaries": {each.place for each in store.traces.summaries.values()},
        "cloudformation:DescribeStackEvents": {
            each.place for each in store.release.events if each.source == "cloudformation"
        },
    }
    assert rest <= seen[call]
    if call != "lambda:GetAlias":
        assert seen[call] == rest
    assert all(places == set(PLACES) for other, places in seen.items() if other not in {call, "lambda:GetAlias"})
    told = [
        sentence
        for status in store.sources.values()
        for sentence in (*status.unread, *([status.message or ""] if status.phase in UNREADABLE else []))
    ] + [status.message or "" for name, status in store.sources.items() if name == "release"]
    assert any(call in sentence for sentence in told), told
    incidents = {(row.kind, row.place) for row in changes(store, WINDOW, END).rows if row.bad and row.kind != "figure"}
    assert incidents == {(kind, bad) for kind in ("alarm", "deployment", "errors", "stack")}
