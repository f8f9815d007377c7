from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.identity import HOME, Place
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    EvaluatedSignals,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleaseEvent,
    ReleasePhase,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import alarm_rows, signature_rows
from prodwatch.views.aws_console_links import (
    alarm_page,
    deployment_page,
    function_page,
    log_page,
    metric_page,
    stack_page,
    trace_page,
)
from prodwatch.views.chart import band, plot, plot_ascii, scale_of
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.release import release_header, version_label
from prodwatch.views.signals import signals
from prodwatch.views.sparkline import LEVELS, heights, squeeze
from prodwatch.views.status_style import Tone
from prodwatch.views.timeline import describe, slot_of, timeline
from prodwatch.views.traces import trace_table

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False)), max_size=80)


@given(VALUES)
def test_heights_stay_in_range_keep_gaps_and_order(values: list[float | None]) -> None:
    levels = heights(values)
    assert [level is None for level in levels] == [value is None for value in values]
    assert all(0 <= level < LEVELS for level in levels if level is not None)
    known = sorted((v, level) for v, level in zip(values, levels, strict=True) if v is not None and level is not None)
    assert [level for _, level in known] == sorted(level for _, level in known)


@given(VALUES, st.integers(1, 40))
def test_squeezing_keeps_the_peak(values: list[float | None], slots: int) -> None:
    out = squeeze(values, slots)
    assert len(out) == min(len(values), slots)
    assert max((v for v in out if v is not None), default=None) == max(
        (v for v in values if v is not None), default=None
    )


@given(VALUES, st.integers(1, 60), st.integers(1, 20))
def test_a_plot_fills_exactly_its_cells(values: list[float | None], width: int, height: int) -> None:
    scale = scale_of(values)
    for lines in (plot(values, scale, width, height), plot_ascii(values, scale, width, height, "*")):
        assert [len(line) for line in lines] == [width] * height
        assert any(line.strip() for line in lines) == any(value is not None for value in values)


def test_the_band_is_the_middle_and_needs_enough() -> None:
    assert band([None, 1.0, 2.0]) is None
    assert band([float(n) for n in range(10)]) == (1.0, 8.0)


def test_signals_pair_versions_and_mark_the_release(play: Any, now: datetime) -> None:
    table = signals(play("during"), now)
    rows = {row.label: row for row in table.rows}
    assert (table.old_version, table.new_version, table.mark) == ("41", "42", 55)
    assert rows["p95"].change is not None
    assert rows["p95"].old is not None
    assert rows["p95"].new is not None
    assert rows["p95"].change == pytest.approx(rows["p95"].new / rows["p95"].old - 1)
    assert rows["queue age"].new is None
    assert rows["throttles"].change is None


def test_the_judged_assertions_of_a_metric_are_in_its_row(play: Any, now: datetime) -> None:
    store = play("during")
    judged = SignalResult(kind="metric", id="queue age", name="queue age", status=Status.DEGRADED)
    store.apply(Batch(source="metrics", records=(EvaluatedSignals(kind="metric", results=(judged,)),)))
    rows = {row.label: row.status for row in signals(store, now).rows}
    assert (rows["queue age"], rows["p95"]) == (Status.DEGRADED, None)


def test_without_a_release_all_series_speak_for_now(play: Any, now: datetime) -> None:
    table = signals(play("before"), now)
    assert (table.mark, table.new_version) == (None, None)
    assert all(row.new is None for row in table.rows)


def test_a_settled_value_is_preferred_and_gaps_stay_gaps(now: datetime) -> None:
    store = Store(FakeClock())
    minute = int(START.timestamp()) // 60 * 60
    points = (MetricPoint(minute - 180, 5.0), MetricPoint(minute - 60, 9.0, False))
    store.apply(Batch(source="m", records=(MetricSeries(key=MetricKey("n", "m", label="x"), points=points),)))
    row = signals(store, now, slots=4).rows[0]
    assert row.old == 5.0
    assert row.old_points == (5.0, None, 9.0, None)


def status(phase: SourcePhase, **more: Any) -> SourceStatus:
    return SourceStatus(source="traces", phase=phase, **more)


