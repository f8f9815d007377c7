"""A CloudWatch that holds the minutes of Lambda functions and answers each series as well or badly as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.model.signal import MetricKey
from prodwatch.model.status import Reason
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock

Where = tuple[str | None, str | None]
"""Account and region."""
Answer = Callable[[MetricKey], str]
"""Series → `Complete`, `InternalError`, `Forbidden`, `PartialData` or `left out`."""
LATE_S = 60.0
"""Seconds after a minute's end at which CloudWatch has its point."""


class MetricWorld(ScriptedAws):
    """GetMetricData over minutes that the test puts; a point exists only where it put one."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.points: dict[tuple[Where, MetricKey], dict[int, float]] = {}
        self.answer: Answer = lambda _key: "Complete"
        self.down: set[Where] = set()
        """Accounts and regions that refuse every call."""
        self.page_size = 500

    def put(
        self,
        metric: str,
        stat: str,
        minutes: Mapping[int, float],
        *,
        function: str = "pay",
        alias: str = "live",
        version: str | None = None,
        where: Where = (None, None),
    ) -> None:
        """Put the points of one series; minutes count from the Unix epoch."""
        dimensions: tuple[tuple[str, str], ...] = (("FunctionName", function), ("Resource", f"{function}:{alias}"))
        if version is not None:
            dimensions = (*dimensions, ("ExecutedVersion", version))
        key = MetricKey("AWS/Lambda", metric, dimensions, stat)
        self.points.setdefault((where, key), {}).update({minute * 60: value for minute, value in minutes.items()})

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the pages of GetMetricData."""
        where = (more.get("account"), more.get("region"))
        if where in self.down:
            raise AwsError(
                "denied", code="AccessDenied", reason=Reason.ACCESS_DENIED, service=service, operation=operation
            )
        query = dict(params or {})
        results = [
            result
            for asked in query["MetricDataQueries"]
            if (result := self._result(where, asked, query["StartTime"], query["EndTime"])) is not None
        ]
        for start in range(0, max(1, len(results)), self.page_size):
            yield {"MetricDataResults": results[start : start + self.page_size]}

    def _result(self, where: Where, asked: Mapping[str, Any], start: datetime, end: datetime) -> dict[str, Any] | None:
        of = asked["MetricStat"]
        dimensions = tuple((each["Name"], each["Value"]) for each in of["Metric"]["Dimensions"])
        key = MetricKey(of["Metric"]["Namespace"], of["Metric"]["MetricName"], dimensions, of["Stat"])
        status = self.answer(key)
        if status == "left out":
            return None
        visible_s = self.clock.now().timestamp() - 60 - LATE_S
        points = [
            (at, value)
            for at, value in sorted(self.points.get((where, key), {}).items())
            if start.timestamp() <= at < end.timestamp() and at <= visible_s
        ]
        if status in {"InternalError", "Forbidden"}:
            points = []
        elif status == "PartialData":
            points = points[: len(points) // 2]
        return {
            "Id": asked["Id"],
            "StatusCode": status,
            "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
            "Values": [value for _, value in points],
        }
