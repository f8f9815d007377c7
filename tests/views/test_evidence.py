"""Requests are counted by Lambda alone: what programs write about themselves is no evidence for a verdict."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import Batch, MetricKey, MetricPoint, MetricSeries, ReleasePhase, ReleaseState
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.evidence import requests_on

RELEASE = ReleaseState(function="f", phase=ReleasePhase.SHIFTING, version="42", previous="41", started_at=START)
MINUTE_S = int(START.timestamp()) // 60 * 60 + 60
SERVED = MetricSeries(
    key=MetricKey("AWS/Lambda", "Invocations", (("FunctionName", "f"),), "rate", "42", "requests/s"),
    unit="Count/Second",
    points=(MetricPoint(MINUTE_S, 2.0),),
)


def test_a_metric_in_a_log_line_is_no_request() -> None:
    store = Store(FakeClock())
    metrics = [{"Name": "Invocations", "Unit": "Count/Second"}]
    told = {"CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [], "Metrics": metrics}]}
    line = LineParser().parse(
        json.dumps({"_aws": told, "Invocations": 1e6}), group="g", timestamp_ms=MINUTE_S * 1000, stream="2026/[42]a"
    )
    store.apply(Batch(source="logs:g", records=(line,)))
    assert len(store.metrics.series) == 1
    assert requests_on(store, RELEASE) is None
    store.apply(Batch(source="metrics", records=(SERVED,)))
    assert requests_on(store, RELEASE) == "120 requests on v42"


@pytest.mark.parametrize(
    ("dimensions", "alias", "counted"),
    [
        ((("FunctionName", "f"), ("Resource", "f:live"), ("ExecutedVersion", "42")), "live", True),
        ((("FunctionName", "g"), ("Resource", "g:live"), ("ExecutedVersion", "42")), "live", False),
        ((("FunctionName", "f"), ("Resource", "f:next"), ("ExecutedVersion", "42")), "live", False),
        ((("FunctionName", "f"),), None, True),
    ],
    ids=["own", "another function", "another alias", "without an alias"],
)
def test_k12_requests_of_another_function_with_the_same_version_are_not_counted(
    dimensions: tuple[tuple[str, str], ...], alias: str | None, counted: bool
) -> None:
    store = Store(FakeClock())
    series = replace(SERVED, key=replace(SERVED.key, dimensions=dimensions))
    store.apply(Batch(source="metrics", records=(series,)))
    assert (requests_on(store, replace(RELEASE, alias=alias)) is not None) is counted