@pytest.mark.parametrize(
    ("state", "text", "stale"),
    [
        (status(SourcePhase.LIVE, fresh_at=START - timedelta(seconds=1.4)), "fresh 1.4 s", False),
        (status(SourcePhase.LIVE, fresh_at=START - timedelta(minutes=4)), "stale, last read 4m ago", True),
        (status(SourcePhase.STARTING), "loading", False),
        (
            status(SourcePhase.DENIED, action="xray:GetTraceSummaries"),
            "not allowed: needs xray:GetTraceSummaries",
            True,
        ),
        (status(SourcePhase.THROTTLED, retry_at=START + timedelta(seconds=8)), "throttled, next try in 8s", False),
        (status(SourcePhase.FAILED, retry_at=START + timedelta(seconds=30)), "failed, next try in 30s", True),
        (status(SourcePhase.BEHIND, fresh_at=START - timedelta(seconds=90)), "behind by 1m", True),
        (status(SourcePhase.EXPIRED), "expired", True),
        (
            status(SourcePhase.LIVE, fresh_at=START, late=3, sampled=2, dropped=1),
            "fresh 0.0 s · 3 late · 2 not read (cost limit) · 1 dropped",
            False,
        ),
    ],
    ids=lambda value: value.phase.value if isinstance(value, SourceStatus) else "",
)
def test_freshness_in_words(now: datetime, state: SourceStatus, text: str, stale: bool) -> None:
    store = Store(FakeClock())
    store.apply(Batch(source="traces", status=state))
    fresh = freshness(store, "traces", now)
    assert (fresh.text, fresh.stale) == (text, stale)


def test_the_worst_of_many_sources_speaks_and_their_drops_are_added(now: datetime) -> None:
    store = Store(FakeClock())
    for name, phase in (("logs:a", SourcePhase.LIVE), ("logs:b", SourcePhase.DENIED), ("logs:c", SourcePhase.LIVE)):
        given_status = SourceStatus(source=name, phase=phase, fresh_at=START, action="logs:FilterLogEvents", dropped=2)
        store.apply(Batch(source=name, status=given_status))
    fresh = freshness(store, "logs", now)
    assert fresh.text == "not allowed: needs logs:FilterLogEvents (1 of 3) · 6 dropped"
    assert fresh.help is not None
    assert "iam-policy" in fresh.help


def test_a_source_nobody_has_heard_of_has_no_phase(now: datetime) -> None:
    assert freshness(Store(FakeClock()), "logs", now).phase is None


def test_the_release_line(play: Any, now: datetime) -> None:
    header = release_header(play("during"), now)
    assert header is not None
    assert [(each.version, each.weight, each.new) for each in header.shares] == [("41", 0.9, False), ("42", 0.1, True)]
    assert (header.phase, header.elapsed_s, header.next_shift_s) == (ReleasePhase.SHIFTING, 192.0, 108.0)
    assert release_header(play("before"), now) is None


@pytest.mark.parametrize(("version", "label"), [("42", "v42"), ("$LATEST", "$LATEST"), (None, "–")])
def test_version_labels(version: str | None, label: str) -> None:
    assert version_label(version) == label


def trace(trace_id: str, start_ms: int, **more: Any) -> TraceSummary:
    values: dict[str, Any] = {"url": "https://h/orders?x=1", "status": 200, "duration_s": 0.1, **more}
    return TraceSummary(id=trace_id, start_ms=start_ms, **values)


@pytest.fixture
def traced() -> Store:
    store = Store(FakeClock())
    records = (
        trace("ok", 1),
        trace("fault", 2, fault=True, status=500, root_cause="api: KeyError"),
        trace("slow", 3, duration_s=2.0, slowest="dynamodb 1.7 s", version="42"),
        trace("error", 4, error=True, status=404),
        trace("open", 5, partial=True),
    )
    store.apply(Batch(source="traces", records=records))
    return store


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("newest", ["open", "error", "slow", "fault", "ok"]),
        ("worst", ["fault", "slow", "error", "open", "ok"]),
        ("slowest", ["slow", "ok", "fault", "error", "open"]),
    ],
)
def test_trace_orders(traced: Store, sort: Any, ids: list[str]) -> None:
    assert [row.id for row in trace_table(traced, sort=sort).rows] == ids


