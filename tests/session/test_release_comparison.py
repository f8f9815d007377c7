"""The versions of every release of a session are compared as their requests are read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Rule
from prodwatch.model.check import SourcePosition
from prodwatch.model.comparison import ComparisonResult
from prodwatch.model.environment import Compare, Environment, FunctionTarget, KnownSignature
from prodwatch.model.event import CheckFinished
from prodwatch.model.identity import HOME, Place
from prodwatch.model.result import CheckResult
from prodwatch.model.signal import (
    Batch,
    LambdaReport,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Status
from prodwatch.session.last_week import LOOK_EVERY_S, follow_last_week, read_last_week
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.views.verdict_facts import session_facts
from tests.support.metric_world import MetricWorld
from tests.support.verdict_facts import check

START = datetime(2026, 1, 15, 11, 50, tzinfo=UTC)
GROUP = "/aws/lambda/pay"
ALIAS = (("FunctionName", "pay"), ("Resource", "pay:live"))
MOVING = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
)


PAY = FunctionTarget(name="pay", alias="live")


def passed() -> CheckResult:
    return CheckResult(
        id="a/one",
        name="one",
        title="one",
        kind="smoke",
        type="http",
        status=Status.PASS,
        started_at=START,
        source=SourcePosition(file="a.toml", line=1),
    )


class World:
    """A function with two versions, whose lines reach a store."""

    def __init__(self, limits: Compare | None = None, functions: int = 1, release: ReleaseState = MOVING) -> None:
        self.clock = FakeClock(START)
        self.store = Store(self.clock)
        self.comparisons = ReleaseComparisons(self.store, limits or Compare(), functions)
        self.number = 0
        self.release(release)

    def release(self, state: ReleaseState) -> None:
        self.store.apply(Batch(source="release", records=(state,)))

    def serve(
        self,
        seconds: range,
        version: str,
        *,
        per_s: int,
        every_failing: int = 0,
        message: str = "",
        place: Place = HOME,
        route: str = "",
        function: str | None = None,
        status: int = 200,
        tenant: str = "",
    ) -> None:
        """Write the lines of requests of one version; every n-th fails with an error line.

        With a `route`, an access log in another group names it.
        """
        records = []
        for second in seconds:
            for _ in range(per_s):
                self.number += 1
                failed = every_failing > 0 and self.number % every_failing == 0
                at_ms = int((START + timedelta(seconds=second)).timestamp() * 1000)
                request_id = f"r-{self.number}"
                line = LogRecord(
                    at_ms,
                    "",
                    GROUP,
                    stream=f"env-{version}-{self.number % 3}",
                    version=version,
                    request_id=request_id,
                    place=place,
                    function=function,
                    trace_id=f"t-{self.number}" if route else None,
                )
                if route:
                    fields = {"routeKey": route, "status": str(status)}
                    access = LogRecord(at_ms, "", "/aws/api", trace_id=line.trace_id, fields=fields)
                    self.store.apply(Batch(source="logs:/aws/api", records=(access,)))
                if tenant:
                    records.append(replace(line, fields={"tenant": tenant}))
                if failed:
                    records.append(replace(line, level=Level.ERROR, message=message))
                report = LambdaReport(duration_ms=100.0, status="error" if failed else None)
                records.append(replace(line, kind="report", level=Level.PLATFORM, report=report))
        self.store.apply(Batch(source=f"logs:{GROUP}", records=tuple(records)))

    def count(self, minutes: range, version: str, invocations: int, errors: int = 0, *, settled: bool = True) -> None:
        """Let CloudWatch count the same in each of these minutes since the start."""
        start_s = int(START.timestamp())
        for metric, stat, value in (
            ("Invocations", "rate", invocations / 60),
            ("Errors", "share", errors / invocations * 100),
        ):
            key = MetricKey("AWS/Lambda", metric, ALIAS, stat, version, function="pay")
            points = tuple(MetricPoint(start_s + 60 * minute, value, settled) for minute in minutes)
            series = MetricSeries(key=key, points=points)
            self.store.apply(Batch(source="metrics", records=(series,)))

    def errors(self) -> ComparisonResult:
        return next(each for each in self.store.comparisons if each.kind == "errors")

    def read_up_to(self, second: float, phase: SourcePhase = SourcePhase.LIVE) -> None:
        name = f"logs:{GROUP}"
        status = SourceStatus(
            source=name, phase=phase, fresh_at=START + timedelta(seconds=second), read_from=START - timedelta(minutes=5)
        )
        self.store.apply(Batch(source=name, status=status))
        self.comparisons.update(START + timedelta(seconds=second))

    def rule(self) -> Rule:
        """Return the rule of the dashboard's verdict now."""
        return decide(session_facts(self.store, self.clock.now(), every_s=30.0)).headline.rule

    def status(self, kind: str) -> Status:
        return next(each.status for each in self.store.comparisons if each.kind == kind)


