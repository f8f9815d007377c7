"""CloudWatch alarms of all three kinds, and their history when one changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.judge.signals import alarm_signals, merged, unread_alarms
from prodwatch.model.environment import AlarmTarget, place_of
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import NO_HISTORY, AlarmState, EvaluatedSignals, Record, ReleaseEvent, SourceStatus
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.sources.poll_loop import PollingSource

EVERY_S = 15.0
NAMES_PER_CALL = 100

Kind = Literal["metric", "composite", "log"]
_KINDS: dict[str, Kind] = {"MetricAlarms": "metric", "CompositeAlarms": "composite", "LogAlarms": "log"}
_TYPES: dict[Kind, str] = {"metric": "MetricAlarm", "composite": "CompositeAlarm", "log": "LogAlarm"}


class _Alarm(msgspec.Struct, frozen=True):
    """One alarm as told, and where it lives."""

    name: str
    """AWS's own name, for AWS."""
    target: AlarmTarget
    state: AlarmState

    @property
    def key(self) -> tuple[str | None, str | None, str]:
        return (self.target.account, self.target.region, self.name)


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
        self._known: dict[tuple[str | None, str | None, str], _Alarm] = {}
        self._due: dict[tuple[str | None, str | None, str], _Alarm] = {}
        """Alarms whose history has still to be asked for."""
        self._history_due_s = float("-inf")
        self._told: set[tuple[str, datetime]] = set()
        self._notes: list[str] = []
        self._history_note: str | None = None
        self._unread: tuple[str, ...] = ()

    def pause_s(self) -> float:
        """Return the pause between polls."""
        return EVERY_S

    def note(self) -> str | None:
        """Say which alarms the files name and nobody has, and what could not be read."""
        return "; ".join(filter(None, (*self._notes, self._history_note))) or None

    def unread(self) -> tuple[str, ...]:
        """Return why an alarm that is to gate says nothing: it could not be read, or nobody has it."""
        return self._unread

    def status(self, began_s: float) -> SourceStatus:
        """Return how it goes; a history that cannot be read hides no state, but it hides what passed."""
        notes = (NO_HISTORY,) if self._history_note else ()
        return msgspec.structs.replace(super().status(began_s), notes=notes)

    async def poll(self) -> list[Record]:
        """Return every watched alarm, and the history of those whose state is new."""
        self._notes = []
        signals: list[SignalResult] = []
        reads = (self._describe(target) for target in self._targets)
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        found: dict[tuple[str | None, str | None, str], _Alarm] = {}
        failed: list[AwsError] = []
        unread: list[str] = []
        for target, outcome in zip(self._targets, outcomes, strict=True):
            if isinstance(outcome, AwsError):
                failed.append(outcome)
                unread += [outcome.message] if target.gate else []
                signals += unread_alarms(target, outcome.message, outcome.reason)
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            names = {alarm.name for alarm in outcome}
            self._notes += _absent(target, names)
            # A prefix may stand for alarms that are still to be made; a name stands for one that is.
            unread += [f"there is no alarm {name}" for name in target.names if target.gate and name not in names]
            signals += alarm_signals(target, [alarm.state for alarm in outcome])
            for alarm in outcome:
                # Named twice, by a prefix and by name, it gates when either says so.
                gates = alarm.state.gate or (alarm.key in found and found[alarm.key].state.gate)
                found[alarm.key] = msgspec.structs.replace(
                    alarm, state=msgspec.structs.replace(alarm.state, gate=gates)
                )
        if failed and len(failed) == len(self._targets):
            raise failed[0]
        self._notes += dict.fromkeys(caught.message for caught in failed)
        self._unread = tuple(dict.fromkeys(unread))
        gone = [] if failed else self._gone(found)
        self._note_changes(found)
        evaluated = EvaluatedSignals(kind="alarm", results=merged(signals))
        states: list[Record] = [*(alarm.state for alarm in found.values()), *gone, evaluated]
        return [*states, *await self._histories()]

    def _note_changes(self, found: Mapping[tuple[str | None, str | None, str], _Alarm]) -> None:
        for key, alarm in found.items():
            before = self._known.get(key)
            changed = before is None or (before.state.state, before.state.since) != (
                alarm.state.state,
                alarm.state.since,
            )
            # One that has been as it is since before the session has no history in it.
            if changed and (alarm.state.since is None or alarm.state.since >= self._since):
                self._due[key] = alarm
        self._known.update(found)

    def _gone(self, found: Mapping[tuple[str | None, str | None, str], _Alarm]) -> list[AlarmState]:
        """Return alarms that were deleted while somebody watched, once: what they said last holds no more."""
        lost = [alarm for key, alarm in self._known.items() if key not in found]
        for alarm in lost:
            del self._known[alarm.key]
            self._due.pop(alarm.key, None)
        at, why = self._clock.now(), "the alarm is gone: CloudWatch has none of this name any more"
        return [msgspec.structs.replace(alarm.state, state="INSUFFICIENT_DATA", since=at, reason=why) for alarm in lost]

    async def _describe(self, target: AlarmTarget) -> list[_Alarm]:
        found: list[_Alarm] = []
        for query in _queries(target):
            pages = self._aws.pages("cloudwatch", "DescribeAlarms", query, account=target.account, region=target.region)
            async for page in pages:
                for key, kind in _KINDS.items():
                    found += [
                        _Alarm(alarm["AlarmName"], target, self._state(alarm, kind, target))
                        for alarm in page.get(key) or ()
                    ]
        return found

    def _state(self, alarm: dict[str, Any], kind: Kind, target: AlarmTarget) -> AlarmState:
        return AlarmState(
            name=self._clean(alarm["AlarmName"]),
            state=alarm.get("StateValue", "INSUFFICIENT_DATA"),
            kind=kind,
            since=alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"),
            reason=self._clean(alarm["StateReason"]) if alarm.get("StateReason") else None,
            gate=target.gate,
            place=place_of(target),
        )

    async def _histories(self) -> list[Record]:
        """Return what the changed alarms did; when that cannot be read, their states still count."""
        if self._now_s() < self._history_due_s:
            return []
        events: list[Record] = []
        for key, alarm in list(self._due.items()):
            try:
                events += await self._history(alarm)
            except AwsError as caught:
                self._history_note = f"history of alarms: {caught.message}"
                self._history_due_s = self._now_s() + DENIED_EVERY_S
                return events
            del self._due[key]
        self._history_note = None
        return events

    async def _history(self, alarm: _Alarm) -> list[Record]:
        query = {
            "AlarmName": alarm.name,
            "HistoryItemType": "StateUpdate",
            "StartDate": self._since,
            "AlarmTypes": [_TYPES[alarm.state.kind]],
        }
        events: list[ReleaseEvent] = []
        pages = self._aws.pages(
            "cloudwatch", "DescribeAlarmHistory", query, account=alarm.target.account, region=alarm.target.region
        )
        async for page in pages:
            events += [self._event(alarm, item) for item in page.get("AlarmHistoryItems") or ()]
        fresh = [each for each in events if (each.subject, each.at) not in self._told]
        self._told.update((each.subject, each.at) for each in fresh)
        return [*sorted(fresh, key=lambda each: each.at)]

    def _event(self, alarm: _Alarm, item: dict[str, Any]) -> ReleaseEvent:
        before, after = _transition(item.get("HistorySummary", ""))
        reason = _reason(item.get("HistoryData"))
        return ReleaseEvent(
            at=item["Timestamp"],
            source="alarm",
            subject=alarm.state.name,
            what=f"alarm {after}" if after else self._clean(item.get("HistorySummary", "changed")),
            from_=before,
            to=after,
            detail=self._clean(reason) if reason else None,
        )


