"""The hour before a release that was not read is counted by Logs Insights, after its price is stated, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import AwsTarget, Compare, FunctionTarget, Limits
from prodwatch.model.identity import GroupId
from prodwatch.model.result import Usage
from prodwatch.model.signal import (
    Batch,
    CountedErrors,
    Level,
    LogRecord,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Reason
from prodwatch.session.insights_before import INDEXED_AFTER, LONGEST_S, QUERY, ROWS, InsightsCounts
from prodwatch.store.store import Store
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.views.alarm_and_error_rows import signature_groups, was_before

GROUP = GroupId("/aws/lambda/pay")
RELEASE = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
)
TENANT, STOCK = "KeyError: 'tenant'", "StockError: 'shoe'"


class PaidAws(ScriptedAws):
    def __init__(self) -> None:
        super().__init__()
        self.spent_usd = 0.0

    def usage(self) -> Usage:
        return Usage(cost_usd=self.spent_usd)


class World:
    """A release whose time before was not read, and Logs Insights with its counts."""

    def __init__(self, *before: str, read_from_s: float = 0.0, gb: float = 1.2, limit_usd: float | None = None) -> None:
        self.clock = FakeClock(START + INDEXED_AFTER, auto=True)
        self.store = Store(self.clock)
        self.aws = PaidAws()
        self.aws.answers = {
            "cloudwatch:GetMetricData": lambda _: {"MetricDataResults": [{"Values": [gb * 1e9 / 2] * 2}]},
            "logs:StartQuery": lambda _: {"queryId": "q-1"},
            "logs:GetQueryResults": self.results,
        }
        self.statuses = ["Scheduled", "Running", "Complete"]
        self.scanned = 0.0
        self.before = before
        limits = Limits(api_cost_usd=limit_usd)
        functions = (FunctionTarget(name="pay", alias="live"),)
        self.counts = InsightsCounts(
            environment(functions=functions, limits=limits, compare=Compare(insights=True)),
            self.aws,
            self.store,
            LineParser(),
            self.clock,
        )
        self.store.apply(Batch(source="release", records=(RELEASE,)))
        read_from = START + timedelta(seconds=read_from_s)
        name = f"logs:{GROUP.key}"
        status = SourceStatus(source=name, phase=SourcePhase.LIVE, read_from=read_from, fresh_at=self.clock.now())
        self.store.apply(Batch(source=name, status=status))

    def results(self, _params: Mapping[str, Any]) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        rows = [
            [{"field": "@message", "value": f"[ERROR] {each}"}, {"field": "lines", "value": "3"}]
            for each in self.before
        ]
        results = rows if status == "Complete" else []
        return {"status": status, "results": results, "statistics": {"bytesScanned": self.scanned}}

    def log(self, message: str, version: str = "42") -> None:
        line = LineParser().parse(
            f"[ERROR] {message}", group=GROUP.name, timestamp_ms=int(START.timestamp() * 1000) + 5000
        )
        self.store.apply(Batch(source=f"logs:{GROUP.key}", records=(replace(line, version=version),)))

    def known(self) -> dict[str, bool | None]:
        """Return for each error whether it was logged before the release."""
        return {
            members[0].sample: was_before(self.store, members, START) for _, members in signature_groups(self.store)
        }

    def called(self, operation: str) -> int:
        return [name for name, _ in self.aws.calls].count(operation)

    @property
    def notices(self) -> list[str]:
        return [each.message for each in self.store.notices if each.code == "insights"]


async def test_an_error_of_the_hour_before_is_known_and_another_one_is_new() -> None:
    world = World(STOCK)
    world.log(TENANT)
    world.log(STOCK)
    assert world.known() == {TENANT: None, STOCK: None}
    await world.counts.look()
    assert world.known() == {TENANT: False, STOCK: True}
    ((_, started),) = [each for each in world.aws.calls if each[0] == "logs:StartQuery"]
    assert started == {
        "logGroupName": GROUP.name,
        "startTime": int(START.timestamp()) - 3600,
        "endTime": int(START.timestamp()) - 1,
        "queryString": QUERY,
        "limit": ROWS,
    }


async def test_the_price_is_stated_before_the_query() -> None:
    world = World(STOCK)
    world.log(TENANT)
    seen: list[str] = []

    def start(_params: Mapping[str, Any]) -> dict[str, Any]:
        seen.extend(world.notices)
        return {"queryId": "q-1"}

    world.aws.answers["logs:StartQuery"] = start
    await world.counts.look()
    (stated,) = seen
    assert stated == (
        "Logs Insights counts the errors in /aws/lambda/pay in the hour before the release: it scans about 1.2 GB for"
        " $0.006"
    )


async def test_each_release_is_counted_once() -> None:
    world = World()
    world.log(TENANT)
    await world.counts.look()
    await world.counts.look()
    assert world.called("logs:StartQuery") == 1


@pytest.mark.parametrize(
    ("read_from_s", "version", "minutes"),
    [
        pytest.param(-600, "42", 2, id="the time before was read"),
        pytest.param(0, "41", 2, id="the new version logged no error"),
        pytest.param(0, "42", 1, id="the lines may not be indexed yet"),
    ],
)
async def test_nothing_is_counted_that_need_not_be(read_from_s: float, version: str, minutes: int) -> None:
    world = World(read_from_s=read_from_s)
    world.clock = FakeClock(START + timedelta(minutes=minutes))
    world.counts._clock = world.clock
    world.log(TENANT, version)
    await world.counts.look()
    assert world.aws.calls == []


async def test_a_query_that_would_exceed_the_limit_is_not_started() -> None:
    world = World(gb=100, limit_usd=0.4)
    world.aws.spent_usd = 0.1
    world.log(TENANT)
    await world.counts.look()
    assert world.called("logs:StartQuery") == 0
    (refused,) = world.notices
    assert refused == (
        "the hour before the release is not counted in /aws/lambda/pay: Logs Insights would scan about 100 GB for"
        " $0.50, and [limits] api_cost_usd leaves $0.30"
    )
    assert world.known() == {TENANT: None}


async def test_an_hour_whose_price_is_not_known_is_not_counted() -> None:
    world = World(STOCK)
    world.aws.answers["cloudwatch:GetMetricData"] = lambda _: {"MetricDataResults": [{"Values": []}]}
    world.log(TENANT)
    await world.counts.look()
    assert world.called("logs:StartQuery") == 0
    assert world.notices[-1].endswith("its price is not known, because CloudWatch has no IncomingBytes of it")


async def test_a_query_that_scans_more_than_it_may_cost_is_stopped() -> None:
    world = World(STOCK, limit_usd=0.4)
    world.statuses, world.scanned = ["Running"], 100e9
    world.log(TENANT)
    await world.counts.look()
    assert world.called("logs:StopQuery") == 1
    assert world.notices[-1].endswith("the query was stopped: it scanned more than it may cost")
    assert world.known() == {TENANT: None}


async def test_a_query_that_does_not_end_is_stopped() -> None:
    world = World(STOCK)
    world.statuses = ["Running"]
    world.log(TENANT)
    await world.counts.look()
    assert world.clock.monotonic_s() >= LONGEST_S
    assert world.notices[-1].endswith("the query was stopped: it took too long")


@pytest.mark.parametrize("operation", ["cloudwatch:GetMetricData", "logs:StartQuery", "logs:GetQueryResults"])
async def test_what_aws_refuses_stays_unknown(operation: str) -> None:
    world = World(STOCK)
    world.aws.fail(operation, Reason.ACCESS_DENIED)
    world.log(TENANT)
    await world.counts.look()
    assert world.notices[-1] == f"the hour before the release was not counted in {GROUP.name}: {operation} failed"
    assert world.known() == {TENANT: None}


async def test_a_failed_query_counts_nothing() -> None:
    world = World(STOCK)
    world.statuses = ["Failed"]
    world.log(TENANT)
    await world.counts.look()
    assert world.notices[-1] == f"the hour before the release was not counted in {GROUP.name}: the query Failed"
    assert world.known() == {TENANT: None}


async def test_with_more_messages_than_one_result_holds_an_absent_error_stays_unknown() -> None:
    world = World(*(f"failed {number}" for number in range(ROWS - 1)), STOCK)
    world.log(TENANT)
    world.log(STOCK)
    await world.counts.look()
    assert world.known() == {TENANT: None, STOCK: True}


async def test_over_the_embedded_aws_the_scanned_bytes_are_in_the_cost() -> None:
    world = World()
    async with embedded_aws(wall=lambda: world.clock.now().timestamp()) as (server, url):
        at_ms = int((START - timedelta(minutes=30)).timestamp() * 1000)
        lines = [f"[ERROR] {STOCK}", "[INFO] sold", f"[ERROR] {STOCK}"]
        server.logs.put(GROUP.name, "s", [(at_ms + number, each) for number, each in enumerate(lines)])
        server.metrics.put("AWS/Logs", "IncomingBytes", {"LogGroupName": GROUP.name}, at_ms // 60_000 * 60, [2e9])
        functions = (FunctionTarget(name="pay", alias="live"),)
        target = AwsTarget(region="eu-west-1", endpoint_url=url)
        prices = Limits(prices={"logs:StartQuery": 1000.0})
        project = environment(functions=functions, aws=target, limits=prices)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        async with Aws(project, keys, SystemClock(), jitter=lambda: 0.0) as aws:
            world.counts = InsightsCounts(project, aws, world.store, LineParser(), world.clock)
            world.log(STOCK)
            world.log(TENANT)
            await world.counts.look()
            scanned = sum(map(len, lines))
            assert aws.usage().cost_usd == pytest.approx(1000 * scanned / 1e9 + 0.00001)
    assert world.notices[0].endswith("it scans about 2 GB for $2,000.00")
    assert world.known() == {TENANT: False, STOCK: True}


def counted(*shapes: str) -> CountedErrors:
    signatures = tuple((GROUP, each) for each in shapes)
    return CountedErrors(writers=(GROUP,), until=START, signatures=signatures, complete=True)


def test_an_error_without_any_of_the_counted_words_stays_unknown() -> None:
    world = World()
    line = LogRecord(int(START.timestamp() * 1000) + 1, "no stock", GROUP.name, level=Level.ERROR, version="42")
    world.store.apply(Batch(source=f"logs:{GROUP.key}", records=(line,)))
    world.store.apply(Batch(source="insights", records=(counted(),)))
    assert world.known() == {"no stock": None}


def test_the_counts_of_another_release_say_nothing() -> None:
    world = World()
    world.log(TENANT)
    world.store.apply(Batch(source="insights", records=(replace(counted(), until=START - timedelta(hours=2)),)))
    assert world.known() == {TENANT: None}


def test_an_error_that_shares_a_group_with_a_counted_one_is_known() -> None:
    world = World()
    shapes = [f"cannot read table error node_{name} / x of shop" for name in "abc"]
    world.log("cannot read table error node_d/x of shop")
    (key,) = world.store.signatures.signatures
    similar = [key[1].replace("node_d", f"node_{name}") for name in "abcefghij"]
    assert key[1] not in shapes
    world.store.apply(Batch(source="insights", records=(counted(*similar),)))
    assert set(world.known().values()) == {True}


def test_counts_are_part_of_the_state() -> None:
    world = World()
    world.log(TENANT)
    world.store.apply(Batch(source="insights", records=(counted(),)))
    restored = Store(world.clock)
    restored.restore(world.store.state(), ())
    assert restored.signatures.counted == (counted(),)
    members = next(members for _, members in signature_groups(restored))
    assert was_before(restored, members, START) is False