def test_errors_of_the_new_version_alone_fail_it_and_its_signature() -> None:
    world = World()
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3, every_failing=10, message="KeyError: 'tenant'")
    world.read_up_to(160)
    assert world.status("errors") is Status.FAIL
    (signature,) = world.store.compared_signatures
    assert (signature.status, signature.new, signature.baseline) == (Status.FAIL, True, 0)
    assert world.store.comparisons[0].canary.version == "42"


def test_a_split_that_is_not_random_makes_comparisons_and_signatures_advisory_together() -> None:
    world = World()
    world.serve(range(-60, 330), "41", per_s=20)
    for begin in range(0, 330, 30):
        per_s = 6 if begin % 60 else 1
        world.serve(range(begin, begin + 30), "42", per_s=per_s, every_failing=10, message="KeyError: 'tenant'")
    world.read_up_to(370)
    assert {each.status for each in world.store.comparisons} == {Status.INCONCLUSIVE}
    (reason,) = {each.advisory for each in world.store.comparisons if each.canary.requests}
    assert reason is not None
    assert "is not random (dispersion" in reason
    (signature,) = world.store.compared_signatures
    assert signature.status is Status.INCONCLUSIVE
    assert signature.message.endswith(reason[:-1])


def test_nothing_is_compared_before_it_was_read() -> None:
    world = World()
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3, every_failing=10, message="KeyError: 'tenant'")
    world.comparisons.update(START + timedelta(seconds=600))
    assert {each.status for each in world.store.comparisons} == {Status.INCONCLUSIVE}
    world.read_up_to(20)
    assert {each.status for each in world.store.comparisons} == {Status.INCONCLUSIVE}


def test_lines_of_a_namesake_in_another_region_do_not_count() -> None:
    world = World()
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3, every_failing=10, message="no", place=Place(region="us-east-1"))
    world.read_up_to(160)
    assert next(iter(world.store.comparisons)).canary.requests == 0


def test_an_accepted_signature_is_skipped_until_its_date() -> None:
    plain = World()
    for world, until in ((plain, ""), (World(), "2026-02-01"), (World(), "2026-01-01")):
        if until:
            known = (KnownSignature(signature=plain.store.compared_signatures[0].id, until=until, reason="sandbox"),)
            world.comparisons = ReleaseComparisons(world.store, Compare(known=known), 1)
        world.serve(range(-60, 120), "41", per_s=20)
        world.serve(range(120), "42", per_s=3, every_failing=10, message="KeyError: 'tenant'")
        world.read_up_to(160)
        (signature,) = world.store.compared_signatures
        assert (signature.status is Status.SKIPPED) is (until == "2026-02-01")


@pytest.mark.parametrize("phase", [ReleasePhase.ROLLED_BACK, ReleasePhase.STOPPED, ReleasePhase.FAILED])
def test_a_release_that_went_wrong_is_compared_no_further(phase: ReleasePhase) -> None:
    world = World()
    world.serve(range(120), "42", per_s=3, every_failing=10, message="x")
    world.read_up_to(160)
    world.release(replace(MOVING, phase=phase, weights={"41": 1.0}))
    world.read_up_to(200)
    assert world.store.comparisons == ()
    assert world.store.compared_signatures == ()


def test_a_second_release_of_the_same_version_begins_anew() -> None:
    world = World()
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3, every_failing=10, message="x")
    world.read_up_to(160)
    world.release(replace(MOVING, started_at=START + timedelta(minutes=10)))
    world.serve(range(600, 720), "41", per_s=20)
    world.serve(range(600, 720), "42", per_s=3)
    world.read_up_to(760)
    assert world.status("errors") is not Status.FAIL


