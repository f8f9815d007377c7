"""Polls CloudWatch alarms (metric, composite, log) and reads the history of those whose state changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.judge.signals import alarm_signals, merged, no_alarm_with, no_such_alarm, unread_alarms
from prodwatch.model.environment import AlarmTarget, place_of
from prodwatch.model.identity import AlarmId
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import (
    NO_HISTORY,
    AlarmState,
    EvaluatedSignals,
    Record,
    ReleaseEvent,
    SourcePhase,
    SourceStatus,
)
from prodwatch.model.status import Reason
from prodwatch.sources.alarm_mutes import MuteRuleReader
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.error_status import DENIED_EVERY_S, error_of_all
from prodwatch.sources.poll_loop import PollingSource

EVERY_S = 15.0
"""Pause between polls."""
KNOWN_AFTER_S = 1.0
"""Longest time from when the alarms of the deployment groups become known to their first poll."""
NAMES_PER_CALL = 100
"""Most alarm names in one DescribeAlarms request."""

Kind = Literal["metric", "composite", "log"]
_KINDS: dict[str, Kind] = {"MetricAlarms": "metric", "CompositeAlarms": "composite", "LogAlarms": "log"}
_TYPES: dict[Kind, str] = {"metric": "MetricAlarm", "composite": "CompositeAlarm", "log": "LogAlarm"}
_INVALID = frozenset(("ValidationError", "InvalidParameterValue", "ValidationException"))
"""Error codes of a request with a parameter that the endpoint does not know."""
AlarmPages = Callable[[dict[str, Any]], AsyncIterator[dict[str, Any]]]
"""`pages(params)` yields the pages of DescribeAlarms."""


class _Alarm(msgspec.Struct, frozen=True):
    """One alarm with its unredacted name and its target."""

    name: str
    """Name as AWS knows it, for further requests."""
    target: AlarmTarget
    state: AlarmState

    @property
    def id(self) -> AlarmId:
        return AlarmId(self.name, self.state.place)


class _HistoryError(msgspec.Struct, frozen=True):
    """Why the history of an alarm could not be read."""

    retry_s: float
    """Monotonic second of the next attempt."""
    message: str = ""


_NO_ERROR = _HistoryError(float("-inf"))


class AlarmSource(PollingSource):
    """Polls the watched alarms every 15 s; state changes also become release events."""

    name = "alarms"

    def __init__(
        self,
        aws: AwsApi,
        targets: Sequence[AlarmTarget],
        *,
        clock: Clock,
        since: datetime,
        clean: Callable[[str], str],
        rollback_targets: Callable[[], tuple[AlarmTarget, ...] | None] = tuple,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`rollback_targets` returns the alarms that stop deployments, None while they are not known yet.

        They gate, except those that `targets` name: there the file decides.
        """
        super().__init__(clock=clock, backoff=backoff)
        self._aws = aws
        self._own_targets = tuple(targets)
        self._rollback_targets = rollback_targets
        self._rollback: tuple[AlarmTarget, ...] | None = None
        """As of the latest poll."""
        self._mutes = MuteRuleReader(aws, clock, clean)
        self._since = since
        self._clean = clean
        self._alarms: dict[AlarmId, _Alarm] = {}
        self._history_due: dict[AlarmId, _Alarm] = {}
        """Alarms whose history is still to be read."""
        self._history_errors: dict[AlarmId, _HistoryError] = {}
        self._reported: set[tuple[AlarmId, datetime]] = set()
        self._notes: list[str] = []
        self._unread: tuple[str, ...] = ()

    def pause_s(self) -> float:
        """Return the seconds between polls."""
        return EVERY_S

    async def pause(self) -> None:
        """Wait until the next poll is due, or until the alarms of the deployment groups become known."""
        if self._rollback is not None:
            await super().pause()
            return
        until_s = self._clock.monotonic_s() + self.pause_s()
        while self._rollback_targets() is None and (left_s := until_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(min(left_s, KNOWN_AFTER_S))

    def note(self) -> str | None:
        """Return which configured alarms do not exist and which data could not be read; None without any."""
        histories = (error.message for error in self._history_errors.values())
        return "; ".join(dict.fromkeys((*self._notes, *histories, *self._mutes.notes()))) or None

    def unread(self) -> tuple[str, ...]:
        """Return why gating alarms could not be read."""
        return self._unread

    def status(self, began_s: float) -> SourceStatus:
        """Return the status, with a note while the history of alarms cannot be read."""
        notes = (NO_HISTORY,) if self._history_errors else ()
        status = msgspec.structs.replace(super().status(began_s), notes=notes)
        # Alarms that are not known yet may be firing.
        return status if self._rollback is not None else msgspec.structs.replace(status, phase=SourcePhase.STARTING)

    async def poll(self) -> list[Record]:
        """Return the state of every watched alarm, and the history of those whose state changed."""
        self._notes = []
        signals: list[SignalResult] = []
        self._rollback = self._rollback_targets()
        rollback = self._not_in_file(self._rollback or ())
        targets = (*self._own_targets, *rollback)
        reads = (self._describe(target) for target in targets)
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        alarms: dict[AlarmId, _Alarm] = {}
        failed: list[AwsError] = []
        unread: list[str] = []
        judged: list[tuple[AlarmTarget, list[AlarmId]]] = []
        for target, outcome in zip(targets, outcomes, strict=True):
            if isinstance(outcome, AwsError):
                failed.append(outcome)
                unread += [outcome.message] if target.gate else []
                signals += unread_alarms(target, outcome.message, outcome.reason)
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            existing = {alarm.name for alarm in outcome}
            self._notes += _missing_alarms(target, existing)
            # A group may name an alarm that was deleted; the gate reports it.
            names = tuple(map(self._clean, sorted(existing))) if target in rollback else target.names
            judged.append((msgspec.structs.replace(target, names=names), [alarm.id for alarm in outcome]))
            for alarm in outcome:
                # An alarm matched by several targets gates if any of them gates.
                gates = alarm.state.gate or (alarm.id in alarms and alarms[alarm.id].state.gate)
                alarms[alarm.id] = msgspec.structs.replace(
                    alarm, state=msgspec.structs.replace(alarm.state, gate=gates)
                )
        if failed and len(failed) == len(targets):
            raise error_of_all(failed)
        self._notes += dict.fromkeys(error.message for error in failed)
        self._unread = tuple(dict.fromkeys(unread))
        unread_targets = [
            target for target, outcome in zip(targets, outcomes, strict=True) if isinstance(outcome, BaseException)
        ]
        await self._read_mutes(alarms)
        for target, found in judged:
            signals += alarm_signals(target, [alarms[id_].state for id_ in found])
        deleted = self._deleted(alarms, unread_targets)
        self._queue_histories(alarms)
        evaluated = EvaluatedSignals(kind="alarm", results=merged(signals))
        states: list[Record] = [*(alarm.state for alarm in alarms.values()), *deleted, evaluated]
        return [*states, *await self._histories()]

    def _not_in_file(self, rollback: Iterable[AlarmTarget]) -> list[AlarmTarget]:
        """Return the alarms of deployment groups that the file does not name."""
        targets = []
        for each in rollback:
            names = tuple(
                name
                for name in each.names
                if not any(_names(own, name) and place_of(own) == place_of(each) for own in self._own_targets)
            )
            if names:
                targets.append(msgspec.structs.replace(each, names=names))
        return targets

    async def _read_mutes(self, alarms: dict[AlarmId, _Alarm]) -> None:
        """Note the mute rules of the alarms that stop deployments, and of all that fire."""
        stopping = {AlarmId(name, place_of(target)) for target in self._rollback or () for name in target.names}
        for id_, alarm in alarms.items():
            if id_ in stopping or alarm.state.state == "ALARM":
                muted_by = await self._mutes.of(id_)
                alarms[id_] = msgspec.structs.replace(
                    alarm, state=msgspec.structs.replace(alarm.state, muted_by=muted_by)
                )

    def _queue_histories(self, alarms: Mapping[AlarmId, _Alarm]) -> None:
        for key, alarm in alarms.items():
            before = self._alarms.get(key)
            changed = before is None or (before.state.state, before.state.since) != (
                alarm.state.state,
                alarm.state.since,
            )
            # An alarm whose state is older than the session has no history in it.
            if changed and (alarm.state.since is None or alarm.state.since >= self._since):
                self._history_due[key] = alarm
        self._alarms.update(alarms)

    def _deleted(self, alarms: Mapping[AlarmId, _Alarm], unread: Sequence[AlarmTarget]) -> list[AlarmState]:
        """Return alarms deleted since the last poll, once, with unknown state: their last state no longer applies.

        An alarm that one of the `unread` targets covers may still exist.
        """
        deleted = [
            alarm
            for key, alarm in self._alarms.items()
            if key not in alarms and not any(_covers(target, alarm) for target in unread)
        ]
        for alarm in deleted:
            del self._alarms[alarm.id]
            self._history_due.pop(alarm.id, None)
            self._history_errors.pop(alarm.id, None)
        at, why = self._clock.now(), "the alarm was deleted"
        return [
            msgspec.structs.replace(alarm.state, state="INSUFFICIENT_DATA", since=at, reason=why) for alarm in deleted
        ]

    async def _describe(self, target: AlarmTarget) -> list[_Alarm]:
        def pages(params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            return self._aws.pages("cloudwatch", "DescribeAlarms", params, account=target.account, region=target.region)

        return [
            _Alarm(alarm["AlarmName"], target, self._state(alarm, kind, target))
            for selection in selections(target.names, target.prefix)
            for alarm, kind in await describe_alarms(pages, selection)
        ]

    def _state(self, alarm: dict[str, Any], kind: Kind, target: AlarmTarget) -> AlarmState:
        state, reason = alarm.get("StateValue", "INSUFFICIENT_DATA"), alarm.get("StateReason")
        if state == "OK" and alarm.get("EvaluationState"):
            state, reason = "INSUFFICIENT_DATA", cannot_evaluate(alarm["EvaluationState"])
        return AlarmState(
            name=self._clean(alarm["AlarmName"]),
            state=state,
            kind=kind,
            since=alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"),
            reason=self._clean(reason) if reason else None,
            gate=target.gate,
            place=place_of(target),
            actions_enabled=alarm.get("ActionsEnabled") is not False,
        )

    async def _histories(self) -> list[Record]:
        """Return the history of changed alarms. When it cannot be read, their states still count.

        What could not be read is read again later; meanwhile all other alarms are read.
        """
        events: list[Record] = []
        for id_, alarm in list(self._history_due.items()):
            if self._clock.monotonic_s() < self._history_errors.get(id_, _NO_ERROR).retry_s:
                continue
            try:
                events += await self._history(alarm)
            except AwsError as error:
                failure = _HistoryError(self._clock.monotonic_s() + DENIED_EVERY_S, f"alarm history: {error.message}")
                of_place = error.reason is not Reason.API_ERROR
                for other in self._history_due if of_place else (id_,):
                    if other.place == id_.place:
                        self._history_errors[other] = failure
            else:
                del self._history_due[id_]
                self._history_errors.pop(id_, None)
        return events

    async def _history(self, alarm: _Alarm) -> list[Record]:
        query = {
            "AlarmName": alarm.name,
            "HistoryItemType": "StateUpdate",
            "StartDate": self._since,
            "AlarmTypes": [_TYPES[alarm.state.kind]],
        }
        try:
            events = await self._history_events(alarm, query)
        except AwsError as error:
            if error.code not in _INVALID or alarm.state.kind != "metric":
                raise
            # An endpoint that does not know the types returns the history of metric alarms without them.
            del query["AlarmTypes"]
            events = await self._history_events(alarm, query)
        fresh = [event for event in events if (alarm.id, event.at) not in self._reported]
        self._reported.update((alarm.id, event.at) for event in fresh)
        return [*sorted(fresh, key=lambda event: event.at)]

    async def _history_events(self, alarm: _Alarm, query: dict[str, Any]) -> list[ReleaseEvent]:
        pages = self._aws.pages(
            "cloudwatch", "DescribeAlarmHistory", query, account=alarm.target.account, region=alarm.target.region
        )
        return [self._event(alarm, item) async for page in pages for item in page.get("AlarmHistoryItems") or ()]

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
            place=alarm.state.place,
        )


def cannot_evaluate(evaluation: str) -> str:
    """Return why an alarm that is OK proves nothing, from the state of its evaluation."""
    return f"CloudWatch cannot evaluate it as configured now ({evaluation}), so that OK is only its last state"


def selections(names: Sequence[str], prefix: str | None) -> Iterable[dict[str, Any]]:
    """Return the parameters of DescribeAlarms that select alarms by prefix (empty: all) and by name."""
    if prefix is not None:
        yield {"AlarmNamePrefix": prefix} if prefix else {}
    for start in range(0, len(names), NAMES_PER_CALL):
        yield {"AlarmNames": list(names[start : start + NAMES_PER_CALL])}


async def describe_alarms(pages: AlarmPages, selection: dict[str, Any]) -> list[tuple[dict[str, Any], Kind]]:
    """Return the selected alarms of every kind; raises AwsError.

    `pages` calls DescribeAlarms. A region or an endpoint that does not know log alarms yet refuses the whole request,
    which is then repeated without them.
    """
    # By default DescribeAlarms returns metric alarms only.
    kinds = list(_TYPES.values())
    try:
        read = [page async for page in pages({**selection, "AlarmTypes": kinds})]
    except AwsError as error:
        if error.code not in _INVALID:
            raise
        kinds.remove(_TYPES["log"])
        read = [page async for page in pages({**selection, "AlarmTypes": kinds})]
    return [(alarm, kind) for page in read for key, kind in _KINDS.items() for alarm in page.get(key) or ()]


def _covers(target: AlarmTarget, alarm: _Alarm) -> bool:
    return _names(target, alarm.name) and place_of(target) == alarm.state.place


def _names(target: AlarmTarget, name: str) -> bool:
    return name in target.names or (target.prefix is not None and name.startswith(target.prefix))


def _missing_alarms(target: AlarmTarget, alarms: set[str]) -> list[str]:
    """Return one sentence per configured alarm that does not exist: silence would look like health."""
    problems = [no_such_alarm(name) for name in target.names if name not in alarms]
    if target.prefix is not None and not any(name.startswith(target.prefix) for name in alarms):
        problems.append(no_alarm_with(target.prefix))
    return problems


def _reason(data: Any) -> str | None:
    """Return the reason in an alarm's HistoryData document, None without one."""
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
    """Return old and new state from `Alarm updated from OK to ALARM`; (None, None) for any other text."""
    words = summary.split()
    if "from" in words and "to" in words and words.index("to") + 1 < len(words):
        return words[words.index("from") + 1], words[words.index("to") + 1]
    return None, None
