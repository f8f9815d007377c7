from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.demo.aws import FaultPlan
from prodwatch.demo.aws.xray.service_graph import tally_of, tally_of_calls
from prodwatch.demo.aws.xray.store import TraceStore
from prodwatch.demo.shop.functions import ACCESS_GROUP, ORDERS, OTHERS
from prodwatch.demo.shop.release_timeline import HISTORY_S, METRIC_HISTORY_S, WEEK_S, Timeline
from prodwatch.demo.shop.scenario import load
from prodwatch.demo.shop.signal_history import ShopHistory
from prodwatch.demo.workload import LogEvent

NOW = 1_795_183_432
ORDERS_GROUP = f"/aws/lambda/{ORDERS}"
ALIAS = {"FunctionName": ORDERS, "Resource": f"{ORDERS}:live"}


def history(at: str | None = "during", *, seed: int = 42, name: str = "bad") -> ShopHistory:
    return ShopHistory(Timeline(load(name), opened_s=NOW, at=at), seed=seed)


@pytest.fixture(scope="module")
def bad() -> ShopHistory:
    return history()


@pytest.fixture(scope="module")
def minute(bad: ShopHistory) -> int:
    """The first whole minute in which both versions served."""
    return (bad.traffic.timeline.origin_s // 60 + 1) * 60


def events(past: ShopHistory, group: str, start_s: float, end_s: float) -> list[LogEvent]:
    return list(past.log_events(group, int(start_s * 1000), int(end_s * 1000) - 1))


def total(
    past: ShopHistory, metric: str, dimensions: Mapping[str, str], minute: int, *, of: str = "AWS/Lambda"
) -> float:
    return sum(
        value * count
        for sample in past.metric_samples(of, metric, dimensions, minute, minute + 60)
        for value, count in zip(sample.values, sample.counts, strict=True)
    )


def version_of(event: LogEvent) -> str:
    return event.stream.split("[")[1].split("]")[0]


# One consistent history


def everything(past: ShopHistory, start_s: int, end_s: int) -> bytes:
    logs = [str(item) for group in sorted(past.log_groups()) for item in events(past, group, start_s, end_s)]
    segments = [json.dumps(item, sort_keys=True) for item in past.segments(start_s, end_s)]
    metrics = [
        str(sample)
        for namespace, metric, dimensions in past.metric_names()
        for sample in past.metric_samples(namespace, metric, dimensions, start_s, end_s)
    ]
    return "\n".join([*logs, *segments, *metrics]).encode()


def test_the_same_window_is_identical_byte_by_byte(minute: int) -> None:
    assert everything(history(), minute, minute + 60) == everything(history(), minute, minute + 60)


def test_the_order_of_reads_does_not_matter(minute: int) -> None:
    item, other = history(), history()
    list(other.segments(minute - 500, minute))
    events(other, ACCESS_GROUP, minute + 30, minute + 90)
    assert everything(item, minute, minute + 60) == everything(other, minute, minute + 60)


def test_another_seed_gives_other_numbers(minute: int) -> None:
    assert everything(history(), minute, minute + 60) != everything(history(seed=7), minute, minute + 60)


@settings(max_examples=30)
@given(st.integers(0, 12_000), st.integers(0, 12_000), st.sampled_from([ORDERS_GROUP, ACCESS_GROUP, "/shop/worker"]))
def test_log_windows_compose(first: int, second: int, group: str) -> None:
    past = history()
    start = NOW * 1000 - 40_000
    cuts = sorted([start, start + first, start + second, start + 12_000])
    pieces = [item for a, b in pairwise(cuts) for item in past.log_events(group, a, b - 1)]
    assert pieces == list(past.log_events(group, start, start + 11_999))


@settings(max_examples=30)
@given(st.floats(0, 10), st.floats(0, 10))
def test_segment_windows_compose(first: float, second: float) -> None:
    past = history()
    cuts = sorted([NOW - 30, NOW - 30 + first, NOW - 30 + second, NOW - 20])
    pieces = Counter(item["id"] for a, b in pairwise(cuts) for item in past.segments(a, b))
    assert pieces == Counter(item["id"] for item in past.segments(NOW - 30, NOW - 20))


def test_events_are_in_order_and_visible_after_their_time(bad: ShopHistory) -> None:
    for group in bad.log_groups():
        results = events(bad, group, NOW - 60, NOW)
        assert results, group
        stamps = [item.timestamp_ms for item in results]
        assert stamps == sorted(stamps)
        assert all(item.timestamp_ms < item.ingested_ms < item.visible_ms for item in results)
        assert max(item.visible_ms - item.timestamp_ms for item in results) < 25_000


def test_some_lines_are_late(bad: ShopHistory) -> None:
    results = events(bad, ORDERS_GROUP, NOW - 60, NOW)
    late = sum(item.visible_ms - item.timestamp_ms > 4000 for item in results) / len(results)
    assert 0.005 < late < 0.04


# Existing and missing signals


def test_the_history_has_one_hour_and_last_weeks_and_metrics_of_six_and_no_more(bad: ShopHistory) -> None:
    def some(at_s: int) -> bool:
        return bool(events(bad, ORDERS_GROUP, at_s, at_s + 2))

    assert some(NOW - HISTORY_S + 5)
    assert some(NOW + 600)
    assert some(NOW - WEEK_S)
    assert not some(NOW - HISTORY_S - 5)
    assert not some(NOW - WEEK_S - HISTORY_S - 5)
    assert not list(bad.segments(NOW - 2 * HISTORY_S, NOW - HISTORY_S - 60))
    assert list(bad.metric_samples("AWS/Lambda", "Errors", ALIAS, NOW - METRIC_HISTORY_S, NOW - METRIC_HISTORY_S + 300))
    before_s = NOW - METRIC_HISTORY_S - 300
    assert not list(bad.metric_samples("AWS/Lambda", "Errors", ALIAS, before_s, before_s + 240))


def test_last_week_another_version_served(bad: ShopHistory) -> None:
    streams = {
        item.stream.split("[")[1].split("]")[0] for item in events(bad, ORDERS_GROUP, NOW - WEEK_S, NOW - WEEK_S + 3)
    }
    assert streams == {"40"}


def test_before_the_release_the_new_version_has_no_signals() -> None:
    past = history("before")
    text = "".join(item.message for item in events(past, ORDERS_GROUP, NOW - 60, NOW))
    assert "KeyError" not in text
    assert "slow query" not in text
    assert '"version":"42"' not in text


def test_known_errors_occur_before_the_release(bad: ShopHistory) -> None:
    origin = bad.traffic.timeline.origin_s
    text = "".join(item.message for item in events(bad, ORDERS_GROUP, origin - 120, origin))
    assert "PaymentTimeout" in text
    assert "KeyError" not in text


def test_unknown_series_and_groups_are_empty(bad: ShopHistory) -> None:
    assert not list(bad.metric_samples("AWS/Lambda", "Errors", {"FunctionName": "other"}, NOW - 600, NOW))
    with pytest.raises(KeyError):
        events(bad, "/aws/lambda/other", NOW - 5, NOW)


# The numbers of the bad release


def durations(past: ShopHistory, version: str, start_s: int, end_s: int) -> list[float]:
    return sorted(
        item.duration_ms
        for second in range(start_s, end_s)
        for item in past.traffic.requests(ORDERS, second)
        if item.version == version
    )


def test_the_bad_release_shows_its_numbers(bad: ShopHistory) -> None:
    origin = bad.traffic.timeline.origin_s
    old, new = (durations(bad, version, origin, NOW) for version in ("41", "42"))
    assert old[int(len(old) * 0.95)] == pytest.approx(419, rel=0.03)
    assert new[int(len(new) * 0.95)] == pytest.approx(620, rel=0.06)
    assert len(new) == pytest.approx(45.8 * 0.1 * 192, rel=0.07)
    failed = [
        item.failed
        for second in range(origin, NOW)
        for item in bad.traffic.requests(ORDERS, second)
        if item.version == "42"
    ]
    assert sum(failed) / len(failed) == pytest.approx(0.061, abs=0.01)


@pytest.mark.parametrize("seed", [1, 2, 3, 42, 99])
def test_the_numbers_hold_for_any_seed(seed: int) -> None:
    test_the_bad_release_shows_its_numbers(history(seed=seed))


def test_the_good_release_is_as_good_as_the_old(bad: ShopHistory) -> None:
    good = history(name="good")
    origin = good.traffic.timeline.origin_s
    new = durations(good, "42", origin, NOW)
    assert new[int(len(new) * 0.95)] < 440
    assert "KeyError" not in "".join(item.message for item in events(good, ORDERS_GROUP, origin, origin + 60))


def served(past: ShopHistory, start_s: int, end_s: int) -> tuple[int, int]:
    """Return the requests of the new version in these seconds since its first one, and how many of them failed."""
    origin = past.traffic.timeline.origin_s
    requests = [
        item.failed
        for second in range(origin + start_s, origin + end_s)
        for item in past.traffic.requests(ORDERS, second)
        if item.version == "42"
    ]
    return len(requests), sum(requests)


def test_an_outage_answers_no_request_of_any_route() -> None:
    requests, failed = served(history(name="outage"), 0, 192)
    assert requests == failed > 800
    outage = history(name="outage")
    origin = outage.traffic.timeline.origin_s
    operations = {
        item.operation
        for second in range(origin, origin + 60)
        for item in outage.traffic.requests(ORDERS, second)
        if item.failed and item.version == "42"
    }
    assert operations == {0, 1, 2}


def test_no_request_reaches_the_new_version_of_the_release_without_traffic() -> None:
    for at in ("during", "after"):
        past = history(at, name="no-traffic")
        assert served(past, 0, 400) == (0, 0)
        assert len(past.traffic.requests(ORDERS, NOW)) > 30


def test_another_configuration_alone_makes_payments_fail() -> None:
    requests, failed = served(history(name="config-only"), 0, 192)
    assert failed / requests == pytest.approx(0.052, abs=0.015)


def test_a_slow_burn_goes_on_rising_while_it_is_held() -> None:
    past = history(name="slow-burn")
    first, later = (served(past, start, start + 240) for start in (0, 1200))
    assert first[1] / first[0] < 0.01
    assert later[1] / later[0] == pytest.approx(0.04, abs=0.015)


def test_a_new_version_starts_cold(bad: ShopHistory) -> None:
    origin = bad.traffic.timeline.origin_s

    def cold(start_s: int, version: str) -> int:
        return sum(
            item.init_ms > 0
            for second in range(start_s, start_s + 60)
            for item in bad.traffic.requests(ORDERS, second)
            if item.version == version
        )

    assert cold(origin, "42") == 14
    assert cold(origin + 60, "42") <= 2
    assert cold(origin, "41") <= 2


# Logs, traces and metrics agree on the requests


def test_logs_metrics_and_traces_agree(bad: ShopHistory, minute: int) -> None:
    for version in ("41", "42"):
        requests = [
            item
            for second in range(minute, minute + 60)
            for item in bad.traffic.requests(ORDERS, second)
            if item.version == version
        ]
        view = {**ALIAS, "ExecutedVersion": version}
        assert total(bad, "Invocations", view, minute) == len(requests)
        assert total(bad, "Errors", view, minute) == sum(item.failed for item in requests)
        assert total(bad, "Duration", view, minute) == pytest.approx(sum(item.duration_ms for item in requests))
    every = [item for second in range(minute, minute + 60) for item in bad.traffic.requests(ORDERS, second)]
    assert total(bad, "Invocations", ALIAS, minute) == total(bad, "Invocations", {"FunctionName": ORDERS}, minute)
    assert total(bad, "Invocations", ALIAS, minute) == len(every)


def reports(past: ShopHistory, start_s: int, end_s: int) -> Iterator[dict[str, Any]]:
    for event in events(past, ORDERS_GROUP, start_s, end_s):
        line = json.loads(event.message)
        if line.get("type") == "platform.report":
            yield line["record"]


def test_every_request_has_its_report_and_every_sampled_one_its_trace(bad: ShopHistory, minute: int) -> None:
    # Reports have the time of a request's end, so the window is wider than the requests'.
    past = {item["requestId"]: item for item in reports(bad, minute, minute + 70)}
    segments = list(bad.segments(minute - 1, minute + 65))
    traced = {item["aws"]["request_id"]: item["trace_id"] for item in segments if item["origin"] == "AWS::Lambda"}
    seen = 0
    for second in range(minute, minute + 60):
        for request in bad.traffic.requests(ORDERS, second):
            serving = bad.traffic.serving(ORDERS, request.version)
            text = serving.ids.hex(request.number)
            request_id = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
            record = past[request_id]
            assert record["metrics"]["durationMs"] == request.duration_ms
            assert (record["status"] == "error") is request.failed
            assert (request_id in traced) is request.traced is ("tracing" in record)
            if request.traced:
                assert traced[request_id] in record["tracing"]["value"]
                seen += 1
    assert seen / total(bad, "Invocations", ALIAS, minute) == pytest.approx(0.1, abs=0.015)


def test_api_metrics_agree_with_the_access_log(bad: ShopHistory, minute: int) -> None:
    lines = [json.loads(item.message) for item in events(bad, ACCESS_GROUP, minute, minute + 70)]
    statuses = Counter(line["status"] for line in lines)
    api = {"ApiId": "shop0api42", "Stage": "Prod"}
    count = total(bad, "Count", api, minute, of="AWS/ApiGateway")
    assert count == pytest.approx(len(lines) * 60 / 70, rel=0.05)
    assert total(bad, "5xx", api, minute, of="AWS/ApiGateway") == pytest.approx(statuses["500"] * 60 / 70, abs=6)


def test_version_series_exist_only_while_the_alias_is_weighted(bad: ShopHistory) -> None:
    origin = bad.traffic.timeline.origin_s
    view = {**ALIAS, "ExecutedVersion": "41"}
    assert not list(bad.metric_samples("AWS/Lambda", "Invocations", view, origin - 1800, origin - 120))
    assert list(bad.metric_samples("AWS/Lambda", "Invocations", view, origin, NOW))


def test_metrics_are_late_but_visible_within_the_next_minute(bad: ShopHistory) -> None:
    for sample in bad.metric_samples("AWS/Lambda", "Invocations", ALIAS, NOW - 3600, NOW):
        assert 60 + 45 <= sample.visible_s - sample.timestamp_s <= 60 + 67


def test_every_named_series_has_values(bad: ShopHistory) -> None:
    empty = [
        (namespace, metric, dimensions)
        for namespace, metric, dimensions in bad.metric_names()
        if not list(bad.metric_samples(namespace, metric, dimensions, NOW - 600, NOW))
    ]
    assert empty == []


# Forms


def test_json_functions_write_json_and_text_functions_text(bad: ShopHistory) -> None:
    for service in OTHERS:
        for event in events(bad, service.group, NOW - 30, NOW):
            if service.logs == "json":
                assert json.loads(event.message)
            else:
                assert event.message.startswith(("START ", "END ", "REPORT ", "[INFO]", "INIT_START "))
                assert event.message.endswith("\n")


def test_an_invocation_in_text(bad: ShopHistory) -> None:
    results = events(bad, "/aws/lambda/shop-payments", NOW - 60, NOW)
    request_id = next(item.message.split()[2] for item in results if item.message.startswith("START"))
    own = [item.message for item in results if request_id in item.message]
    assert own[0] == f"START RequestId: {request_id} Version: 7\n"
    assert own[2] == f"END RequestId: {request_id}\n"
    assert own[3].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "\tMemory Size: 256 MB\tMax Memory Used: 75 MB\t" in own[3]


def test_the_new_signature(bad: ShopHistory) -> None:
    results = [
        json.loads(item.message) for item in events(bad, ORDERS_GROUP, NOW - 60, NOW) if "KeyError" in item.message
    ]
    error = next(item for item in results if item.get("level") == "ERROR")
    assert error["message"] == "KeyError: 'currency'"
    assert error["location"] == "/var/task/orders.py:place:91"
    assert (
        error["stackTrace"][-1]
        == '  File "/var/task/orders.py", line 91, in place\n    currency = product["currency"]\n'
    )


def test_streams_carry_the_version(bad: ShopHistory) -> None:
    versions = Counter(
        version_of(item) for item in events(bad, ORDERS_GROUP, NOW - 60, NOW) if item.stream.startswith("2026/11/20/")
    )
    assert versions["42"] / (versions["41"] + versions["42"]) == pytest.approx(0.1, abs=0.02)


def test_a_faulty_trace_from_api_to_table(bad: ShopHistory) -> None:
    segments = list(bad.segments(NOW - 120, NOW - 5))
    broken = next(item for item in segments if item["origin"] == "AWS::Lambda::Function" and item.get("fault"))
    own = [item for item in segments if item["trace_id"] == broken["trace_id"]]
    api, service, function = own
    assert (api["name"], api["http"]["response"]["status"], api["fault"]) == ("shop-api", 500, True)
    assert service["parent_id"] == api["subsegments"][0]["id"]
    assert function["parent_id"] == service["id"]
    assert function["cause"]["exceptions"][0]["type"] in {"KeyError", "PaymentTimeout"}
    work = next(item for item in function["subsegments"] if item["name"] == "Invocation")
    assert work["subsegments"][0]["name"] == "DynamoDB"
    assert api["start_time"] <= service["start_time"] <= function["start_time"]
    assert function["end_time"] <= service["end_time"] <= api["end_time"]


def test_calls_count_exactly_the_calls_of_the_segments(bad: ShopHistory) -> None:
    start_s, end_s = NOW - 180, NOW - 60
    store = TraceStore(wall=lambda: NOW, faults=FaultPlan(), history=bad)
    past = tally_of(store.newest_first(start_s, end_s - 1e-6)).services("1")
    assert tally_of_calls(bad.calls(start_s, end_s)).services("1") == past
    assert len(past) > 10


def test_slow_listings_of_the_new_version_scan(bad: ShopHistory) -> None:
    documents = [
        item
        for item in bad.segments(bad.traffic.timeline.origin_s, NOW)
        if item["origin"] == "AWS::Lambda::Function" and item["annotations"]["release"] == "42"
    ]
    operations = {
        call["aws"]["operation"]
        for item in documents
        for phase in item["subsegments"]
        for call in phase.get("subsegments", ())
    }
    assert "Scan" in operations
    assert "Query" not in operations
    slow = [
        item for item in events(bad, ORDERS_GROUP, bad.traffic.timeline.origin_s, NOW) if "slow query" in item.message
    ]
    assert 6 <= len(slow) <= 20
    assert "table orders" in slow[0].message
