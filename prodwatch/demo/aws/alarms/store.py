"""All alarms of one region; every read evaluates them up to now."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from prodwatch.demo.aws.alarms.evaluation import Evaluation, evaluate_composite, evaluate_metric
from prodwatch.demo.aws.alarms.model import AlarmRecord, AlarmState, CompositeAlarm, HistoryItem, MetricAlarm
from prodwatch.demo.aws.metrics.store import MetricStore

TICK_S = 60
"""Alarms are evaluated at the start of each minute."""
_MAX_CATCH_UP_S = 6 * 3600
_MAX_HISTORY = 20_000


class AlarmStore:
    """Alarms by name. Safe to use from any thread.

    They are evaluated lazily: minute by minute from the previous read to this one, with the metrics as visible in each
    of those minutes.
    """

    def __init__(self, *, region: str, account: str, metrics: MetricStore, wall: Callable[[], float]) -> None:
        self.region = region
        self.account = account
        self._metrics = metrics
        self._wall = wall
        self._lock = RLock()
        self._records: dict[str, AlarmRecord] = {}
        self._history: list[HistoryItem] = []

    def put(
        self,
        alarm: MetricAlarm | CompositeAlarm,
        *,
        created_s: float | None = None,
        state: AlarmState = "INSUFFICIENT_DATA",
    ) -> None:
        """Create or change an alarm.

        With `created_s` in the past it is evaluated from then on, at most six hours back, so that it has a history.
        Changing an alarm keeps its state, as in AWS.
        """
        at_s = self._wall() if created_s is None else created_s
        with self._lock:
            existing = self._records.get(alarm.name)
            if existing is not None:
                self._catch_up(self._wall())
                existing.definition = alarm
                existing.configured_s = at_s
            else:
                self._records[alarm.name] = AlarmRecord(
                    definition=alarm,
                    created_s=at_s,
                    configured_s=at_s,
                    evaluated_s=at_s - TICK_S,
                    state=state,
                    changed_s=at_s,
                    updated_s=at_s,
                )
            verb = "created" if existing is None else "updated"
            self._note(self._records[alarm.name], at_s, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', {})

    def delete(self, name: str) -> bool:
        """Delete an alarm; False when it does not exist."""
        with self._lock:
            return self._records.pop(name, None) is not None

    def set_state(self, name: str, state: AlarmState, reason: str, data: dict[str, Any] | None = None) -> bool:
        """Force a state, which lasts until the next evaluation; False when the alarm does not exist."""
        now_s = self._wall()
        with self._lock:
            self._catch_up(now_s)
            record = self._records.get(name)
            if record is None:
                return False
            self._move(record, Evaluation(state, reason, data), now_s)
            return True

    def records(self) -> list[AlarmRecord]:
        """Return every alarm by name, evaluated up to now."""
        with self._lock:
            self._catch_up(self._wall())
            return [self._records[name] for name in sorted(self._records)]

    def get(self, name: str) -> AlarmRecord | None:
        """Return one alarm, evaluated up to now."""
        with self._lock:
            self._catch_up(self._wall())
            return self._records.get(name)

    def history(self) -> list[HistoryItem]:
        """Return the history of all alarms, newest first."""
        with self._lock:
            self._catch_up(self._wall())
            return sorted(self._history, key=lambda item: -item.at_s)

    def arn(self, name: str) -> str:
        """Return an alarm's ARN."""
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{name}"

    def _catch_up(self, now_s: float) -> None:
        first_s = min((record.evaluated_s for record in self._records.values()), default=now_s)
        first_s = max(first_s, now_s - _MAX_CATCH_UP_S)
        tick_s = (int(first_s) // TICK_S + 1) * TICK_S
        while tick_s <= now_s:
            self._tick(tick_s)
            tick_s += TICK_S

    def _tick(self, at_s: float) -> None:
        due = [record for record in self._records.values() if record.evaluated_s < at_s]
        for record in due:
            record.evaluated_s = at_s
            if isinstance(record.definition, MetricAlarm):
                self._move(record, evaluate_metric(record.definition, self._metrics, at_s, record.state), at_s)
        # Rules may name other rules: as many passes as there are composites resolve any order.
        composites = [record for record in due if isinstance(record.definition, CompositeAlarm)]
        for _ in composites:
            for record in composites:
                assert isinstance(record.definition, CompositeAlarm)
                states = {name: other.state for name, other in self._records.items()}
                self._move(record, evaluate_composite(record.definition, states), at_s)

    def _move(self, record: AlarmRecord, evaluation: Evaluation | None, at_s: float) -> None:
        if evaluation is None:
            return
        if evaluation.state != record.state:
            self._note(
                record,
                at_s,
                "StateUpdate",
                f"Alarm updated from {record.state} to {evaluation.state}",
                {
                    "version": "1.0",
                    "oldState": {"stateValue": record.state, "stateReason": record.reason},
                    "newState": {"stateValue": evaluation.state, "stateReason": evaluation.reason},
                },
            )
            record.state, record.changed_s = evaluation.state, at_s
            record.reason, record.reason_data, record.updated_s = evaluation.reason, evaluation.data, at_s

    def _note(self, record: AlarmRecord, at_s: float, item: Any, summary: str, data: dict[str, Any]) -> None:
        self._history.append(
            HistoryItem(name=record.definition.name, kind=record.kind, at_s=at_s, item=item, summary=summary, data=data)
        )
        del self._history[:-_MAX_HISTORY]