@pytest.mark.parametrize(
    "state", [replace(MOVING, previous=None), replace(MOVING, previous="42"), replace(MOVING, version=None)]
)
def test_a_release_without_two_versions_is_not_compared(state: ReleaseState) -> None:
    world = World()
    world.release(state)
    world.read_up_to(160)
    assert world.store.comparisons == ()


def test_each_of_several_functions_needs_more_evidence() -> None:
    world = World(functions=4)
    world.serve(range(-60, 120), "41", per_s=20)
    world.read_up_to(160)
    assert world.store.comparisons[0].needed == 4000


def test_without_a_baseline_nothing_is_compared() -> None:
    world = World()
    world.comparisons = ReleaseComparisons(world.store, Compare(), 1, baseline="none")
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3, every_failing=10, message="KeyError: 'tenant'")
    world.read_up_to(160)
    assert (world.store.comparisons, world.store.compared_signatures) == ((), ())


def test_a_release_that_begins_while_the_session_runs_knows_the_time_before_it() -> None:
    world = World()
    world.release(
        replace(MOVING, phase=ReleasePhase.NONE, version="41", previous=None, started_at=None, weights={"41": 1.0})
    )
    world.comparisons.watch([FunctionTarget(name="pay", alias="live")])
    world.serve(range(600), "41", per_s=20, every_failing=50, message="usual")
    world.read_up_to(640)
    assert not world.store.comparisons
    world.release(replace(MOVING, started_at=START + timedelta(seconds=600), weights={"42": 1.0}))
    world.serve(range(600, 900), "42", per_s=20, every_failing=50, message="usual")
    world.read_up_to(940)
    errors = next(each for each in world.store.comparisons if each.kind == "errors")
    assert (errors.basis, errors.status) == ("before/after", Status.PASS)
    assert errors.baseline.requests == 12_000
    assert errors.canary.requests == 6_000


def test_a_rare_route_that_the_new_version_has_not_served_is_named() -> None:
    world = World(Compare(coverage=1.0))
    world.serve(range(-60, 0), "41", per_s=1, route="POST /refunds")
    world.serve(range(-60, 120), "41", per_s=9, route="GET /orders")
    world.serve(range(120), "42", per_s=8, route="GET /orders")
    world.read_up_to(160)
    coverage = world.store.coverage
    assert coverage is not None
    assert (coverage.served, coverage.routes, coverage.suffices) == (1, 2, False)
    assert coverage.message == (
        "judged on 1 of 2 routes, 96 % of traffic: v42 has not served POST /refunds (34 expected)"
    )
    world.serve(range(120, 121), "42", per_s=1, route="POST /refunds")
    world.read_up_to(220)
    assert world.store.coverage is not None
    assert world.store.coverage.suffices
    assert world.store.coverage.message == "judged on 2 of 2 routes, 100 % of traffic"


def test_a_tenant_that_the_new_version_has_not_served_is_named() -> None:
    world = World(Compare(coverage=1.0, coverage_by=("json.tenant",)))
    world.serve(range(-60, 120), "41", per_s=1, route="GET /orders", tenant="acme")
    world.serve(range(-60, 120), "41", per_s=9, route="GET /orders", tenant="umbrella")
    world.serve(range(120), "42", per_s=8, route="GET /orders", tenant="umbrella")
    world.read_up_to(160)
    coverage = world.store.coverage
    assert coverage is not None
    assert not coverage.suffices
    assert coverage.message == (
        "judged on 1 of 2 values of json.tenant, 90 % of traffic: v42 has not served json.tenant acme (96 expected)"
    )
    world.serve(range(120, 121), "42", per_s=1, route="GET /orders", tenant="acme")
    world.read_up_to(220)
    assert world.store.coverage is not None
    assert world.store.coverage.suffices


def test_routes_that_nothing_names_are_not_covered() -> None:
    world = World(Compare(coverage=0.01))
    world.serve(range(-60, 120), "41", per_s=2)
    world.serve(range(120), "42", per_s=2)
    world.read_up_to(160)
    coverage = world.store.coverage
    assert coverage is not None
    assert not coverage.suffices
    assert coverage.message == "the routes of pay:live are not known: no trace or access log names them"


