"""`placebo` on a scripted CloudWatch: what is left out, what a part that is missing does, and what is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.cli.commands.placebo import exit_code_of, lines
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.judge.comparison.random_counts import binomial
from prodwatch.model.environment import Compare, FunctionTarget, Limits, ReleaseTarget, Rounds
from prodwatch.model.result import Usage
from prodwatch.model.status import Reason
from prodwatch.session.placebo import WEEK_PERIOD_S, PlaceboDocument, placebo, toml_lines
from prodwatch.settings.set_values import with_values
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor

HOURS = 3
RATE = 600
END = START - timedelta(minutes=5)
INCIDENT = END - timedelta(minutes=90)
PUBLISHED = START - timedelta(days=20)


class Cloud(ScriptedAws):
    """Hours of one function, with an incident at `INCIDENT`, and the same time a week before."""

    def __init__(self, *, incident: float = 0.002) -> None:
        super().__init__()
        self.incident = incident
        self.deployed: list[datetime] = []
        self.status = "Complete"
        self.answers = {
            "cloudwatch:GetMetricData": self.points,
            "codedeploy:ListDeploymentGroups": lambda _: {"deploymentGroups": ["pay"]},
            "codedeploy:ListDeployments": lambda _: {"deployments": [f"d-{n}" for n in range(len(self.deployed))]},
            "codedeploy:BatchGetDeployments": lambda params: {
                "deploymentsInfo": [
                    {"deploymentId": each, "createTime": at, "status": "Succeeded", "completeTime": at}
                    for each in params["deploymentIds"]
                    for at in (self.deployed[int(each[2:])],)
                ]
            },
            "codedeploy:ListDeploymentTargets": lambda _: {"targetIds": ["t"]},
            "codedeploy:GetDeploymentTarget": lambda _: {
                "deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": {"functionName": "pay"}}}
            },
            "lambda:GetAlias": lambda _: {"FunctionVersion": "41"},
            "lambda:GetFunctionConfiguration": lambda _: {"LastModified": PUBLISHED.isoformat()},
        }

    def usage(self) -> Usage:
        """Return nothing spent."""
        return Usage()

    def points(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the points of every series asked for."""
        results = []
        for query in params["MetricDataQueries"]:
            stat = query["MetricStat"]
            values = self.values(stat["Metric"]["MetricName"], stat["Stat"], stat["Period"])
            inside = {at: v for at, v in values.items() if params["StartTime"] <= at < params["EndTime"]}
            results.append(
                {"Id": query["Id"], "StatusCode": self.status, "Timestamps": [*inside], "Values": [*inside.values()]}
            )
        return {"MetricDataResults": results}

    def values(self, metric: str, stat: str, period_s: int) -> dict[datetime, float]:
        """Return one series over both spans."""
        random = Random(metric + stat)
        found: dict[datetime, float] = {}
        for week in (timedelta(weeks=1), timedelta()):
            for each in range(HOURS * 60 + 60):
                at = END - week - timedelta(hours=HOURS) + timedelta(minutes=each)
                if period_s == WEEK_PERIOD_S:
                    at = datetime.fromtimestamp(at.timestamp() // period_s * period_s, UTC)
                found[at] = found.get(at, 0.0) + self.value(metric, stat, at, random)
        return found

    def value(self, metric: str, stat: str, at: datetime, random: Random) -> float:
        """Return the value of one minute."""
        if metric == "Invocations":
            return RATE
        if metric == "Errors":
            share = self.incident if INCIDENT <= at < INCIDENT + timedelta(minutes=15) else 0.002
            return float(binomial(random, RATE, share))
        limit = re.match(r"TC\((.*):\)", stat)
        if limit is None:
            return {"p50": 200.0, "p95": 400.0, "p99": 600.0}[stat]
        return RATE * (0.5 if float(limit[1]) <= 200 else 0.05 if float(limit[1]) <= 400 else 0.005)


class World:
    """One environment and what was said about it."""

    def __init__(self, aws: Cloud, **keys: Any) -> None:
        self.aws = aws
        self.said: list[str] = []
        self.environment = environment(
            **{
                "functions": (FunctionTarget(name="pay", alias="live"),),
                "release": ReleaseTarget(codedeploy=("shop",)),
                "rounds": Rounds(bake_s=900),
                **keys,
            }
        )

    async def measure(self, **options: Any) -> PlaceboDocument:
        engine: Any = SimpleNamespace(
            environment=self.environment, aws=self.aws, redactor=Redactor(), clean=str, project=None
        )
        values = {"days": HOURS / 24, "weight": 0.1, "seed": 42, "say": self.said.append, **options}
        return await placebo(engine, FakeClock(START, auto=True), **values)


async def test_quiet_hours_never_fail_and_the_bound_is_3_of_n() -> None:
    world = World(Cloud())
    document = await world.measure()
    (pay,) = document.functions
    assert pay.before_after.failed == pay.errors.failed == pay.latency.failed == 0
    cuts = pay.before_after.cuts
    assert cuts >= 10
    assert pay.before_after.at_most == 3 / cuts
    assert not document.thresholds.changed
    assert world.said == ["reading 0.125 days costs about $0.00025 for 25 metric series"]
    text = "\n".join(lines(document))
    assert f"would have failed 0 of {cuts} (at most {300 / cuts:.1f} % at 95 %)" in text
    assert "The present thresholds:" in text


async def test_an_incident_is_one_failure_of_before_and_after_and_names_its_time() -> None:
    document = await World(Cloud(incident=0.05)).measure()
    (pay,) = document.functions
    assert pay.before_after.failed == 1
    assert pay.before_after.failed_at == (INCIDENT,)
    assert pay.before_after.at_most is None
    assert pay.errors.failed == 0
    assert document.thresholds.changed
    assert exit_code_of(document) == 0
    assert "The least loosened thresholds that never failed:" in lines(document)
    looser = msgspec.structs.replace(Compare(), errors=document.thresholds.errors)
    again = await World(Cloud(incident=0.05), compare=looser).measure()
    assert again.functions[0].before_after.failed == 0


async def test_cuts_near_a_release_are_left_out() -> None:
    aws = Cloud(incident=0.05)
    quiet = await World(aws).measure()
    aws.deployed = [INCIDENT]
    deployed = await World(aws).measure()
    known = await World(Cloud(incident=0.05)).measure(known_releases=[INCIDENT])
    for document in (deployed, known):
        (pay,) = document.functions
        # The hour before each cut and its bake must be free of it.
        assert document.left_out == 6
        assert pay.before_after.cuts == quiet.functions[0].before_after.cuts - 6
        assert pay.before_after.failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "cloudwatch:GetMetricData",
        "codedeploy:ListDeployments",
        "codedeploy:GetDeploymentTarget",
        "lambda:GetAlias",
        "lambda:GetFunctionConfiguration",
    ],
)
async def test_what_cannot_be_read_is_an_error(name: str) -> None:
    aws = Cloud()
    aws.deployed = [INCIDENT]
    service, _, operation = name.partition(":")
    denied = AwsError(f"{name} is denied", code="x", reason=Reason.ACCESS_DENIED, service=service, operation=operation)
    aws.failing[name] = denied
    with pytest.raises(CannotVerifyError, match=re.escape(name)):
        await World(aws).measure()


