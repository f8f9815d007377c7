"""Reads the state of metric and composite CloudWatch alarms; a name or prefix without alarms is never green."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from prodwatch.judge.signals import no_alarm_with, no_such_alarm
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.sources.alarms import cannot_evaluate, describe_alarms, selections


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Return the alarms with these names or this prefix; `firing` lists those in state ALARM."""
    return await ask(params, context, "cloudwatch", _alarms)


async def _alarms(calls: AwsCalls) -> Observation:
    names = _names(calls.params)
    prefix = calls.params.get("prefix") or None
    found: dict[str, dict[str, Any]] = {}
    for selection in selections(names, prefix):
        for alarm, kind in await describe_alarms(partial(calls.pages, "DescribeAlarms"), selection):
            found[alarm["AlarmName"]] = _alarm(alarm, kind)
    ordered = sorted(found.values(), key=lambda each: each["name"])
    alarms = [each for each in ordered if "evaluation" not in each or each["state"] != "OK"]
    unevaluated = [each for each in ordered if each not in alarms]
    document = {
        "alarms": alarms,
        "firing": [each["name"] for each in alarms if each["state"] == "ALARM"],
        "unevaluated": unevaluated,
    }
    for each in unevaluated:
        calls.incomplete(f"alarm {each['name']}: {cannot_evaluate(each['evaluation'])}")
    missing = [name for name in names if name not in found]
    failure = None
    if missing:
        message = "; ".join(map(no_such_alarm, missing))
        failure = Failure(status=Status.FAIL, reason=Reason.API_ERROR, message=message)
    elif not ordered:
        failure = Failure(status=Status.INCONCLUSIVE, reason=Reason.NO_DATA, message=no_alarm_with(prefix or ""))
    return calls.answer(document, failure=failure)


def _names(params: Mapping[str, Any]) -> list[str]:
    names = params.get("names") or []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _alarm(alarm: Mapping[str, Any], kind: str) -> dict[str, Any]:
    item = {
        "name": alarm["AlarmName"],
        "state": alarm.get("StateValue", "INSUFFICIENT_DATA"),
        "kind": kind,
        "composite": kind == "composite",
    }
    if alarm.get("EvaluationState"):
        item["evaluation"] = alarm["EvaluationState"]
    if alarm.get("StateReason"):
        item["reason"] = alarm["StateReason"]
    since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    if since is not None:
        item["since"] = since
    return item
