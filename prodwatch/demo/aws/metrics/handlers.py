"""The operations of CloudWatch metrics."""

from __future__ import annotations

from typing import Any

from prodwatch.demo.aws.api_call import ApiCall, Document, Routes, ServiceError
from prodwatch.demo.aws.metrics.metric_math import MetricMathError
from prodwatch.demo.aws.metrics.model import SeriesKey
from prodwatch.demo.aws.metrics.query import Query, aggregate, evaluate
from prodwatch.demo.aws.metrics.statistics import is_statistic
from prodwatch.demo.aws.metrics.store import MetricStore
from prodwatch.demo.aws.paging import Pager, digest, issue, redeem

MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
MAX_STATISTICS_POINTS = 1_440
MAX_PUT = 1_000
_LIST = Pager(limit="", default=500, maximum=500, refusal="InvalidParameterValue")
_SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})
_PLAIN_STATISTICS = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})
_DAY_S = 86_400.0


class MetricHandlers:
    """CloudWatch metrics over one store."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """Return the operations implemented here."""
        return Routes(
            "cloudwatch",
            sync={
                "PutMetricData": self.put_metric_data,
                "GetMetricData": self.get_metric_data,
                "GetMetricStatistics": self.get_metric_statistics,
                "ListMetrics": self.list_metrics,
            },
        )

    def put_metric_data(self, call: ApiCall) -> Document:
        """PutMetricData; the AWS/ namespaces are allowed, so that a demo can write the services' metrics."""
        entries = [(call.params["Namespace"], datum) for datum in call.params.get("MetricData", [])]
        if len(entries) > MAX_PUT:
            raise ServiceError(
                "InvalidParameterValue", f"The collection MetricData must not have a size greater than {MAX_PUT}."
            )
        for namespace, entry in entries:
            values, counts = _values(entry)
            if counts is not None and len(counts) != len(values):
                raise ServiceError("InvalidParameterValue", "The parameters Values and Counts must have the same size.")
            self._store.put(
                namespace,
                entry["MetricName"],
                _dimensions(entry),
                entry.get("Timestamp", call.now_s),
                values,
                counts,
                unit=entry.get("Unit"),
                high_resolution=entry.get("StorageResolution") == 1,
            )
        return {}

    def list_metrics(self, call: ApiCall) -> Document:
        """ListMetrics, 500 a page."""
        namespace, metric = call.params.get("Namespace"), call.params.get("MetricName")
        dimensions = [(dimension["Name"], dimension.get("Value")) for dimension in call.params.get("Dimensions", [])]
        recent_s = call.now_s - 3 * 3600 if call.params.get("RecentlyActive") == "PT3H" else None
        metrics = [
            {"Namespace": key.namespace, "MetricName": key.metric, "Dimensions": _dimension_list(key)}
            for key in self._store.names()
            if namespace in {None, key.namespace}
            and metric in {None, key.metric}
            and all(_has(key, name, value) for name, value in dimensions)
            and (recent_s is None or self._active_since(key, recent_s, call.now_s))
        ]
        return _LIST.page(call, metrics, "Metrics")

    def _active_since(self, key: SeriesKey, since_s: float, now_s: float) -> bool:
        return self._store.updated_s(key) >= since_s or bool(self._store.samples(key, since_s, now_s, now_s))

    def get_metric_statistics(self, call: ApiCall) -> Document:
        """GetMetricStatistics, percentiles included."""
        params = call.params
        period_s = int(params["Period"])
        start_s, end_s = _window(call, period_s)
        plain, extended = params.get("Statistics", []), params.get("ExtendedStatistics", [])
        if not plain and not extended:
            raise ServiceError("MissingParameter", "The parameters Statistics or ExtendedStatistics are needed.")
        if (end_s - start_s) / period_s > MAX_STATISTICS_POINTS:
            raise ServiceError(
                "InvalidParameterCombination",
                f"You have requested more datapoints than the limit of {MAX_STATISTICS_POINTS}.",
            )
        key = SeriesKey.of(params["Namespace"], params["MetricName"], _dimensions(params))
        points: dict[int, Document] = {}
        for stat in (*plain, *extended):
            query = Query(id="m", key=key, stat=_checked(stat), period_s=period_s)
            for stamp, value in aggregate(self._store, query, start_s, end_s, seen_s=call.now_s).items():
                point = points.setdefault(stamp, {"Timestamp": float(stamp), "Unit": self._store.unit(key)})
                if stat in _PLAIN_STATISTICS:
                    point[stat] = value
                else:
                    point.setdefault("ExtendedStatistics", {})[stat] = value
        return {"Label": params["MetricName"], "Datapoints": list(points.values())}

    def get_metric_data(self, call: ApiCall) -> Document:
        """GetMetricData: newest first by default, paged by datapoints when no maths is used."""
        queries = [_query(raw) for raw in call.params["MetricDataQueries"]]
        if len(queries) > MAX_QUERIES:
            raise ServiceError(
                "ValidationError",
                f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.",
            )
        if len({query.id for query in queries}) < len(queries):
            raise ServiceError("ValidationError", "The values for parameter id in MetricDataQueries are not unique.")
        start_s, end_s = _window(call, min(query.period_s for query in queries))
        try:
            results = evaluate(queries, self._store, start_s, end_s, seen_s=call.now_s)
        except MetricMathError as error:
            raise ServiceError("ValidationError", f"Error in expression: {error}.") from error
        ascending = call.params.get("ScanBy") == "TimestampAscending"
        series = [
            (raw, query, sorted(results[query.id].items(), reverse=not ascending))
            for raw, query in zip(call.params["MetricDataQueries"], queries, strict=True)
            if raw.get("ReturnData", True)
        ]
        return _paged(call, series)


