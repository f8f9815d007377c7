"""An AWS that still has a release of some hours ago: deployments, lines, metrics and alarms, from one seed."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import AlarmTarget, FunctionTarget, ReleaseTarget
from prodwatch.model.result import RunResult, Usage
from prodwatch.model.status import Reason
from prodwatch.session.past_gate import PastGateOptions, in_window, judge_past
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor
from prodwatch.views.time_window import Window

SHIFT = START - timedelta(hours=2)
FROM, TO = SHIFT - timedelta(minutes=1), SHIFT + timedelta(minutes=8)
OLD, NEW = "41", "42"
REQUESTS_S = 8
ALARM = "pay errors"
BadShare = Callable[[str, float], float]
"""Version and seconds since the shift → share of requests that fail."""


def steady(_version: str, _at_s: float) -> float:
    """Fail two requests of a thousand, whichever version serves."""
    return 0.002


Request = tuple[int, str, bool, float]
"""Time in ms, version, whether it failed, and duration in ms."""


@cache
def _requests(bad: BadShare) -> tuple[Request, ...]:
    dice = random.Random(11)
    requests: list[Request] = []
    for at_s in range(int((FROM - timedelta(minutes=4)).timestamp()), int(TO.timestamp()) + 60):
        since_s = at_s - SHIFT.timestamp()
        for _ in range(REQUESTS_S):
            version = NEW if since_s >= 0 and dice.random() < 0.5 else OLD
            failed = dice.random() < bad(version, since_s)
            requests.append((at_s * 1000 + dice.randrange(1000), version, failed, dice.gauss(200, 20)))
    return tuple(sorted(requests))


@cache
def _events(bad: BadShare) -> tuple[dict[str, Any], ...]:
    events = []
    for number, (at_ms, version, failed, duration_ms) in enumerate(_requests(bad)):
        record = {
            "requestId": f"00000000-0000-4000-8000-{number:012x}",
            "status": "error" if failed else "success",
            "metrics": {"durationMs": duration_ms, "billedDurationMs": 300, "memorySizeMB": 128},
        }
        time = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
        message = json.dumps({"time": time, "type": "platform.report", "record": record})
        stream = f"2026/01/01/[{version}]{number % 4:032x}"
        events.append({"timestamp": at_ms, "message": message, "eventId": str(number), "logStreamName": stream})
    return tuple(events)


class PastAws(ScriptedAws):
    """What AWS has of a release that shifted half of the traffic at `SHIFT`."""

    def __init__(self, bad: BadShare = steady) -> None:
        super().__init__()
        self.paid_usd = 0.0
        self.status = "InProgress"
        self.ended_at: datetime | None = None
        self.fired: list[tuple[datetime, str, str]] = []
        """Changes of the alarm: when, from, to."""
        self._bad = bad
        self.requests = _requests(bad)
        self.answers = {
            "codedeploy:ListDeploymentGroups": lambda _: {"deploymentGroups": ["pay"]},
            "codedeploy:ListDeployments": lambda _: {"deployments": ["d-1"]},
            "codedeploy:BatchGetDeployments": lambda _: {"deploymentsInfo": [self.deployment()]},
            "codedeploy:ListDeploymentTargets": lambda _: {"targetIds": ["t-1"]},
            "codedeploy:GetDeploymentTarget": lambda _: {"deploymentTarget": {"lambdaTarget": self.target()}},
            "codedeploy:GetDeploymentConfig": lambda _: {"deploymentConfigInfo": ROUTING},
            "codedeploy:GetDeploymentGroup": lambda _: {"deploymentGroupInfo": {}},
            "lambda:GetFunctionConfiguration": lambda params: {
                "CodeSha256": f"{int(params.get('Qualifier', 0)):064x}",
                "Timeout": 3,
            },
            "logs:FilterLogEvents": self.lines,
            "cloudwatch:GetMetricData": self.points,
            "cloudwatch:DescribeAlarms": lambda _: {"MetricAlarms": [self.alarm()]},
            "cloudwatch:DescribeAlarmHistory": self.history,
        }

    def usage(self) -> Usage:
        """Return what was paid so far."""
        return Usage(cost_usd=self.paid_usd)

    def deny(self, name: str) -> None:
        """Refuse an operation from now on."""
        service, _, operation = name.partition(":")
        self.failing[name] = AwsError(
            f"{name} is denied",
            code="AccessDeniedException",
            reason=Reason.ACCESS_DENIED,
            service=service,
            operation=operation,
        )

    def paid(self) -> int:
        """Return how many calls cost money."""
        return sum(name.startswith("cloudwatch:") for name, _ in self.calls)

    def deployment(self) -> dict[str, Any]:
        """Return the deployment as CodeDeploy describes it now."""
        ended = {"completeTime": self.ended_at} if self.ended_at is not None else {}
        return {
            "deploymentId": "d-1",
            "createTime": SHIFT - timedelta(seconds=20),
            "status": self.status,
            "deploymentConfigName": "half",
            "applicationName": "shop",
            "deploymentGroupName": "pay",
            **ended,
        }

    def target(self) -> dict[str, Any]:
        """Return the deployment of the function."""
        ended = {"endTime": self.ended_at, "status": self.status} if self.ended_at is not None else {}
        return {
            "lambdaFunctionInfo": {
                "functionName": "pay",
                "functionAlias": "live",
                "currentVersion": OLD,
                "targetVersion": NEW,
            },
            "lifecycleEvents": [
                {"lifecycleEventName": "AllowTraffic", "status": "InProgress", "startTime": SHIFT, **ended}
            ],
        }

    def lines(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return one report per request."""
        return {
            "events": [
                each for each in _events(self._bad) if params["startTime"] <= each["timestamp"] <= params["endTime"]
            ]
        }

    def points(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return Lambda's counts per minute."""
        counts: dict[str | None, Counter[int]] = {None: Counter(), OLD: Counter(), NEW: Counter()}
        errors: dict[str | None, Counter[int]] = {None: Counter(), OLD: Counter(), NEW: Counter()}
        for at_ms, version, failed, _ in self.requests:
            minute = at_ms // 60_000 * 60
            for each in (None, version):
                counts[each][minute] += 1
                errors[each][minute] += failed
        results = []
        for query in params["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            key: str | None = next((d["Value"] for d in metric["Dimensions"] if d["Name"] == "ExecutedVersion"), None)
            source = {"Invocations": counts, "Errors": errors}.get(metric["MetricName"], {}).get(key, Counter())
            inside = [
                at for at in sorted(source) if params["StartTime"].timestamp() <= at < params["EndTime"].timestamp()
            ]
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [datetime.fromtimestamp(at, UTC) for at in inside],
                    "Values": [float(source[at]) for at in inside],
                }
            )
        return {"MetricDataResults": results}

    def alarm(self) -> dict[str, Any]:
        """Return the alarm as it is now."""
        at, _, state = self.fired[-1] if self.fired else (START - timedelta(days=9), "", "OK")
        return {"AlarmName": ALARM, "StateValue": state, "StateTransitionedTimestamp": at, "StateReason": "r"}

    def history(self, _params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the changes of the alarm."""
        return {
            "AlarmHistoryItems": [
                {"Timestamp": at, "HistorySummary": f"Alarm updated from {before} to {after}", "HistoryData": "{}"}
                for at, before, after in self.fired
            ]
        }


ROUTING = {
    "trafficRoutingConfig": {
        "type": "TimeBasedCanary",
        "timeBasedCanary": {"canaryPercentage": 50, "canaryInterval": 60},
    }
}


class PastWorld:
    """A gate over the window from `FROM` to `TO`, hours later."""

    def __init__(self, aws: PastAws, **keys: Any) -> None:
        """`keys` are those of the environment."""
        self.aws = aws
        self.clock = FakeClock(START, auto=True)
        self.environment = environment(
            **{
                "functions": (FunctionTarget(name="pay", alias="live", log_group="/aws/lambda/pay"),),
                "alarms": (AlarmTarget(names=(ALARM,)),),
                "release": ReleaseTarget(codedeploy=("shop",)),
                **keys,
            }
        )
        self.said: list[str] = []

    async def judge(self, start: datetime = FROM, end: datetime = TO, **options: Any) -> RunResult:
        """Return the result of the gate."""
        engine: Any = SimpleNamespace(
            environment=self.environment,
            aws=self.aws,
            redactor=Redactor(),
            clock=self.clock,
            clean=str,
            project=SimpleNamespace(notices=()),
        )
        window = Window(start=start, end=end)
        gate = await judge_past(engine, window, self.clock, PastGateOptions(**options), say=self.said.append)
        return in_window(gate.result("past"), window)
