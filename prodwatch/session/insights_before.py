"""Counts the errors of the hour before a release by Logs Insights where it was not read, and states the price first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from prodwatch.aws.default_account_and_region import in_place
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.usage_meter import BYTES_PER_GB, shipped_prices
from prodwatch.clock import Clock
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.identity import GroupId
from prodwatch.model.release import UNDER_WAY, present_releases
from prodwatch.model.result import Notice
from prodwatch.model.signal import ERROR_WORDS, Batch, CountedErrors, Level, ReleasePhase, ReleaseState
from prodwatch.store.store import Store
from prodwatch.text.units import format_usd
from prodwatch.views.alarm_and_error_rows import signature_groups, was_before

LOOK_EVERY_S = 10.0
BEFORE = timedelta(hours=1)
"""Time that is counted."""
INDEXED_AFTER = timedelta(minutes=2)
"""Time after the start of a release from which its lines are expected in the index of Logs Insights."""
ROWS = 10_000
"""Most different messages of one result."""
WAIT_S = 1.0
"""Pause between requests for the result."""
LONGEST_S = 300.0
"""Time after which a query is stopped."""
_PRICED = "logs:StartQuery"
_SEVERE = frozenset((Level.ERROR, Level.FATAL))
QUERY = (
    f"filter @message like /(?i)({'|'.join(ERROR_WORDS)})/"
    f" | stats count(*) as lines by @message | sort lines desc | limit {ROWS}"
)


class _Request(NamedTuple):
    """An hour of a group that was not read."""

    function: FunctionTarget
    group: GroupId
    since: datetime
    writers: tuple[GroupId, ...]


class InsightsCounts:
    """Counts the hour before each release once."""

    def __init__(self, environment: Environment, aws: AwsApi, store: Store, lines: LineParser, clock: Clock) -> None:
        """`store` gets the counts; its fingerprint groups the messages."""
        self._functions = {each.id: each for each in environment.functions}
        self._limits = environment.limits
        self._price_usd = environment.limits.prices.get(_PRICED, shipped_prices()[_PRICED].usd)
        """US dollars per GB."""
        self._aws = aws
        self._store = store
        self._lines = lines
        self._clock = clock
        self._asked: set[_Request] = set()

    async def follow(self) -> None:
        """Count for every release that needs it, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Count for the releases that need it now."""
        for request in self._requests():
            self._asked.add(request)
            try:
                await self._count(request)
            except AwsError as caught:
                self._notice(f"the hour before the release was not counted in {request.group.name}: {caught.message}")

    def _requests(self) -> Iterable[_Request]:
        now = self._clock.now()
        for release in present_releases(self._store.release.states.values(), now):
            function, since = self._functions.get(release.id), release.started_at
            is_followed = release.phase in UNDER_WAY | {ReleasePhase.SUCCEEDED} and release.version is not None
            if function is None or since is None or not is_followed or now < since + INDEXED_AFTER:
                continue
            request = _Request(function, release.group_id, since, release.writers)
            if request not in self._asked and self._has_unknown(release, since):
                yield request

    def _has_unknown(self, release: ReleaseState, since: datetime) -> bool:
        """Return whether the new version has logged an error of which the time before the release is not known."""
        return any(
            was_before(self._store, members, since) is None
            for _, members in signature_groups(self._store)
            for each in members
            if each.group in release.writers and each.by_version.get(release.version or "")
        )

    async def _count(self, request: _Request) -> None:
        aws, name = in_place(self._aws, request.group.place), request.group.name
        gb = await _ingested_gb(aws, request)
        if gb is None:
            self._notice(
                f"the hour before the release is not counted in {name}: its price is not known, because CloudWatch has"
                " no IncomingBytes of it"
            )
            return
        about = f"about {gb:.3g} GB for {format_usd(gb * self._price_usd)}"
        left_usd = self._left_usd()
        if gb * self._price_usd > left_usd:
            self._notice(
                f"the hour before the release is not counted in {name}: Logs Insights would scan {about}, and"
                f" [limits] api_cost_usd leaves {format_usd(left_usd)}"
            )
            return
        self._notice(f"Logs Insights counts the errors in {name} in the hour before the release: it scans {about}")
        started = await aws.call(
            "logs",
            "StartQuery",
            {
                "logGroupName": name,
                "startTime": int((request.since - BEFORE).timestamp()),
                # Both ends are inclusive, in seconds.
                "endTime": int(request.since.timestamp()) - 1,
                "queryString": QUERY,
                "limit": ROWS,
            },
        )
        result = await self._result(aws, {"queryId": started["queryId"]}, left_usd)
        if result.get("status") != "Complete":
            self._notice(f"the hour before the release was not counted in {name}: the query {result.get('status')}")
            return
        self._file(request, [each["value"] for row in result["results"] for each in row if each["field"] == "@message"])

    async def _result(self, aws: AwsApi, query: dict[str, str], left_usd: float) -> dict[str, Any]:
        """Return the result of a query that has ended; one that scans or takes too much is stopped."""
        until_s = self._clock.monotonic_s() + LONGEST_S
        while True:
            result = await aws.call("logs", "GetQueryResults", query)
            if result.get("status") not in {"Scheduled", "Running"}:
                return result
            scanned_gb = float((result.get("statistics") or {}).get("bytesScanned") or 0) / BYTES_PER_GB
            is_dear = scanned_gb * self._price_usd > left_usd
            if is_dear or self._clock.monotonic_s() >= until_s:
                await aws.call("logs", "StopQuery", query)
                return {
                    "status": "was stopped: " + ("it scanned more than it may cost" if is_dear else "it took too long")
                }
            await self._clock.sleep(WAIT_S)

    def _left_usd(self) -> float:
        limit_usd = self._limits.api_cost_usd
        return float("inf") if limit_usd is None else max(0.0, limit_usd - self._aws.usage().cost_usd)

    def _file(self, request: _Request, messages: list[str]) -> None:
        at_ms = int(request.since.timestamp() * 1000) - 1
        records = [
            replace(self._lines.parse(each, group=request.group.name, timestamp_ms=at_ms), place=request.group.place)
            for each in messages
        ]
        fingerprint = self._store.signatures.fingerprint
        signatures = {(each.writer, fingerprint(each)) for each in records if each.level in _SEVERE}
        counted = CountedErrors(
            writers=request.writers,
            until=request.since,
            signatures=tuple(sorted(signatures)),
            complete=len(messages) < ROWS,
        )
        self._store.apply(Batch(source="insights", records=(counted,)))

    def _notice(self, message: str) -> None:
        self._store.notice(Notice(code="insights", message=message))


async def _ingested_gb(aws: AwsApi, request: _Request) -> float | None:
    """Return the size of the hour, which is what a query of it scans; None when it is not known. Raises AwsError."""
    metric = {
        "Namespace": "AWS/Logs",
        "MetricName": "IncomingBytes",
        "Dimensions": [{"Name": "LogGroupName", "Value": request.group.name}],
    }
    params = {
        "MetricDataQueries": [{"Id": "bytes", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}],
        "StartTime": (request.since - BEFORE).replace(second=0, microsecond=0),
        "EndTime": request.since,
    }
    response = await aws.call("cloudwatch", "GetMetricData", params)
    values = [float(value) for each in response.get("MetricDataResults") or () for value in each["Values"]]
    return sum(values) / BYTES_PER_GB if values else None