def test_without_a_comparison_no_route_is_covered() -> None:
    world = World()
    world.comparisons = ReleaseComparisons(world.store, Compare(coverage=0.5), 1, baseline="none")
    world.read_up_to(160)
    assert world.store.comparisons == ()
    assert world.store.coverage is not None
    assert not world.store.coverage.suffices


def unreadable(world: World, seconds: range) -> None:
    """Let the log group be denied at these times."""
    for second in seconds:
        world.read_up_to(second, SourcePhase.DENIED)


def test_a_log_group_that_cannot_be_read_is_compared_by_count_with_ten_times_the_evidence() -> None:
    world = World()
    world.count(range(-20, 10), "41", 6_000, 6)
    world.count(range(10), "42", 600, 60)
    unreadable(world, range(0, 121, 60))
    errors = world.errors()
    assert (errors.status, errors.basis, errors.needed) == (Status.FAIL, "counts", 10_000)
    assert (errors.canary.requests, errors.canary.bad) == (6_000, 600)
    assert (errors.baseline.requests, errors.baseline.bad) == (60_000, 60)
    assert errors.message.endswith("6,000 requests, by count because its log group cannot be read")
    others = {each.kind: (each.status, each.basis) for each in world.store.comparisons if each.kind != "errors"}
    assert set(others.values()) == {(Status.INCONCLUSIVE, "counts")}
    assert world.store.compared_signatures == ()


def test_a_log_group_that_is_refused_for_a_moment_is_still_read_line_by_line() -> None:
    world = World()
    world.count(range(-20, 10), "41", 6_000, 6)
    world.count(range(10), "42", 600, 60)
    unreadable(world, range(0, 61, 60))
    world.read_up_to(90)
    unreadable(world, range(120, 181, 60))
    assert world.errors().basis == "requests"


def test_a_release_with_counted_requests_is_never_compared_by_count_too() -> None:
    world = World()
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3)
    world.read_up_to(160)
    world.count(range(-20, 10), "41", 6_000, 6)
    world.count(range(10), "42", 600, 60)
    unreadable(world, range(240, 901, 60))
    errors = world.errors()
    assert (errors.basis, errors.canary.requests, errors.canary.bad) == ("requests", 360, 0)


def test_a_release_that_is_compared_by_count_takes_no_request_from_lines() -> None:
    world = World()
    world.count(range(-20, 5), "41", 600)
    world.count(range(5), "42", 60)
    unreadable(world, range(0, 181, 60))
    world.serve(range(240, 360), "41", per_s=20)
    world.serve(range(240, 360), "42", per_s=3, every_failing=2, message="no")
    world.read_up_to(420)
    errors = world.errors()
    assert (errors.basis, errors.canary.requests, errors.canary.bad) == ("counts", 300, 0)
    assert [each for each in world.comparisons.batches if each.basis == "requests"] == []


@pytest.mark.parametrize("version", [None, "7"])
def test_lines_that_name_no_finished_request_of_either_version_are_compared_by_count(version: str | None) -> None:
    world = World()
    if version is not None:
        world.serve(range(180), version, per_s=1)
    world.count(range(-20, 3), "41", 600)
    world.count(range(3), "42", 60, 30)
    world.read_up_to(180)
    assert world.errors().basis == "requests"
    world.read_up_to(240)
    errors = world.errors()
    assert (errors.basis, errors.canary.requests, errors.status) == ("counts", 180, Status.FAIL)
    assert errors.message.endswith("by count because its log lines report no finished request of either version")


def test_only_minutes_that_have_settled_for_both_versions_are_compared_each_once() -> None:
    world = World()
    world.count(range(-20, 6), "41", 600)
    world.count(range(3), "42", 60)
    world.count(range(3, 6), "42", 60, settled=False)
    unreadable(world, range(0, 181, 60))
    assert world.errors().canary.requests == 180
    world.count(range(4, 6), "42", 60, 6)
    world.read_up_to(240, SourcePhase.DENIED)
    assert (world.errors().canary.requests, world.errors().canary.bad) == (300, 12)
    world.count(range(6), "42", 60, 6)
    world.read_up_to(300, SourcePhase.DENIED)
    assert (world.errors().canary.requests, world.errors().canary.bad) == (360, 18)
    assert [each.late for each in world.comparisons.batches] == [True]


