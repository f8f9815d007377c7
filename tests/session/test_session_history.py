"""A session of the dashboard in the history: one entry, written while it runs and at its end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.model.environment import HistoryTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, Verdict
from prodwatch.model.status import Status
from prodwatch.session.history import history_of, keep
from prodwatch.session.live import LiveSession
from prodwatch.session.session_history import TALLY_EVERY_S, WRITE_EVERY, RoundTally, SessionHistory
from prodwatch.settings import Project, load_project
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import HERE, environment, plain
from prodwatch.views.checks import check_grid
from tests.support.past_runs import entry, outcome, unexpected
from tests.support.waiting import until

PASS, FAIL = Status.PASS, Status.FAIL
GREEN = Verdict(status="pass", exit_code=0, reason="healthy")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PRODWATCH_DATA_DIR", str(tmp_path / "data"))
    # Age is measured by the machine's clock, sessions by a virtual one.
    kept = HistoryTarget(keep_s=36_500 * 86_400.0)
    return Project(tmp_path, environment(name="prod", history=kept), (plain("a"),))


def result(status: Status, at: FakeClock, **fields: Any) -> CheckResult:
    values: dict[str, Any] = {"id": "a", "name": "a", "title": "a", "kind": "smoke", "type": "http", "source": HERE}
    values |= {"status": status, "started_at": at.now(), "duration_ms": 40}
    return CheckResult(**values | fields)


def opened(project: Project, clock: FakeClock) -> tuple[Store, SessionHistory]:
    store = Store(clock)
    store.define(project.checks)
    return store, SessionHistory(project, store, clock, "session", warn=unexpected)


async def test_a_session_is_one_entry_with_all_its_rounds(project: Project) -> None:
    clock = FakeClock()
    store, history = opened(project, clock)
    await history.write(history.entry(str))
    assert history_of(project, warn=unexpected).entry("session") is None  # nothing has been measured
    store.set_verdict(GREEN)
    for status in (PASS, FAIL, FAIL):
        store.apply_event(CheckFinished(result=result(status, clock)))
        await clock.advance(30)
        await history.write(history.entry(str))
    store.set_verdict(Verdict(status="fail", exit_code=1, reason="a failed"))
    store.apply_event(CheckFinished(result=result(PASS, clock, flags=("flaky",))))
    await history.write(history.entry(str))
    (run,) = history_of(project, warn=unexpected).runs(None, None)
    assert (run.mode, run.status, run.reason) == ("dashboard", "fail", "a failed")
    assert run.duration_ms == 90_000
    assert [each.status for each in run.verdicts] == ["pass", "fail"]
    (kept,) = [each.outcome for each in history_of(project, warn=unexpected).samples(None)]
    assert kept.status is PASS
    assert kept.rounds is not None
    assert (kept.rounds.counts, kept.rounds.flaky, kept.rounds.last) == (
        {PASS: 2, FAIL: 2},
        1,
        (PASS, FAIL, FAIL, PASS),
    )


async def test_a_session_is_written_while_it_runs_and_masks_what_is_secret_by_now(project: Project) -> None:
    clock = FakeClock()
    store, history = opened(project, clock)
    store.set_verdict(Verdict(status="fail", exit_code=1, reason="hunter22 is wrong"))
    store.apply_event(CheckFinished(result=result(FAIL, clock, title="x hunter22", message="got hunter22")))
    task = asyncio.create_task(history.run(lambda text: text.replace("hunter22", "•••")))
    await until(lambda: clock.slept, "the past was never read")
    for _ in range(WRITE_EVERY):
        await clock.advance(TALLY_EVERY_S)
    data = project.root / "data"
    await until(lambda: list(data.rglob("session.json")), "the session was never written")
    task.cancel()
    (path,) = data.rglob("session.json")
    assert "hunter22" not in path.read_text()
    assert "•••" in path.read_text()


async def test_past_outcomes_are_shown_and_are_no_rounds_of_the_session(project: Project) -> None:
    clock = FakeClock()
    for number, status in enumerate((FAIL, *(PASS,) * 14)):
        keep(project, entry(f"run{number:02}", outcome("a", status), ended_at=clock.now()), warn=unexpected)
        history_of(project, warn=unexpected).collect()
    store, history = opened(project, clock)
    task = asyncio.create_task(history.run(str))
    await until(lambda: store.checks.past, "the past was never read")
    task.cancel()
    (row,) = check_grid(store, clock.now()).rows
    assert (row.status, row.outcomes, row.past) == (None, (), (PASS,) * 11)
    for _ in range(3):
        store.apply_event(CheckFinished(result=result(FAIL, clock)))
    (row,) = check_grid(store, clock.now()).rows
    assert (row.outcomes, row.past, row.streak) == ((FAIL,) * 3, (PASS,) * 8, 3)
    for _ in range(9):
        store.apply_event(CheckFinished(result=result(FAIL, clock)))
    (row,) = check_grid(store, clock.now()).rows
    assert (row.outcomes, row.past) == ((FAIL,) * 12, ())


async def test_a_failure_is_one_notice_and_no_exception(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PRODWATCH_DATA_DIR", str(tmp_path / "file"))
    clock = FakeClock()
    store = Store(clock)
    notices: list[str] = []
    history = SessionHistory(project, store, clock, "session", warn=notices.append)
    store.set_verdict(GREEN)
    store.apply_event(CheckFinished(result=result(PASS, clock)))
    for _ in range(3):
        await history.write(history.entry(str))
    assert len(notices) == 1
    assert "this run is not in the history" in notices[0]


def test_the_rounds_of_an_edited_check_are_counted_from_its_new_track() -> None:
    clock = FakeClock()
    store = Store(clock)
    store.define((plain("a"),))
    tally = RoundTally()
    for _ in range(3):
        store.apply_event(CheckFinished(result=result(PASS, clock)))
    tally.follow(store.checks.tracks)
    store.define((plain("a", title="edited", expect=("other == 1",)),))
    store.apply_event(CheckFinished(result=result(FAIL, clock)))
    tally.follow(store.checks.tracks)
    assert tally.rounds["a"].counts == {PASS: 3, FAIL: 1}


def test_more_rounds_than_the_store_keeps_are_counted_between_two_writings() -> None:
    clock = FakeClock()
    store = Store(clock)
    store.define((plain("a"),))
    tally = RoundTally()
    for _ in range(5):
        for _ in range(200):
            store.apply_event(CheckFinished(result=result(PASS, clock)))
        tally.follow(store.checks.tracks)
    assert tally.rounds["a"].counts == {PASS: 1000}


async def test_two_sessions_of_one_project_are_two_runs(project: Project) -> None:
    clock = FakeClock()
    for id_ in ("one", "two"):
        store = Store(clock)
        store.set_verdict(GREEN)
        store.apply_event(CheckFinished(result=result(PASS, clock)))
        session = SessionHistory(project, store, clock, id_, warn=unexpected)
        await session.write(session.entry(str))
        await clock.advance(timedelta(minutes=1).total_seconds())
    assert [each.id for each in history_of(project, warn=unexpected).runs(None, None)] == ["two", "one"]


async def test_a_live_session_is_kept_as_it_was_before_its_rounds_were_cancelled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.session.live.TICK_S", 0.02)
    root = project.root
    (root / "config").mkdir()
    (root / "checks").mkdir()
    (root / "config" / "prod.toml").write_text('title = "Prod"\n')
    hangs = '[[check]]\nname = "hangs"\ntype = "command"\nmutates = false\nargv = ["sleep", "60"]\ntimeout = "60s"\n'
    hangs += 'expect = ["exit_code == 0"]\n'
    passes = '[[check]]\nname = "passes"\ntype = "pass"\nreason = "x"\n'
    (root / "checks" / "a.toml").write_text(hangs + passes)
    loaded = load_project(root=root, env="prod", environ={})
    clock = SystemClock()
    store = Store(clock)
    session = LiveSession(loaded, store, clock, history=SessionHistory(loaded, store, clock, "live", warn=unexpected))
    await session.start()
    try:
        await until(lambda: store.checks.tracks["a/passes"].status is not None)
    finally:
        await session.stop()
    kept = history_of(loaded, warn=unexpected).entry("live")
    assert kept is not None
    assert [(each.id, each.status) for each in kept.outcomes] == [("a/passes", PASS)]
    assert (kept.run.mode, kept.run.status) == ("dashboard", "inconclusive")
    assert kept.run.reason == "the session ended before its first verdict"