@pytest.mark.parametrize(
    ("needle", "ids"),
    [
        ("status:5", ["fault"]),
        ("is:slow", ["slow"]),
        ("keyerror", ["fault"]),
        ("!is:ok !is:open", ["error", "slow", "fault"]),
        ("version:42", ["slow"]),
        ("/orders is:fault", ["fault"]),
    ],
)
def test_trace_filters(traced: Store, needle: str, ids: list[str]) -> None:
    assert [row.id for row in trace_table(traced, needle=needle).rows] == ids


def test_only_odd_traces_and_counts(traced: Store) -> None:
    table = trace_table(traced, only_problems=True, limit=2)
    assert ([row.id for row in table.rows], table.faults, table.errors, table.slow) == (["error", "slow"], 1, 1, 1)
    assert table.total == 5
    assert table.rows[0].path == "/orders"


def test_K19_traces_of_one_path_in_two_regions_say_which() -> None:
    store = Store(FakeClock())
    east = Place("", "us-east-1")
    traces = [("a", "https://h/orders", HOME), ("b", "https://h/orders", east), ("c", "https://h/pay", east)]
    store.apply(
        Batch(
            source="traces",
            records=tuple(
                TraceSummary(id=id_, start_ms=1, duration_s=0.1, url=url, place=at) for id_, url, at in traces
            ),
        )
    )
    assert {row.id: row.where for row in trace_table(store).rows} == {"a": "", "b": " in us-east-1", "c": ""}
    assert [row.id for row in trace_table(store, needle="us-east-1").rows] == ["b"]


def test_a_url_that_is_none_does_not_break_the_table() -> None:
    store = Store(FakeClock())
    store.apply(Batch(source="traces", records=(trace("a", 1, url="http://[broken"),)))
    assert trace_table(store).rows[0].path == "http://[broken"


def test_alarms_that_fire_come_first(play: Any) -> None:
    rows = [(each.name, each.state, each.gate) for each in alarm_rows(play("during"))]
    assert rows[0] == ("shop-orders-errors", "ALARM", True)
    assert [state for _, state, _ in rows] == ["ALARM", "ALARM", "INSUFFICIENT_DATA", "OK", "OK"]


def test_signatures_new_since_the_release_come_first(play: Any, now: datetime) -> None:
    table = signature_rows(play("during"), now)
    assert (table.rows[0].new, table.new, table.version) == (True, 1, "42")
    assert table.rows[0].signature.sample.startswith("KeyError: 'currency'")
    assert table.rows[0].on_new == table.rows[0].signature.count


def test_the_time_line_merges_all_sources_newest_first(play: Any, now: datetime) -> None:
    table = timeline(play("during"), now)
    lanes = {row.lane for row in table.rows}
    assert lanes == {"codedeploy", "lambda", "alarm", "check"}
    assert [row.at for row in table.rows] == sorted((row.at for row in table.rows), reverse=True)
    shift = next(row for row in table.rows if row.lane == "lambda")
    assert (shift.text, shift.since_release_s) == ("v41 → v42 10 %", 0.0)


def test_the_time_line_can_be_filtered_and_keeps_its_numbers(play: Any, now: datetime) -> None:
    store = play("during")
    everything = {row.number: row for row in timeline(store, now).rows}
    some = timeline(store, now, needle="alarm").rows
    assert some
    assert all(everything[row.number] == row for row in some)


def test_marks_are_told_as_written(now: datetime) -> None:
    store = Store(FakeClock())
    store.mark("rollback begun")
    assert [(row.lane, row.text) for row in timeline(store, now).rows] == [("mark", "rollback begun")]


@given(st.integers(-1000, 1000), st.integers(1, 200))
def test_every_moment_has_a_cell(second: int, slots: int) -> None:
    first, last = START, START + timedelta(seconds=600)
    assert 0 <= slot_of(START + timedelta(seconds=second), first, last, slots) < slots


