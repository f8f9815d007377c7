"""The bench of verdicts: harmless releases are not failed, blind gates never pass, and plans agree with it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prodwatch.judge.comparison.plan import Traffic, plan
from prodwatch.model.environment import Compare

BENCH = Path(__file__).parents[3] / "bench"
GOAL = re.compile(
    r"goal: .+, 46/s: (?:failed|passed) at (?:least|most) .+: \d+ of \d+(?:, (?:[\d.]+ min|never))?: (not )?met"
)
ROW = re.compile(
    r"(?P<name>.+), 46/s +(?P<failed>\d+) of (?P<runs>\d+) ≤ [\d.]+ % +\d+ of \d+ ≤ [\d.]+ % +(?P<passed>\d+) of "
)
RUNS = 150
TOLERANCE = 0.15
"""Two shares of 150 releases each differ by chance by up to 0.12 in 95 of 100 cases."""

pytestmark = pytest.mark.slow


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("verdicts")


def _release(name: str, **keys: Any) -> Any:
    return importlib.import_module("_releases").Release(name, **keys)


def test_every_goal_is_printed_and_no_harmless_release_fails_and_no_blind_gate_passes(verdicts: Any) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "verdicts.py"), "--quick"], capture_output=True, text=True, check=True
    )
    goals = [line for line in done.stdout.splitlines() if line.startswith("goal:")]
    assert all(GOAL.fullmatch(line) for line in goals), goals
    for name in ("errors 0.1 → 1 %", "errors 0.1 → 5 %", "p95 × 1.5", "tail × 8 in 5 %", "signature in 0.5 %"):
        assert any(line.startswith(f"goal: {name}, 46/s: failed at least") for line in goals)
    assert done.stdout.count("plan: ") == 1 + len(verdicts.FORESEEN) + 1
    rows = {row["name"]: row for line in done.stdout.splitlines() if (row := ROW.match(line))}
    assert set(rows) == {each.name for each in (*verdicts.RELEASES, *(scene.release for scene in verdicts.SCENES))}
    harmless = [rows[each.name] for each in verdicts.HARMLESS]
    assert [(row["name"], row["failed"]) for row in harmless if row["failed"] != "0"] == []
    blind = [rows[each.release.name] for each in verdicts.SCENES]
    assert [(row["name"], row["passed"]) for row in blind if row["passed"] != "0"] == []


def test_a_scene_that_is_not_broken_passes(verdicts: Any) -> None:
    scene = importlib.import_module("_judged").Scene(_release("healthy"))
    assert [verdicts.run_scene(scene, 46.0, seed).status for seed in range(3)] == ["pass"] * 3


@pytest.mark.parametrize(
    ("rate", "cell", "harm"),
    [
        (46.0, {"bad": 0.01}, "errors 0.1 % → 1.0 %"),
        (15.0, {"bad": 0.01}, "errors 0.1 % → 1.0 %"),
        (7.0, {"slower": 1.3}, "latency × 1.3"),
        (15.0, {"signature": 0.005}, "new error signature in 0.5 % of its requests"),
    ],
)
def test_a_plan_agrees_with_simulated_releases(verdicts: Any, rate: float, cell: dict[str, float], harm: str) -> None:
    release = _release(harm, harmful=True, **cell)
    judged = [verdicts.run_release(release, rate, seed) for seed in range(RUNS)]
    simulated = verdicts.Cell(release, rate, judged)
    foreseen = plan(
        Traffic(requests_per_s=rate, error_share=0.001, durations_ms=tuple(verdicts.durations()[:20_000])),
        weight=0.1,
        bake_s=900,
        limits=Compare(),
        runs=RUNS,
    )
    planned = next(each for each in foreseen.harms if each.harm == harm)
    assert planned.found == pytest.approx(simulated.count("fail") / RUNS, abs=TOLERANCE)
    if planned.found > 0.8 and planned.after_s is not None:
        assert planned.after_s / 60 == pytest.approx(simulated.median(), abs=1.0)


@pytest.mark.parametrize("rate", [14.0, 46.0])
def test_a_planned_pass_agrees_with_simulated_releases(verdicts: Any, rate: float) -> None:
    judged = [verdicts.run_release(verdicts.HARMLESS[0], rate, seed) for seed in range(RUNS)]
    passed = sum(each.status == "pass" for each in judged) / RUNS
    traffic = Traffic(requests_per_s=rate, error_share=0.001)
    foreseen = plan(traffic, weight=0.1, bake_s=900, limits=Compare(), runs=RUNS)
    assert foreseen.passes == pytest.approx(passed, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "is_whole"),
    [("weight 2 → 10 → 50 %", True), ("signature in 5 %", False), ("blind: alarms throttled midway", True)],
)
def test_a_whole_gate_on_log_lines_comes_to_the_verdict_of_the_judge(
    verdicts: Any, name: str, *, is_whole: bool
) -> None:
    (task,) = verdicts.twins_of([name], 1)
    twin = verdicts.run_twin(task)
    assert twin.is_equal, twin
    by_counts, by_lines = twin.served
    if is_whole:
        assert by_lines == by_counts
    else:
        assert twin.gated_min == pytest.approx(twin.counted_min, abs=0.5)
