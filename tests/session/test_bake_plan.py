"""A plan of a bake rests on an hour of CloudWatch's figures: it changes nothing in AWS and runs no check."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from prodwatch.cli.commands.gate import command
from prodwatch.errors import ConfigurationError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.session.bake_plan import plan_bakes, traffic_of
from prodwatch.testing.clock import START, FakeClock
from tests.support.metric_world import MetricWorld

PAY = FunctionTarget(name="pay", alias="live")
NOW_MIN = int(START.timestamp()) // 60
CONFIG = """\
title = "Shop"
[[function]]
name = "pay"
alias = "live"
"""
CHECK = """\
[[check]]
name = "order"
type = "http"
url = "http://127.0.0.1:1/orders"
method = "POST"
mutates = true
expect = ["status == 200"]
"""


class World(MetricWorld):
    """CloudWatch with an hour of traffic; it records every operation."""

    def __init__(self, *, per_min: float = 2760.0, failed: float = 2.76, minutes: int = 70) -> None:
        self.time = FakeClock(START)
        super().__init__(self.time)
        self.operations: set[str] = set()
        span = range(NOW_MIN - minutes, NOW_MIN)
        if per_min:
            self.put("Invocations", "Sum", dict.fromkeys(span, per_min))
            self.put("Errors", "Sum", dict.fromkeys(span, failed))
            for stat, value in (("p50", 200.0), ("p95", 455.0), ("p99", 640.0)):
                self.put("Duration", stat, dict.fromkeys(span, value))

    async def call(self, service: str, operation: str, *more: Any, **named: Any) -> dict[str, Any]:
        self.operations.add(f"{service}:{operation}")
        return await super().call(service, operation, *more, **named)

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[dict[str, Any]]:
        self.operations.add(f"{service}:{operation}")
        async for page in super().pages(service, operation, params, **more):
            yield page


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    (tmp_path / "config" / "prod.toml").write_text(CONFIG)
    (tmp_path / "checks" / "orders.toml").write_text(CHECK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate fewer bakes than a user gets: the shares are not what is tested here."""
    monkeypatch.setattr("prodwatch.session.bake_plan.RUNS", 50)


def gate(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str, standalone: bool = False) -> Result:
    """Run the command with an engine that has no runner: a plan that runs a check fails on it."""

    @contextlib.asynccontextmanager
    async def engine(project: Any, **_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(environment=project.environment, aws=world, clock=world.time, clean=str)

    monkeypatch.setattr("prodwatch.session.engine.open_engine", engine)
    return CliRunner().invoke(command, ["--env", "prod", *arguments], standalone_mode=standalone)


def test_a_plan_reads_metrics_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    done = gate(world, monkeypatch, "--plan")
    assert (done.exception, done.return_value) == (None, 0)
    assert world.operations == {"cloudwatch:GetMetricData"}
    lines = done.stdout.splitlines()
    assert lines[0] == "pay: 46 requests/s, errors 0.1 %, 10 % of the traffic on the new version, bake 15 min"
    assert any("errors 0.1 % → 1.0 %" in line and "found in 100 % of the bakes, median" in line for line in lines)
    assert any("latency × 1.3" in line for line in lines)
    assert "a healthy release passes in " in lines[-1]


def test_the_same_as_json_for_another_weight_and_bake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = gate(World(per_min=60.0, failed=0.0), monkeypatch, "--plan", "--json", "--weight", "25", "--for", "10m")
    assert (done.exception, done.return_value) == (None, 0)
    document = msgspec.json.decode(done.stdout)
    assert document["schema"] == "prodwatch.plan/1"
    (planned,) = document["functions"]
    assert planned["function"] == "pay"
    plan = planned["plan"]
    assert (plan["weight"], plan["bake_s"], plan["passes"]) == (0.25, 600.0, 0.0)
    assert plan["requests_per_s"] == pytest.approx(1.0)
    assert {each["kind"] for each in plan["harms"]} == {"errors", "latency", "signature"}


def test_little_traffic_names_what_a_pass_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = gate(World(per_min=540.0, failed=0.54), monkeypatch, "--plan")
    last = done.stdout.splitlines()[-1]
    assert "no reliable pass at this traffic: it needs " in last
    assert "more requests of the new version" in last
    assert " % of the traffic" in last
    assert "a bake of " in last


def test_a_plan_is_written_to_a_file_and_replaced_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        done = gate(World(), monkeypatch, "--plan", "--json", "plan.json")
        assert (done.exception, done.return_value) == (None, 0)
    assert msgspec.json.decode((folder / "plan.json").read_bytes())["functions"][0]["plan"]["passes"] > 0.5
    assert done.stdout.startswith("pay: ")


def test_traffic_that_cannot_be_read_is_an_error_and_no_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.down.add((None, None))
    done = gate(world, monkeypatch, "--plan")
    assert done.return_value == 3
    assert done.stdout.startswith("pay: no plan: ")
    assert "denied" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weight", "10"), "--weight needs --plan"),
        (("--plan", "--nagios"), "--plan is written as text or with --json"),
        (("--plan", "--junit", "x.xml"), "--plan is written as text or with --json"),
        (("--plan", "--weight", "0"), "--weight"),
        (("--plan", "--strict"), "--plan gives no verdict"),
        (("--plan", "--on-inconclusive", "pass"), "--plan gives no verdict"),
        (("--plan", "--release", "42"), "--plan gives no verdict"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    world = World()
    done = gate(world, monkeypatch, *arguments, standalone=True)
    assert done.exit_code == 2
    assert words in done.output
    assert world.operations == set()


async def test_no_traffic_is_not_unread_traffic() -> None:
    environment = Environment(name="prod", title="Shop", source=SourcePosition("prod.toml"), functions=(PAY,))
    world = World(per_min=0.0)
    (planned,) = await plan_bakes(environment, world, clock=world.time, clean=str, weight=0.1, bake_s=900)
    assert planned.plan is not None
    assert (planned.plan.requests_per_s, planned.plan.passes) == (0.0, 0.0)


async def test_errors_that_cannot_be_read_are_not_zero() -> None:
    environment = Environment(name="prod", title="Shop", source=SourcePosition("prod.toml"), functions=(PAY,))
    world = World()
    world.answer = lambda key: "Forbidden" if key.metric == "Errors" else "Complete"
    (planned,) = await plan_bakes(environment, world, clock=world.time, clean=str, weight=0.1, bake_s=900)
    assert planned.plan is None
    assert planned.message == "the errors of pay could not be read"


async def test_without_durations_latency_is_not_foreseen() -> None:
    environment = Environment(name="prod", title="Shop", source=SourcePosition("prod.toml"), functions=(PAY,))
    world = World()
    world.answer = lambda key: "Forbidden" if key.metric == "Duration" else "Complete"
    (planned,) = await plan_bakes(environment, world, clock=world.time, clean=str, weight=0.1, bake_s=900)
    assert planned.plan is not None
    assert {each.kind for each in planned.plan.harms} == {"errors", "signature"}


def test_traffic_without_any_series_was_not_read() -> None:
    assert traffic_of(PAY, []) == "the invocations of pay could not be read"


async def test_an_environment_without_functions_has_no_plan() -> None:
    world = World()
    with pytest.raises(ConfigurationError, match="no \\[\\[function\\]\\]"):
        await plan_bakes(
            Environment(name="prod", title="Shop", source=SourcePosition("prod.toml")),
            world,
            clock=world.time,
            clean=str,
            weight=0.1,
            bake_s=900,
        )
