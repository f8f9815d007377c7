"""The versions of every release of a session are compared as their requests are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from prodwatch.model.environment import Compare, FunctionTarget, KnownSignature
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import (
    Batch,
    LambdaReport,
    Level,
    LogRecord,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Status
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock

START = datetime(2026, 1, 15, 11, 50, tzinfo=UTC)
GROUP = "/aws/lambda/pay"
MOVING = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
)


class World:
    """A function with two versions, whose lines reach a store."""

    def __init__(self, limits: Compare | None = None, functions: int = 1) -> None:
        self.clock = FakeClock(START)
        self.store = Store(self.clock)
        self.comparisons = ReleaseComparisons(self.store, limits or Compare(), functions)
        self.number = 0
        self.release(MOVING)

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
                if failed:
                    records.append(replace(line, level=Level.ERROR, message=message))
                report = LambdaReport(duration_ms=100.0, status="error" if failed else None)
                records.append(replace(line, kind="report", level=Level.PLATFORM, report=report))
        self.store.apply(Batch(source=f"logs:{GROUP}", records=tuple(records)))

    def read_up_to(self, second: float, phase: SourcePhase = SourcePhase.LIVE) -> None:
        name = f"logs:{GROUP}"
        status = SourceStatus(
            source=name, phase=phase, fresh_at=START + timedelta(seconds=second), read_from=START - timedelta(minutes=5)
        )
        self.store.apply(Batch(source=name, status=status))
        self.comparisons.update(START + timedelta(seconds=second))

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
