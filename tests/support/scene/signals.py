"""What the shop's functions would have told X-Ray and CloudWatch metrics in the last hour."""

from __future__ import annotations

import random
from datetime import timedelta

from prodwatch.model.signal import (
    Batch,
    MetricKey,
    MetricPoint,
    MetricSeries,
    Span,
    Trace,
    TraceSummary,
)
from tests.support.scene.checks import FAILED_TRACE_ID
from tests.support.scene.release import FUNCTION, NEW, OLD, Timing, live
from tests.support.scene.services import API, LAMBDA, ORDERS, TABLE

TRACES = 160
MINUTES = 60


def traces(timing: Timing, dice: random.Random) -> tuple[dict[str, Trace], Batch]:
    """Return whole traces by id and the batch of their summaries."""
    whole: dict[str, Trace] = {}
    summaries: list[TraceSummary] = []
    now_s = timing.now.timestamp()
    for number in range(TRACES):
        at_s = now_s - (TRACES - number) * 1.9
        own = number == TRACES - 2 and timing.moment == "during"
        new = own or dice.random() < timing.share_of_new(timing.now - timedelta(seconds=now_s - at_s))
        broken = own or (new and dice.random() < 0.2)
        trace_id = FAILED_TRACE_ID if own else f"1-{int(at_s):08x}-{number:024x}"
        duration = 0.644 if own else dice.lognormvariate(-0.5 if new else -1.2, 0.5)
        slow = duration > 1
        method, path = dice.choice((("POST", "/orders"), ("GET", "/orders/o-17"), ("GET", "/health")))
        summaries.append(
            TraceSummary(
                id=trace_id,
                start_ms=int(at_s * 1000),
                duration_s=duration,
                response_s=duration,
                method="POST" if own else method,
                url="https://api.shop.example" + ("/orders" if own else path),
                status=500 if broken else 200,
                fault=broken,
                service="shop-api",
                version=NEW if new else OLD,
                root_cause="shop-api → shop-orders: KeyError: 'currency'" if broken else None,
                slowest=f"dynamodb {duration * 0.8:.2f} s" if slow else f"shop-orders {duration * 400:.0f} ms",
                services=(API, LAMBDA, ORDERS, TABLE),
                partial=number == TRACES - 1,
                revision=3,
            )
        )
        whole[trace_id] = _whole(trace_id, at_s, duration, broken=broken, new=new)
    return whole, Batch(source="traces", records=tuple(summaries), status=live("traces", timing.now, 6.0))


def _whole(trace_id: str, at_s: float, duration_s: float, *, broken: bool, new: bool) -> Trace:
    end = at_s + duration_s

    def part(low: float, high: float) -> tuple[float, float]:
        return at_s + low * duration_s, at_s + high * duration_s

    order, get, put = part(0.02, 0.96), part(0.05, 0.62 if new else 0.2), part(0.66, 0.84)
    error = ("KeyError: 'currency' at orders.py:88",) if broken else ()
    table, item, prices = "orders", part(0.2, 0.3), "price list"
    spans = [
        Span(
            id="a1",
            name="shop-api",
            start_s=at_s,
            end_s=end,
            origin="AWS::ApiGateway::Stage",
            fault=broken,
            http={"request": {"method": "POST", "url": "/orders"}, "response": {"status": 500 if broken else 201}},
        ),
        Span(
            id="b1",
            parent_id="a1",
            name=FUNCTION,
            start_s=order[0],
            end_s=order[1],
            origin="AWS::Lambda::Function",
            fault=broken,
            exceptions=error,
            annotations={"version": NEW if new else OLD, "customer": "c-118"},
            metadata={"order": {"id": "TEST-7f3a", "lines": 3}},
            aws={"function_version": NEW if new else OLD},
        ),
        _call("c1", "DynamoDB", get, operation="Query", table_name=table, index_name="by-customer"),
        Span(id="c2", parent_id="b1", name=prices, start_s=item[0], end_s=item[1]),
    ]
    if not broken:
        spans.append(_call("c3", "SQS", put, operation="SendMessage", queue_url="outbox"))
    return Trace(id=trace_id, spans=tuple(spans), duration_s=duration_s)


def _call(span_id: str, name: str, window: tuple[float, float], **aws: str) -> Span:
    return Span(
        id=span_id, parent_id="b1", name=name, namespace="aws", start_s=window[0], end_s=window[1], aws=dict(aws)
    )


def metrics(timing: Timing, dice: random.Random) -> Batch:
    """Return an hour of the series the dashboard compares, old version and new."""
    newest = int(timing.now.timestamp()) // 60 * 60 - 60
    starts = [newest - 60 * index for index in reversed(range(MINUTES))]
    records: list[MetricSeries] = []
    for label, metric, stat, unit, old, new in (
        ("errors", "Errors", "share", "Percent", 0.1, 6.1),
        ("p95", "Duration", "p95", "Milliseconds", 419.0, 620.0),
        ("requests/s", "Invocations", "Sum", "Count/Second", 41.2, 4.6),
        ("throttles", "Throttles", "Sum", "Count", 0.0, 0.0),
        ("cold starts", "InitDuration", "SampleCount", "Count", 0.2, 6.0),
    ):
        for version, level in ((OLD, old), (NEW, new)):
            points = tuple(
                MetricPoint(start, round(level * dice.uniform(0.82, 1.18), 3), start < newest)
                for start in starts
                if version == OLD or _carries_new(timing, start)
            )
            key = MetricKey(
                namespace="AWS/Lambda",
                metric=metric,
                dimensions=(("FunctionName", FUNCTION), ("ExecutedVersion", version)),
                stat=stat,
                version=version,
                label=label,
            )
            records.append(MetricSeries(key=key, points=points, unit=unit))
    age = MetricKey(
        "AWS/SQS", "ApproximateAgeOfOldestMessage", (("QueueName", "shop-inbox"),), "Maximum", label="queue age"
    )
    points = tuple(MetricPoint(start, round(dice.uniform(0.8, 1.6), 2), start < newest) for start in starts)
    records.append(MetricSeries(key=age, points=points, unit="Seconds"))
    return Batch(source="metrics", records=tuple(records), status=live("metrics", timing.now, 118.0))


def _carries_new(timing: Timing, start_s: int) -> bool:
    end = timing.now + timedelta(seconds=start_s + 59 - timing.now.timestamp())
    return timing.share_of_new(end) > 0
