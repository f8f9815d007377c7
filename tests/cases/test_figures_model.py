"""Metrics of random functions, releases, gaps and failures, from CloudWatch to the verdict, against the known truth.

Nothing is shown that is not true, nothing that was read is missing, and trouble or an unread series is never green.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.environment import FunctionTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult
from prodwatch.model.signal import SETTLED_AFTER_S, Batch, MetricKey, MetricSeries, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.release.version_history import ALWAYS_S, Shift
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.events_in_window import changes
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import verdict_line
from prodwatch.views.window_comparison import compare_windows
from tests.support.examples import slow_but
from tests.support.metric_world import MetricWorld, Where

HERE = SourcePosition("checks/a.toml", 1, 1)
END_MINUTE = int(START.timestamp()) // 60
FIRST_MINUTE = END_MINUTE - 120
WINDOW = Window(start=START - timedelta(hours=1))
STATUSES = ("InternalError", "Forbidden", "PartialData", "left out")
SCENARIOS = ("healthy", "errors", "slow", "stopped", "idle")
FIGURES = {"errors", "p95", "p50", "p99", "requests/s", "throttles"}


@dataclass
class Minute:
    """The truth of one minute of one scope."""

    calls: float
    errors: float
    throttles: float
    duration_ms: float


@dataclass
class Truth:
    """One function: what happened in every minute, to all of it and to each version."""

    target: FunctionTarget
    scenario: str
    versions: FunctionVersions
    minutes: dict[tuple[str | None, int], Minute] = field(default_factory=dict)

    @property
    def where(self) -> Where:
        return (self.target.account, self.target.region)


def truth_of(dice: random.Random, number: int) -> Truth:
    """Return a function with random traffic, and two to four releases in a random part of the two hours."""
    where: Where = dice.choice([(None, None), (None, "us-east-1"), ("pay", None)])
    target = FunctionTarget(name=f"f{number}", alias="live", account=where[0], region=where[1])
    scenario = dice.choice(SCENARIOS)
    releases = sorted(dice.sample(range(FIRST_MINUTE + 5, END_MINUTE - 5), dice.choice([0, 0, 1, 2, 3])))
    shifts, version = [Shift(ALWAYS_S, "40")], 40
    split: dict[int, tuple[str, str]] = {}
    for at in releases:
        old, version = version, version + 1
        length = dice.choice([0, 3])
        split.update({minute: (str(old), str(version)) for minute in range(at, min(at + length, END_MINUTE))})
        if length:
            shifts.append(Shift(at * 60.0, None))
        shifts.append(Shift((at + length) * 60.0, str(version)))
    known = (str(version), str(version - 1)) if releases else (str(version),)
    truth = Truth(target, scenario, FunctionVersions(known, tuple(sorted(shifts, key=lambda each: each.at_s))))
    per_minute = dice.choice([10, 600])
    for minute in range(FIRST_MINUTE, END_MINUTE):
        late = minute >= END_MINUTE - 60
        if scenario == "idle" or (scenario == "stopped" and minute >= END_MINUTE - 40):
            continue
        share = 0.3 if scenario == "errors" and late else 0.0
        whole = Minute(
            calls=per_minute,
            errors=per_minute * share,
            throttles=0.0,
            duration_ms=900.0 if scenario == "slow" and late else 100.0,
        )
        truth.minutes[None, minute] = whole
        if minute in split:
            for name, weight in zip(split[minute], (0.9, 0.1), strict=True):
                own = Minute(whole.calls * weight, whole.errors * weight, 0.0, whole.duration_ms)
                truth.minutes[name, minute] = own
    return truth


def put(world: MetricWorld, truth: Truth) -> None:
    for (version, minute), each in truth.minutes.items():
        values = [
            ("Invocations", "Sum", each.calls),
            *[("Duration", stat, each.duration_ms) for stat in ("p50", "p95", "p99")],
        ]
        # Lambda publishes no point for errors and throttles that did not happen.
        values += [("Errors", "Sum", each.errors)] if each.errors else []
        for metric, stat, value in values:
            world.put(metric, stat, {minute: value}, function=truth.target.name, version=version, where=truth.where)


def expected(truth: Truth, version: str | None, minute: int) -> Minute | None:
    """Return what happened to a version in a minute: all of the alias's calls while it served alone."""
    own = truth.minutes.get((version, minute))
    if own is not None or version is None:
        return own
    serving = [each.version for each in truth.versions.shifts if each.at_s <= minute * 60]
    return truth.minutes.get((None, minute)) if serving[-1] == version else None


def value_of(label: str, minute: Minute) -> float:
    figures = {
        "errors": 100 * minute.errors / minute.calls,
        "requests/s": minute.calls / 60,
        "throttles": minute.throttles,
    }
    return figures.get(label, minute.duration_ms)


def store_with_a_green_check(clock: FakeClock) -> Store:
    store = Store(clock)
    store.define([CheckDefinition(id="a", name="a", title="a", type="http", source=HERE, every_s=30.0)])
    for name in ("release", "alarms", "logs:/aws/lambda/f"):
        store.apply(Batch(source=name, status=SourceStatus(source=name, phase=SourcePhase.LIVE)))
    return store


def look(store: Store, clock: FakeClock) -> None:
    result = CheckResult(
        id="a", name="a", title="a", kind="smoke", type="http", status=Status.PASS, started_at=clock.now(), source=HERE
    )
    store.apply_event(CheckFinished(result=result))