def test_a_release_at_once_by_count_is_compared_with_the_time_before_it() -> None:
    world = World()
    world.release(replace(MOVING, weights={"42": 1.0}))
    world.count(range(-20, 0), "41", 6_000, 6)
    world.count(range(10), "42", 6_000, 6)
    unreadable(world, range(0, 181, 60))
    errors = world.errors()
    assert (errors.basis, errors.canary.requests, errors.baseline.requests) == ("before/after", 60_000, 120_000)
    assert "by count because its log group cannot be read" in errors.message


@pytest.mark.parametrize(
    ("errors_last_week", "by_count", "status"),
    [
        (6, False, Status.FAIL),
        (6, True, Status.FAIL),
        (300, False, Status.INCONCLUSIVE),
        (None, False, Status.INCONCLUSIVE),
    ],
)
async def test_a_release_at_once_fails_only_against_both_the_time_before_and_a_week_ago(
    errors_last_week: int | None, by_count: bool, status: Status
) -> None:
    world = World()
    world.release(replace(MOVING, weights={"42": 1.0}))
    if by_count:
        world.count(range(-20, 0), "41", 1200, 1)
        world.count(range(5), "42", 1200, 60)
        unreadable(world, range(0, 181, 60))
    else:
        world.serve(range(-300, 0), "41", per_s=20, every_failing=1000, message="usual")
        world.serve(range(300), "42", per_s=20, every_failing=20, message="new")
        world.read_up_to(360)
    assert world.errors().status is Status.INCONCLUSIVE
    (release,) = world.comparisons.without_last_week()
    cloud = MetricWorld(FakeClock(START))
    if errors_last_week is not None:
        first = int((START - timedelta(weeks=1)).timestamp()) // 60
        cloud.put("Invocations", "Sum", dict.fromkeys(range(first, first + 50), 6_000.0))
        cloud.put("Errors", "Sum", dict.fromkeys(range(first, first + 50), float(errors_last_week)))
    target = FunctionTarget(name="pay", alias="live")
    minutes = await read_last_week(cloud, target, release, FakeClock(START))
    assert len(minutes) == (50 if errors_last_week is not None else 0)
    world.comparisons.add_last_week(release, minutes)
    assert world.comparisons.without_last_week() == ()
    world.read_up_to(390)
    found = world.errors()
    assert (found.status, found.basis) == (status, "before/after")
    if status is Status.FAIL:
        assert "compared with the time before the release and the same time a week ago" in found.message


async def test_last_week_is_read_again_after_it_failed_and_only_for_releases_that_need_it() -> None:
    world, cloud = World(), MetricWorld(FakeClock(START))
    world.read_up_to(60)
    assert world.comparisons.without_last_week() == ()
    world.release(replace(MOVING, weights={"42": 1.0}))
    world.read_up_to(90)
    cloud.down.add((None, None))
    functions = (FunctionTarget(name="pay", alias="live"),)
    environment = Environment(name="e", title="e", source=SourcePosition("e.toml", 1, 1), functions=functions)
    clock = FakeClock(START)
    task = asyncio.create_task(follow_last_week(environment, cloud, world.comparisons, clock))
    await clock.advance(LOOK_EVERY_S * 3)
    assert len(world.comparisons.without_last_week()) == 1
    cloud.down.clear()
    await clock.advance(LOOK_EVERY_S)
    assert world.comparisons.without_last_week() == ()
    task.cancel()


SHIP = replace(MOVING, function="ship", log_group=GROUP)


def test_functions_of_one_group_are_told_apart_where_lines_name_them() -> None:
    world = World()
    world.release(replace(MOVING, log_group=GROUP))
    world.release(SHIP)
    for function, failing in (("pay", 0), ("ship", 5), ("of-others", 2)):
        world.serve(range(-60, 120), "41", per_s=10, function=function)
        world.serve(range(120), "42", per_s=10, function=function, every_failing=failing, message=f"{function} broke")
    world.read_up_to(160)
    found = {each.id: (each.canary.requests, each.canary.bad) for each in world.store.comparisons}
    assert found["pay:live errors"] == (1200, 0)
    assert found["ship:live errors"] == (1200, 240)
    assert [each.function for each in world.store.compared_signatures] == ["ship:live"]


