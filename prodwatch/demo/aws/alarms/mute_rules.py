"""Mute rules of alarms: one window each, such as `at(2026-11-30T18:00)` for two hours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prodwatch.demo.aws.api_call import ApiCall, Document, ServiceError
from prodwatch.demo.aws.paging import Pager

_PAGE = Pager(limit="MaxRecords", default=50, maximum=100)
_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d)\)")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _MuteRule:
    """One rule."""

    name: str
    alarms: Sequence[str]
    rule: Mapping[str, object]
    """As it was put."""
    start_s: float
    end_s: float
    updated_s: float

    def status(self, now_s: float) -> str:
        return "SCHEDULED" if now_s < self.start_s else "ACTIVE" if now_s < self.end_s else "EXPIRED"


class MuteRules:
    """Rules by name. A read never changes them."""

    def __init__(self, region: str, account: str) -> None:
        self._prefix = f"arn:aws:cloudwatch:{region}:{account}:alarm-mute-rule:"
        self._rules: dict[str, _MuteRule] = {}

    def put(self, call: ApiCall) -> Document:
        """PutAlarmMuteRule with a schedule of one window in UTC."""
        schedule = call.params["Rule"]["Schedule"]
        at, duration = _AT.fullmatch(schedule["Expression"]), _DURATION.fullmatch(schedule["Duration"])
        if at is None or duration is None or schedule.get("Timezone", "UTC") != "UTC":
            raise ServiceError("ValidationError", "The embedded AWS mutes for one window in UTC only: at(…) and P….")
        start_s = datetime.fromisoformat(at[1]).replace(tzinfo=UTC).timestamp()
        days, hours, minutes = (int(each or 0) for each in duration.groups())
        self._rules[call.params["Name"]] = _MuteRule(
            name=call.params["Name"],
            alarms=tuple(call.params.get("MuteTargets", {}).get("AlarmNames", ())),
            rule=call.params["Rule"],
            start_s=start_s,
            end_s=start_s + days * 86_400 + hours * 3600 + minutes * 60,
            updated_s=call.now_s,
        )
        return {}

    def get(self, call: ApiCall) -> Document:
        """GetAlarmMuteRule."""
        rule = self._rules.get(call.params["AlarmMuteRuleName"])
        if rule is None:
            raise ServiceError("ResourceNotFoundException", "The alarm mute rule does not exist.", status=404)
        return {
            "Name": rule.name,
            "Rule": rule.rule,
            "MuteTargets": {"AlarmNames": list(rule.alarms)},
            **self._summary(rule, call.now_s),
        }

    def list(self, call: ApiCall) -> Document:
        """ListAlarmMuteRules, by alarm and status."""
        alarm, statuses = call.params.get("AlarmName"), call.params.get("Statuses")
        summaries = [
            self._summary(rule, call.now_s)
            for _, rule in sorted(self._rules.items())
            if (alarm is None or alarm in rule.alarms) and (not statuses or rule.status(call.now_s) in statuses)
        ]
        return _PAGE.page(call, summaries, "AlarmMuteRuleSummaries")

    def delete(self, call: ApiCall) -> Document:
        """DeleteAlarmMuteRule."""
        self._rules.pop(call.params["AlarmMuteRuleName"], None)
        return {}

    def _summary(self, rule: _MuteRule, now_s: float) -> Document:
        return {
            "AlarmMuteRuleArn": f"{self._prefix}{rule.name}",
            "ExpireDate": rule.end_s,
            "Status": rule.status(now_s),
            "MuteType": "ONE_TIME",
            "LastUpdatedTimestamp": rule.updated_s,
        }