async def read(source: MetricSource, store: Store, clock: FakeClock) -> bool:
    """Read once as the source's loop does; return whether anything was read."""
    began_s = clock.now().timestamp()
    try:
        records = await source.poll()
    except AwsError as error:
        failed = SourceStatus(source="metrics", phase=SourcePhase.FAILED, message=error.message)
        store.apply(Batch(source="metrics", status=failed))
        return False
    store.apply(Batch(source="metrics", records=tuple(records), status=source.status(began_s)))
    return True


@pytest.mark.parametrize("seed", slow_but(range(20), range(60)))
async def test_figures_are_true_complete_and_never_falsely_green(seed: int) -> None:
    dice = random.Random(seed)
    clock = FakeClock(START - timedelta(minutes=dice.choice([0, 30, 60])))
    world = MetricWorld(clock)
    world.page_size = dice.choice([3, 500])
    truths = {truth.target: truth for truth in (truth_of(dice, number) for number in range(dice.randint(1, 3)))}
    for truth in truths.values():
        put(world, truth)
    source = MetricSource(
        world,
        list(truths),
        [],
        clock=clock,
        since=START - timedelta(hours=2),
        versions_of=lambda target: truths[target].versions,
    )
    store = store_with_a_green_check(clock)
    rate = dice.choice([0.0, 0.02, 0.3])
    bad: dict[MetricKey, str] = {}
    places = sorted({truth.where for truth in truths.values()}, key=str)

    def answer(key: MetricKey) -> str:
        if key not in bad:
            bad[key] = dice.choice(STATUSES) if dice.random() < rate else "Complete"
        return bad[key]

    world.answer = answer
    while clock.now() < START:
        bad.clear()
        world.down = {place for place in places if dice.random() < rate}
        await read(source, store, clock)
        await clock.advance(dice.choice([30, 60, 600]))
    # The last reading is five minutes later, when all of the window has settled: whole, or with random failures.
    await clock.advance((START - clock.now()).total_seconds() + 300)
    broken = dice.random() < 0.5
    bad.clear()
    world.down = set()
    if not broken:
        world.answer = lambda _key: "Complete"
    was_read = await read(source, store, clock)
    look(store, clock)
    unread = any(status != "Complete" for status in bad.values()) if broken else False

    shown = assert_true(store, truths)
    verdict = verdict_line(store, clock.now(), window=WINDOW)
    if unread or not was_read:
        assert verdict.status != "pass", "a series was not read"
        assert changes(store, WINDOW, clock.now()).unseen
        return
    assert_whole(shown, truths)
    assert_judged(store, truths, clock, verdict.status)


def of(key: MetricKey, truths: dict[FunctionTarget, Truth]) -> Truth:
    return next(each for each in truths.values() if each.target.name == key.function)


def assert_true(store: Store, truths: dict[FunctionTarget, Truth]) -> dict[MetricKey, MetricSeries]:
    """Every point that is shown is what happened, and in no minute that reads as empty did anything happen."""
    shown = dict(store.metrics.series)
    for key, series in shown.items():
        truth, label = of(key, truths), key.label.split()[0]
        assert label in FIGURES
        known = {point.timestamp_s // 60 for point in series.points}
        for point in series.points:
            happened = expected(truth, key.version, point.timestamp_s // 60)
            assert happened is not None, (key, point)
            assert point.value == pytest.approx(value_of(label, happened)), (key, point)
        for start_s, end_s in series.read:
            if label == "requests/s":
                silent = {minute for minute in range(start_s // 60, end_s // 60) if minute not in known}
                assert not silent & {minute for version, minute in truth.minutes if version is None}
    return shown


def assert_whole(shown: dict[MetricKey, MetricSeries], truths: dict[FunctionTarget, Truth]) -> None:
    """Every minute of an alias as a whole that has settled is shown in every figure."""
    last = END_MINUTE - int(SETTLED_AFTER_S) // 60
    for truth in truths.values():
        whole = {minute for version, minute in truth.minutes if version is None and minute < last}
        for label in sorted(FIGURES):
            points = {
                point.timestamp_s // 60
                for key, series in shown.items()
                if (key.function, key.version, key.label.split()[0]) == (truth.target.name, None, label)
                for point in series.points
            }
            assert whole <= points, (truth.target, label)


def assert_judged(store: Store, truths: dict[FunctionTarget, Truth], clock: FakeClock, status: str) -> None:
    """Trouble is bad news of its own function, and health is not."""
    rows = {each.label: each for each in compare_windows(store, WINDOW, clock.now())}
    found = changes(store, WINDOW, clock.now())
    for truth in truths.values():
        suffix = f" {truth.target.name}" if len(truths) > 1 else ""
        own = {label: rows[f"{label}{suffix}"] for label in FIGURES if f"{label}{suffix}" in rows}
        worse = {label for label, row in own.items() if row.worse}
        if truth.scenario == "errors":
            assert "errors" in worse
        elif truth.scenario == "slow":
            assert {"p95", "p50", "p99"} <= worse
        elif truth.scenario == "stopped":
            assert own["requests/s"].ceased_s is not None
        elif truth.scenario == "idle":
            assert any(f"requests/s{suffix}" in reason for reason in found.uncompared)
        else:
            assert not worse
    trouble = any(truth.scenario in {"errors", "slow", "stopped"} for truth in truths.values())
    assert any(each.bad for each in found.rows) is trouble
    assert (status == "pass") is not trouble