async def test_points_in_part_are_an_error() -> None:
    aws = Cloud()
    aws.status = "PartialData"
    with pytest.raises(CannotVerifyError, match="did not return all of Invocations Sum"):
        await World(aws).measure()


async def test_a_price_over_the_limit_is_not_paid() -> None:
    world = World(Cloud(), limits=Limits(api_cost_usd=0.0001))
    with pytest.raises(CannotVerifyError, match=re.escape("costs about $0.00025 for 25 metric series")):
        await world.measure()
    assert world.aws.calls == []


async def test_a_placebo_needs_a_function_and_thresholds() -> None:
    with pytest.raises(ConfigurationError, match="no \\[\\[function\\]\\]"):
        await World(Cloud(), functions=()).measure()
    with pytest.raises(ConfigurationError, match="errors = false"):
        await World(Cloud(), compare=Compare(errors=None)).measure()


async def test_the_lines_to_paste_are_the_thresholds() -> None:
    document = await World(Cloud()).measure()
    found = toml_lines(document.thresholds)
    assert found["errors"] == (
        'errors  = { ratio = 2.0, difference = "0.5%", always = "2%", min_bad = 3, false_alarms = "0.1%" }'
    )
    assert found["latency"] == 'latency = { ratio = 1.1, shift = "20ms", false_alarms = "1%" }'
    assert with_values(environment(), ["compare.errors.always=2%"]).compare.errors == document.thresholds.errors


async def test_a_past_without_a_cut_is_inconclusive_and_says_so() -> None:
    document = await World(Cloud()).measure(
        known_releases=[END - timedelta(minutes=each) for each in range(0, 400, 30)]
    )
    assert exit_code_of(document) == 4
    text = list(lines(document))
    assert text[-1] == "Nothing was measured: no cut with requests and without a release."
    assert "  before/after               not measured" in text


async def test_less_than_was_asked_for_is_said() -> None:
    (first, *_) = lines(await World(Cloud()).measure(days=14.0))
    assert "of one-minute points, because no more of the 14.0 days is there, from" in first
