"""While the dashboard is open a good edit replaces the checks, a bad one is said and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.clock import SystemClock
from prodwatch.errors import ConfigurationError
from prodwatch.session.live import LiveSession
from prodwatch.session.reload import Reload
from prodwatch.settings import Project
from prodwatch.store.store import Store
from tests.support.waiting import until

ONE = '[[check]]\nname = "one"\ntype = "pass"\n'
TWO = '\n[[check]]\nname = "two"\ntype = "pass"\n'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    (tmp_path / "config" / "prod.toml").write_text('title = "Prod"\n')
    (tmp_path / "checks" / "a.toml").write_text(ONE)
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def edit(path: Path, text: str) -> None:
    """Write a file so that its stamp changes whatever the file system's clock resolves."""
    path.write_text(text)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def project_of(root: Path) -> Project:
    return load(Common(env="prod", root=root), quiet=True)


def test_nothing_is_loaded_while_nothing_changes(root: Path) -> None:
    assert Reload(project_of(root), lambda: pytest.fail("loaded without a reason")).poll() is None


def test_an_edit_is_loaded_once(root: Path) -> None:
    reload = Reload(project_of(root), lambda: project_of(root))
    edit(root / "checks" / "a.toml", ONE + TWO)
    found = reload.poll()
    assert isinstance(found, Project)
    assert [check.name for check in found.checks] == ["one", "two"]
    assert reload.poll() is None


def test_a_new_file_and_a_removed_one_are_edits_too(root: Path) -> None:
    reload = Reload(project_of(root), lambda: project_of(root))
    (root / "checks" / "b.toml").write_text(TWO)
    assert isinstance(reload.poll(), Project)
    (root / "checks" / "b.toml").unlink()
    assert isinstance(reload.poll(), Project)


def test_a_bad_edit_is_a_problem_with_its_place(root: Path) -> None:
    reload = Reload(project_of(root), lambda: project_of(root))
    edit(root / "checks" / "a.toml", ONE.replace("pass", "pas"))
    found = reload.poll()
    assert isinstance(found, ConfigurationError)
    assert "checks/a.toml:3:" in str(found)


async def test_the_session_takes_over_a_good_edit_and_keeps_on_through_a_bad_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.session.live.RELOAD_EVERY_S", 0.02)
    monkeypatch.setattr("prodwatch.session.live.TICK_S", 0.02)
    clock = SystemClock()
    store = Store(clock)
    project = project_of(root)
    session = LiveSession(project, store, clock, reload=Reload(project, lambda: project_of(root)))
    await session.start()
    try:
        await until(lambda: store.checks.tracks["a/one"].status is not None)
        edit(root / "checks" / "a.toml", "[[check]\n")
        await until(lambda: any("edit ignored" in notice.message for notice in store.notices))
        assert list(store.checks.tracks) == ["a/one"]
        edit(root / "checks" / "a.toml", ONE + TWO)
        await until(lambda: "a/two" in store.checks.tracks and store.checks.tracks["a/two"].status is not None)
    finally:
        await session.stop()
    assert store.checks.tracks["a/one"].status is not None


async def test_notices_of_rounds_reach_the_store_before_and_after_an_edit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.session.live.RELOAD_EVERY_S", 0.02)
    monkeypatch.setattr("prodwatch.session.live.TICK_S", 0.02)
    rows = 'type = "sql"\nmutates = false\nurl = "sqlite://"\nstatement = "values (1), (2)"\nmax_rows = 1\n'
    rows += 'expect = ["count == 1"]\n'
    one, two = (f'[[check]]\nname = "{name}"\n{rows}' for name in ("one", "two"))
    (root / "checks" / "a.toml").write_text(one)
    clock = SystemClock()
    store = Store(clock)
    project = project_of(root)
    session = LiveSession(project, store, clock, reload=Reload(project, lambda: project_of(root)))

    def is_noticed(id_: str) -> bool:
        return any(each.message.startswith(f"{id_}: the statement returns more than 1 row") for each in store.notices)

    await session.start()
    try:
        await until(lambda: is_noticed("a/one"))
        edit(root / "checks" / "a.toml", one + two)
        await until(lambda: is_noticed("a/two"))
    finally:
        await session.stop()
