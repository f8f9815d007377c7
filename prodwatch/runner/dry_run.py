"""`--dry-run`: every call that would be made, filled as far as possible without sending a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.judge.signals import gating_signals
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.runner.check.prerequisites import reason_not_to_run
from prodwatch.runner.options import RunOptions, reads_signals
from prodwatch.runner.step.compiled import COMPOSITES, FIXED, CheckCompiler, CompiledStep
from prodwatch.runner.values.fill_known_values import StaticValues
from prodwatch.runner.values.redaction import OutputRedactor
from prodwatch.runner.values.remote_inputs import VANTAGE
from prodwatch.text.redact import Redactor


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call a run would make."""

    check: str
    """Id of the check; `signals` for what is read next to the checks."""
    step: str | None = None
    """None for a plain check."""
    type: str
    params: dict[str, Any] = {}
    """As they would be sent; values that only a run knows stay as `${…}`."""
    mutates: bool = False
    when: str = "always"
    """`always`, `cleanup`, `when <check> is not green`, `needed by <check>`."""
    skipped: str | None = None
    """Why it would not be sent; None when it would."""
    repeats: str | None = None
    """`until it holds, for at most 10 s` and the like; None for exactly once."""


def plan(
    selected: Sequence[CheckDefinition],
    definitions: Mapping[str, CheckDefinition],
    compiler: CheckCompiler,
    *,
    environment: Environment,
    options: RunOptions,
    environ: Mapping[str, str],
    redactor: Redactor,
    now: datetime,
) -> tuple[PlannedCall, ...]:
    """Return the calls of the selected checks in order, then those of related checks, then those that read signals."""
    planner = _Planner(definitions, compiler, environment, options, environ, OutputRedactor(redactor), now)
    for check in selected:
        planner.add(check, "always")
    for check in selected:
        planner.follow(check)
    if selected and reads_signals(environment, options):
        planner.add_signals()
    return tuple(planner.calls)


class _Planner:
    """Lists each check's calls once."""

    def __init__(
        self,
        definitions: Mapping[str, CheckDefinition],
        compiler: CheckCompiler,
        environment: Environment,
        options: RunOptions,
        environ: Mapping[str, str],
        output: OutputRedactor,
        now: datetime,
    ) -> None:
        self.calls: list[PlannedCall] = []
        self._listed: set[str] = set()
        self._definitions = definitions
        self._compiler = compiler
        self._environment = environment
        self._options = options
        self._environ = environ
        self._output = output
        self._now = now

    def add(self, check: CheckDefinition, when: str) -> None:
        """List a check's own calls, then its cleanup's, last one first."""
        self._listed.add(check.id)
        if check.type in COMPOSITES | FIXED:
            return
        refusal = reason_not_to_run(
            check,
            self._environment,
            now=lambda: self._now,
            allow_writes=self._options.allow_writes,
            vantage=self._environ.get(VANTAGE),
        )
        static_values = StaticValues(check, self._environment, self._environ)
        compiled = self._compiler.compile(check)
        planned = [(step, when) for step in compiled.steps]
        planned += [(step, "cleanup") for step in reversed(compiled.cleanup)]
        self.calls.extend(
            PlannedCall(
                check=check.id,
                step=step.name if compiled.is_flow else None,
                type=step.type,
                params=self._output.value(static_values.fill(step.definition.params)),
                mutates=step.mutates,
                when=step_when,
                skipped=None if refusal is None else refusal.message,
                repeats=_repeats(step, self._output.value(static_values.fill(step.definition.for_each))),
            )
            for step, step_when in planned
        )

    def follow(self, check: CheckDefinition) -> None:
        """List the checks that this check refers to, and those they refer to."""
        links = [(id_, f"needed by {check.id}") for id_ in (*check.needs, *check.of)]
        if check.kind == "smoke" and not self._options.no_diagnose:
            links += [(id_, f"when {check.id} is not green") for id_ in check.diagnose]
        for id_, when in links:
            if id_ in self._definitions and id_ not in self._listed:
                self.add(self._definitions[id_], when)
                self.follow(self._definitions[id_])

    def add_signals(self) -> None:
        """List the reading of every `[[metric]]` and `[[alarm]]` that gates."""
        fill = StaticValues(None, self._environment, self._environ).fill
        metrics, alarms = gating_signals(self._environment)
        for kind, targets in (("metric", metrics), ("alarm", alarms)):
            for target in targets:
                params = {name: fill(value) for name, value in msgspec.structs.asdict(target).items() if value}
                self.calls.append(PlannedCall(check="signals", type=kind, params=self._output.value(params)))


def _repeats(step: CompiledStep, elements: Any) -> str | None:
    """Return when the step is sent again; `elements` is its `for_each`, as far as known before the run."""
    poll, hold_s = step.definition.poll, step.definition.hold_s
    parts = []
    if poll is not None:
        parts.append(f"until it holds, for at most {poll.within_s:g} s")
    if hold_s is not None:
        parts.append(f"for {hold_s:g} s")
    if elements is not None:
        parts.append(f"for each of {elements}")
    return "; ".join(parts) or None
