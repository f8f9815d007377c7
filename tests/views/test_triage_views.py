"""What changed in a window is told once, bad news first, and nothing is called unchanged that nobody could read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.signal import (
    NO_HISTORY,
    AlarmState,
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Record,
    ReleaseEvent,
    SourcePhase,
    SourceStatus,
)
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.events_in_window import Change, changes
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import verdict_line
from prodwatch.views.window_comparison import compare_windows, signals_with_previous_window
from tests.support.read_logs import groups_of, note_read

HOUR = Window(start=START - timedelta(hours=1))
PAST = Window(start=START - timedelta(hours=1), end=START)
SOURCES = ("release", "alarms", "logs:/aws/lambda/o", "metrics")


def store_of(*records: Record, **statuses: SourcePhase) -> Store:
    store = Store(FakeClock())
    for name in SOURCES:
        phase = statuses.get(name.partition(":")[0], SourcePhase.LIVE)
        action = "cloudwatch:DescribeAlarms" if phase is SourcePhase.DENIED else None
        store.apply(Batch(source=name, status=SourceStatus(source=name, phase=phase, action=action)))
    store.apply(Batch(source="test", records=records))
    note_read(store, groups_of(records) if statuses.get("logs") is None else (), START - timedelta(hours=2))
    return store


def event(
    minutes_ago: float, source: Any, subject: str, what: str, from_: str | None = None, to: str | None = None
) -> ReleaseEvent:
    return ReleaseEvent(
        at=START - timedelta(minutes=minutes_ago), source=source, subject=subject, what=what, from_=from_, to=to
    )


def error(minutes_ago: float, message: str) -> LogRecord:
    at_ms = int((START - timedelta(minutes=minutes_ago)).timestamp() * 1000)
    return LogRecord(at_ms, message, "/aws/lambda/o", level=Level.ERROR)


def minutes(
    metric: str, stat: str, unit: str, label: str, before: float, within: float, version: str | None = None
) -> MetricSeries:
    start_s = int((START - timedelta(hours=2)).timestamp())
    points = tuple(MetricPoint(start_s + 60 * n, before if n < 60 else within) for n in range(120))
    key = MetricKey("AWS/Lambda", metric, (("v", version or "-"),), stat, version, label)
    return MetricSeries(key=key, unit=unit, points=points)


def rows(*records: Record, window: Window = HOUR) -> dict[str, Change]:
    return {each.text: each for each in changes(store_of(*records), window, START).rows}


DEPLOYED = (
    event(30, "codedeploy", "d-1", "deployment created", "41", "42"),
    event(20, "codedeploy", "d-1", "deployment succeeded", "41", "42"),
)


@pytest.mark.parametrize(
    ("records", "text", "bad"),
    [
        (DEPLOYED, "deployment v41 → v42: succeeded (d-1)", False),
        (DEPLOYED[:1], "deployment v41 → v42: created (d-1)", False),
        (
            (*DEPLOYED[:1], event(9, "codedeploy", "d-1", "deployment failed", "41", "42")),
            "deployment v41 → v42: failed (d-1)",
            True,
        ),
        ((event(9, "codedeploy", "d-2", "rollback created", "42", "41"),), "rollback v42 → v41: created (d-2)", True),
        (
            (
                event(9, "cloudformation", "shop/Orders", "UPDATE_COMPLETE"),
                event(8, "cloudformation", "shop/shop", "UPDATE_COMPLETE"),
            ),
            "stack shop: UPDATE_COMPLETE, 1 resource",
            False,
        ),
        (
            (event(8, "cloudformation", "shop/shop", "UPDATE_ROLLBACK_COMPLETE"),),
            "stack shop: UPDATE_ROLLBACK_COMPLETE",
            True,
        ),
        ((event(9, "lambda", "o:live", "weights", "41", "42"),), "o:live: v41 → v42", False),
        (
            (error(5, "KeyError: 'currency'"), error(4, "KeyError: 'currency'")),
            "new error, 2×: KeyError: 'currency'",
            True,
        ),
        ((event(9, "check", "orders", "status", "pass", "fail"),), "check orders: pass → fail", True),
        (
            (
                event(9, "check", "orders", "status", "fail", "pass"),
                event(12, "check", "orders", "status", "pass", "fail"),
            ),
            "check orders: fail → pass",
            False,
        ),
        (
            (minutes("Errors", "share", "Percent", "errors", 0.1, 6.1),),
            "errors 6.1 % against 0.1 % in the hour before",
            True,
        ),
        (
            (minutes("Duration", "p95", "Milliseconds", "p95", 419.0, 620.0),),
            "p95 620 ms against 419 ms in the hour before (+48 %)",
            True,
        ),
        (
            (minutes("Duration", "p95", "Milliseconds", "p95", 620.0, 419.0),),
            "p95 419 ms against 620 ms in the hour before (-32 %)",
            False,
        ),
        (
            (minutes("Invocations", "rate", "Count/Second", "requests/s", 40.0, 4.0),),
            "requests/s 4 against 40 in the hour before (-90 %)",
            False,
        ),
    ],
    ids=[
        "deployed",
        "under way",
        "failed",
        "rollback",
        "stack",
        "stack went back",
        "traffic",
        "error",
        "check red",
        "check green again",
        "errors",
        "slower",
        "faster",
        "requests",
    ],
)
def test_each_kind_of_change_is_a_sentence(records: tuple[Record, ...], text: str, bad: bool) -> None:
    found = rows(*records)
    assert list(found) == [text]
    assert found[text].bad is bad


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (
            (
                event(20, "alarm", "x", "alarm ALARM", "OK", "ALARM"),
                event(9, "alarm", "x", "alarm OK", "ALARM", "OK"),
                AlarmState(name="x", state="OK", since=START - timedelta(minutes=9)),
            ),
            "alarm x fired, OK again",
        ),
        (
            (
                event(20, "alarm", "x", "alarm ALARM", "OK", "ALARM"),
                AlarmState(name="x", state="ALARM", since=START - timedelta(minutes=20), reason="too many"),
            ),
            "alarm x fired, still firing now: too many",
        ),
        (
            (AlarmState(name="x", state="ALARM", since=START - timedelta(hours=7)),),
            "alarm x has been firing since before the window",
        ),
    ],
    ids=["fired and quiet", "still firing", "since before"],
)
def test_alarms_are_told_with_how_they_are_now(records: tuple[Record, ...], text: str) -> None:
    found = rows(*records)
    assert list(found) == [text]
    assert found[text].bad


def test_what_was_before_or_after_the_window_is_no_change_in_it() -> None:
    before = (event(70, "codedeploy", "d-0", "deployment succeeded", "40", "41"), error(61, "an old error"))
    after = event(-1, "codedeploy", "d-9", "deployment created", "42", "43")
    assert not rows(*before, after, window=PAST)


def test_an_error_that_was_there_before_is_not_new() -> None:
    assert not rows(error(65, "the same 1"), error(5, "the same 2"))


def test_bad_news_come_first_and_the_summary_counts_them() -> None:
    found = changes(store_of(*DEPLOYED, error(5, "boom"), error(4, "bang")), HOUR, START)
    assert [each.bad for each in found.rows] == [True, True, False]
    assert found.summary == "1 deployment, 2 new errors"


@pytest.mark.parametrize(
    ("phase", "says"),
    [
        (SourcePhase.DENIED, "no change that can be seen · not read: alarms (needs cloudwatch:DescribeAlarms)"),
        (SourcePhase.FAILED, "no change that can be seen · not read: alarms (failed)"),
        (SourcePhase.STARTING, "no change that can be seen · still reading alarms"),
        (SourcePhase.BEHIND, "no change that can be seen · still reading alarms"),
        (SourcePhase.LIVE, "no change that can be seen"),
    ],
)
def test_what_could_not_be_read_is_said(phase: SourcePhase, says: str) -> None:
    assert changes(store_of(alarms=phase), HOUR, START).summary == says


def test_what_was_read_in_part_is_said() -> None:
    store = store_of()
    store.apply(
        Batch(source="metrics", status=SourceStatus(source="metrics", phase=SourcePhase.LIVE, unread=("no pay",)))
    )
    assert changes(store, HOUR, START).unseen == ("metrics in part (no pay)",)


def test_without_their_history_nobody_says_that_no_alarm_fired() -> None:
    store = store_of()
    store.apply(
        Batch(source="alarms", status=SourceStatus(source="alarms", phase=SourcePhase.IDLE, notes=(NO_HISTORY,)))
    )
    assert changes(store, PAST, START).unseen == ("alarms that fired and are OK again (history not read)",)
    line = verdict_line(store, START, window=PAST)
    assert (line.title, line.reasons[0]) == (
        "UNSURE · not everything can be seen",
        "what could be seen shows no trouble",
    )


def test_A8_a_log_group_that_is_not_there_is_named_as_unseen() -> None:
    store = store_of(release=SourcePhase.LIVE, alarms=SourcePhase.LIVE, metrics=SourcePhase.LIVE)
    status = SourceStatus(source="logs:/shop/mispelt", phase=SourcePhase.WAITING, message="does not exist yet")
    store.apply(Batch(source=status.source, status=status))
    for window in (HOUR, PAST):
        assert changes(store, window, START).unseen == ("log lines in part (logs:/shop/mispelt: does not exist yet)",)


def cut(series: MetricSeries, last: int, every: int = 1) -> MetricSeries:
    return replace(series, points=series.points[:last:every])


def test_a_figure_that_ceases_is_bad_news_and_no_silence() -> None:
    rate = minutes("Invocations", "rate", "Count/Second", "requests/s", 5.0, 5.0)
    told = rows(cut(rate, 60))
    assert {text: each.bad for text, each in told.items()} == {"requests/s: no requests for 1h, 5 before that": True}
    assert list(rows(cut(rate, 64))) == ["requests/s: no requests for 56m, 5 before that"]
    assert rows(cut(rate, 112)) == {}, "points come late"
    assert list(rows(cut(rate, 60, 10))) == ["requests/s: no requests for 1h, 5 before that"], "every ten minutes"
    assert rows(cut(rate, 60, 30)) == {}, "too rarely to be sure"
    assert rows(cut(rate, 60), window=Window(start=START - timedelta(minutes=5))) == {}, "points come late"


def test_what_is_not_watched_is_said() -> None:
    found = changes(Store(FakeClock()), HOUR, START)
    assert found.unseen == (
        "deployments and stacks are not watched",
        "alarms are not watched",
        "log lines are not watched",
        "metrics are not watched",
    )


def test_shares_of_several_versions_are_weighed_by_their_requests() -> None:
    store = store_of(
        minutes("Errors", "share", "Percent", "errors", 0.0, 0.0, "41"),
        minutes("Errors", "share", "Percent", "errors", 0.0, 10.0, "42"),
        minutes("Invocations", "rate", "Count/Second", "requests/s", 100.0, 90.0, "41"),
        minutes("Invocations", "rate", "Count/Second", "requests/s", 0.0, 10.0, "42"),
    )
    found = {each.label: each for each in compare_windows(store, HOUR, START)}
    assert found["errors"].within == pytest.approx(1.0)
    assert found["requests/s"].within == pytest.approx(100.0)


def test_an_alias_read_before_its_versions_were_known_counts_no_call_twice() -> None:
    def of(dimensions: tuple[tuple[str, str], ...], version: str | None) -> MetricSeries:
        read = minutes("Invocations", "rate", "Count/Second", "requests/s", 100.0, 100.0, version)
        return replace(read, key=replace(read.key, dimensions=dimensions, version=version))

    alias = (("FunctionName", "orders"), ("Resource", "orders:live"))
    store = store_of(of(alias, None), of((*alias, ("ExecutedVersion", "41")), "41"))
    (requests,) = compare_windows(store, HOUR, START)
    assert requests.before == pytest.approx(100.0)
    assert requests.within == pytest.approx(100.0)


def test_the_same_hours_a_week_ago_are_compared_where_they_were_read() -> None:
    series = minutes("Duration", "p95", "Milliseconds", "p95", 400.0, 800.0)
    week_s = 7 * 86400
    old = tuple(MetricPoint(point.timestamp_s - week_s, 410.0) for point in series.points)
    found = rows(series, MetricSeries(key=series.key, unit=series.unit, points=old))
    assert list(found) == ["p95 800 ms against 400 ms in the hour before (+100 %), 410 ms a week ago"]


def test_a_metric_of_ones_own_has_no_wrong_direction_until_its_file_says_so() -> None:
    key = MetricKey("Shop", "OrdersPlaced", (), "Sum", None, "orders")
    base = minutes("x", "Sum", "Count", "orders", 100.0, 20.0)
    store = store_of(MetricSeries(key=key, unit="Count", points=base.points))
    assert [each.bad for each in changes(store, HOUR, START).rows] == [False]
    assert [each.bad for each in changes(store, HOUR, START, better={"orders": "higher"}).rows] == [True]


@pytest.mark.parametrize("hours", [1, 3, 12])
def test_the_table_shows_both_stretches_with_the_mark_between(hours: int) -> None:
    window = Window(start=START - timedelta(hours=hours))
    table = signals_with_previous_window(store_of(minutes("Errors", "share", "Percent", "errors", 1, 2)), window, START)
    assert table.mark is not None
    mark_s = table.start_s + table.mark * table.slot_s
    assert abs(mark_s - window.start.timestamp()) <= table.slot_s
    assert table.start_s + table.slots * table.slot_s >= START.timestamp()
    assert table.start_s <= window.compared_from(START).timestamp() + table.slot_s


@pytest.mark.parametrize(("minutes_long", "named"), [(60, "hour"), (30, "30m"), (90, "1h 30m"), (120, "2h"), (0, "1m")])
def test_a_window_has_a_name(minutes_long: int, named: str) -> None:
    assert Window(start=START - timedelta(minutes=minutes_long)).named(START) == named