def _paged(call: ApiCall, series: list[tuple[Document, Query, list[tuple[int, float]]]]) -> Document:
    """Return one page: as many points as MaxDatapoints allows, `PartialData` for a series that continues."""
    token_key = digest(call.params, without=frozenset({"NextToken"}))
    skip = 0
    if token := call.params.get("NextToken"):
        try:
            skip = int(redeem(token, token_key, call.now_s))
        except (ValueError, TypeError) as error:
            raise ServiceError("InvalidNextToken", "The specified NextToken is invalid.") from error
    room = min(int(call.params.get("MaxDatapoints") or MAX_DATAPOINTS), MAX_DATAPOINTS)
    if call.effects.short_page:
        room = max(1, room // 10)
    if call.effects.empty_page:
        room = 0
    maths = any(query.key is None for _, query, _ in series)
    results, sent, counted = [], 0, 0
    for raw, query, points in series:
        offset = min(len(points), max(0, skip - counted))
        counted += len(points)
        chosen = points[offset:] if maths else points[offset : offset + room - sent]
        sent += len(chosen)
        complete = offset + len(chosen) == len(points)
        results.append(
            {
                "Id": query.id,
                "Label": raw.get("Label") or (query.key.metric if query.key else query.id),
                "Timestamps": [float(stamp) for stamp, _ in chosen],
                "Values": [value for _, value in chosen],
                "StatusCode": "Complete" if complete else "PartialData",
            }
        )
    output: Document = {"MetricDataResults": results, "Messages": []}
    if (not maths and skip + sent < counted) or (call.effects.empty_page and not maths):
        output["NextToken"] = issue(skip + sent, token_key, call.now_s)
    return output


def _query(document: Document) -> Query:
    stat = document.get("MetricStat")
    if (stat is None) is (document.get("Expression") is None):
        raise ServiceError("ValidationError", f"The query {document['Id']} needs either MetricStat or Expression.")
    if stat is None:
        return Query(id=document["Id"], expression=document["Expression"], period_s=int(document.get("Period") or 60))
    metric = stat["Metric"]
    key = SeriesKey.of(metric.get("Namespace", ""), metric.get("MetricName", ""), _dimensions(metric))
    period_s = int(stat["Period"])
    _check_period(period_s)
    return Query(id=document["Id"], key=key, stat=_checked(stat["Stat"]), period_s=period_s)


def _check_period(period_s: int) -> None:
    if period_s not in _SHORT_PERIODS and (period_s <= 0 or period_s % 60):
        raise ServiceError(
            "InvalidParameterValue", "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."
        )


def _checked(stat: str) -> str:
    if not is_statistic(stat):
        raise ServiceError("InvalidParameterValue", f"The value {stat} for parameter Stat is not supported.")
    return stat


def _window(call: ApiCall, period_s: int) -> tuple[float, float]:
    """Return start (rounded down, further for older data) and end, which is exclusive."""
    _check_period(period_s)
    start_s, end_s = float(call.params["StartTime"]), float(call.params["EndTime"])
    if start_s >= end_s:
        raise ServiceError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
    age_s = call.now_s - start_s
    grain_s = 1 if period_s in _SHORT_PERIODS else 3600 if age_s > 63 * _DAY_S else 300 if age_s > 15 * _DAY_S else 60
    return float(int(start_s // max(grain_s, period_s)) * max(grain_s, period_s)), end_s


def _values(entry: Document) -> tuple[list[float], list[float] | None]:
    """Return the values and counts of one datum; a statistic set becomes values with the same statistics."""
    if "Values" in entry:
        return entry["Values"], entry.get("Counts")
    if (statistics := entry.get("StatisticValues")) is None:
        if "Value" not in entry:
            raise ServiceError(
                "InvalidParameterCombination", "At least one of Value, Values or StatisticValues is needed."
            )
        return [entry["Value"]], None
    count, low, high = statistics["SampleCount"], statistics["Minimum"], statistics["Maximum"]
    if count <= 1:
        return [statistics["Sum"]], [count]
    if count == 2:
        return [low, high], None
    return [low, high, (statistics["Sum"] - low - high) / (count - 2)], [1.0, 1.0, count - 2]


def _dimensions(holder: Document) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in holder.get("Dimensions", [])}


def _dimension_list(key: SeriesKey) -> list[dict[str, Any]]:
    return [{"Name": name, "Value": value} for name, value in key.dimensions]


def _has(key: SeriesKey, name: str, value: str | None) -> bool:
    return any(key_name == name and value in {None, key_value} for key_name, key_value in key.dimensions)
