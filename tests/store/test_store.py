from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prodwatch.model.event import CheckFinished, CheckStarted, RunProgress
from prodwatch.model.result import Notice, Usage, Verdict
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricSeries,
    ReleaseEvent,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    Trace,
    TraceSummary,
)
from prodwatch.model.status import Status
from prodwatch.store import Store, StoreLimits, Topic
from prodwatch.testing.clock import START, FakeClock
from tests.support.scene import bad_release
from tests.support.scene.checks import PLANS, result

INFO = LogRecord(timestamp_ms=1, message="m", group="g", level=Level.INFO)
ERROR = LogRecord(timestamp_ms=1, message="m", group="g", level=Level.ERROR)


@pytest.fixture
def store() -> Store:
    return Store(FakeClock())


@pytest.mark.parametrize(
    ("record", "topics"),
    [
        (INFO, {Topic.LOGS}),
        (ERROR, {Topic.LOGS, Topic.SIGNATURES}),
        (TraceSummary(id="t", start_ms=0, duration_s=1), {Topic.TRACES}),
        (MetricSeries(key=MetricKey("n", "m"), points=()), {Topic.METRICS}),
        (AlarmState(name="a", state="OK"), {Topic.ALARMS, Topic.RELEASE}),
        (ReleaseEvent(at=START, source="lambda", subject="f", what="weights"), {Topic.RELEASE}),
        (ReleaseState(function="f"), {Topic.RELEASE}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, set) else "",
)
def test_each_record_moves_its_own_topics_and_no_other(store: Store, record: Any, topics: Any) -> None:
    store.apply(Batch(source="s", records=(record,)))
    assert {topic for topic in Topic if store.revision(topic)} == topics


def test_a_batch_of_a_thousand_lines_is_one_revision(store: Store) -> None:
    store.apply(Batch(source="logs", records=(INFO,) * 1000))
    assert (store.revision(Topic.LOGS), len(store.logs.ring)) == (1, 1000)


def test_an_empty_batch_moves_nothing(store: Store) -> None:
    store.apply(Batch(source="logs"))
    assert not any(store.revision(topic) for topic in Topic)


def test_statuses_replace_each_other(store: Store) -> None:
    for phase in (SourcePhase.STARTING, SourcePhase.LIVE):
        store.apply(Batch(source="logs:g", status=SourceStatus(source="logs:g", phase=phase, dropped=3)))
    assert (store.sources["logs:g"].phase, store.sources["logs:g"].dropped) == (SourcePhase.LIVE, 3)


def test_run_events_reach_the_checks(store: Store) -> None:
    store.apply_event(CheckStarted(id="orders/api-answers", at=START))
    assert store.checks.tracks["orders/api-answers"].running_since == START
    store.apply_event(RunProgress(done=1, total=3))
    assert (store.checks.done, store.checks.total) == (1, 3)
    assert store.revision(Topic.CHECKS) == 2


def test_a_change_of_status_is_on_the_time_line_and_a_first_pass_is_not(store: Store) -> None:
    import random

    dice = random.Random(1)
    for second, broken in ((0, False), (15, True), (30, True)):
        at = START + timedelta(seconds=second)
        store.apply_event(CheckFinished(result=result("orders/order-in-euros", at, broken, dice)))
    reported = [(each.source, each.from_, each.to) for each in store.release.events]
    assert reported == [("check", Status.PASS, Status.FAIL)]


def test_a_check_that_begins_red_is_on_the_time_line(store: Store) -> None:
    import random

    outcome = result("orders/order-in-euros", START, True, random.Random(1))
    store.apply_event(CheckFinished(result=outcome))
    assert [(each.from_, each.to) for each in store.release.events] == [(None, Status.FAIL)]


def test_the_verdict_keeps_since_when_and_its_changes_are_events() -> None:
    clock = FakeClock()
    store = Store(clock)
    good = Verdict(status="pass", exit_code=0, reason="all good")
    store.set_verdict(good)
    first = store.verdict
    store.set_verdict(good)
    assert first is not None
    assert store.verdict is not None
    assert store.verdict.since == first.since
    store.set_verdict(Verdict(status="fail", exit_code=1, reason="bad"))
    assert [each.to for each in store.release.events] == ["pass", "fail"]


def test_marks_traces_usage_and_notices_have_their_place(store: Store) -> None:
    store.mark("began the rollback")
    store.add_trace(Trace(id="t", spans=()))
    store.set_usage(Usage(cost_usd=1.0))
    for number in range(60):
        store.notice(Notice(code="c", message=str(number)))
    assert [each.to for each in store.release.events] == ["began the rollback"]
    assert store.traces.detail("t") is not None
    assert store.usage.cost_usd == 1.0
    assert [each.message for each in store.notices][:1] == ["10"]
    before = store.revision(Topic.USAGE)
    store.set_usage(Usage(cost_usd=1.0))
    assert store.revision(Topic.USAGE) == before


def test_limits_hold_whatever_comes() -> None:
    store = Store(FakeClock(), limits=StoreLimits(log_lines=100, traces=10, events=20))
    for number in range(50):
        store.apply(Batch(source="logs", records=(INFO,) * 37))
        store.apply(Batch(source="t", records=(TraceSummary(id=str(number), start_ms=0, duration_s=1),)))
        store.mark(str(number))
    assert len(store.logs.ring) <= 100
    assert store.logs.ring.tail == 50 * 37
    assert len(store.traces.summaries) == 10
    assert len(store.release.events) <= 20


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_the_scene_fills_every_part(store: Store, moment: Any) -> None:
    scene = bad_release(START, moment=moment)
    store.define(scene.definitions)
    for batch in scene.batches:
        store.apply(batch)
    for event in scene.events:
        store.apply_event(event)
    assert len(store.checks.tracks) == len(PLANS)
    assert len(store.logs.ring) > 4000
    assert store.traces.summaries
    assert store.metrics.series
    assert store.release.alarms


def test_series_beyond_the_capacity_are_reported_once() -> None:
    store = Store(FakeClock(), limits=StoreLimits(series=1))
    for name in ("a", "b", "c"):
        store.apply(Batch(source="metrics", records=(MetricSeries(key=MetricKey("N", name), points=()),)))
    assert (len(store.metrics.series), store.metrics.left_out) == (1, 2)
    assert [(notice.code, notice.message) for notice in store.notices] == [
        ("metrics", "the environment has more than 1 metric series; some are not shown")
    ]
