"""The dashboard over two accounts and two regions with everything of one name: each panel, and the verdict."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from prodwatch.clock import SystemClock
from prodwatch.model.identity import HOME, Place, unique_name
from prodwatch.model.signal import SourcePhase
from prodwatch.session.live import LiveSession
from prodwatch.session.protocol import SessionFacts
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import Preferences
from prodwatch.views.signals import signals
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import verdict_line
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.two_accounts import BOOM, FUNCTIONS, PAY, PAY_EAST, PLACES, TwoAccounts
from tests.support.waiting import until
from tests.tui.conftest import Bench

SIZE = (200, 70)
GREEN = '[[check]]\nname = "green"\ntype = "pass"\n'


@pytest.fixture
def project(project: CaseProject, monkeypatch: pytest.MonkeyPatch) -> CaseProject:
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    project.write("checks/c.toml", GREEN)
    return project


@asynccontextmanager
async def dashboard(project: CaseProject, scene: TwoAccounts, *, window: Window | None = None) -> AsyncIterator[Bench]:
    """Run the app with its real session until every source has responded or failed."""
    os.environ["AWS_ENDPOINT_URL"] = scene.home.url
    project.configure(scene.tables)
    clock = SystemClock()
    store = Store(clock)
    loaded = load_project(root=project.project, env="t", environ={**project.environ, **os.environ})
    session = LiveSession(loaded, store, clock, window=window)
    facts = SessionFacts(environment="t", title="T", every_s=loaded.environment.rounds.every_s, window=window)
    app = ProdwatchApp(store, session, environment=facts, clock=clock, preferences=Preferences(fps=0))

    def has_read() -> bool:
        phases = [status.phase for name, status in store.sources.items() if not name.startswith("service-map")]
        return len(phases) > len(PLACES) and SourcePhase.STARTING not in phases and bool(store.traces.summaries)

    async with app.run_test(size=SIZE) as pilot:
        await until(has_read)
        bench = Bench(app, pilot, session, [])  # type: ignore[arg-type]  # only its app and pilot are used
        await bench.frames()
        yield bench
    await session.stop()
    assert not app.failures


ALL_OF_IT = (
    "logs:FilterLogEvents",
    "xray:GetTraceSummaries",
    "cloudwatch:GetMetricData",
    "cloudwatch:DescribeAlarms",
    "lambda:GetAlias",
    "codedeploy:ListDeployments",
)


def rows(bench: Bench, *words: str) -> list[str]:
    """Return the painted rows that hold all of `words`."""
    return [line for line in bench.painted() if all(word in line for word in words)]


def names(place: Place, name: str) -> str:
    """Return a name as a row shows it, which ends there."""
    return f"{unique_name(name, place)} "


async def test_K19_every_panel_shows_the_place_that_fails(project: CaseProject, served_world: World) -> None:
    scene = TwoAccounts(served_world, PAY_EAST)
    with scene.serving():
        async with dashboard(project, scene) as bench:
            verdict = verdict_line(bench.store, SystemClock().now())
            assert verdict.status == "fail"
            assert {each.split(":")[0].split(" is ")[0] for each in verdict.reasons} == {
                f"metric depth in {PAY_EAST}",
                f"alarm orders-errors in {PAY_EAST}",
            }
            (alarm,) = rows(bench, "ALARM")
            assert names(PAY_EAST, "orders-errors") in alarm
            assert all(rows(bench, "OK", names(place, "orders-errors")) for place in PLACES if place != PAY_EAST)
            assert rows(bench, BOOM, "1×", names(PAY_EAST, "orders"))
            assert rows(bench, "FAULT", names(PAY_EAST, "orders"))
            assert rows(bench, "ERROR", names(PAY_EAST, "orders"), BOOM)
            assert all(rows(bench, "INFO", names(place, "mail")) for place in PLACES)
            labels = {each.label for each in signals(bench.store, SystemClock().now()).rows}
            assert {unique_name(f"errors {name}", place) for place in PLACES for name in FUNCTIONS} <= labels
            await bench.press("3")
            assert len(rows(bench, "300 ms", "orders")) == len(PLACES)
            await bench.press("4")
            assert rows(bench, names(HOME, "requests/s orders"))
            await bench.press("5")
            assert all(rows(bench, "deployment created", names(place, id_)) for place, id_ in scene.deployments.items())
            await bench.press("C")
            assert all(rows(bench, names(place, "orders:live"), "errors") for place in PLACES)


@pytest.mark.parametrize(
    "unread", [PAY, pytest.param(HOME, marks=pytest.mark.slow)], ids=lambda each: str(each) or "home"
)
async def test_K17_a_place_of_which_nothing_can_be_read_hides_no_other(
    unread: Place, project: CaseProject, served_world: World
) -> None:
    scene = TwoAccounts(served_world, PAY_EAST)
    with scene.serving(), ExitStack() as stack:
        for operation in ALL_OF_IT:
            stack.enter_context(scene.refusing(operation, unread))
        async with dashboard(project, scene) as bench:
            rest = set(PLACES) - {unread}
            store = bench.store
            assert {id_.place for id_ in store.logs.groups} == rest
            assert {id_.place for id_ in store.release.alarms} == rest
            assert {each.place for each in store.traces.summaries.values()} == rest
            assert {key.place for key in store.metrics.series} == rest
            assert rows(bench, "ALARM", names(PAY_EAST, "orders-errors"))
            assert rows(bench, "ERROR", names(PAY_EAST, "orders"), BOOM)
            told = [text for each in store.sources.values() for text in (each.message or "", *each.unread)]
            for operation in ALL_OF_IT:
                service, _, name = operation.partition(":")
                about = [text for text in told if f"{service} {name}" in text]
                assert about, (operation, told)
                assert all(f" in {unread} was denied" in text or not unread for text in about), about


async def test_K4_triage_names_the_place_of_each_change(project: CaseProject, served_world: World) -> None:
    scene = TwoAccounts(served_world, PAY_EAST)
    start = datetime.fromtimestamp(scene.now_s, UTC) - timedelta(minutes=15)
    with scene.serving():
        async with dashboard(project, scene, window=Window(start=start)) as bench:
            verdict = verdict_line(bench.store, SystemClock().now(), window=Window(start=start))
            assert verdict.status == "fail"
            bad = [line for line in bench.painted() if "▲" in line]
            assert len(bad) >= 2, bench.text
            assert all(f" in {PAY_EAST} " in line or f" in {PAY_EAST}," in line for line in bad)
            assert all(
                rows(bench, "deployment v41 → v42", f"({unique_name(id_, place)})")
                for place, id_ in scene.deployments.items()
            )
