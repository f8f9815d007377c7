"""The session files the judge's verdict in the store on its own schedule, and its changes go on the time line."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from msgspec.structs import replace

from prodwatch.model.environment import MetricTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, SignalResult, Verdict
from prodwatch.model.signal import AlarmState, Batch, EvaluatedSignals
from prodwatch.model.status import Status
from prodwatch.session.live import LiveSession
from prodwatch.session.past import read_week_before
from prodwatch.settings import Project, load_project
from prodwatch.store.store import Store
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock
from prodwatch.views.time_window import Window
from prodwatch.views.timeline import timeline
from prodwatch.views.verdict import verdict_line

CHECKS = '[[check]]\nname = "one"\ntype = "http"\nurl = "https://x/"\nexpect = ["status == 200"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    (tmp_path / "config" / "prod.toml").write_text('title = "Prod"\n')
    (tmp_path / "checks" / "a.toml").write_text(CHECKS)
    return load_project(root=tmp_path, env="prod", environ={})


class Judging:
    """A session of which only the judging runs: the engine never opens, the test feeds the store."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch, window: Window | None = None) -> None:
        monkeypatch.setattr("prodwatch.session.live.open_engine", _NeverOpens)
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.project = project
        self.session = LiveSession(project, self.store, self.clock, window=window)
        self._start: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._start = asyncio.create_task(self.session.start())
        await self.clock.advance(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._start is not None
        self._start.cancel()
        await asyncio.gather(self._start, return_exceptions=True)
        await self.session.stop()

    def finish(self, status: Status) -> None:
        """End a round of the only check."""
        check = self.project.checks[0]
        result = CheckResult(
            id=check.id,
            name=check.name,
            title=check.title,
            kind="smoke",
            type="http",
            status=status,
            message="because",
            started_at=self.clock.now(),
            source=check.source,
        )
        self.store.apply_event(CheckFinished(result=result))

    def filed(self) -> Verdict:
        """Return the verdict in the store."""
        assert self.store.verdict is not None
        return self.store.verdict.verdict

    def changes(self) -> list[tuple[str | None, str | None]]:
        """Return the changes of the verdict on the time line, oldest first."""
        return [(each.from_, each.to) for each in self.store.release.events if each.source == "verdict"]


class _NeverOpens:
    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def __aenter__(self) -> None:
        await asyncio.Event().wait()

    async def __aexit__(self, *_: object) -> None:
        pass


async def test_the_verdict_reaches_the_store_and_its_changes_the_time_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Judging(project, monkeypatch) as judging:
        assert judging.changes() == []  # waiting for the first round is not a change
        for status in (Status.PASS, Status.PASS, Status.FAIL, Status.PASS):
            judging.finish(status)
            await judging.clock.advance(1)
            assert judging.filed().status == verdict_line(judging.store, judging.clock.now()).status
        assert judging.changes() == [(None, "pass"), ("pass", "fail"), ("fail", "pass")]
        rows = [each for each in timeline(judging.store, judging.clock.now()).rows if each.lane == "verdict"]
        assert [each.text for each in rows] == ["fail → pass", "pass → fail", "pass"]
        assert rows[1].detail == "1 of 1 check failed, first a/one: because"


async def test_a_verdict_that_only_grows_old_turns_without_any_new_fact(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Judging(project, monkeypatch) as judging:
        judging.finish(Status.PASS)
        await judging.clock.advance(1)
        await judging.clock.advance(120)
        assert judging.changes() == [(None, "pass"), ("pass", "inconclusive")]


async def test_a_judge_that_breaks_is_an_error_and_judging_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Judging(project, monkeypatch) as judging:
        judging.finish(Status.PASS)
        await judging.clock.advance(1)
        with monkeypatch.context() as broken:
            broken.setattr("prodwatch.session.live.judge_session", _broken)
            await judging.clock.advance(1)
        assert judging.filed().reason_code == "internal"
        judging.finish(Status.PASS)
        await judging.clock.advance(1)
        assert judging.changes() == [(None, "pass"), ("pass", "error"), ("error", "pass")]


def _broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("a bug")


async def test_an_alarm_that_fires_turns_the_verdict_of_triage_too(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: datetime = FakeClock().now()
    async with Judging(project, monkeypatch, Window(start=now - timedelta(hours=1))) as judging:
        judging.finish(Status.PASS)
        await judging.clock.advance(1)
        judging.store.apply(Batch(source="alarms", records=(AlarmState(name="errors", state="ALARM"),)))
        await judging.clock.advance(1)
        assert judging.changes() == [(None, "pass"), ("pass", "fail")]


async def test_a_window_that_has_ended_gets_no_events_from_today(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = FakeClock().now()
    async with Judging(project, monkeypatch, Window(start=now - timedelta(hours=1), end=now)) as judging:
        await judging.clock.advance(5)
        assert judging.store.verdict is None
        assert judging.changes() == []


def false_metric(*, gate: bool = True) -> Batch:
    result = SignalResult(
        kind="metric", id="checkout", name="checkout", status=Status.FAIL, gate=gate, message="`value` is 900ms"
    )
    return Batch(source="metrics", records=(EvaluatedSignals(kind="metric", results=(result,)),))


@pytest.mark.parametrize("triage", [False, True])
async def test_a_false_expect_of_a_metric_is_red_in_the_dashboard_and_in_triage(
    project: Project, monkeypatch: pytest.MonkeyPatch, *, triage: bool
) -> None:
    window = Window(start=FakeClock().now() - timedelta(hours=1)) if triage else None
    async with Judging(project, monkeypatch, window) as judging:
        judging.finish(Status.PASS)
        judging.store.apply(false_metric())
        await judging.clock.advance(1)
        assert judging.filed().status == "fail"
        line = verdict_line(judging.store, judging.clock.now(), window=window)
        assert (line.status, line.title.split(" ")[0]) == ("fail", "FAIL")


async def test_a_metric_of_last_week_says_nothing_about_now(project: Project) -> None:
    clock = FakeClock()
    store = Store(clock)
    store.apply(false_metric())
    aws = ScriptedAws()
    aws.answers["cloudwatch:GetMetricData"] = lambda params: {
        "MetricDataResults": [
            {"Id": each["Id"], "Timestamps": [params["EndTime"] - timedelta(minutes=5)], "Values": [1.0]}
            for each in params["MetricDataQueries"]
        ]
    }
    metric = MetricTarget(name="checkout", namespace="Shop", metric="Ms", expect=("value < 10",))
    engine: Any = SimpleNamespace(environment=replace(project.environment, metrics=(metric,)), aws=aws)
    window = Window(start=clock.now() - timedelta(hours=1))
    await read_week_before(engine, window, clock.now(), (), store, clock)
    assert [each.points[0].value for each in store.metrics.series.values()] == [1.0]
    assert [each.status for each in store.signals["metric"]] == [Status.FAIL]