def test_functions_of_one_group_that_lines_do_not_name_are_never_mixed() -> None:
    world = World()
    world.release(SHIP)
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=20, every_failing=2, message="broke")
    world.read_up_to(160)
    assert {each.canary.requests for each in world.store.comparisons} == {0}
    assert {each.status for each in world.store.comparisons} == {Status.INCONCLUSIVE}
    assert "several functions write its log group and lines do not name theirs" in world.errors().message
    assert world.store.compared_signatures == ()


def test_two_aliases_of_one_function_are_compared_each_with_all_its_requests() -> None:
    world = World()
    world.release(replace(MOVING, alias="beta"))
    world.serve(range(-60, 120), "41", per_s=20)
    world.serve(range(120), "42", per_s=3)
    world.read_up_to(160)
    assert [each.canary.requests for each in world.store.comparisons if each.kind == "errors"] == [360, 360]


@pytest.mark.parametrize("broken_route", [True, False])
def test_a_bug_in_a_rare_route_that_the_new_version_has_not_served_does_not_pass(*, broken_route: bool) -> None:
    """The old version serves refunds, on which the new one would fail; no refund reaches the new one in the bake."""
    world = World(Compare(coverage=1.0, latency=None))
    world.serve(range(-60, 300), "41", per_s=20, route="GET /orders")
    world.serve(range(300), "42", per_s=10, route="GET /orders")
    if broken_route:
        world.serve(range(-60, 300, 60), "41", per_s=1, route="POST /refunds")
    world.read_up_to(360)
    assert world.errors().status is Status.PASS
    decision = decide(
        replace(
            session_facts(world.store, START + timedelta(seconds=360), every_s=30),
            mode="gate",
            final=True,
            require="errors",
            checks=(check("c", rounds=30, planned=30),),
        )
    )
    if broken_route:
        assert (decision.verdict.status, decision.headline.rule) == ("inconclusive", Rule.UNCOVERED)
        assert "v42 has not served POST /refunds (" in decision.verdict.reason
        assert [(each.kind, each.id) for each in decision.verdict.blocking] == [("run", "coverage")]
    else:
        assert decision.verdict.status == "pass"
        assert decision.verdict.reason == "1 of 1 check passed; judged on 1 of 1 routes, 100 % of traffic."


def test_a_signature_of_a_release_at_once_counts_when_it_was_absent_before() -> None:
    world = World()
    world.release(replace(MOVING, phase=ReleasePhase.NONE, version="41", previous=None, started_at=None))
    world.comparisons.watch([FunctionTarget(name="pay", alias="live")])
    world.serve(range(-280, 600), "41", per_s=20)
    world.read_up_to(640)
    world.release(replace(MOVING, started_at=START + timedelta(seconds=600), weights={"42": 1.0}))
    world.serve(range(600, 660), "42", per_s=20, every_failing=200, message="KeyError: 'tenant'")
    world.read_up_to(720)
    (signature,) = world.store.compared_signatures
    assert (signature.status, signature.new, signature.canary) == (Status.FAIL, True, 6)


def test_no_verdict_on_a_release_is_green_before_its_first_batch_was_compared() -> None:
    world = World()
    world.comparisons.watch((PAY,))
    world.store.apply_event(CheckFinished(result=passed()))
    assert world.rule() is Rule.NOT_COMPARED
    world.serve(range(60), "41", per_s=20)
    world.read_up_to(59)
    assert world.rule() is Rule.NOT_COMPARED
    world.read_up_to(60)
    assert world.rule() is Rule.UNUSED
    world.serve(range(60, 90), "42", per_s=2)
    world.read_up_to(120)
    assert world.rule() is Rule.PASSED


def test_a_release_of_which_no_request_was_read_is_looked_at_once_its_first_minute_was_read() -> None:
    world = World()
    world.comparisons.watch((PAY,))
    world.store.apply_event(CheckFinished(result=passed()))
    world.read_up_to(59)
    assert world.rule() is Rule.NOT_COMPARED
    world.read_up_to(60)
    assert world.rule() is Rule.PASSED
    world.release(replace(MOVING, started_at=START + timedelta(seconds=50)))
    assert world.rule() is Rule.NOT_COMPARED


