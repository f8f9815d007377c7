"""Random accounts, regions, functions, releases, alarms, metrics, pages and failures, from AWS to the verdict.

The oracle knows the truth. Nothing is shown that AWS did not return, everything that AWS returned is shown or counted,
the verdict is never green over trouble or over what was not read, and never red without trouble.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.environment import (
    AlarmTarget,
    AwsTarget,
    Environment,
    FunctionTarget,
    MetricTarget,
    ReleaseTarget,
)
from prodwatch.model.event import CheckFinished
from prodwatch.model.identity import HOME, AlarmId, FunctionId, GroupId, Place
from prodwatch.model.result import CheckResult, VerdictStatus
from prodwatch.model.signal import UNREADABLE, Level, ReleasePhase
from prodwatch.model.status import Reason, Status
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.supervisor import Supervisor
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.verdict import judge_session
from tests.support.placed_aws import EAST, PAY, PlacedAws

PLACES = (HOME, EAST, PAY, Place("pay", "us-east-1"))
HERE = SourcePosition("checks/a.toml", 1, 1)
RUNS_S = 240
MENDED_S = 60
"""Time after which a failure that ends has ended; enough is left for every pause."""
BREAKS_S = 120
CHECK_EVERY_S = 15
SEEDS = [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 100))]
FAILING = {
    "logs:FilterLogEvents": Reason.ACCESS_DENIED,
    "cloudwatch:DescribeAlarms": Reason.SERVICE,
    "cloudwatch:GetMetricData": Reason.NETWORK,
    "xray:GetTraceSummaries": Reason.ACCESS_DENIED,
    "lambda:GetAlias": Reason.ACCESS_DENIED,
    "codedeploy:ListDeployments": Reason.SERVICE,
}
EVIDENCE = FAILING.keys() - {"xray:GetTraceSummaries"}
"""Operations whose silence would look like good news."""


@dataclass
class Function:
    """One function of one place: its lines, and the deployment of its alias."""

    id: FunctionId
    deployment: str | None
    """Status; None without one."""
    lines: list[dict[str, Any]] = field(default_factory=list)
    """As FilterLogEvents returns them, with `visible_s`."""

    @property
    def group(self) -> GroupId:
        return GroupId(f"/aws/lambda/{self.id.name}", self.id.place)


@dataclass
class Truth:
    """All that exists."""

    functions: dict[FunctionId, Function]
    alarms: dict[AlarmId, str]
    depths: dict[Place, float]
    traces: dict[Place, list[dict[str, Any]]]
    failures: dict[tuple[str, Place], tuple[float, float]]
    """(operation, place) → first and last second in which it fails."""

    @property
    def trouble(self) -> bool:
        return (
            "ALARM" in self.alarms.values()
            or any(value > 5 for value in self.depths.values())
            or any(each.deployment == "Failed" for each in self.functions.values())
        )

    def fails_at_the_end(self, operation: str, place: Place) -> bool:
        return self.failures.get((operation, place), (0, 0))[1] >= RUNS_S

    @property
    def unread(self) -> set[tuple[str, Place]]:
        """Evidence that cannot be read at the end, of what exists there."""
        there = {
            "logs:FilterLogEvents": {each.place for each in self.functions},
            "lambda:GetAlias": {each.place for each in self.functions},
            "codedeploy:ListDeployments": {id_.place for id_, each in self.functions.items() if each.deployment},
            "cloudwatch:DescribeAlarms": {each.place for each in self.alarms},
            "cloudwatch:GetMetricData": {each.place for each in self.functions} | set(self.depths),
        }
        return {
            (operation, place)
            for operation, place in self.failures
            if self.fails_at_the_end(operation, place) and place in there.get(operation, ())
        }


def random_truth(dice: random.Random) -> Truth:
    places = dice.sample(PLACES, dice.randint(1, 4))
    functions: dict[FunctionId, Function] = {}
    alarms: dict[AlarmId, str] = {}
    depths: dict[Place, float] = {}
    traces: dict[Place, list[dict[str, Any]]] = {}
    is_bad = dice.random() < 0.5
    for place in places:
        for name in dice.sample(("orders", "mail", "pay"), dice.randint(1, 2)):
            statuses = (None, None, "Succeeded", "InProgress", *(["Failed"] if is_bad else []))
            found = Function(FunctionId(name, "live", place), dice.choice(statuses))
            found.lines = random_lines(dice, found)
            functions[found.id] = found
        if dice.random() < 0.8:
            for name in ("errors", "latency")[: dice.randint(1, 2)]:
                states = ("OK", "OK", *(["ALARM"] if is_bad else []))
                alarms[AlarmId(name, place)] = dice.choice(states)
        if dice.random() < 0.8:
            depths[place] = dice.choice((1.0, 1.0, 9.0 if is_bad else 2.0))
        traces[place] = random_traces(dice, place)
    failures: dict[tuple[str, Place], tuple[float, float]] = {}
    rate = dice.choice((0.0, 0.1, 0.3))
    for operation in FAILING:
        for place in places:
            if dice.random() < rate:
                failures[operation, place] = dice.choice(((0, MENDED_S), (BREAKS_S, RUNS_S + 60), (0, RUNS_S + 60)))
    return Truth(functions, alarms, depths, traces, failures)


def random_lines(dice: random.Random, function: Function) -> list[dict[str, Any]]:
    lines = []
    for number in range(dice.randrange(40)):
        at_s = START.timestamp() - 120 + dice.uniform(0, 120 + RUNS_S - 60)
        version = dice.choice(("40", "41"))
        level = dice.choice(("INFO", "INFO", "INFO", "ERROR"))
        lines.append(
            {
                "eventId": f"{function.group.key} {number}",
                "timestamp": int(at_s * 1000),
                "ingestionTime": int(at_s * 1000),
                "message": f"[{level}] {function.id.name} line {number}",
                "logStreamName": f"2026/01/15/[{version}]ab",
                "visible_s": at_s + dice.choice((0, 0, 0, 1, 20)),
            }
        )
    return sorted(lines, key=lambda each: each["timestamp"])


def random_traces(dice: random.Random, place: Place) -> list[dict[str, Any]]:
    return [
        {
            "Id": f"1-{int(START.timestamp()):08x}-{PLACES.index(place) * 1000 + number:024x}",
            "Duration": 0.1,
            "HasFault": dice.random() < 0.2,
            "StartTime": START + timedelta(seconds=dice.uniform(0, RUNS_S - 60)),
        }
        for number in range(dice.randrange(12))
    ]


class Cloud(PlacedAws):
    """An AWS of this truth, whose pages end anywhere."""

    def __init__(self, truth: Truth, dice: random.Random, clock: FakeClock) -> None:
        super().__init__()
        self.truth, self.dice, self.clock = truth, dice, clock
        self.returned: Counter[str] = Counter()
        """Ids of the lines and traces that were returned."""
        self.placed = {
            "logs:FilterLogEvents": self.lines,
            "lambda:GetAlias": self.alias,
            "lambda:GetFunctionConfiguration": lambda *_: {"CodeSha256": "", "Timeout": 3},
            "codedeploy:ListDeploymentGroups": self.groups,
            "codedeploy:ListDeployments": self.deployments,
            "codedeploy:BatchGetDeployments": self.describe,
            "codedeploy:ListDeploymentTargets": lambda *_: {"targetIds": ["t"]},
            "codedeploy:GetDeploymentTarget": self.target,
            "cloudwatch:DescribeAlarms": self.alarms,
            "cloudwatch:GetMetricData": self.metrics,
            "xray:GetTraceSummaries": self.traces,
        }

    async def call(self, service: str, operation: str, params: Any = None, **options: Any) -> dict[str, Any]:
        name, place = f"{service}:{operation}", Place(options.get("account") or "", options.get("region") or "")
        from_s, to_s = self.truth.failures.get((name, place), (1, 0))
        if from_s <= self.clock.monotonic_s() <= to_s:
            message = f"{service} {operation} in {place or 'home'} failed"
            raise AwsError(message, code="Failed", reason=FAILING[name], service=service, operation=operation)
        return await super().call(service, operation, params, **options)

    def function(self, place: Place, name: str) -> Function:
        return self.truth.functions[FunctionId(name, "live", place)]

    def cut(self, items: list[Any]) -> list[list[Any]]:
        """Cut items into pages, some of them empty, the last one too."""
        pages: list[list[Any]] = [[]] if self.dice.random() < 0.3 else []
        rest = list(items)
        while rest:
            size = self.dice.randint(1, 8)
            pages.append(rest[:size])
            rest = rest[size:]
            pages += [[]] if self.dice.random() < 0.3 else []
        return pages or [[]]

    def lines(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        function = self.function(place, params["logGroupName"].rpartition("/")[2])
        now_s = self.clock.now().timestamp()
        visible = [
            {name: value for name, value in each.items() if name != "visible_s"}
            for each in function.lines
            if each["visible_s"] <= now_s and each["timestamp"] >= params["startTime"]
        ]
        first = int(params.get("nextToken") or 0)
        size = self.dice.choice((0, 1, 5, 100))
        page = visible[first : first + size]
        self.returned.update(each["eventId"] for each in page)
        more = first + size < len(visible) or self.dice.random() < 0.2
        return {"events": page, **({"nextToken": str(first + len(page))} if more else {})}

    def alias(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        status = self.function(place, params["FunctionName"]).deployment
        if status == "InProgress":
            return {"FunctionVersion": "40", "RoutingConfig": {"AdditionalVersionWeights": {"41": 0.1}}}
        return {"FunctionVersion": "41" if status in {None, "Succeeded"} else "40"}

    def deployed(self, place: Place) -> list[Function]:
        functions = (each for id_, each in self.truth.functions.items() if id_.place == place)
        return sorted((each for each in functions if each.deployment), key=lambda each: each.id)

    def groups(self, place: Place, _params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deploymentGroups": [each.id.name for each in self.deployed(place)]}

    def deployments(self, _place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deployments": [f"d-{params['deploymentGroupName']}"]}

    def describe(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        infos = []
        for id_ in params["deploymentIds"]:
            status = self.function(place, id_.removeprefix("d-")).deployment
            began = START - timedelta(minutes=30)
            info = {"deploymentId": id_, "createTime": began, "status": status}
            infos.append(info if status == "InProgress" else {**info, "completeTime": began})
        return {"deploymentsInfo": infos}

    def target(self, _place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        function = {"functionName": params["deploymentId"].removeprefix("d-"), "functionAlias": "live"}
        versions = {"currentVersion": "40", "targetVersion": "41"}
        return {"deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": {**function, **versions}}}}

    def alarms(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            {"AlarmName": id_.name, "StateValue": state, "StateTransitionedTimestamp": START - timedelta(hours=2)}
            for id_, state in self.truth.alarms.items()
            if id_.place == place and id_.name in params["AlarmNames"]
        ]
        return {"pages": [{"MetricAlarms": page} for page in self.cut(found)]}

    def metrics(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        first_s = int(params["StartTime"].timestamp()) // 60 * 60
        stamps = [datetime.fromtimestamp(at, UTC) for at in range(first_s, int(params["EndTime"].timestamp()), 60)]
        results = []
        for each in params["MetricDataQueries"]:
            metric = each["MetricStat"]["Metric"]["MetricName"]
            value = (
                self.truth.depths[place]
                if metric == "Depth"
                else {"Invocations": 60.0, "Duration": 100.0}.get(metric, 0.0)
            )
            results.append(
                {"Id": each["Id"], "StatusCode": "Complete", "Timestamps": stamps, "Values": [value] * len(stamps)}
            )
        return {"pages": [{"MetricDataResults": page} for page in self.cut(results)]}

    def traces(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        now = self.clock.now()
        found = [each for each in self.truth.traces.get(place, ()) if params["StartTime"] <= each["StartTime"] <= now]
        self.returned.update(each["Id"] for each in found)
        return {"pages": [{"TraceSummaries": page} for page in self.cut(found)]}


def own(place: Place) -> dict[str, Any]:
    return {"account": place.account or None, "region": place.region or None}


def environment_of(truth: Truth) -> Environment:
    return Environment(
        name="t",
        title="T",
        source=SourcePosition("config/t.toml"),
        aws=AwsTarget(region="eu-west-1"),
        accounts={"pay": AwsTarget(region="eu-west-1")},
        functions=tuple(FunctionTarget(name=id_.name, alias="live", **own(id_.place)) for id_ in truth.functions),
        metrics=tuple(
            MetricTarget(name="depth", namespace="Shop", metric="Depth", expect=("value < 5",), **own(place))
            for place in truth.depths
        ),
        alarms=tuple(AlarmTarget(names=(id_.name,), **own(id_.place)) for id_ in truth.alarms),
        release=ReleaseTarget(codedeploy=("shop",)),
    )


def look(store: Store, clock: FakeClock) -> None:
    """Let the one check of the session pass."""
    result = CheckResult(
        id="a", name="a", title="a", kind="smoke", type="http", status=Status.PASS, started_at=clock.now(), source=HERE
    )
    store.apply_event(CheckFinished(result=result))


def verdict_of(store: Store, clock: FakeClock) -> VerdictStatus:
    return judge_session(store, clock.now()).decision.verdict.status


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_shown_is_what_aws_returned_and_the_verdict_follows_from_it(seed: int) -> None:
    dice = random.Random(seed)
    truth = random_truth(dice)
    clock = FakeClock()
    aws, store = Cloud(truth, dice, clock), Store(clock)
    store.define([CheckDefinition(id="a", name="a", title="a", type="http", source=HERE, every_s=30.0)])
    since = START - timedelta(minutes=5)
    sources = build_sources(
        environment_of(truth), aws, clock=clock, redactor=Redactor(), logs_since=since, since=since - timedelta(hours=1)
    )
    supervisor = Supervisor(sources, store.apply, clock=clock, clean=str)
    supervisor.start()
    for _ in range(RUNS_S // CHECK_EVERY_S):
        await clock.advance(CHECK_EVERY_S)
        look(store, clock)
        assert_never_falsely_green_or_red(truth, aws, store, clock)
    await supervisor.stop()
    assert_shown(truth, aws, store)
    assert_judged(truth, store, clock)


def assert_never_falsely_green_or_red(truth: Truth, aws: Cloud, store: Store, clock: FakeClock) -> None:
    """Hold at every moment, also while failures come and go."""
    status = verdict_of(store, clock)
    lines = Counter(record.event_id for record in store.logs.ring)
    assert set(lines) <= set(aws.returned), "a line is shown that was not returned"
    assert max(lines.values(), default=1) == 1, "a line is shown twice"
    if truth.trouble:
        assert status != "pass"
    else:
        assert status != "fail"


def assert_shown(truth: Truth, aws: Cloud, store: Store) -> None:
    """Everything returned is shown under its own identity, and everything that could be read was."""
    shown = {record.event_id: record for record in store.logs.ring}
    traces = {(summary.id, summary.place): summary for summary in store.traces.summaries.values()}
    dropped = sum(status.dropped for status in store.sources.values())
    returned = set(aws.returned)
    ids = set(shown) | {id_ for id_, _ in traces}
    assert len(returned - ids) == dropped == 0
    for function in truth.functions.values():
        unread = truth.fails_at_the_end("logs:FilterLogEvents", function.id.place)
        for each in function.lines:
            if unread and each["eventId"] not in shown:
                continue
            record = shown[each["eventId"]]
            assert GroupId(record.group, record.place) == function.group
            assert (record.version, record.timestamp_ms) == (each["logStreamName"][12:14], each["timestamp"])
            assert (record.level is Level.ERROR) is each["message"].startswith("[ERROR]")
        tally = store.logs.groups.get(function.group)
        assert (tally.lines if tally else 0) == sum(each["eventId"] in shown for each in function.lines)
    errors = Counter(GroupId(each.group, each.place) for each in shown.values() if each.level is Level.ERROR)
    counted: Counter[GroupId] = Counter()
    for signature in store.signatures.signatures.values():
        counted[signature.group] += signature.count
    assert counted == errors
    assert_traces_shown(truth, store)
    assert_signals_shown(truth, store)
    assert_releases_shown(truth, store)


def assert_traces_shown(truth: Truth, store: Store) -> None:
    traces = {(summary.id, summary.place): summary for summary in store.traces.summaries.values()}
    for place, summaries in truth.traces.items():
        if not truth.fails_at_the_end("xray:GetTraceSummaries", place):
            assert {id_ for id_, where in traces if where == place} == {each["Id"] for each in summaries}
        for each in summaries:
            assert (each["Id"], place) not in traces or traces[each["Id"], place].fault is each["HasFault"]


def assert_signals_shown(truth: Truth, store: Store) -> None:
    for alarm, state in truth.alarms.items():
        if not truth.fails_at_the_end("cloudwatch:DescribeAlarms", alarm.place):
            assert store.release.alarms[alarm].state == state
    assert store.release.alarms.keys() <= truth.alarms.keys()
    depths = {key.place: series for key, series in store.metrics.series.items() if key.metric == "Depth"}
    assert depths.keys() <= truth.depths.keys()
    for place, series in depths.items():
        assert {point.value for point in series.points} == {truth.depths[place]}


def assert_releases_shown(truth: Truth, store: Store) -> None:
    phases = {None: None, "Succeeded": ReleasePhase.SUCCEEDED, "Failed": ReleasePhase.FAILED}
    assert store.release.states.keys() <= truth.functions.keys()
    for id_, state in store.release.states.items():
        broken = {operation for operation, place in truth.failures if place == id_.place}
        status = truth.functions[id_].deployment
        if not broken & {"lambda:GetAlias", "codedeploy:ListDeployments"} and phases.get(status):
            assert state.phase is phases[status], id_


def assert_judged(truth: Truth, store: Store, clock: FakeClock) -> None:
    """At the end: what cannot be read is named, trouble that was read is red, and health is green."""
    status = verdict_of(store, clock)
    told = [
        text
        for each in store.sources.values()
        for text in (
            *each.unread,
            *([each.message or ""] if each.phase in UNREADABLE or each.source == "release" else []),
        )
    ]
    for operation, place in truth.unread:
        service, _, name = operation.partition(":")
        assert any(f"{service} {name} in {place or 'home'} failed" in text for text in told), (operation, place, told)
    seen = [
        state for id_, state in truth.alarms.items() if ("cloudwatch:DescribeAlarms", id_.place) not in truth.unread
    ]
    seen_depths = [
        value for place, value in truth.depths.items() if ("cloudwatch:GetMetricData", place) not in truth.unread
    ]
    if "ALARM" in seen or any(value > 5 for value in seen_depths):
        assert status == "fail"
    elif truth.unread:
        assert status not in {"pass", "degraded"}
    elif not truth.trouble and all(each.deployment is None for each in truth.functions.values()):
        assert status == "pass"
