"""Reads one CloudWatch metric over a time window; missing data is never a good value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, refuse, seconds
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.metric.known_metrics import SECONDS_PER, known_unit, traffic_of
from prodwatch.probes.metric.spec import DEFAULT_PERIOD, DEFAULT_WINDOW
from prodwatch.probes.scalar_text import text_value

HIGH_RESOLUTION_S = frozenset((1, 5, 10, 20, 30))
_SUMMED = frozenset(("Sum", "SampleCount"))


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Return the points of the window; without any, the outcome set by `missing`."""
    return await ask(params, context, "cloudwatch", _measure)


async def _measure(calls: AwsCalls) -> Observation:
    params = calls.params
    namespace, metric, of = params["namespace"], params["metric"], params.get("of")
    stat = "Sum" if of else str(params.get("stat") or "Average")
    period_s, window_s = _period_s(params), seconds(params.get("window"), DEFAULT_WINDOW)
    companion = of or traffic_of(namespace, metric)
    series, complete = await _series(calls, [metric, *([companion] if companion else [])], stat, period_s, window_s)
    points, beside = series[0], series[1] if companion else []
    unit = "None" if of else await _unit(calls, stat, period_s, window_s)
    if of:
        return _ratio(calls, points, beside, complete=complete)
    if not points and beside and stat in {"Sum", "SampleCount", "Average", "Maximum"}:
        # There was traffic without such an event: a measured zero.
        calls.notice(f"{metric} has no data points but {companion} has, so its value is zero")
        points = [Decimal(0)]
    if not points:
        return _missing(calls, f"{namespace} {metric} has no data point in the last {window_s:g} s", unit, complete)
    return calls.answer(_document(points, stat, unit), complete=complete)


def _period_s(params: Mapping[str, Any]) -> int:
    period_s = seconds(params.get("period"), DEFAULT_PERIOD)
    if period_s not in HIGH_RESOLUTION_S and (period_s <= 0 or period_s % 60):
        message = f"`period` must be a whole number of minutes, or 1, 5, 10, 20 or 30 s, not {period_s:g} s"
        raise refuse(Status.ERROR, Reason.INVALID, message)
    return int(period_s)


def _window(calls: AwsCalls, period_s: int, window_s: float) -> tuple[datetime, datetime]:
    """Return start and end of the whole periods in the window; of the latest one when none fits in it.

    The start stays while the step looks again, so that the window grows.
    """
    end_s = int(calls.now().timestamp() // period_s) * period_s
    start_s = math.ceil((calls.first_now().timestamp() - window_s) / period_s) * period_s
    if start_s >= end_s:
        start_s = end_s - period_s
        begins, ends = (f"{datetime.fromtimestamp(each, UTC):%H:%M:%S}" for each in (start_s, end_s))
        calls.notice(
            f"no whole period of {period_s} s is within the last {window_s:g} s: the latest one is read, "
            f"{begins} to {ends} UTC"
        )
    return datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC)


def _dimensions(params: Mapping[str, Any]) -> list[dict[str, str]]:
    try:
        return [
            {"Name": str(name), "Value": text_value(value, f"dimension {name}")}
            for name, value in (params.get("dimensions") or {}).items()
        ]
    except UnusableError as error:
        raise refuse(Status.ERROR, Reason.INVALID, str(error)) from None


async def _series(
    calls: AwsCalls, metrics: Sequence[str], stat: str, period_s: int, window_s: float
) -> tuple[list[list[Decimal]], bool]:
    """Return the points of each metric, oldest first, and whether CloudWatch returned all of them."""
    start, end = _window(calls, period_s, window_s)
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": calls.params["namespace"],
                    "MetricName": name,
                    "Dimensions": _dimensions(calls.params),
                },
                "Period": period_s,
                # The companion counts traffic, so it is always summed.
                "Stat": stat if number == 0 else "Sum",
            },
        }
        for number, name in enumerate(metrics)
    ]
    request = {"MetricDataQueries": queries, "StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending"}
    series: dict[str, dict[datetime, Decimal]] = {query["Id"]: {} for query in queries}  # type: ignore[misc]  # ids are texts
    finished: dict[str, str] = {}
    async for page in calls.pages("GetMetricData", request):
        for result in page.get("MetricDataResults") or ():
            finished[result["Id"]] = result.get("StatusCode") or "Complete"
            for at, value in zip(result.get("Timestamps") or (), result.get("Values") or (), strict=True):
                series[result["Id"]][at] = Decimal(repr(float(value)))
    broken = [status for status in finished.values() if status not in {"Complete", "PartialData"}]
    if broken:
        reason = Reason.ACCESS_DENIED if "Forbidden" in broken else Reason.SERVICE
        raise refuse(Status.ERROR, reason, f"CloudWatch could not read {calls.params['metric']}: {broken[0]}")
    left_out = [query for query in queries if query["Id"] not in finished]
    if left_out:
        # A series that is not in the response was not read: that is not the same as one without data.
        message = f"CloudWatch's response leaves out {calls.params['metric']}: nothing is known of it"
        raise refuse(Status.INCONCLUSIVE, Reason.NO_DATA, message)
    complete = "PartialData" not in finished.values()
    if not complete:
        calls.incomplete("CloudWatch returned only part of the data")
    return [[value for _, value in sorted(series[query["Id"]].items())] for query in queries], complete  # type: ignore[index]


