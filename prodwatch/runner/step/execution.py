"""One execution of one check while it runs: its names, its time, what it has done so far and what it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from prodwatch.model.result import StepResult
from prodwatch.runner.bounds.concurrency import ConcurrencySlot
from prodwatch.runner.step.compiled import CompiledCheck, CompiledStep
from prodwatch.runner.step.journal import (
    CleanedEntry,
    ClosedEntry,
    ExecutionEntry,
    JournalError,
    MutationEntry,
    ValuesEntry,
    journalable,
)
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.runner.values.scopes import NO_VALUE, Scope
from prodwatch.settings.template import Reference, UnresolvedError, value_of

# Names that stay what they were when the check ran; all others are looked up again by a later cleanup.
_FLEETING = frozenset({"now", "each"})


class Execution:
    """What the steps of one execution share."""

    __slots__ = (
        "_number",
        "_on_begin",
        "_written",
        "begun",
        "cleanup_results",
        "compiled",
        "deadline_s",
        "out",
        "partial",
        "scope",
        "started_at",
        "started_s",
        "step_results",
        "tools",
        "turn",
    )

    def __init__(
        self,
        tools: RunContext,
        compiled: CompiledCheck,
        turn: ConcurrencySlot,
        on_begin: Callable[[datetime], None],
        scope: Scope | None = None,
        *,
        number: int | None = None,
    ) -> None:
        """Prepare; `on_begin` is told when the first request leaves.

        `scope` and `number` are those of an earlier run whose journal is being finished.
        """
        self.tools = tools
        self.compiled = compiled
        if scope is None:
            uid, trace_id = tools.fresh_ids()
            scope = Scope(
                tools.inputs,
                variables=compiled.variables,
                volatile=compiled.volatile,
                matrix=compiled.definition.matrix,
                run_id=tools.run_id,
                uid=uid,
                trace_id=trace_id,
                clock=tools.clock,
            )
        self.scope = scope
        self.out = OutputRedactor(tools.redactor)
        self.turn = turn
        self.deadline_s: float | None = None
        """When the flow, or the cleanup step that is running, must be over, on the monotonic clock.

        None while nothing has begun, and for plain checks, which their own timeouts bound.
        """
        self.begun = False
        self.started_at: datetime | None = None
        self.started_s = 0.0
        self.step_results: list[StepResult] = []
        self.cleanup_results: list[StepResult] = []
        self.partial: set[str] = set()
        """Steps whose last answer was not all there is to know: not read to its end, or in doubt."""
        self._on_begin = on_begin
        self._number = number
        self._written: dict[str, Any] = {}

    def begin(self, at: datetime | None = None, at_s: float | None = None) -> None:
        """Note that the first request leaves now: from here on the flow's time runs."""
        if self.begun:
            return
        clock = self.tools.clock
        self.begun = True
        self.started_at = at = at or clock.now()
        self.started_s = clock.monotonic_s() if at_s is None else at_s
        if self.compiled.is_flow and self.compiled.timeout_s is not None:
            self.deadline_s = self.started_s + self.compiled.timeout_s
        self._on_begin(at)

    def learn_derived(self, references: Iterable[Reference]) -> None:
        """Keep secret what a filter made of a secret: its lower case, one part of it, a field of its JSON."""
        for reference in references:
            if reference.filters and self.out.holds_secret(self._value(reference)):
                self.out.learn(leaves(value_of(reference, self.scope.lookup)))

    async def sleep(self, seconds: float) -> None:
        """Let time pass without holding up other checks."""
        await self.turn.away(self.tools.clock.sleep(seconds))

    def left_s(self) -> float:
        """Return how much of its time is left; infinite when nothing bounds it."""
        return float("inf") if self.deadline_s is None else self.deadline_s - self.tools.clock.monotonic_s()

    @property
    def mutated(self) -> bool:
        """Whether something was journalled, and so may have been changed."""
        return self._number is not None

    @property
    def number(self) -> int | None:
        """Number of this execution in the journal, None when it changed nothing."""
        return self._number

    async def record(self, step: CompiledStep, params: Mapping[str, Any]) -> None:
        """Write down what is about to be changed; JournalError when that is impossible."""
        entries: list[ExecutionEntry | MutationEntry | ValuesEntry] = []
        now = self.tools.clock.now()
        number = self._number
        if number is None:
            number = self.tools.journal.next_execution()
            entries.append(
                ExecutionEntry(
                    execution=number,
                    check=self.compiled.definition.id,
                    uid=self.scope.uid,
                    trace_id=self.scope.trace_id,
                    started_at=self.started_at or now,
                )
            )
        values = self._new_values()
        if values:
            entries.append(ValuesEntry(execution=number, values=values))
        details = self.out.value(dict(params))
        entries.append(MutationEntry(execution=number, step=step.name, what=step.type, at=now, details=details))
        await self.tools.journal.append(*entries)
        self._number = number
        self._written.update(values)

    async def remember(self) -> None:
        """Write down what the cleanup needs and this execution has learned since."""
        if self._number is None:
            return
        values = self._new_values()
        if not values:
            return
        try:
            await self.tools.journal.append(ValuesEntry(execution=self._number, values=values))
        except JournalError as error:
            # The change itself is written down; only a cleanup after a crash would miss what was learned since.
            self.tools.notice("journal", str(error))
        else:
            self._written.update(values)

    async def close(self, cleaned: Iterable[int], *, done: bool) -> None:
        """Write down which cleanup steps are done, and whether nothing is left."""
        if self._number is None:
            return
        entries: list[CleanedEntry | ClosedEntry] = [
            CleanedEntry(execution=self._number, index=index) for index in cleaned
        ]
        if done:
            entries.append(ClosedEntry(execution=self._number))
        try:
            await self.tools.journal.append(*entries)
        except JournalError as error:
            self.tools.notice("journal", str(error))

    def _new_values(self) -> dict[str, Any]:
        """Return what cleanup references stand for by now and is not written yet; secrets never."""
        found: dict[str, Any] = {}
        for reference in self.compiled.cleanup_references:
            dotted = reference.dotted
            if reference.scope in _FLEETING or reference.scope == "secret" or self._is_found_by_cleanup(reference):
                continue
            value = self._value(reference)
            if value is NO_VALUE or self._written.get(dotted, NO_VALUE) == value or not journalable(value):
                continue
            if not self.out.holds_secret(value):
                found[dotted] = value
        return found

    def _is_found_by_cleanup(self, reference: Reference) -> bool:
        """Tell whether a cleanup step looks for this value itself: a later cleanup has to look again."""
        return reference.scope == "steps" and reference.path[0] not in {each.name for each in self.compiled.steps}

    def _value(self, reference: Reference) -> Any:
        try:
            return self.scope.lookup(reference)
        except UnresolvedError:
            return NO_VALUE
