"""`--dry-run`: every call that would be made, filled as far as it can be without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.runner.compiled import COMPOSITES, FIXED, CompiledStep, Compiler
from prodwatch.runner.options import RunOptions
from prodwatch.runner.outgoing import Outgoing
from prodwatch.runner.prerequisites import switched_off
from prodwatch.settings.filters import FilterError
from prodwatch.settings.template import Reference, UnresolvedError, resolve, walk
from prodwatch.text.redact import Redactor


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call a run would make."""

    check: str
    step: str | None = None
    """None for a plain check."""
    type: str
    params: dict[str, Any] = {}
    """As it would be sent; what only the run knows stays as `${…}`."""
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
    compiler: Compiler,
    *,
    environment: Environment,
    options: RunOptions,
    environ: Mapping[str, str],
    redactor: Redactor,
    now: datetime,
) -> tuple[PlannedCall, ...]:
    """Return the calls of the selected checks in order, each check's diagnostics and prerequisites behind it."""
    planner = _Planner(definitions, compiler, environment, options, environ, Outgoing(redactor), now)
    for check in selected:
        planner.add(check, "always")
    for check in selected:
        planner.follow(check)
    return tuple(planner.calls)


class _Planner:
    """Lists each check's calls once."""

    def __init__(
        self,
        definitions: Mapping[str, CheckDefinition],
        compiler: Compiler,
        environment: Environment,
        options: RunOptions,
        environ: Mapping[str, str],
        out: Outgoing,
        now: datetime,
    ) -> None:
        self.calls: list[PlannedCall] = []
        self._listed: set[str] = set()
        self._definitions = definitions
        self._compiler = compiler
        self._environment = environment
        self._options = options
        self._environ = environ
        self._out = out
        self._now = now

    def add(self, check: CheckDefinition, when: str) -> None:
        """List a check's own calls, then its cleanup's, last one first."""
        self._listed.add(check.id)
        if check.type in COMPOSITES | FIXED:
            return
        off = switched_off(check, self._environment, now=lambda: self._now, allow_writes=self._options.allow_writes)
        filler = _Filler(self._environ, {**self._environment.vars, **check.vars}, check.matrix)
        compiled = self._compiler.compile(check)
        moments = [(step, when) for step in compiled.steps]
        moments += [(step, "cleanup") for step in reversed(compiled.cleanup)]
        self.calls.extend(
            PlannedCall(
                check=check.id,
                step=step.name if compiled.is_flow else None,
                type=step.type,
                params=self._out.value(filler.fill(step.definition.params)),
                mutates=step.mutates,
                when=moment,
                skipped=None if off is None else off.message,
                repeats=_repeats(step),
            )
            for step, moment in moments
        )

    def follow(self, check: CheckDefinition) -> None:
        """List what the check refers to, and what that refers to."""
        links = [(id_, f"needed by {check.id}") for id_ in (*check.needs, *check.of)]
        if check.kind == "smoke" and not self._options.no_diagnose:
            links += [(id_, f"when {check.id} is not green") for id_ in check.diagnose]
        for id_, when in links:
            if id_ in self._definitions and id_ not in self._listed:
                self.add(self._definitions[id_], when)
                self.follow(self._definitions[id_])


def _repeats(step: CompiledStep) -> str | None:
    poll, hold_s = step.plan.poll, step.plan.hold_s
    parts = []
    if poll is not None:
        parts.append(f"until it holds, for at most {poll.within_s:g} s")
    if hold_s is not None:
        parts.append(f"for {hold_s:g} s")
    if step.definition.for_each is not None:
        parts.append(f"for each of {step.definition.for_each}")
    return "; ".join(parts) or None


class _Filler:
    """Fills what is known without asking anybody: `env`, `vars`, `matrix`."""

    def __init__(self, environ: Mapping[str, str], variables: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
        self._environ = environ
        self._variables = variables
        self._matrix = matrix

    def fill(self, value: Any) -> Any:
        """Return `value` with each text filled that can be filled whole; other texts stay as written."""
        if isinstance(value, Mapping):
            return {key: self.fill(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(each) for each in value]
        try:
            return resolve(value, self._lookup)
        except (UnresolvedError, FilterError, RecursionError):
            return value

    def _lookup(self, reference: Reference) -> Any:
        name, rest = (reference.path[0], reference.path[1:]) if reference.path else ("", ())
        if reference.scope == "env" and ".".join(reference.path) in self._environ:
            return self._environ[".".join(reference.path)]
        tables = {"vars": self._variables, "matrix": self._matrix}
        table = tables.get(reference.scope, {})
        if name not in table:
            raise UnresolvedError(reference, "known only when it runs")
        value = table[name]
        if reference.scope == "vars":
            value = resolve(value, self._lookup)
        try:
            return walk(value, rest)
        except LookupError as error:
            raise UnresolvedError(reference, "known only when it runs") from error