async def _unit(calls: AwsCalls, stat: str, period_s: int, window_s: float) -> str:
    """Return the metric's unit; GetMetricData does not contain it, so unknown units are read separately."""
    namespace, metric = calls.params["namespace"], calls.params["metric"]
    known = known_unit(namespace, metric, stat)
    if known is not None or namespace.startswith("AWS/"):
        return known or "None"
    start, end = _window(calls, period_s, window_s)
    request = {
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": _dimensions(calls.params),
        "StartTime": start,
        "EndTime": end,
        "Period": max(60, int((end - start).total_seconds()) // 60 * 60),
        "Statistics": ["SampleCount"],
    }
    try:
        answer = await calls.call("GetMetricStatistics", request)
    except AwsError as error:
        # A number without its unit can be judged neither as one nor as a duration.
        calls.incomplete(f"the unit of {metric} is unknown: {error.message}", reason=error.reason)
        return "None"
    units = {each.get("Unit") for each in answer.get("Datapoints") or ()} - {None, "None"}
    if len(units) > 1:
        calls.notice(f"{metric} is published in several units: {', '.join(sorted(map(str, units)))}")
        return "None"
    return str(units.pop()) if units else "None"


def _document(points: list[Decimal], stat: str, unit: str) -> dict[str, Any]:
    whole = points[-1]
    if stat in _SUMMED:
        whole = sum(points, Decimal(0))
    elif stat in {"Minimum", "Maximum"}:
        whole = min(points) if stat == "Minimum" else max(points)
    document: dict[str, Any] = {
        "value": whole,
        "values": points,
        "sum": sum(points, Decimal(0)),
        "min": min(points),
        "max": max(points),
        "last": points[-1],
    }
    scale = SECONDS_PER.get(unit)
    if scale is not None and stat != "SampleCount":
        document = {name: _timed(value, scale) for name, value in document.items()}
    return {**document, "points": len(points), "unit": unit}


def _timed(value: Decimal | list[Decimal], scale: float) -> Duration | list[Duration]:
    if isinstance(value, list):
        return [Duration.from_s(each * Decimal(repr(scale))) for each in value]
    return Duration.from_s(value * Decimal(repr(scale)))


def _ratio(calls: AwsCalls, points: list[Decimal], beside: list[Decimal], *, complete: bool) -> Observation:
    metric, of = calls.params["metric"], calls.params["of"]
    total = sum(beside, Decimal(0))
    if not total:
        # `missing = "zero"` defines the numerator without points, not a share of zero traffic.
        what = f"{of} counted nothing, so {metric} has nothing to be a share of"
        return _missing(calls, what, "None", complete, zero=False)
    part = sum(points, Decimal(0))
    document = _document([part / total], "Sum", "None")
    return calls.answer(document | {"points": len(beside), "of": total}, complete=complete)


def _missing(
    calls: AwsCalls,
    what: str,
    unit: str,
    complete: bool,  # noqa: FBT001 -- one of four facts handed on
    *,
    zero: bool = True,
) -> Observation:
    policy = calls.params.get("missing") or "inconclusive"
    if policy == "zero" and zero:
        document = _document([Decimal(0)], "Sum", unit) | {"values": [], "points": 0}
        return calls.answer(document, complete=complete)
    status = Status.FAIL if policy == "fail" else Status.INCONCLUSIVE
    failure = Failure(status=status, reason=Reason.NO_DATA, message=what, answered_by=("points",))
    return calls.answer({"values": [], "points": 0, "unit": unit}, failure=failure, complete=complete)
