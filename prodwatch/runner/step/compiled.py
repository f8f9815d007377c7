"""A check made ready to run: everything that can be read, parsed and decided once is, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.model.check import CheckDefinition, StepDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.spec import ProbeSpec
from prodwatch.runner.step.attempts import Plan
from prodwatch.runner.step.expectations import Expectation, Path, compile_assertions, parse_path
from prodwatch.runner.values.remote_inputs import any_remote
from prodwatch.runner.values.scopes import ReferenceFinder, dotted_reference, open_texts
from prodwatch.settings.template import Reference

COMPOSITES = frozenset({"all", "any", "none"})
FIXED = frozenset({"pass", "fail", "skip"})
CLEANUP_BUDGET_S = 15.0
"""Least time a cleanup step has for itself."""
_WITHOUT_STEPS = COMPOSITES | FIXED
RETRIES = 1
"""Quick repeats of a request that never got an answer, unless `retry` says otherwise."""

_NO_REFERENCES: frozenset[Reference] = frozenset()

Specs = Callable[[str], ProbeSpec | None]


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """One capture, ready to be taken."""

    name: str
    path: Path
    secret: bool


class CompiledStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, ready to run."""

    definition: StepDefinition
    name: str
    type: str
    spec: ProbeSpec | None
    static: bool
    """No `${…}` in its keys: they go out as written."""
    holes: tuple[str, ...]
    """Every `${…}` of its assertions and captures, as written."""
    references: frozenset[Reference]
    """Everything it needs filled, in keys, assertions and `for_each`, through `vars` too."""
    remote: bool
    """Something of it has to be fetched from outside."""
    judged: tuple[Expectation, ...]
    """`expect`, with what the type expects by itself."""
    warn: tuple[Expectation, ...]
    until: tuple[Expectation, ...]
    stop_when: tuple[Expectation, ...]
    repeat_when: tuple[Expectation, ...]
    captures: tuple[Captured, ...]
    attest: Path | None
    plan: Plan
    mutates: bool
    budget_s: float
    """As a cleanup: how long it may take in all."""

    @property
    def mentions(self) -> frozenset[str]:
        """Return the leading fields that `expect` and `until` speak of."""
        return frozenset().union(*(each.fields for each in (*self.judged, *self.until)))

    @property
    def service(self) -> str | None:
        """Return the AWS service it calls, None for none, `*` when a key names it."""
        return self.spec.service if self.spec else None


class CompiledCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check, ready to run."""

    definition: CheckDefinition
    variables: Mapping[str, Any]
    """The environment's `vars` under the check's own."""
    volatile: frozenset[str]
    """Variables whose value changes while the check runs."""
    requires: tuple[Reference, ...]
    steps: tuple[CompiledStep, ...]
    cleanup: tuple[CompiledStep, ...]
    expect: tuple[Expectation, ...]
    """Of a flow or composite as a whole."""
    warn: tuple[Expectation, ...]
    references: frozenset[Reference]
    """Of everything in it."""
    remote: bool
    """Something of it has to be fetched from outside."""
    cleanup_references: frozenset[Reference]
    is_flow: bool
    timeout_s: float | None
    """Of the whole flow."""


class CheckCompiler:
    """Makes checks ready for one environment; each check once."""

    def __init__(self, environment: Environment, specs: Specs) -> None:
        self._environment = environment
        self._specs = specs
        self._attest = parse_path(environment.release.attest) if environment.release.attest else None
        self._follower = ReferenceFinder(environment.vars)
        self._done: dict[str, CompiledCheck] = {}

    def compile(self, definition: CheckDefinition) -> CompiledCheck:
        """Return the check ready to run; raises what the parsers raise for a text settings would have refused."""
        done = self._done.get(definition.id)
        if done is None or done.definition is not definition:
            done = self._done[definition.id] = self._compile(definition)
        return done

    def _compile(self, definition: CheckDefinition) -> CompiledCheck:
        finder = self._follower
        if definition.vars:
            finder = ReferenceFinder({**self._environment.vars, **definition.vars})
        steps: tuple[CompiledStep, ...] = ()
        if definition.type not in _WITHOUT_STEPS:
            steps = tuple([self._step(step, definition, finder) for step in definition.steps])
        cleanup = tuple([self._step(step, definition, finder, cleanup=True) for step in definition.cleanup])
        expect = compile_assertions(definition.expect, "expect")
        warn = compile_assertions(definition.warn, "warn")
        # A plain check needs no union, and most checks are plain.
        plain = steps[0].references if len(steps) == 1 and not cleanup else None
        references = _union(step.references for step in (*steps, *cleanup)) if plain is None else plain
        own = [hole for each in (*expect, *warn) for hole in each.holes]
        own += [*definition.links.values(), *([definition.serial] if definition.serial else ())]
        if own or definition.requires:
            references |= finder.references_in(own) | set(map(dotted_reference, definition.requires))
        spec = self._specs(definition.type) if definition.type == "flow" else None
        return CompiledCheck(
            definition=definition,
            variables=finder.variables,
            volatile=finder.volatile() if definition.type == "flow" else frozenset(),
            requires=tuple(map(dotted_reference, definition.requires)),
            steps=steps,
            cleanup=cleanup,
            expect=expect,
            warn=warn,
            references=references,
            remote=any_remote(references),
            cleanup_references=_union(step.references for step in cleanup) if cleanup else _NO_REFERENCES,
            is_flow=definition.type == "flow",
            timeout_s=definition.timeout_s if definition.timeout_s is not None else spec.timeout_s if spec else None,
        )

    def _step(
        self, step: StepDefinition, check: CheckDefinition, finder: ReferenceFinder, *, cleanup: bool = False
    ) -> CompiledStep:
        spec = self._specs(step.type)
        poll = step.poll
        implied = spec.implicit_expect if spec else ()
        expect = _judged(step.expect, poll.until if poll else (), implied)
        warn = compile_assertions(step.warn, "warn")
        until = compile_assertions(poll.until, "until") if poll else ()
        stop_when = compile_assertions(poll.stop_when, "until") if poll else ()
        repeat_when = compile_assertions(step.repeat.when, "until") if step.repeat else ()
        assertions = (*expect, *warn, *until, *stop_when, *repeat_when)
        texts = open_texts(step.params)
        captures: tuple[Captured, ...] = ()
        if step.capture:
            captures = tuple(
                Captured(name=name, path=parse_path(each.path), secret=each.secret)
                for name, each in step.capture.items()
            )
        attest = None if cleanup else self._attestation(step)
        holes = _holes(assertions, captures, attest)
        references = _NO_REFERENCES
        if texts or holes or step.for_each is not None:
            references = finder.references_in((*texts, *holes, step.for_each or ""))
        mutates = self._mutates(step, check, spec)
        plan = self._plan(step, check, spec, mutates=mutates)
        return CompiledStep(
            definition=step,
            name=step.name,
            type=step.type,
            spec=spec,
            static=not texts,
            holes=holes,
            references=references,
            remote=any_remote(references),
            judged=expect,
            warn=warn,
            until=until,
            stop_when=stop_when,
            repeat_when=repeat_when,
            captures=captures,
            attest=attest,
            plan=plan,
            mutates=mutates,
            budget_s=max(CLEANUP_BUDGET_S, plan.timeout_s + (poll.within_s if poll else 0.0) + (step.hold_s or 0.0)),
        )

    def _attestation(self, step: StepDefinition) -> Path | None:
        if step.attest is not None:
            return parse_path(step.attest) if step.attest else None
        return self._attest if step.type == "http" else None

    @staticmethod
    def _mutates(step: StepDefinition, check: CheckDefinition, spec: ProbeSpec | None) -> bool:
        if step.mutates is not None:
            return step.mutates
        return check.mutates and spec is not None and spec.mutation(step.params) is not None

    @staticmethod
    def _plan(step: StepDefinition, check: CheckDefinition, spec: ProbeSpec | None, *, mutates: bool) -> Plan:
        timeout_s = step.timeout_s
        if timeout_s is None:
            timeout_s = spec.timeout_s if spec else 5.0
            if spec and spec.smoke_timeout_s is not None and check.kind == "smoke":
                timeout_s = spec.smoke_timeout_s
        retries = step.retry.times if step.retry else RETRIES
        return Plan(
            timeout_s=timeout_s,
            # Sent once and only once, unless its author says that twice is the same as once.
            retries=0 if mutates and not step.idempotent else retries,
            retry_delay_s=step.retry.delay_s if step.retry else 0.2,
            retry_timeouts=step.retry is not None,
            poll=step.poll,
            hold_s=step.hold_s,
            hold_every_s=step.hold_every_s or (step.poll.every_s if step.poll else 1.0),
        )


@lru_cache(maxsize=4096)
def _judged(expect: tuple[str, ...], until: tuple[str, ...], implied: tuple[str, ...]) -> tuple[Expectation, ...]:
    """Return `expect` and what the type expects by itself of fields that neither it nor `until` mentions."""
    written = compile_assertions(expect, "expect")
    mentions = frozenset().union(*(each.fields for each in (*written, *compile_assertions(until, "until"))))
    return (*written, *(each for each in compile_assertions(implied, "implicit") if not each.fields & mentions))


def _holes(assertions: Iterable[Expectation], captures: Iterable[Captured], attest: Path | None) -> tuple[str, ...]:
    found = [hole for each in assertions for hole in each.assertion.holes]
    found += [hole for each in captures for hole in each.path.holes]
    if attest is not None:
        found += attest.holes
    return tuple(dict.fromkeys(found)) if found else ()


def _union(sets: Any) -> frozenset[Reference]:
    return frozenset().union(*sets)
