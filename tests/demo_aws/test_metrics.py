"""CloudWatch metrics through both SDKs: statistics, periods, paging, maths, errors."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws import EmbeddedAws, Fault, FaultPlan
from prodwatch.demo.aws.metrics.model import SeriesKey, sample
from prodwatch.demo.aws.metrics.query import Query, aggregate
from prodwatch.demo.aws.metrics.statistics import is_statistic, statistic, weighted
from prodwatch.demo.aws.metrics.store import MetricStore

over_boto3 = pytest.mark.parametrize("call", ["boto3"], indirect=True)

over_aiobotocore = pytest.mark.parametrize("call", ["aiobotocore"], indirect=True)

DIMENSIONS = {"FunctionName": "orders"}


def query(stat: str = "Sum", *, name: str = "m", metric: str = "M", period: int = 60, **more: Any) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in DIMENSIONS.items()]
    inner = {"Namespace": "N", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": inner, "Period": period, "Stat": stat}, **more}


async def data(call: Any, wall: Any, *queries: dict[str, Any], **params: Any) -> dict[str, Any]:
    window = {"StartTime": wall.now_s - 600, "EndTime": wall.now_s, **params}
    response = await call("cloudwatch", "GetMetricData", MetricDataQueries=list(queries), **window)
    assert isinstance(response, dict)
    return response


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("Sum", 110.0),
        ("Average", 11.0),
        ("Minimum", 2.0),
        ("Maximum", 20.0),
        ("SampleCount", 10.0),
        ("p50", 10.0),
        ("p90", 18.0),
        ("p99", 20.0),
        ("p99.9", 20.0),
        ("p100", 20.0),
        ("tm90", 10.0),
        ("tc90", 9.0),
        ("ts90", 90.0),
        ("wm90", 10.8),
        ("IQM", 11.0),
        ("PR(:10)", 50.0),
        ("PR(10:20)", 50.0),
        ("TM(10%:90%)", 11.0),
        ("TC(5:15)", 5.0),
        ("TC(4:14)", 5.0),
        ("TC(10:)", 5.0),
        ("TC(:10)", 5.0),
        ("TC(10.500:)", 5.0),
        ("TC(20:)", 0.0),
        ("TS(5:15)", 50.0),
        ("WM(:15)", 10.1),
        ("TM(:10)", 6.0),
    ],
)
@over_boto3
async def test_statistics(call: Any, aws: EmbeddedAws, wall: Any, stat: str, expected: float) -> None:
    aws.metrics.put("N", "M", DIMENSIONS, wall.now_s - 100, [float(item) for item in range(2, 21, 2)])
    (result,) = (await data(call, wall, query(stat)))["MetricDataResults"]
    assert result["Values"] == [pytest.approx(expected)]
    assert (result["Id"], result["Label"], result["StatusCode"]) == ("m", "M", "Complete")
    assert result["Timestamps"][0].timestamp() == wall.now_s - 120


@over_boto3
async def test_long_durations_are_counted_per_version(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for version, values in (("41", [100.0, 300.0, 300.0, 300.001]), ("42", [500.0])):
        aws.metrics.put("N", "M", {**DIMENSIONS, "ExecutedVersion": version}, wall.now_s - 100, values)
    counts = {}
    for version in ("41", "42"):
        asked = query("TC(300.000:)")
        asked["MetricStat"]["Metric"]["Dimensions"].append({"Name": "ExecutedVersion", "Value": version})
        (result,) = (await data(call, wall, asked))["MetricDataResults"]
        counts[version] = result["Values"]
    assert counts == {"41": [1.0], "42": [1.0]}


async def test_put_metric_data_in_every_form(call: Any, wall: Any) -> None:
    dimensions = [{"Name": "FunctionName", "Value": "orders"}]
    stats = {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9}
    entries: list[dict[str, Any]] = [
        {"MetricName": "one", "Value": 3.0},
        {"MetricName": "many", "Values": [1.0, 2.0], "Counts": [3.0, 1.0]},
        {"MetricName": "set", "StatisticValues": stats},
        {"MetricName": "pair", "StatisticValues": stats | {"SampleCount": 2, "Sum": 10}},
        {"MetricName": "single", "StatisticValues": stats | {"SampleCount": 1, "Sum": 7}},
    ]
    for entry in entries:
        entry |= {"Dimensions": dimensions, "Timestamp": wall.now_s - 60, "Unit": "Count"}
    await call("cloudwatch", "PutMetricData", Namespace="N", MetricData=entries)
    names = [entry["MetricName"] for entry in entries]
    queries = [query("Sum", name=str(name), metric=str(name)) for name in names]
    queries += [query("SampleCount", name=f"{name}_n", metric=str(name)) for name in names]
    results = {item["Id"]: item["Values"] for item in (await data(call, wall, *queries))["MetricDataResults"]}
    assert results == {
        "one": [3.0], "one_n": [1.0], "many": [5.0], "many_n": [4.0], "set": [20.0], "set_n": [4.0],
        "pair": [10.0], "pair_n": [2.0], "single": [7.0], "single_n": [1.0],
    }  # fmt: skip


async def test_a_large_put_arrives_compressed(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    entries = [{"MetricName": f"metric-{number}", "Value": 1.0} for number in range(600)]
    await call("cloudwatch", "PutMetricData", Namespace="N", MetricData=entries)
    assert len(aws.metrics.names()) == 600


@pytest.mark.parametrize(
    ("entry", "problem"),
    [({"MetricName": "M"}, "At least one of Value"), ({"MetricName": "M", "Values": [1.0], "Counts": [1.0, 2.0]}, "")],
)
async def test_put_metric_data_refuses(call: Any, entry: Any, problem: str) -> None:
    with pytest.raises(ClientError) as caught:
        await call("cloudwatch", "PutMetricData", Namespace="N", MetricData=[entry])
    assert problem in str(caught.value)
    assert caught.value.response["Error"]["Code"].startswith("InvalidParameter")


async def test_points_are_newest_first_by_default_and_the_end_is_exclusive(
    call: Any, aws: EmbeddedAws, wall: Any
) -> None:
    for minute in range(4):
        aws.metrics.put("N", "M", DIMENSIONS, wall.now_s - 240 + 60 * minute, [float(minute)])
    aws.metrics.put("N", "M", DIMENSIONS, wall.now_s, [99.0])
    (newest,) = (await data(call, wall, query()))["MetricDataResults"]
    assert newest["Values"] == [3.0, 2.0, 1.0, 0.0]
    (oldest,) = (await data(call, wall, query(), ScanBy="TimestampAscending"))["MetricDataResults"]
    assert oldest["Values"] == [0.0, 1.0, 2.0, 3.0]
    (coarse,) = (await data(call, wall, query(period=120)))["MetricDataResults"]
    assert coarse["Values"] == [5.0, 1.0]


async def test_start_is_rounded_down_to_the_period(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.metrics.put("N", "M", DIMENSIONS, wall.now_s - 120, [1.0])
    (result,) = (await data(call, wall, query(), StartTime=wall.now_s - 90))["MetricDataResults"]
    assert result["Values"] == [1.0]


async def test_points_appear_late_and_change(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    minute_s = wall.now_s - 120
    aws.metrics.put("N", "M", DIMENSIONS, minute_s, [1.0])
    aws.metrics.put("N", "M", DIMENSIONS, minute_s, [5.0], visible_s=wall.now_s + 30)
    assert (await data(call, wall, query()))["MetricDataResults"][0]["Values"] == [1.0]
    wall.now_s += 30
    assert (await data(call, wall, query()))["MetricDataResults"][0]["Values"] == [6.0]


async def test_pages_by_datapoints_with_partial_data(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for minute in range(5):
        for metric in ("A", "B"):
            aws.metrics.put("N", metric, DIMENSIONS, wall.now_s - 300 + 60 * minute, [float(minute)])
    queries = [query(name="a", metric="A"), query(name="b", metric="B")]
    params: dict[str, Any] = {"MaxDatapoints": 4}
    collected: dict[str, list[float]] = {"a": [], "b": []}
    codes = []
    while True:
        page = await data(call, wall, *queries, **params)
        for result in page["MetricDataResults"]:
            collected[result["Id"]] += result["Values"]
        codes.append([result["StatusCode"] for result in page["MetricDataResults"]])
        if "NextToken" not in page:
            break
        params["NextToken"] = page["NextToken"]
    assert collected == {"a": [4.0, 3.0, 2.0, 1.0, 0.0], "b": [4.0, 3.0, 2.0, 1.0, 0.0]}
    assert codes == [["PartialData", "PartialData"], ["Complete", "PartialData"], ["Complete", "Complete"]]


async def test_an_empty_page_is_partial_and_continues(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.metrics.put("N", "M", DIMENSIONS, wall.now_s - 60, [1.0])
    aws.faults.add(Fault(operation="cloudwatch:GetMetricData", kind="empty_page", count=1))
    page = await data(call, wall, query())
    assert page["MetricDataResults"][0]["StatusCode"] == "PartialData"
    rest = await data(call, wall, query(), NextToken=page["NextToken"])
    assert rest["MetricDataResults"][0]["Values"] == [1.0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("100*e/i", [10.0, 25.0]),
        ("e + i - 1", [10.0, 9.0]),
        ("i > 9", [1.0, 0.0]),
        ("IF(i > 9, e, 0)", [1.0, 0.0]),
        ("SUM(METRICS())", [11.0, 10.0]),
        ("AVG([e, i])", [5.5, 5.0]),
        ("MAX(METRICS())", [10.0, 8.0]),
        ("-e", [-1.0, -2.0]),
        ("SUM(e)", [3.0] * 10),
        ("FILL(sparse, 0)", [0.0] * 8 + [7.0, 0.0]),
        ("FILL(sparse, REPEAT)", [7.0, 7.0]),
        ("e / 0", []),
        ("i / PERIOD(i)", [10 / 60, 8 / 60]),
    ],
)
@over_aiobotocore
async def test_metric_maths(call: Any, aws: EmbeddedAws, wall: Any, expression: str, expected: Any) -> None:
    for minute, (errors, invocations) in enumerate(((1.0, 10.0), (2.0, 8.0))):
        aws.metrics.put("N", "E", DIMENSIONS, wall.now_s - 120 + 60 * minute, [errors])
        aws.metrics.put("N", "I", DIMENSIONS, wall.now_s - 120 + 60 * minute, [invocations])
    aws.metrics.put("N", "S", DIMENSIONS, wall.now_s - 120, [7.0])
    queries = [query(name="e", metric="E", ReturnData=False), query(name="i", metric="I", ReturnData=False)]
    if "sparse" in expression:
        queries.append(query(name="sparse", metric="S", ReturnData=False))
    page = await data(call, wall, *queries, {"Id": "x", "Expression": expression}, ScanBy="TimestampAscending")
    (result,) = page["MetricDataResults"]
    assert result["Values"] == [pytest.approx(item) for item in expected]


@pytest.mark.parametrize(
    ("queries", "params", "problem"),
    [
        ([query(name=f"m{number}") for number in range(501)], {}, "500"),
        ([query(), query()], {}, "not unique"),
        ([{"Id": "m"}], {}, "either MetricStat or Expression"),
        ([query("p101")], {}, "not supported"),
        ([query("Median")], {}, "not supported"),
        ([query(period=45)], {}, "multiple of 60"),
        ([query()], {"EndTime": 1}, "must be less than"),
        ([query()], {"NextToken": "made up"}, "NextToken"),
        ([{"Id": "x", "Expression": "SEARCH('x', 'Sum')"}], {}, "SEARCH"),
        ([{"Id": "x", "Expression": "a +"}], {}, "cannot be read"),
        ([{"Id": "x", "Expression": "missing * 2"}], {}, "unknown id"),
        ([{"Id": "x", "Expression": "'text'"}], {}, "does not compute"),
        ([query(), {"Id": "x", "Expression": "FILL(m, m)"}], {}, "REPEAT"),
    ],
    ids=lambda value: None,
)
@over_boto3
async def test_get_metric_data_refuses_invalid_queries(
    call: Any, wall: Any, queries: Any, params: Any, problem: str
) -> None:
    with pytest.raises(ClientError, match=problem):
        await data(call, wall, *queries, **params)


@pytest.mark.parametrize(
    ("age_days", "period", "expected"),
    [
        (0.1, 1, True),
        (0.2, 1, False),
        (14, 60, True),
        (16, 60, False),
        (16, 300, True),
        (64, 300, False),
        (64, 3600, True),
    ],
)
@over_boto3
async def test_finer_points_are_kept_for_a_shorter_time(
    call: Any, aws: EmbeddedAws, wall: Any, age_days: float, period: int, expected: bool
) -> None:
    at_s = wall.now_s - age_days * 86_400
    aws.metrics.put("N", "M", DIMENSIONS, at_s, [1.0], high_resolution=True)
    (result,) = (await data(call, wall, query(period=period), StartTime=at_s - 3600, EndTime=at_s + 60))[
        "MetricDataResults"
    ]
    assert bool(result["Values"]) is expected


async def test_high_resolution(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    entries = [
        {"MetricName": "M", "Value": float(second), "Timestamp": wall.now_s - 30 + second, "StorageResolution": 1,
         "Dimensions": [{"Name": "FunctionName", "Value": "orders"}]}
        for second in (0, 5, 11)
    ]  # fmt: skip
    await call("cloudwatch", "PutMetricData", Namespace="N", MetricData=entries)
    (result,) = (await data(call, wall, query(period=10), StartTime=wall.now_s - 60))["MetricDataResults"]
    assert result["Values"] == [11.0, 5.0]


async def test_get_metric_statistics(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    aws.metrics.put("N", "M", {}, wall.now_s - 60, [1.0, 2.0, 9.0], unit="Milliseconds")
    params = {"Namespace": "N", "MetricName": "M", "StartTime": wall.now_s - 600, "EndTime": wall.now_s, "Period": 60}
    response = await call(
        "cloudwatch", "GetMetricStatistics", **params, Statistics=["Sum", "Maximum"], ExtendedStatistics=["p50"]
    )
    (point,) = response["Datapoints"]
    assert (point["Sum"], point["Maximum"], point["ExtendedStatistics"]) == (12.0, 9.0, {"p50": 2.0})
    assert (point["Unit"], point["Timestamp"].timestamp()) == ("Milliseconds", wall.now_s - 60)
    with pytest.raises(ClientError, match="Statistics"):
        await call("cloudwatch", "GetMetricStatistics", **params)
    with pytest.raises(ClientError, match="1440"):
        await call("cloudwatch", "GetMetricStatistics", **params | {"StartTime": 1}, Statistics=["Sum"])


async def test_list_metrics(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    for number in range(505):
        aws.metrics.put("Many", f"m{number:03d}", {"a": "b"}, wall.now_s, [1.0])
    aws.metrics.put("Other", "x", {"a": "c", "d": "e"}, wall.now_s - 10 * 3600, [1.0])
    page = await call("cloudwatch", "ListMetrics", Namespace="Many")
    assert len(page["Metrics"]) == 500
    rest = await call("cloudwatch", "ListMetrics", Namespace="Many", NextToken=page["NextToken"])
    assert [item["MetricName"] for item in rest["Metrics"]] == [f"m{number}" for number in range(500, 505)]
    (item,) = (await call("cloudwatch", "ListMetrics", Dimensions=[{"Name": "d"}]))["Metrics"]
    assert item["Dimensions"] == [{"Name": "a", "Value": "c"}, {"Name": "d", "Value": "e"}]
    assert (await call("cloudwatch", "ListMetrics", Dimensions=[{"Name": "a", "Value": "x"}]))["Metrics"] == []
    wall.now_s += 4 * 3600
    assert (await call("cloudwatch", "ListMetrics", RecentlyActive="PT3H"))["Metrics"] == []


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 5)), min_size=1, max_size=30), st.integers(1, 100))
def test_weights_mean_repetition(pairs: Any, share: int) -> None:
    spread = sorted(float(value) for value, count in pairs for _ in range(count))
    compact = weighted([sample(0, 0, [value for value, _ in pairs], [count for _, count in pairs])])
    plain = weighted([sample(0, 0, spread)])
    for stat in ("Sum", "Average", "Minimum", "Maximum", "SampleCount", f"p{share}", f"tm{share}", f"wm{share}", "IQM"):
        assert statistic(stat, compact) == pytest.approx(statistic(stat, plain))
    assert statistic(f"p{share}", compact) == spread[max(0, -(-share * len(spread) // 100) - 1)]
    assert statistic("p100", compact) == spread[-1]


def test_names_of_statistics() -> None:
    assert all(is_statistic(item) for item in ("Sum", "p1", "p99.99", "tm99", "TM(2%:98%)", "PR(0:5)", "IQM"))
    assert not any(is_statistic(item) for item in ("sum", "p", "p101", "median", "TM()", ""))
    with pytest.raises(ValueError, match="no statistic"):
        statistic("median", [(1.0, 1.0)])


def test_counts_must_fit_values() -> None:
    with pytest.raises(ValueError, match="1 values but 2 counts"):
        sample(0, 0, [1.0], [1.0, 2.0])


def test_a_busy_minute_has_few_samples() -> None:
    now = [1_000_000.0]
    store = MetricStore(wall=lambda: now[0], faults=FaultPlan())
    for number in range(600):
        now[0] += 0.1
        store.put("N", "M", {}, 999_960.0, [float(number)])
    key = SeriesKey.of("N", "M", {})
    assert len(store.samples(key, 0, 2e6, 2e6)) <= 7
    points = aggregate(store, Query(id="m", key=key, stat="SampleCount"), 0, 2e6, seen_s=2e6)
    assert points == {999_960: 600.0}


def test_a_series_keeps_fifteen_days_of_minutes() -> None:
    store = MetricStore(wall=lambda: 1e9, faults=FaultPlan())
    for minute in range(15 * 24 * 60 + 5):
        store.put("N", "M", {}, minute * 60.0, [1.0])
    kept = store.samples(SeriesKey.of("N", "M", {}), 0, 1e9, 2e9)
    assert (len(kept), kept[0].timestamp_s) == (15 * 24 * 60, 300.0)
