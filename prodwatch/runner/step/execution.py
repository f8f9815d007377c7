"""One execution of one check: its values, its deadline, its results so far and its journal entries."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from prodwatch.model.result import StepResult
from prodwatch.runner.bounds.concurrency import ConcurrencySlot
from prodwatch.runner.bounds.loop_lag import Stall
from prodwatch.runner.step.compiled import CompiledCheck, CompiledStep
from prodwatch.runner.step.journal import (
    CleanedEntry,
    ClosedEntry,
    ExecutionEntry,
    JournalError,
    MutationEntry,
    ValuesEntry,
    digest_of,
    journalable,
)
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.runner.values.template_scope import NO_VALUE, Scope
from prodwatch.settings.template import Reference, UnresolvedError, value_of

_NOT_JOURNALLED = frozenset({"now", "each", "secret"})
"""Scopes whose values are never written to the journal."""


class Execution:
    """State shared by the steps of one execution."""

    __slots__ = (
        "_number",
        "_on_begin",
        "_written",
        "begun",
        "cleanup_results",
        "compiled",
        "context",
        "cut_off",
        "deadline_s",
        "limit",
        "output",
        "partial",
        "reached",
        "scope",
        "sent",
        "slot",
        "spoiled",
        "started_at",
        "started_s",
        "step_results",
    )

    def __init__(
        self,
        context: RunContext,
        compiled: CompiledCheck,
        slot: ConcurrencySlot,
        on_begin: Callable[[datetime], None],
        scope: Scope | None = None,
        *,
        number: int | None = None,
        sent: Iterable[str] = (),
    ) -> None:
        """Prepare; `on_begin` is called when the first request is sent.

        `scope`, `number` and `sent` belong to an earlier run whose journal is being finished.
        """
        self.context = context
        self.compiled = compiled
        if scope is None:
            uid, trace_id = context.fresh_ids()
            scope = Scope(
                context.inputs,
                variables=compiled.variables,
                volatile=compiled.volatile,
                matrix=compiled.definition.matrix,
                run_id=context.run_id,
                uid=uid,
                trace_id=trace_id,
                clock=context.clock,
            )
        self.scope = scope
        self.output = OutputRedactor(context.redactor, context.captured_secrets)
        self.slot = slot
        self.deadline_s: float | None = None
        """End of the flow, or of the current cleanup step, on the monotonic clock.

        None before the first request, and for plain checks, which their own timeouts limit.
        """
        self.limit = "the flow's timeout"
        """Name of that end, for a sentence: `the flow's timeout of 30 s`."""
        self.begun = False
        self.started_at: datetime | None = None
        self.started_s = 0.0
        self.step_results: list[StepResult] = []
        self.cleanup_results: list[StepResult] = []
        self.reached = 0
        """Number of steps, in order, that have a result or were cut off."""
        self.cut_off: StepResult | None = None
        """The step that a cancellation ended, with its attempts; None before, and when it had sent nothing."""
        self.partial: set[str] = set()
        """Steps whose last response was not read to its end, or is in doubt."""
        self.spoiled: dict[str, tuple[Stall, frozenset[str]]] = {}
        """Steps during whose last attempt this machine was stalled, with their fields that hold measured times."""
        self.sent: Counter[str] = Counter(sent)
        """Number of journalled mutations of each step, which may have been sent."""
        self._on_begin = on_begin
        self._number = number
        self._written: dict[str, Any] = {}

    def begin(self, at: datetime | None = None, at_s: float | None = None) -> None:
        """Record that the first request is sent now, which starts the flow's time."""
        if self.begun:
            return
        clock = self.context.clock
        self.begun = True
        self.started_at = at = at or clock.now()
        self.started_s = clock.monotonic_s() if at_s is None else at_s
        if self.compiled.is_flow and self.compiled.timeout_s is not None:
            self.limit_to(self.compiled.timeout_s, "the flow's timeout", from_s=self.started_s)
        self._on_begin(at)

    def limit_to(self, seconds: float, name: str, *, from_s: float | None = None) -> None:
        """Set the end of what runs now, counted from `from_s` on the monotonic clock or from now."""
        self.deadline_s = (self.context.clock.monotonic_s() if from_s is None else from_s) + seconds
        self.limit = f"{name} of {seconds:g} s"

    def learn_derived(self, references: Iterable[Reference]) -> None:
        """Mask values that a filter derived from a secret: its lower case, a part of it, a field of its JSON."""
        for reference in references:
            if reference.filters and self.output.holds_secret(self._value(reference)):
                self.output.learn(leaves(value_of(reference, self.scope.lookup)))

    async def sleep(self, seconds: float) -> None:
        """Sleep without holding up other checks."""
        await self.slot.released_while(self.context.clock.sleep(seconds))

    def left_s(self) -> float:
        """Return the time left in seconds; infinite without a deadline."""
        return float("inf") if self.deadline_s is None else self.deadline_s - self.context.clock.monotonic_s()

    @property
    def mutated(self) -> bool:
        """Whether a mutation was journalled, and so may have been sent."""
        return self._number is not None

    @property
    def may_have_changed_something(self) -> bool:
        """Whether there may be something to clean up: a mutation was sent, or the steps declare none."""
        return bool(self.sent) or not any(step.mutates for step in self.compiled.steps)

    @property
    def number(self) -> int | None:
        """Number of this execution in the journal; None without a mutation."""
        return self._number

    async def record(self, step: CompiledStep, params: Mapping[str, Any]) -> None:
        """Journal a mutation before it is sent; JournalError when that is impossible."""
        entries: list[ExecutionEntry | MutationEntry | ValuesEntry] = []
        now = self.context.clock.now()
        number = self._number
        if number is None:
            number = self.context.journal.next_execution()
            entries.append(
                ExecutionEntry(
                    execution=number,
                    check=self.compiled.definition.id,
                    uid=self.scope.uid,
                    trace_id=self.scope.trace_id,
                    started_at=self.started_at or now,
                    digest=digest_of(self.compiled.definition),
                )
            )
        values = self._new_values()
        if values:
            entries.append(ValuesEntry(execution=number, values=values))
        details = self.output.value(dict(params))
        entries.append(MutationEntry(execution=number, step=step.name, what=step.type, at=now, details=details))
        try:
            await self.context.journal.append(*entries)
        except asyncio.CancelledError:
            # Written or not, it is not sent. An execution that has sent nothing leaves nothing behind.
            if self._number is None:
                with contextlib.suppress(JournalError):
                    await self.context.journal.append(ClosedEntry(execution=number))
            raise
        self._number = number
        self.sent[step.name] += 1
        self._written.update(values)

    def settle(self, step: CompiledStep, *, unsent: bool) -> None:
        """Record whether the last journalled mutation of a step is known not to have reached its target."""
        if unsent:
            self.sent[step.name] -= 1
            self.sent = +self.sent

    async def remember(self) -> None:
        """Journal the values that the cleanup needs and that became known since the last entry."""
        if self._number is None:
            return
        values = self._new_values()
        if not values:
            return
        try:
            await self.context.journal.append(ValuesEntry(execution=self._number, values=values))
        except JournalError as error:
            # The mutation itself is journalled; only a cleanup after a crash would miss these values.
            self.context.notice("journal", str(error))
        else:
            self._written.update(values)

    async def close(self, cleaned: Iterable[int], *, done: bool) -> None:
        """Journal which cleanup steps are done, and with `done` that nothing is left."""
        if self._number is None:
            return
        entries: list[CleanedEntry | ClosedEntry] = [
            CleanedEntry(execution=self._number, index=index) for index in cleaned
        ]
        if done:
            entries.append(ClosedEntry(execution=self._number))
        try:
            await self.context.journal.append(*entries)
        except JournalError as error:
            self.context.notice("journal", str(error))

    def _new_values(self) -> dict[str, Any]:
        """Return the values of cleanup references that are known by now and not journalled yet; never secrets."""
        values: dict[str, Any] = {}
        for reference in self.compiled.cleanup_references:
            dotted = reference.dotted
            if reference.scope in _NOT_JOURNALLED or self._is_read_by_cleanup(reference):
                continue
            value = self._value(reference)
            if value is NO_VALUE or self._written.get(dotted, NO_VALUE) == value or not journalable(value):
                continue
            if not self.output.holds_secret(value):
                values[dotted] = value
        return values

    def _is_read_by_cleanup(self, reference: Reference) -> bool:
        """Return whether a cleanup step reads this value itself: a later cleanup has to read it again."""
        return reference.scope == "steps" and reference.path[0] not in {step.name for step in self.compiled.steps}

    def _value(self, reference: Reference) -> Any:
        try:
            return self.scope.lookup(reference)
        except UnresolvedError:
            return NO_VALUE
