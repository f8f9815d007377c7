"""When each check of a session may start, in a dashboard or a gate; mutating checks run once unless `every` is set."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition, measures_the_same
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status
from prodwatch.runner.check.run_check import result_without_run
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.step.journal import digest_of
from prodwatch.text.units import format_age

_NEVER_RUN_HERE = frozenset({Reason.PROTECTED, Reason.DISABLED})
"""Reasons of a skip that another round does not change."""
_EDITED = "not run again after an edit, because it changes data; run it again by hand"
_REPLACED = "not run: it changes data, and an edit has replaced it"


class _Entry(msgspec.Struct):
    """One check of the session."""

    definition: CheckDefinition
    period_s: float
    due_s: float = float("-inf")
    in_rounds: bool = True
    """False for a check that runs only when another one refers to it."""
    started_s: float | None = None
    latest: CheckResult | None = None
    """Latest result of the present definition."""
    finished_s: float = 0.0


class RoundPlan:
    """Due times, running executions and latest results of the checks of one session, in monotonic seconds.

    Every start of a check passes `instead`, whether it is due, needed, a member, diagnosing or requested: a check runs
    at its own pace and never twice at once, in whatever round.
    """

    def __init__(
        self, definitions: Sequence[CheckDefinition], others: Sequence[CheckDefinition] = (), *, every_s: float
    ) -> None:
        """Make every check due now; `every_s` is `[rounds] every`, for checks without an `every` of their own.

        `others` run only when one of `definitions` refers to them.
        """
        self._entries: dict[str, _Entry] = {}
        self._every_s = every_s
        self._gone: dict[str, _Entry] = {}
        """Mutating checks that ran in this session and are no longer defined."""
        self._running: dict[str, tuple[CheckDefinition, asyncio.Future[CheckResult]]] = {}
        """Running executions by check id, with their definition, which an edit may have replaced."""
        self.follow(definitions, others, every_s=every_s)

    def follow(
        self, definitions: Sequence[CheckDefinition], others: Sequence[CheckDefinition] = (), *, every_s: float
    ) -> tuple[str, ...]:
        """Adopt an edited project; return the ids of mutating checks that have changed and are not run again for it.

        A check that is the same keeps its due time and its latest result; one that has changed is due now.
        """
        previous, self._entries, self._every_s = {**self._gone, **self._entries}, {}, every_s
        ids = {check.id for check in (*definitions, *others)}
        # A file that is saved may be empty for a moment, and a renamed one gives its checks other ids: neither makes a
        # mutation a new one.
        self._gone = {
            id_: entry
            for id_, entry in previous.items()
            if id_ not in ids and entry.definition.mutates and entry.started_s is not None
        }
        moved = {digest_of(entry.definition): entry for entry in self._gone.values()}
        unrun = []
        for in_rounds, check in [*((True, check) for check in definitions), *((False, check) for check in others)]:
            if check.id in self._entries:
                continue
            old = previous.get(check.id) or (moved.get(digest_of(check)) if moved and check.mutates else None)
            entry = self._entries[check.id] = self._entry(check, old, in_rounds=in_rounds)
            is_new = old is None or old.definition.id != check.id or not measures_the_same(old.definition, check)
            if is_new and entry.due_s == float("inf"):
                unrun.append(check.id)
        return tuple(unrun)

    def _entry(self, check: CheckDefinition, old: _Entry | None, *, in_rounds: bool) -> _Entry:
        period_s = float("inf") if check.mutates else self._every_s if in_rounds else 0.0
        if check.every_s is not None:
            period_s = check.every_s
        entry = _Entry(definition=check, period_s=period_s, in_rounds=in_rounds)
        if old is None:
            return entry
        entry.started_s = old.started_s
        if measures_the_same(old.definition, check):
            entry.latest = old.latest if old.definition.id == check.id else None
            entry.finished_s = old.finished_s
        elif not check.mutates:
            return entry
        if old.started_s is not None:
            entry.due_s = old.due_s if old.period_s == period_s else old.started_s + period_s
        return entry

    def latest(self, id_: str) -> CheckResult | None:
        """Return the latest result of a check's present definition; None without one."""
        entry = self._entries.get(id_)
        return None if entry is None else entry.latest

    def due(self, now_s: float) -> tuple[str, ...]:
        """Return the ids to run now, in the order they were loaded."""
        return tuple(id_ for id_, entry in self._entries.items() if entry.in_rounds and entry.due_s <= now_s)

    def started(self, ids: Iterable[str], now_s: float) -> None:
        """Record that these checks start now.

        The next time counts from when they were due, so that rounds do not drift; missed rounds are not repeated.
        """
        for id_ in ids:
            entry = self._entries.get(id_)
            if entry is None:
                continue
            next_s = entry.due_s + entry.period_s
            entry.due_s = next_s if next_s > now_s else now_s + entry.period_s
            entry.started_s = now_s

    def next_s(self) -> float:
        """Return when the next check is due; infinite when no check is due again."""
        return min((entry.due_s for entry in self._entries.values() if entry.in_rounds), default=float("inf"))

    async def instead(self, definition: CheckDefinition, now_s: float, *, requested: bool) -> CheckResult | None:
        """Return the result to use instead of running the check now; None when the caller is to run it.

        The caller then calls `finished`. A running execution is waited for. `requested` runs a check that is not due.
        """
        id_ = definition.id
        while (running := self._running.get(id_)) is not None:
            result = await asyncio.shield(running[1])
            if measures_the_same(running[0], definition):
                return result
        entry = self._entries.get(id_)
        if entry is not None and measures_the_same(entry.definition, definition):
            if not requested and entry.due_s > now_s:
                return self._kept(entry, now_s)
            self.started([id_], now_s)
        elif definition.mutates:
            return result_without_run(definition, Conclusion(Status.SKIPPED, Reason.PREREQUISITE, _REPLACED))
        self._running[id_] = definition, asyncio.get_running_loop().create_future()
        return None

    def finished(self, definition: CheckDefinition, result: CheckResult, now_s: float) -> None:
        """Record the result of an execution that `instead` allowed."""
        _, running = self._running.pop(definition.id)
        running.set_result(result)
        entry = self._entries.get(definition.id)
        if entry is None or not measures_the_same(entry.definition, definition):
            return
        entry.latest, entry.finished_s = result, now_s
        # A precondition was read, and that changes nothing.
        not_begun = result.status is Status.SKIPPED and result.reason_code is Reason.PREREQUISITE
        if (result.started_at is None or not_begun) and result.reason_code not in _NEVER_RUN_HERE:
            # Nothing was changed, so its one run of the session is still to come.
            entry.due_s = min(entry.due_s, now_s + self._every_s)

    @staticmethod
    def _kept(entry: _Entry, now_s: float) -> CheckResult:
        """Return the latest result of a check that is not due, with its age."""
        if entry.latest is None:
            return result_without_run(entry.definition, Conclusion(Status.SKIPPED, Reason.PREREQUISITE, _EDITED))
        age = f"measured {format_age(now_s - entry.finished_s)} ago, not due again yet"
        message = entry.latest.message
        return replace(entry.latest, message=f"{message} ({age})" if message else age)
