"""Figures exist only where all they are made of was read, and windows are judged over the whole of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from prodwatch.model.environment import FUNCTION_FIGURES, FunctionTarget
from prodwatch.model.signal import (
    Batch,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)
from prodwatch.sources.lambda_metrics import FunctionVersions, RawSeries, derived_series, raw_keys
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.release.version_history import ALWAYS_S, Shift
from prodwatch.store import Store
from prodwatch.store.store import TRIAGE_LIMITS, StoreLimits
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import plain
from prodwatch.text.units import format_value
from prodwatch.views.events_in_window import Changes, changes
from prodwatch.views.signals import signals
from prodwatch.views.time_window import Window
from prodwatch.views.verdict import verdict_line
from prodwatch.views.window_comparison import MetricComparison, compare_windows, signals_with_previous_window
from tests.support.case_project import CaseProject
from tests.support.metric_world import MetricWorld

NOW_MINUTE = int(START.timestamp()) // 60
PAY = FunctionTarget(name="pay", alias="live")
HOUR = Window(start=START - timedelta(hours=1))
PAST_HOUR = Window(start=START - timedelta(hours=1), end=START)


def ago(first: int, last: int = 0) -> range:
    """Return the minutes from `first` to before `last` minutes ago."""
    return range(NOW_MINUTE - first, NOW_MINUTE - last)


def every(minutes: Sequence[int], value: float) -> dict[int, float]:
    return dict.fromkeys(minutes, value)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def cloudwatch(clock: FakeClock) -> MetricWorld:
    return MetricWorld(clock)


V41 = FunctionVersions(("41",))


def source(cloudwatch: MetricWorld, versions: FunctionVersions = V41, hours: float = 2) -> MetricSource:
    since = START - timedelta(hours=hours)
    return MetricSource(cloudwatch, [PAY], [], clock=cloudwatch.clock, since=since, versions_of=lambda _: versions)


async def filled(cloudwatch: MetricWorld, *sources: MetricSource, polls: int = 1) -> Store:
    """Return a store with what the sources read; all other sources are live and have nothing to report."""
    store = Store(cloudwatch.clock)
    for name in ("release", "alarms", "logs:/aws/lambda/pay"):
        store.apply(Batch(source=name, status=SourceStatus(source=name, phase=SourcePhase.LIVE)))
    for each in sources:
        for _ in range(polls):
            began_s = cloudwatch.clock.now().timestamp()
            records = await each.poll()
            store.apply(Batch(source="metrics", records=tuple(records), status=each.status(began_s)))
    return store


def compared(store: Store, window: Window = HOUR) -> dict[str, MetricComparison]:
    return {each.label: each for each in compare_windows(store, window, START)}


def changed(store: Store, window: Window = HOUR) -> Changes:
    return changes(store, window, START)


# K1


@pytest.mark.parametrize("status", ["InternalError", "Forbidden", "PartialData", "left out", "Unknown"])
@pytest.mark.parametrize("versions", [("41",), ("41", "42")], ids=["one version", "two versions"])
async def test_K1_errors_that_could_not_be_read_are_no_share(
    cloudwatch: MetricWorld, status: str, versions: tuple[str, ...]
) -> None:
    for metric, stat in (("Invocations", "Sum"), ("Duration", "p95")):
        cloudwatch.put(metric, stat, every(ago(60), 100.0))
    cloudwatch.answer = lambda key: status if key.metric == "Errors" else "Complete"
    metrics = source(cloudwatch, FunctionVersions(versions))
    store = await filled(cloudwatch, metrics, polls=3)
    labels = {key.label for key in store.metrics.series}
    assert {"requests/s", "p95"} <= labels
    assert "errors" not in labels
    assert any("Errors" in sentence and "pay:live" in sentence for sentence in metrics.unread())
    for window in (HOUR, PAST_HOUR):
        line = verdict_line(store, START, window=window)
        assert line.status == "inconclusive"
        assert "Errors" in " ".join([*line.reasons, changed(store, window).summary])


async def test_K1_a_share_ends_where_one_of_its_series_was_last_read(cloudwatch: MetricWorld, clock: FakeClock) -> None:
    for metric, value in (("Invocations", 100.0), ("Errors", 5.0)):
        cloudwatch.put(metric, "Sum", every(ago(60, -60), value))
    metrics = source(cloudwatch)
    store = await filled(cloudwatch, metrics)
    cloudwatch.answer = lambda key: "InternalError" if key.metric == "Errors" else "Complete"
    await clock.advance(1800)
    store = await filled(cloudwatch, metrics)
    (errors,) = (each for each in store.metrics.series.values() if each.key.label == "errors" and not each.key.version)
    (requests,) = (
        each for each in store.metrics.series.values() if each.key.label == "requests/s" and not each.key.version
    )
    assert errors.points[-1].timestamp_s < START.timestamp()
    assert {point.value for point in errors.points} == {5.0}
    assert requests.points[-1].timestamp_s > START.timestamp() + 1500
    assert not errors.points[-1].settled, "it was not read after it settled"


async def test_K1_a_series_that_recovers_is_read_without_a_gap(cloudwatch: MetricWorld, clock: FakeClock) -> None:
    for metric, value in (("Invocations", 100.0), ("Errors", 5.0)):
        cloudwatch.put(metric, "Sum", every(ago(60, -120), value))
    metrics = source(cloudwatch)
    await metrics.poll()
    cloudwatch.answer = lambda key: "InternalError" if key.metric == "Errors" else "Complete"
    for _ in range(60):
        await clock.advance(60)
        await metrics.poll()
    cloudwatch.answer = lambda _key: "Complete"
    await clock.advance(60)
    store = await filled(cloudwatch, metrics)
    errors = {
        point.timestamp_s: point.value
        for each in store.metrics.series.values()
        if each.key.label == "errors" and each.key.version is None
        for point in each.points
    }
    assert len(errors) >= 115
    assert set(errors.values()) == {5.0}, "a minute that was not read is not 0 %"
    assert not metrics.unread()


async def test_K1_a_version_whose_series_were_not_read_owns_no_minute_of_the_alias(cloudwatch: MetricWorld) -> None:
    cloudwatch.put("Invocations", "Sum", every(ago(60), 100.0))
    cloudwatch.put("Errors", "Sum", every(ago(60), 30.0))
    cloudwatch.answer = lambda key: "InternalError" if ("ExecutedVersion", "42") in key.dimensions else "Complete"
    store = await filled(cloudwatch, source(cloudwatch, FunctionVersions(("41", "42"))))
    assert {key.version for key in store.metrics.series} == {None}


async def test_K1_throttles_that_could_not_be_read_are_not_zero(cloudwatch: MetricWorld) -> None:
    cloudwatch.put("Invocations", "Sum", every(ago(60), 100.0))
    cloudwatch.answer = lambda key: "Forbidden" if key.metric == "Throttles" else "Complete"
    store = await filled(cloudwatch, source(cloudwatch))
    assert "throttles" not in {key.label for key in store.metrics.series}


# K2


def traffic(cloudwatch: MetricWorld, minutes: Sequence[int], per_minute: float = 600.0) -> None:
    cloudwatch.put("Invocations", "Sum", every(minutes, per_minute))
    cloudwatch.put("Duration", "p95", every(minutes, 100.0))


@pytest.mark.parametrize("window", [HOUR, PAST_HOUR], ids=["live", "past"])
@pytest.mark.parametrize(
    ("minutes", "quiet"),
    [
        pytest.param(ago(120, 55), "no requests for 5", id="five minutes into the window"),
        pytest.param(ago(120, 20), "no requests for 1", id="twenty minutes ago"),
        pytest.param(ago(120, 60), "no requests for 5", id="at its start"),
        pytest.param(ago(120, 90), "no requests for 1h", id="before it"),
    ],
)
async def test_K2_traffic_that_stopped_is_bad_news(
    cloudwatch: MetricWorld, minutes: range, quiet: str, window: Window
) -> None:
    traffic(cloudwatch, minutes)
    store = await filled(cloudwatch, source(cloudwatch))
    row = compared(store, window)["requests/s"]
    assert row.worse
    assert any(each.bad and each.text.startswith(f"requests/s: {quiet}") for each in changed(store, window).rows)
    line = verdict_line(store, START, window=window)
    assert line.status != "pass"
    assert "NO TROUBLE" not in line.title


async def test_K2_minutes_without_requests_count_in_the_mean(cloudwatch: MetricWorld) -> None:
    traffic(cloudwatch, [*ago(120, 60), *ago(60)[::2]])
    row = compared(await filled(cloudwatch, source(cloudwatch)))["requests/s"]
    assert row.before == pytest.approx(10.0)
    assert row.within == pytest.approx(5.0, rel=0.05)


async def test_K2_rare_requests_are_not_called_stopped(cloudwatch: MetricWorld) -> None:
    traffic(cloudwatch, ago(120)[::20], 1.0)
    assert not changed(await filled(cloudwatch, source(cloudwatch))).rows


async def test_K2_traffic_that_stopped_a_week_ago_in_comparison_is_bad_news(cloudwatch: MetricWorld) -> None:
    traffic(cloudwatch, range(NOW_MINUTE - 7 * 1440 - 60, NOW_MINUTE - 7 * 1440))
    store = await filled(cloudwatch, source(cloudwatch))
    assert changed(store).uncompared == ("requests/s (no requests in the hour, nor in the hour before)",)
    week = MetricSource(
        cloudwatch,
        [PAY],
        [],
        clock=FakeClock(START - timedelta(weeks=1)),
        since=START - timedelta(weeks=1, hours=1),
        versions_of=lambda _: FunctionVersions(("41",)),
    )
    store.apply(Batch(source="metrics", records=tuple(await week.poll())))
    (row,) = changed(store).rows
    assert row.bad
    assert row.text == "requests/s: no requests for 1h, 10 before that"


async def test_K2_a_count_whose_series_was_not_read_did_not_stop(cloudwatch: MetricWorld, clock: FakeClock) -> None:
    traffic(cloudwatch, ago(120, -60))
    metrics = source(cloudwatch)
    store = await filled(cloudwatch, metrics)
    cloudwatch.answer = lambda key: "InternalError" if key.metric == "Invocations" else "Complete"
    await clock.advance(1800)
    store.apply(Batch(source="metrics", records=tuple(await metrics.poll()), status=metrics.status(0.0)))
    later = START + timedelta(minutes=30)
    (row,) = (each for each in compare_windows(store, HOUR, later) if each.label == "requests/s")
    assert row.ceased_s is None
    assert row.within == pytest.approx(10.0)


async def test_K2_the_live_table_shows_that_no_request_comes(cloudwatch: MetricWorld) -> None:
    traffic(cloudwatch, ago(120, 30))
    (row,) = (
        each
        for each in signals(await filled(cloudwatch, source(cloudwatch, FunctionVersions())), START).rows
        if each.label == "requests/s"
    )
    assert row.old == 0.0


# K3


async def test_K3_two_releases_in_the_window_are_compared_as_a_whole(cloudwatch: MetricWorld) -> None:
    for metric, stat, old, new in (
        ("Invocations", "Sum", 600, 600),
        ("Errors", "Sum", 0, 180),
        ("Duration", "p95", 100, 900),
    ):
        cloudwatch.put(metric, stat, every(ago(120, 50), old) | every(ago(50), new))
    started = [START.timestamp() - 60 * minutes for minutes in (50, 30)]
    shifts = (Shift(ALWAYS_S, "40"), Shift(started[0], "41"), Shift(started[1], "42"))
    store = await filled(cloudwatch, source(cloudwatch, FunctionVersions(("42", "41"), shifts)))
    found = compared(store)
    assert (found["errors"].before, found["errors"].worse) == (0.0, True)
    assert found["p95"].before == pytest.approx(100.0)
    assert found["p95"].worse
    assert {each.subject for each in changed(store).rows if each.bad} >= {"errors", "p95"}
    assert {key.version for key in store.metrics.series} == {None, "41", "42"}


async def test_K3_a_figure_without_a_before_is_said(cloudwatch: MetricWorld) -> None:
    traffic(cloudwatch, ago(60))
    store = await filled(cloudwatch, source(cloudwatch, hours=1))
    found = changed(store)
    assert found.uncompared == ("errors, p95, requests/s, throttles (too few values in the hour before)",)
    assert "not compared: errors, p95, requests/s, throttles (too few values in the hour before)" in found.summary
    assert "not compared" in " ".join(verdict_line(store, START, window=HOUR).reasons)


async def test_K3_the_live_table_still_compares_versions(cloudwatch: MetricWorld) -> None:
    cloudwatch.put("Invocations", "Sum", every(ago(60), 600))
    cloudwatch.put("Invocations", "Sum", every(ago(30), 540), version="41")
    cloudwatch.put("Invocations", "Sum", every(ago(30), 60), version="42")
    store = await filled(cloudwatch, source(cloudwatch, FunctionVersions(("41", "42"))))
    release = ReleaseState(function="pay", alias="live", phase=ReleasePhase.SHIFTING, version="42", previous="41")
    store.apply(Batch(source="release", records=(release,)))
    (row,) = (each for each in signals(store, START).rows if each.label == "requests/s")
    assert {key.version for key in row.keys} == {"41", "42"}, "the alias as a whole is not a version"
    assert (row.old_points[-10], row.new_points[-10]) == (9.0, 1.0)


# K14, K15


def series(
    version: str | None,
    values: Mapping[int, float],
    *,
    stat: str = "Sum",
    samples: float = 0.0,
    unit: str = "Count",
    **more: Any,
) -> MetricSeries:
    return MetricSeries(
        key=MetricKey("Shop", "Orders", (("Service", "checkout"),), stat, version, "Orders · checkout"),
        unit=unit,
        points=tuple(MetricPoint(minute * 60, value, samples=samples) for minute, value in sorted(values.items())),
        **more,
    )


def stored(*all_series: MetricSeries) -> Store:
    store = Store(FakeClock(START))
    for each in all_series:
        store.apply(Batch(source="metrics", records=(each,)))
    return store


@pytest.mark.parametrize(
    ("stat", "old", "new", "expected"),
    [
        ("Sum", 90.0, 10.0, 100.0),
        ("SampleCount", 90.0, 10.0, 100.0),
        ("Maximum", 90.0, 10.0, 90.0),
        ("Minimum", 90.0, 10.0, 10.0),
        ("Average", 90.0, 10.0, 82.0),
    ],
)
def test_K14_versions_are_combined_as_their_statistic_is(stat: str, old: float, new: float, expected: float) -> None:
    store = stored(
        series("41", every(ago(120, 60), expected) | every(ago(60), old), stat=stat, samples=9.0),
        series("42", every(ago(60), new), stat=stat, samples=1.0),
    )
    row = compared(store)["Orders · checkout"]
    assert row.before == pytest.approx(expected)
    assert row.within == pytest.approx(expected)
    table = signals_with_previous_window(store, HOUR, START)
    assert {round(value, 6) for value in table.rows[0].new_points if value is not None} == {expected}
    assert not changed(store).rows


# K22


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.012, "Seconds", "12 ms"),
        (0.048, "Seconds", "48 ms"),
        (0.00012, "Seconds", "120 µs"),
        (0.5, "Milliseconds", "500 µs"),
        (1.84, "Seconds", "1.8 s"),
        (0.0, "Seconds", "0 s"),
        (0.1, "Percent", "0.1 %"),
        (0.84, "Percent", "0.8 %"),
        (0.012, "Percent", "0.012 %"),
        (0.012, None, "0.012"),
        (0.0004, "Count/Second", "0.0004"),
        (12.0, None, "12"),
        (12_345.0, None, "12k"),
    ],
)
def test_K22_small_values_keep_significant_digits(value: float, unit: str | None, text: str) -> None:
    assert format_value(value, unit) == text
    assert format_value(-value, unit) == (text if value == 0 else f"-{text}")


@given(
    value=st.floats(1e-6, 1e9),
    grown=st.floats(1.25, 100),
    unit=st.sampled_from(["Seconds", "Milliseconds", "Count", None]),
)
def test_K22_two_values_that_differ_by_a_notable_change_never_read_the_same(
    value: float, grown: float, unit: str | None
) -> None:
    assert format_value(value, unit) != format_value(value * grown, unit)


def test_K22_a_slowdown_of_milliseconds_in_a_metric_in_seconds_is_a_change() -> None:
    key = MetricKey("AWS/ApplicationELB", "TargetResponseTime", (), "p95", None, "response")
    points = tuple(MetricPoint(minute * 60, 0.012 if minute < NOW_MINUTE - 60 else 0.048) for minute in ago(120))
    store = stored(MetricSeries(key=key, unit="Seconds", points=points))
    (row,) = changes(store, HOUR, START, better={"response": "lower"}).rows
    assert row.bad
    assert row.text == "response 48 ms against 12 ms in the hour before (+300 %)"


# K23


def test_K23_the_span_that_was_read_is_the_span_that_is_named() -> None:
    opened = START - timedelta(hours=5)
    window = Window(start=opened - timedelta(hours=1))
    first = int(window.compared_from(opened).timestamp()) // 60
    error_minutes = int(window.start.timestamp()) // 60
    values = every(range(first, error_minutes), 0.0) | every(range(error_minutes, NOW_MINUTE), 4.0)
    share = MetricSeries(
        key=MetricKey("AWS/Lambda", "Errors", (), "share", None, "errors"),
        unit="Percent",
        points=tuple(MetricPoint(minute * 60, value) for minute, value in values.items()),
        read=((first * 60, NOW_MINUTE * 60),),
    )
    (row,) = changes(stored(share), window, START).rows
    assert row.text == "errors 4 % against 0 % in the hour before"


def test_K23_log_metrics_are_compared_with_the_minutes_that_were_read_of_them() -> None:
    (row,) = changed(stored(series("7", every(ago(75, 60), 100.0) | every(ago(60), 10.0)))).rows
    assert row.text == "Orders · checkout 10 against 100 in the 15m before (-90 %)"


@pytest.mark.parametrize("hours", [1, 9, 12])
def test_K23_the_week_before_is_kept_whole(hours: int) -> None:
    window = Window(start=START - timedelta(hours=hours))
    share = series(None, {}, stat="p95", unit="Milliseconds")
    week = range(NOW_MINUTE - 7 * 1440 - 60 * hours, NOW_MINUTE - 7 * 1440)
    half = len(week) // 2
    store = Store(FakeClock(START), limits=TRIAGE_LIMITS)
    for minutes in (every(week[:half], 1.0) | every(week[half:], 9.0), every(ago(120 * hours), 5.0)):
        points = tuple(MetricPoint(minute * 60, value) for minute, value in minutes.items())
        read = ((points[0].timestamp_s, points[-1].timestamp_s + 60),)
        store.apply(Batch(source="metrics", records=(replace(share, points=points, read=read),)))
    assert compared(store, window)["Orders · checkout"].week_ago == pytest.approx(5.0, rel=0.02)


def test_K23_a_week_ago_that_was_cut_is_not_compared() -> None:
    share = series(None, every(range(NOW_MINUTE - 7 * 1440 - 30, NOW_MINUTE - 7 * 1440), 9.0), stat="p95")
    week = share.points[0].timestamp_s
    store = stored(replace(share, read=((week, week + 1800),)), series(None, every(ago(120), 5.0), stat="p95"))
    assert compared(store)["Orders · checkout"].week_ago is None


def test_K23_a_point_that_is_no_longer_kept_is_not_a_period_without_data() -> None:
    store = Store(FakeClock(START), limits=StoreLimits(points_per_series=60))
    whole = series(None, every(ago(120), 5.0))
    store.apply(Batch(source="metrics", records=(replace(whole, read=(((NOW_MINUTE - 120) * 60, NOW_MINUTE * 60),)),)))
    row = compared(store)["Orders · checkout"]
    assert (row.before, row.within) == (None, 5.0)
    assert changed(store).uncompared == ("Orders · checkout (too few values in the hour before)",)


# K36


METRIC_CHECK = """
[[check]]
name = "orders"
type = "metric"
namespace = "Shop"
metric = "Orders"
stat = "Sum"
window = "{window}"
period = "{period}"
expect = ["value >= 0"]
"""


@pytest.mark.parametrize(
    ("window", "period", "minute", "begins", "ends"),
    [
        ("1h", "1h", 59, 0, 0),
        ("2h", "1h", 59, -1, 0),
        ("5m", "1m", 59.5, 55 / 60, 59 / 60),
        ("1h", "5m", 59, 0, 55 / 60),
        ("3h", "1h", 0, -3, 0),
    ],
)
async def test_K36_only_whole_periods_within_the_window_are_read(
    bench: Bench, window: str, period: str, minute: float, begins: float, ends: float
) -> None:
    await bench.clock.advance(minute * 60)
    asked: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {"MetricDataResults": [{"Id": "m0", "StatusCode": "Complete", "Timestamps": [START], "Values": [1.0]}]}

    bench.aws.answers["cloudwatch:GetMetricData"] = answer
    bench.aws.answers["cloudwatch:GetMetricStatistics"] = lambda _: {"Datapoints": []}
    params: dict[str, Any] = {"namespace": "Shop", "metric": "Orders", "stat": "Sum"}
    params |= {"window": window, "period": period}
    result = await bench.run(plain(type="metric", expect=["value >= 0"], **params))
    hours = [(each - START).total_seconds() / 3600 for each in (asked[0]["StartTime"], asked[0]["EndTime"])]
    if begins == ends:
        # No whole period of an hour fits in the last hour: the latest one is read, and that is stated.
        assert hours == [-1, 0]
        assert "11:00:00 to 12:00:00 UTC" in str(result)
    else:
        assert hours == [pytest.approx(begins), pytest.approx(ends)]


@pytest.mark.parametrize(
    ("window", "period", "warns"),
    [("1h", "1h", True), ("1h", "30m", True), ("1h", "20m", False), ("5m", "1m", False), ("2m", "1m", True)],
)
def test_K36_validate_warns_of_a_window_of_few_periods(
    project: CaseProject, window: str, period: str, warns: bool
) -> None:
    project.write("checks/c.toml", METRIC_CHECK.format(window=window, period=period))
    ended = project.run("validate")
    assert ended.code == 0, ended.said
    assert ("whole periods" in ended.said) is warns


# K32


OWN_METRIC = '[[metric]]\nname = "{name}"\nnamespace = "AWS/ApiGateway"\nmetric = "Latency"\nstat = "p95"\n{more}'


def test_K32_the_reserved_names_are_those_of_the_derived_metrics() -> None:
    raw = {key: RawSeries({0: 60.0}, 0.0, 600.0) for key in raw_keys(PAY, FunctionVersions())}
    labels = {each.key.label for each in derived_series(PAY, V41, raw, settles_after_s=0, label_suffix=None)}
    assert labels == FUNCTION_FIGURES


@pytest.mark.parametrize("name", sorted(FUNCTION_FIGURES))
def test_K32_a_metric_with_the_name_of_a_functions_metric_is_a_mistake(project: CaseProject, name: str) -> None:
    project.configure(OWN_METRIC.format(name=name, more=""))
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert f'"{name}" is the name of a metric that every watched function has' in ended.err


@pytest.mark.parametrize(("more", "code"), [("", 2), ('region = "us-east-1"\n', 0)], ids=["here", "in another region"])
def test_K32_two_metrics_of_one_name_are_a_mistake(project: CaseProject, more: str, code: int) -> None:
    project.configure(OWN_METRIC.format(name="latency", more="") + OWN_METRIC.format(name="latency", more=more))
    ended = project.run("validate")
    assert ended.code == code, ended.said


def test_K32_metrics_of_one_label_and_unit_are_not_mixed() -> None:
    own = MetricKey("AWS/ApiGateway", "Latency", (), "p95", None, "p95")
    derived = MetricKey("AWS/Lambda", "Duration", (("FunctionName", "pay"),), "p95", None, "p95")
    store = stored(
        *(
            MetricSeries(
                key=key,
                unit="Milliseconds",
                points=tuple(MetricPoint(minute * 60, value) for minute in ago(120)),
            )
            for key, value in ((derived, 100.0), (own, 900.0))
        )
    )
    assert [row.old for row in signals(store, START).rows] == [100.0, 900.0]
    assert [each.within for each in compare_windows(store, HOUR, START)] == [pytest.approx(100.0), pytest.approx(900.0)]