def _queries(target: AlarmTarget) -> Iterable[dict[str, Any]]:
    # Without this only metric alarms come back.
    kinds = {"AlarmTypes": list(_TYPES.values())}
    if target.prefix is not None:
        yield {"AlarmNamePrefix": target.prefix, **kinds} if target.prefix else kinds
    for start in range(0, len(target.names), NAMES_PER_CALL):
        yield {"AlarmNames": list(target.names[start : start + NAMES_PER_CALL]), **kinds}


def _absent(target: AlarmTarget, found: set[str]) -> list[str]:
    """Return a sentence for each thing the files name that is not there: silence would look like health."""
    told = [f"there is no alarm {name}" for name in target.names if name not in found]
    if target.prefix is not None and not any(name.startswith(target.prefix) for name in found):
        told.append(f"no alarm begins with {target.prefix}" if target.prefix else "there are no alarms at all")
    return told


def _reason(data: Any) -> str | None:
    """Return why an alarm changed, from the document its history carries."""
    if not isinstance(data, str):
        return None
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    new = document.get("newState") if isinstance(document, dict) else None
    reason = new.get("stateReason") if isinstance(new, dict) else None
    return reason if isinstance(reason, str) else None


def _transition(summary: str) -> tuple[str | None, str | None]:
    """Read `Alarm updated from OK to ALARM`."""
    words = summary.split()
    if "from" in words and "to" in words and words.index("to") + 1 < len(words):
        return words[words.index("from") + 1], words[words.index("to") + 1]
    return None, None
