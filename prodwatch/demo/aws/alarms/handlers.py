"""The alarm operations of CloudWatch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from prodwatch.demo.aws.alarms.composite_rules import alarms_in
from prodwatch.demo.aws.alarms.evaluation import COMPARISONS
from prodwatch.demo.aws.alarms.model import AlarmRecord, CompositeAlarm, MetricAlarm, MetricQuery
from prodwatch.demo.aws.alarms.mute_rules import MuteRules
from prodwatch.demo.aws.alarms.store import AlarmStore
from prodwatch.demo.aws.api_call import ApiCall, Document, Routes, ServiceError
from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.paging import Pager

_ALARMS = Pager(limit="MaxRecords", default=50, maximum=100)
_STATES = frozenset({"OK", "ALARM", "INSUFFICIENT_DATA"})
_PLAIN = frozenset({"SampleCount", "Average", "Sum", "Minimum", "Maximum"})
MAX_NAMES = 100


class AlarmHandlers:
    """CloudWatch alarms over one store."""

    def __init__(self, store: AlarmStore) -> None:
        self._store = store
        self._mutes = MuteRules(store.region, store.account)

    def routes(self) -> Routes:
        """Return the operations implemented here."""
        return Routes(
            "cloudwatch",
            sync={
                "PutMetricAlarm": self.put_metric_alarm,
                "PutCompositeAlarm": self.put_composite_alarm,
                "DeleteAlarms": self.delete_alarms,
                "SetAlarmState": self.set_alarm_state,
                "EnableAlarmActions": lambda call: self._enable_actions(call, enabled=True),
                "DisableAlarmActions": lambda call: self._enable_actions(call, enabled=False),
                "DescribeAlarms": self.describe_alarms,
                "DescribeAlarmsForMetric": self.describe_alarms_for_metric,
                "DescribeAlarmHistory": self.describe_alarm_history,
                "PutAlarmMuteRule": self._mutes.put,
                "GetAlarmMuteRule": self._mutes.get,
                "ListAlarmMuteRules": self._mutes.list,
                "DeleteAlarmMuteRule": self._mutes.delete,
            },
        )

    def put_metric_alarm(self, call: ApiCall) -> Document:
        """PutMetricAlarm."""
        params = call.params
        if params.get("ComparisonOperator") not in COMPARISONS:
            raise ServiceError("ValidationError", "The embedded AWS evaluates static thresholds only.")
        self._store.put(
            MetricAlarm(
                name=params["AlarmName"],
                comparison=params["ComparisonOperator"],
                threshold=params.get("Threshold", 0.0),
                evaluation_periods=params.get("EvaluationPeriods", 1),
                datapoints_to_alarm=params.get("DatapointsToAlarm"),
                period_s=params.get("Period", 60),
                namespace=params.get("Namespace"),
                metric=params.get("MetricName"),
                dimensions={entry["Name"]: entry["Value"] for entry in params.get("Dimensions", [])},
                stat=params.get("Statistic") or params.get("ExtendedStatistic") or "Sum",
                queries=tuple(_query(entry) for entry in params.get("Metrics", [])),
                missing=params.get("TreatMissingData", "missing"),
                unit=params.get("Unit"),
                **_common(params),
            )
        )
        return {}

    def put_composite_alarm(self, call: ApiCall) -> Document:
        """PutCompositeAlarm; the rule may name only alarms that exist."""
        rule = call.params["AlarmRule"]
        try:
            missing = [name for name in alarms_in(rule) if self._store.get(name) is None]
        except ExpressionError as error:
            raise ServiceError("ValidationError", f"AlarmRule is not valid: {error}.") from error
        if missing:
            raise ServiceError("ValidationError", f"AlarmRule names alarms that do not exist: {', '.join(missing)}")
        self._store.put(CompositeAlarm(name=call.params["AlarmName"], rule=rule, **_common(call.params)))
        return {}

    def delete_alarms(self, call: ApiCall) -> Document:
        """DeleteAlarms; with one unknown name nothing is deleted."""
        names = call.params["AlarmNames"]
        if any(self._store.get(name) is None for name in names):
            raise _missing()
        for name in names:
            self._store.delete(name)
        return {}

    def _enable_actions(self, call: ApiCall, *, enabled: bool) -> Document:
        """EnableAlarmActions and DisableAlarmActions; unknown names are ignored, as by AWS."""
        for name in call.params["AlarmNames"]:
            if (record := self._store.get(name)) is not None:
                self._store.put(replace(record.definition, actions_enabled=enabled))
        return {}

    def set_alarm_state(self, call: ApiCall) -> Document:
        """SetAlarmState, until the next evaluation."""
        params = call.params
        if params["StateValue"] not in _STATES:
            raise ServiceError("ValidationError", f"{params['StateValue']} is not an alarm state.")
        try:
            data = json.loads(params["StateReasonData"]) if params.get("StateReasonData") else None
        except ValueError as error:
            raise ServiceError("InvalidFormat", "StateReasonData is not valid JSON.") from error
        if not self._store.set_state(params["AlarmName"], params["StateValue"], params["StateReason"], data):
            raise _missing()
        return {}

    def describe_alarms(self, call: ApiCall) -> Document:
        """DescribeAlarms: only metric alarms unless AlarmTypes is given."""
        params = call.params
        names, prefix = params.get("AlarmNames", []), params.get("AlarmNamePrefix")
        if names and prefix:
            raise ServiceError("ValidationError", "AlarmNames and AlarmNamePrefix cannot be used together.")
        if len(names) > MAX_NAMES:
            raise ServiceError("ValidationError", f"At most {MAX_NAMES} AlarmNames can be asked for.")
        kinds = set(params.get("AlarmTypes") or ["MetricAlarm"])
        matching = [
            record
            for record in self._store.records()
            if record.kind in kinds
            and (not names or record.definition.name in names)
            and record.definition.name.startswith(prefix or "")
            and params.get("StateValue") in {None, record.state}
            and _acts(record, params.get("ActionPrefix"))
        ]
        page = _ALARMS.page(call, matching, "records")
        records = page.pop("records")
        return page | {
            "MetricAlarms": [self._document(record) for record in records if record.kind == "MetricAlarm"],
            "CompositeAlarms": [self._document(record) for record in records if record.kind == "CompositeAlarm"],
        }

    def describe_alarms_for_metric(self, call: ApiCall) -> Document:
        """DescribeAlarmsForMetric."""
        params = call.params
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in params.get("Dimensions", [])}
        alarms = [
            self._document(record)
            for record in self._store.records()
            if isinstance(record.definition, MetricAlarm)
            and (record.definition.namespace, record.definition.metric) == (params["Namespace"], params["MetricName"])
            and dict(record.definition.dimensions) == dimensions
        ]
        return {"MetricAlarms": alarms}

    def describe_alarm_history(self, call: ApiCall) -> Document:
        """DescribeAlarmHistory, newest first by default."""
        params = call.params
        kinds = set(params.get("AlarmTypes") or ["MetricAlarm"])
        if "AlarmName" in params and "AlarmTypes" not in params:
            kinds = {"MetricAlarm", "CompositeAlarm"}
        items = [
            {
                "AlarmName": item.name,
                "AlarmType": item.kind,
                "Timestamp": item.at_s,
                "HistoryItemType": item.item,
                "HistorySummary": item.summary,
                "HistoryData": json.dumps(item.data),
            }
            for item in self._store.history()
            if item.kind in kinds
            and params.get("AlarmName") in {None, item.name}
            and params.get("HistoryItemType") in {None, item.item}
            and params.get("StartDate", 0.0) <= item.at_s <= params.get("EndDate", call.now_s)
        ]
        if params.get("ScanBy") == "TimestampAscending":
            items.reverse()
        return _ALARMS.page(call, items, "AlarmHistoryItems")

    def _document(self, record: AlarmRecord) -> Document:
        definition = record.definition
        document: Document = {
            "AlarmName": definition.name,
            "AlarmArn": self._store.arn(definition.name),
            "AlarmDescription": definition.description or None,
            "AlarmConfigurationUpdatedTimestamp": record.configured_s,
            "ActionsEnabled": definition.actions_enabled,
            "OKActions": list(definition.ok_actions),
            "AlarmActions": list(definition.actions),
            "InsufficientDataActions": list(definition.insufficient_actions),
            "StateValue": record.state,
            "StateReason": record.reason,
            "StateReasonData": json.dumps(record.reason_data) if record.reason_data is not None else None,
            "StateUpdatedTimestamp": record.updated_s,
            "StateTransitionedTimestamp": record.changed_s,
        }
        if isinstance(definition, CompositeAlarm):
            return document | {"AlarmRule": definition.rule}
        return document | _metric_part(definition)


def _metric_part(definition: MetricAlarm) -> Document:
    document: Document = {
        "EvaluationPeriods": definition.evaluation_periods,
        "DatapointsToAlarm": definition.datapoints_to_alarm,
        "Threshold": definition.threshold,
        "ComparisonOperator": definition.comparison,
        "TreatMissingData": definition.missing,
        "Unit": definition.unit,
    }
    if definition.queries:
        return document | {"Metrics": [_query_document(query) for query in definition.queries]}
    key = "Statistic" if definition.stat in _PLAIN else "ExtendedStatistic"
    return document | {
        "Namespace": definition.namespace,
        "MetricName": definition.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in definition.dimensions.items()],
        "Period": definition.period_s,
        key: definition.stat,
    }


def _query(entry: Document) -> MetricQuery:
    stat: Document = entry.get("MetricStat") or {}
    metric: Document = stat.get("Metric") or {}
    return MetricQuery(
        id=entry["Id"],
        expression=entry.get("Expression"),
        namespace=metric.get("Namespace"),
        metric=metric.get("MetricName"),
        dimensions={dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])},
        stat=stat.get("Stat", "Sum"),
        period_s=int(stat.get("Period") or entry.get("Period") or 60),
        returns=bool(entry.get("ReturnData", True)),
    )


def _query_document(query: MetricQuery) -> Document:
    document: Document = {"Id": query.id, "ReturnData": query.returns}
    if query.expression is not None:
        return document | {"Expression": query.expression, "Period": query.period_s}
    dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions.items()]
    metric = {"Namespace": query.namespace, "MetricName": query.metric, "Dimensions": dimensions}
    return document | {"MetricStat": {"Metric": metric, "Period": query.period_s, "Stat": query.stat}}


def _common(params: Document) -> dict[str, Any]:
    return {
        "description": params.get("AlarmDescription", ""),
        "actions": tuple(params.get("AlarmActions", ())),
        "ok_actions": tuple(params.get("OKActions", ())),
        "insufficient_actions": tuple(params.get("InsufficientDataActions", ())),
        "actions_enabled": params.get("ActionsEnabled", True),
    }


def _acts(record: AlarmRecord, prefix: str | None) -> bool:
    return prefix is None or any(action.startswith(prefix) for action in record.definition.actions)


def _missing() -> ServiceError:
    return ServiceError("ResourceNotFound", "Unknown alarm", status=404)