@pytest.mark.parametrize(
    "state",
    [replace(MOVING, weights={"41": 1.0}), replace(MOVING, previous=None), replace(MOVING, function="other")],
    ids=["before the shift", "without an old version", "of another function"],
)
def test_a_release_without_a_comparison_to_come_is_not_waited_for(state: ReleaseState) -> None:
    world = World(release=state)
    world.comparisons.watch((PAY,))
    world.store.apply_event(CheckFinished(result=passed()))
    assert world.rule() is Rule.PASSED


def durations(world: World, minutes: range, version: str, stats: Mapping[str, float], *, settled: bool = True) -> None:
    """Let CloudWatch have these statistics of durations in each of these minutes since the start."""
    start_s = int(START.timestamp())
    dimensions = (*ALIAS, ("ExecutedVersion", version))
    for stat, value in stats.items():
        key = MetricKey("AWS/Lambda", "Duration", dimensions, stat, version, function="pay")
        points = tuple(MetricPoint(start_s + 60 * minute, value, settled) for minute in minutes)
        world.store.apply(Batch(source="metrics", records=(MetricSeries(key=key, points=points),)))


USUAL = {"p50": 100.0, "p95": 400.0, "p99": 800.0}
"""Before the release. The new version may take 20 ms more, or 1.1 times as long."""
ABOVE = {"TC(100.000:)": 3000.0, "TC(400.000:)": 300.0, "TC(800.000:)": 60.0}
SLOWER = {"TC(120.000:)": 400.0, "TC(440.000:)": 120.0, "TC(880.000:)": 60.0}
AS_FAST = {"TC(120.000:)": 250.0, "TC(440.000:)": 25.0, "TC(880.000:)": 5.0}


@pytest.mark.parametrize(("above", "status"), [(SLOWER, Status.FAIL), (AS_FAST, Status.PASS)])
def test_latency_by_count_compares_the_durations_above_limits_fixed_before(
    above: dict[str, float], status: Status
) -> None:
    world = World()
    world.count(range(-20, 10), "41", 6_000)
    world.count(range(10), "42", 600)
    durations(world, range(-20, 0), "41", USUAL)
    function = FunctionTarget(name="pay", alias="live")
    assert world.comparisons.exceedances_of(function) == ()
    unreadable(world, range(0, 121, 60))
    assert world.status("latency") is Status.INCONCLUSIVE
    needed = world.comparisons.exceedances_of(function)
    assert needed == (*(("41", stat) for stat in ABOVE), *(("42", stat) for stat in AS_FAST))
    durations(world, range(10), "41", ABOVE)
    durations(world, range(10), "42", above)
    world.read_up_to(180, SourcePhase.DENIED)
    latency = next(each for each in world.store.comparisons if each.kind == "latency")
    assert (latency.status, latency.basis, latency.needed) == (status, "counts", 1_000)
    # The first two minutes warm up.
    assert (latency.canary.requests, latency.baseline.requests) == (8 * 600, 8 * 6_000)
    assert latency.message.endswith("4,800 requests, by count because its log group cannot be read")
    world.read_up_to(240, SourcePhase.DENIED)
    assert next(each for each in world.store.comparisons if each.kind == "latency") == latency


def test_latency_by_count_is_not_known_without_every_count() -> None:
    world = World()
    world.count(range(-20, 10), "41", 6_000)
    world.count(range(10), "42", 600)
    durations(world, range(-20, 0), "41", USUAL)
    unreadable(world, range(0, 121, 60))
    durations(world, range(10), "41", ABOVE)
    durations(world, range(10), "42", {stat: AS_FAST[stat] for stat in tuple(AS_FAST)[:2]})
    durations(world, range(10), "42", {"TC(880.000:)": 5.0}, settled=False)
    world.read_up_to(180, SourcePhase.DENIED)
    latency = next(each for each in world.store.comparisons if each.kind == "latency")
    assert (latency.status, latency.canary.requests) == (Status.INCONCLUSIVE, 0)


def test_latency_by_count_needs_the_usual_durations_of_500_requests() -> None:
    world = World()
    world.count(range(-4, 10), "41", 120)
    world.count(range(10), "42", 600)
    durations(world, range(-4, 0), "41", USUAL)
    unreadable(world, range(0, 121, 60))
    assert world.comparisons.exceedances_of(FunctionTarget(name="pay", alias="live")) == ()
