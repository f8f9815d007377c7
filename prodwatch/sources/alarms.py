"""CloudWatch alarms of all three kinds, and their history when one changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.signal import AlarmState, Record, ReleaseEvent
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.polling import PollingSource

EVERY_S = 15.0
NAMES_PER_CALL = 100

Kind = Literal["metric", "composite", "log"]
_KINDS: dict[str, Kind] = {"MetricAlarms": "metric", "CompositeAlarms": "composite", "LogAlarms": "log"}
_TYPES: dict[Kind, str] = {"metric": "MetricAlarm", "composite": "CompositeAlarm", "log": "LogAlarm"}


class AlarmSource(PollingSource):
    """Asks for the watched alarms every fifteen seconds; a change of state also goes on the release's time line."""

    name = "alarms"

    def __init__(
        self,
        aws: AwsApi,
        targets: Sequence[AlarmTarget],
        *,
        clock: Clock,
        since: datetime,
        clean: Callable[[str], str],
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._targets = tuple(targets)
        self._since = since
        self._clean = clean
        self._known: dict[str, AlarmState] = {}
        self._told: set[tuple[str, datetime]] = set()

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    async def poll(self) -> list[Record]:
        """Return every watched alarm, and the history of those whose state is new."""
        records: list[Record] = []
        for target in self._targets:
            for alarm in await self._describe(target):
                before = self._known.get(alarm.name)
                self._known[alarm.name] = alarm
                records.append(alarm)
                if before is None or (before.state, before.since) != (alarm.state, alarm.since):
                    records += await self._history(target, alarm)
        return records

    async def _describe(self, target: AlarmTarget) -> list[AlarmState]:
        found: list[AlarmState] = []
        for query in _queries(target):
            pages = self._aws.pages("cloudwatch", "DescribeAlarms", query, account=target.account, region=target.region)
            async for page in pages:
                for key, kind in _KINDS.items():
                    found += [self._state(alarm, kind, target) for alarm in page.get(key, ())]
        return found

    def _state(self, alarm: dict[str, Any], kind: Kind, target: AlarmTarget) -> AlarmState:
        return AlarmState(
            name=self._clean(alarm["AlarmName"]),
            state=alarm.get("StateValue", "INSUFFICIENT_DATA"),
            kind=kind,
            since=alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"),
            reason=self._clean(alarm["StateReason"]) if alarm.get("StateReason") else None,
            gate=target.gate,
        )

    async def _history(self, target: AlarmTarget, alarm: AlarmState) -> list[Record]:
        query = {
            "AlarmName": alarm.name,
            "HistoryItemType": "StateUpdate",
            "StartDate": self._since,
            "AlarmTypes": [_TYPES[alarm.kind]],
        }
        events: list[Record] = []
        pages = self._aws.pages(
            "cloudwatch", "DescribeAlarmHistory", query, account=target.account, region=target.region
        )
        async for page in pages:
            for item in page.get("AlarmHistoryItems", ()):
                mark = (alarm.name, item["Timestamp"])
                if mark in self._told:
                    continue
                self._told.add(mark)
                before, after = _transition(item.get("HistorySummary", ""))
                events.append(
                    ReleaseEvent(
                        at=item["Timestamp"],
                        source="alarm",
                        subject=alarm.name,
                        what=f"alarm {after}" if after else self._clean(item.get("HistorySummary", "changed")),
                        from_=before,
                        to=after,
                    )
                )
        return events


def _queries(target: AlarmTarget) -> Iterable[dict[str, Any]]:
    # Without this only metric alarms come back.
    kinds = {"AlarmTypes": list(_TYPES.values())}
    if target.prefix is not None:
        yield {"AlarmNamePrefix": target.prefix, **kinds}
    for start in range(0, len(target.names), NAMES_PER_CALL):
        yield {"AlarmNames": list(target.names[start : start + NAMES_PER_CALL]), **kinds}


def _transition(summary: str) -> tuple[str | None, str | None]:
    """Read `Alarm updated from OK to ALARM`."""
    words = summary.split()
    if "from" in words and "to" in words and words.index("to") + 1 < len(words):
        return words[words.index("from") + 1], words[words.index("to") + 1]
    return None, None