def test_an_event_without_a_detail_is_described() -> None:
    store = Store(FakeClock())
    event = ReleaseEvent(at=START, source="cloudformation", subject="shop", what="AfterAllowTraffic", to="Succeeded")
    store.apply(Batch(source="r", records=(event, AlarmState(name="a", state="OK"))))
    assert timeline(store, START).rows[0].text == "AfterAllowTraffic Succeeded"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"source": "alarm", "what": "alarm ALARM", "from_": "OK", "to": "ALARM"}, "OK → ALARM"),
        ({"source": "alarm", "what": "actions disabled"}, "actions disabled"),
        ({"source": "lambda", "what": "weights", "from_": "41", "to": "42", "weight": 0.5}, "v41 → v42 50 %"),
        ({"source": "lambda", "what": "weights changed", "from_": "42", "to": "41", "weight": 1.0}, "v42 → v41 100 %"),
        ({"source": "lambda", "what": "alias moved", "from_": "41", "to": "42"}, "alias moved v41 → v42"),
        ({"source": "codedeploy", "what": "status", "from_": "Created", "to": "Stopped"}, "Created → Stopped"),
        ({"source": "codedeploy", "what": "deployment stopped", "to": "42"}, "deployment stopped v42"),
    ],
    ids=["alarm", "alarm-without-states", "weights", "shift", "alias", "status", "deployment"],
)
def test_events_in_words(event: dict[str, Any], text: str) -> None:
    assert describe(ReleaseEvent(at=START, subject="x", **event)) == text


def test_console_pages_carry_names_escaped() -> None:
    record = LogRecord(timestamp_ms=5000, message="", group="/aws/lambda/f", stream="2026/01/15/[42]x")
    assert log_page("eu-west-1", record) == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/"
        "$252Faws$252Flambda$252Ff/log-events/2026$252F01$252F15$252F$255B42$255Dx$253Fstart$253D4000$2526end$253D6000"
    )
    assert trace_page("r", "1-a").endswith("#xray:traces/1-a")
    assert alarm_page("r", "a b").endswith("alarm/a%20b")
    assert function_page("r", "f").endswith("functions/f")
    assert deployment_page("r", "d-1").endswith("deployments/d-1?region=r")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_console_pages_are_those_of_the_regions_partition(region: str, host: str) -> None:
    record = LogRecord(timestamp_ms=5000, message="", group="g")
    pages = (
        log_page(region, record),
        trace_page(region, "1-a"),
        metric_page(region, (MetricKey("n", "m"),)),
        alarm_page(region, "a"),
        function_page(region, "f"),
        deployment_page(region, "d"),
        stack_page(region, "s"),
    )
    assert all(page.startswith(f"https://{host}/") and f"region={region}" in page for page in pages)


def test_the_page_of_a_metric_graphs_its_series() -> None:
    keys = (
        MetricKey("AWS/Lambda", "Errors", (("FunctionName", "shop-orders"), ("Resource", "shop-orders:live"))),
        MetricKey("Shop", "größe $", stat="p95"),
    )
    assert metric_page("eu-west-1", keys) == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#metricsV2:graph=~(metrics~("
        "~(~'AWS*2fLambda~'Errors~'FunctionName~'shop-orders~'Resource~'shop-orders*3alive~(stat~'Sum))"
        "~(~'Shop~'gr*f6*dfe*20!~(stat~'p95)))~view~'timeSeries~stacked~false~region~'eu-west-1~period~60)"
    )


@pytest.mark.parametrize(
    ("source", "what", "tone"),
    [
        ("codedeploy", "deployment stopped", Tone.BAD),
        ("codedeploy", "AllowTraffic failed", Tone.BAD),
        ("codedeploy", "rollback created", Tone.BAD),
        ("codedeploy", "deployment succeeded", Tone.GOOD),
        ("cloudformation", "UPDATE_ROLLBACK_COMPLETE", Tone.BAD),
        ("cloudformation", "UPDATE_COMPLETE", Tone.GOOD),
        ("cloudformation", "UPDATE_IN_PROGRESS", Tone.PLAIN),
        ("lambda", "alias moved", Tone.PLAIN),
    ],
)
def test_what_went_wrong_with_a_deployment_looks_so(source: Any, what: str, tone: Tone) -> None:
    store = Store(FakeClock())
    store.apply(Batch(source="r", records=(ReleaseEvent(at=START, source=source, subject="x", what=what, to="42"),)))
    assert timeline(store, START).rows[0].tone is tone
