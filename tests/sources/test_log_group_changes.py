"""Log groups that disappear, reappear, lose their history, or are one of thousands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import Batch, SourcePhase
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.discovery import is_of_unreadable_class, unreadable_class
from prodwatch.sources.logs.source import LogSource
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.panel_freshness import freshness
from tests.support.fake_log_api import LogDoor
from tests.support.log_fault_regimes import GROUP, Screen, plain_line, shown

START_MS = int(START.timestamp() * 1000)


class Watch:
    """One log service, watched."""

    def __init__(self, *groups: str, faults: tuple[Fault, ...] = ()) -> None:
        self.clock = FakeClock()
        self.door = LogDoor(self.clock, FaultPlan(faults, seed=3))
        self.logs = self.door.region.logs
        self.screen = Screen()
        self.source = LogSource(
            self.door,
            [LogTarget(group=each) for each in groups or (GROUP,)],
            clock=self.clock,
            parse=plain_line,
            since=START - timedelta(minutes=5),
            backoff=lambda: Backoff(uniform=lambda _, high: high),
        )

    def put(self, *messages: str, group: str = GROUP, at_s: float | None = None) -> None:
        """Write lines now, or dated `at_s` seconds after the start."""
        at_ms = START_MS + int((self.clock.monotonic_s() if at_s is None else at_s) * 1000)
        self.logs.put(group, "s", [(at_ms, each) for each in messages])

    @property
    def messages(self) -> list[str]:
        return sorted(message for _, message in self.screen.lines.elements())

    def phases(self) -> list[SourcePhase]:
        results: list[SourcePhase] = []
        for state in self.screen.states:
            if results[-1:] != [state.phase]:
                results.append(state.phase)
        return results


async def test_a_group_deleted_and_made_again_is_waited_for_and_read_on() -> None:
    watch = Watch()
    watch.put("before")
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(5)
        watch.logs.delete_group(GROUP)
        await watch.clock.advance(20)
        waiting = watch.screen.states[-1]
        watch.put("after")
        await watch.clock.advance(30)
    assert watch.messages == ["after", "before"]
    assert waiting.phase is SourcePhase.WAITING
    assert waiting.message == "has been deleted; reading resumes once it exists again"
    assert watch.phases()[:3] == [SourcePhase.STARTING, SourcePhase.LIVE, SourcePhase.WAITING]
    assert watch.phases()[-1] is SourcePhase.LIVE


async def test_a_group_deleted_between_two_pages_is_read_on_too() -> None:
    watch = Watch(faults=(Fault(operation="logs:FilterLogEvents", kind="short_page"),))
    watch.put(*(f"old {n}" for n in range(9_000)))
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(0.08)
        assert watch.screen.lines.total() == 3_333
        watch.logs.delete_group(GROUP)
        await watch.clock.advance(20)
        watch.put("new")
        await watch.clock.advance(30)
    assert "new" in watch.messages
    assert set(watch.screen.lines.values()) == {1}
    assert watch.screen.states[-1].phase is SourcePhase.LIVE


async def test_retention_that_takes_lines_away_during_a_scan_disturbs_nothing() -> None:
    watch = Watch(faults=(Fault(operation="logs:FilterLogEvents", kind="short_page"),))
    for second in range(-200, 0):
        watch.put(*(f"{second}/{n}" for n in range(100)), at_s=second)
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(0.08)
        state = watch.logs.group(GROUP)
        assert state is not None
        del state.events[:15_000]
        watch.put("new")
        await watch.clock.advance(90)
    assert "new" in watch.messages
    assert {f"-1/{n}" for n in range(100)} <= set(watch.messages)
    assert set(watch.screen.lines.values()) == {1}


async def test_ten_thousand_identical_lines_of_one_millisecond_are_ten_thousand_lines() -> None:
    watch = Watch(faults=(Fault(operation="logs:FilterLogEvents", kind="invalid_token", probability=0.3),))
    watch.put(*["the same"] * 10_500)
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(70)
    assert list(watch.screen.lines.values()) == [10_500]


async def test_a_prefix_of_many_groups_is_watched_whole_and_says_how_far_it_is() -> None:
    watch = Watch("/many/*", faults=(Fault(operation="logs:FilterLogEvents", kind="delay", delay_s=0.95),))
    for number in range(300):
        watch.logs.create_group(f"/many/{number:04}")
    watch.put("first of the last", group="/many/0299")
    store = Store(watch.clock)
    show = watch.screen.show

    def reported(batch: Batch) -> None:
        show(batch)
        store.apply(batch)

    watch.screen.show = reported  # type: ignore[method-assign]
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(30)
        assert freshness(store, "logs", watch.clock.now()).text.startswith("loading (")
        await watch.clock.advance(90)
        assert watch.messages == ["first of the last"]
        assert len(store.sources) == 300
        watch.logs.create_group("/many/9999")
        watch.put("of a new group", group="/many/9999")
        await watch.clock.advance(150)
    assert watch.messages == ["first of the last", "of a new group"]


async def test_each_group_tells_its_own_measured_freshness() -> None:
    watch = Watch("a", "b")
    for group in ("a", "b"):
        watch.logs.create_group(group)
    async with shown(watch.source, watch.screen):
        for second in range(60):
            watch.put(f"{second}", group="a")
            await watch.clock.advance(1)
    latest = {state.source: state for state in watch.screen.states}
    ages = {
        name: (watch.clock.now() - state.fresh_at).total_seconds() for name, state in latest.items() if state.fresh_at
    }
    assert ages["logs:a"] < 2.5
    assert ages["logs:a"] < ages["logs:b"] <= 16


@pytest.mark.parametrize("name", ["logs:a", "logs:b"])
async def test_a_denied_group_takes_nothing_from_the_other(name: str) -> None:
    watch = Watch("a", "b")
    group, other = name.removeprefix("logs:"), "b" if name == "logs:a" else "a"
    for each in ("a", "b"):
        watch.logs.create_group(each)
    raw, denial = watch.door.raw, FaultPlan([Fault(operation="*", kind="access_denied")])

    async def deny(service: str, operation: str, params: dict[str, object] | None = None, **more: object) -> object:
        if (params or {}).get("logGroupName") == group:
            watch.door.strike(denial.draw(service, operation, 0.0), service, operation)
        return await raw(service, operation, params, **more)

    watch.door.raw = deny  # type: ignore[assignment, method-assign]
    async with shown(watch.source, watch.screen):
        for second in range(30):
            watch.put(f"{second}", group=other)
            await watch.clock.advance(1)
        await watch.clock.advance(3)
    latest = {state.source: state.phase for state in watch.screen.states}
    assert latest == {name: SourcePhase.DENIED, f"logs:{other}": SourcePhase.LIVE}
    assert len(watch.messages) == 30


class OtherClass(LogDoor):
    """A log service one of whose groups is of the class Infrequent Access."""

    async def answer(self, service: str, operation: str, params: Mapping[str, Any]) -> Any:
        if operation == "FilterLogEvents" and params["logGroupName"] == "rare":
            self.calls.append(("refused", {}))
            raise AwsError(
                "FilterLogEvents is not supported for this log class",
                code="InvalidOperationException",
                reason=Reason.API_ERROR,
                service=service,
                operation=operation,
            )
        return await super().answer(service, operation, params)


@pytest.mark.parametrize(
    ("class_name", "remedy"),
    [("INFREQUENT_ACCESS", "(Infrequent Access); query its lines with CloudWatch Logs Insights"), ("DELIVERY", "S3")],
)
def test_W8_the_notice_names_the_class_and_the_place_of_its_lines(class_name: str, remedy: str) -> None:
    message = f"The log group g is of log-group-class {class_name}. FilterLogEvents is not supported for this log class"
    error = AwsError(message, code="InvalidOperationException", reason=Reason.API_ERROR, service="logs", operation="x")
    assert is_of_unreadable_class(error)
    assert remedy in unreadable_class(error)
    assert "new group of class Standard" in unreadable_class(error)
    assert ("Insights" in unreadable_class(error)) is (class_name != "DELIVERY")


async def test_W8_a_group_of_another_class_is_named_once_and_holds_no_other_up() -> None:
    watch = Watch("rare", GROUP)
    watch.source._aws = watch.door = OtherClass(watch.clock)
    watch.logs = watch.door.region.logs
    for target in ("rare", GROUP):
        watch.logs.create_group(target)
    watch.put("a line")
    async with shown(watch.source, watch.screen):
        await watch.clock.advance(600)
    rare = [state for state in watch.screen.states if state.source == "logs:rare" and state.message]
    assert {state.phase for state in rare} == {SourcePhase.STOPPED}
    assert "Infrequent Access" in (rare[-1].message or "")
    assert sum(name == "refused" for name, _ in watch.door.calls) == 1
    assert watch.messages == ["a line"]
