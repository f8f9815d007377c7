"""Facts about AWS metrics that responses do not contain: units, and metrics for which a missing point means zero."""

from __future__ import annotations

import re

_COUNTED_AGAINST = {
    "AWS/Lambda": (
        "Invocations",
        frozenset(
            ("Errors", "Throttles", "DeadLetterErrors", "DestinationDeliveryFailures", "RecursiveInvocationsDropped")
        ),
    ),
    "AWS/ApiGateway": ("Count", frozenset(("4XXError", "5XXError", "4xx", "5xx"))),
    "AWS/ApplicationELB": (
        "RequestCount",
        frozenset(
            (
                "HTTPCode_ELB_4XX_Count",
                "HTTPCode_ELB_5XX_Count",
                "HTTPCode_Target_4XX_Count",
                "HTTPCode_Target_5XX_Count",
                "TargetConnectionErrorCount",
            )
        ),
    ),
    "AWS/States": ("ExecutionsStarted", frozenset(("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"))),
}
"""Namespace → the metric that counts traffic, and the metrics whose missing points mean zero when there is traffic."""

_UNITS = {
    ("AWS/Lambda", "Duration"): "Milliseconds",
    ("AWS/Lambda", "IteratorAge"): "Milliseconds",
    ("AWS/Lambda", "AsyncEventAge"): "Milliseconds",
    ("AWS/Lambda", "OffsetLag"): "Count",
    ("AWS/Lambda", "PostRuntimeExtensionsDuration"): "Milliseconds",
    ("AWS/ApiGateway", "Latency"): "Milliseconds",
    ("AWS/ApiGateway", "IntegrationLatency"): "Milliseconds",
    ("AWS/DynamoDB", "SuccessfulRequestLatency"): "Milliseconds",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "Seconds",
    ("AWS/ApplicationELB", "TargetResponseTime"): "Seconds",
    ("AWS/States", "ExecutionTime"): "Milliseconds",
    ("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds"): "Milliseconds",
}
_COUNT_NAME = re.compile(r"(Count|Errors?|Invocations|Throttles|Requests|Executions\w*|Messages\w*|[45](XX|xx)\w*)$")

SECONDS_PER = {"Seconds": 1.0, "Milliseconds": 1e-3, "Microseconds": 1e-6}
"""Units of time → seconds."""


DURATIONS = ", ".join(
    f"`{name}` of `{namespace}`" for (namespace, name), unit in sorted(_UNITS.items()) if unit in SECONDS_PER
)
"""AWS's own metrics in a unit of time, as one text."""


def traffic_of(namespace: str, metric: str) -> str | None:
    """Return the metric whose points show that a missing point of `metric` means zero; None without such a metric."""
    traffic, counted = _COUNTED_AGAINST.get(namespace, (None, frozenset[str]()))
    return traffic if metric in counted else None


def known_unit(namespace: str, metric: str, stat: str) -> str | None:
    """Return the unit in which AWS publishes `metric`; None when it must be read from CloudWatch."""
    if stat == "SampleCount":
        return "Count"
    unit = _UNITS.get((namespace, metric))
    if unit is None and namespace.startswith("AWS/") and _COUNT_NAME.search(metric):
        return "Count"
    return unit
