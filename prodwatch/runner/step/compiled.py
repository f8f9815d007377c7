"""Compiled checks: everything that can be parsed and decided once is, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.assertions import AssertionSyntaxError, Path, parse_path
from prodwatch.model.check import CheckDefinition, StepDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.spec import ProbeSpec
from prodwatch.runner.step.expectations import Expectation, compile_assertions, mentions
from prodwatch.runner.values.remote_inputs import any_remote
from prodwatch.runner.values.template_scope import ReferenceFinder, dotted_reference, open_texts
from prodwatch.settings.template import Reference, Template, TemplateSyntaxError, parse_template

COMPOSITES = frozenset({"all", "any", "none"})
FIXED = frozenset({"pass", "fail", "skip"})
CLEANUP_BUDGET_S = 15.0
"""Shortest time limit of a cleanup step."""
_WITHOUT_STEPS = COMPOSITES | FIXED
RETRIES = 1
"""Default number of quick repeats of a request that got no response; `retry` overrides it."""
RETRY_DELAY_S = 0.2

_NO_REFERENCES: frozenset[Reference] = frozenset()

Specs = Callable[[str], ProbeSpec | None]


class CompiledStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, ready to run."""

    definition: StepDefinition
    name: str
    type: str
    spec: ProbeSpec | None
    static: bool
    """No `${…}` in its keys: they are sent as written."""
    holes: tuple[str, ...]
    """Every `${…}` of its assertions and captures, as written."""
    references: frozenset[Reference]
    """Every reference in its keys, assertions and `for_each`, through `vars` too."""
    remote: bool
    """One of its references has to be fetched."""
    expect: tuple[Expectation, ...]
    """`expect`, with the expectations that the type implies."""
    warn: tuple[Expectation, ...]
    until: tuple[Expectation, ...]
    stop_when: tuple[Expectation, ...]
    repeat_when: tuple[Expectation, ...]
    captures: Mapping[str, Path]
    """Paths to capture, by name."""
    capture_patterns: Mapping[str, Template]
    """Regular expressions that take a part of what was captured, by name."""
    attest: Path | None
    timeout_s: float
    """Of one request."""
    retries: int
    """Repeats after a transport failure or a throttle; 0 for a step that must be sent at most once."""
    retry_delay_s: float
    retry_timeouts: bool
    """Repeat a request that timed out too; off by default, so that a hung endpoint costs its timeout once."""
    persists: bool
    """As a cleanup step: repeated for its whole budget while its failure may be temporary."""
    hold_every_s: float
    mutates: bool
    timed: frozenset[str]
    """Fields of its document that a stall of this machine spoils."""
    budget_s: float
    """As a cleanup step: longest time it may take in all."""

    def mentions(self, name: str) -> bool:
        """Return whether `expect` or `until` reads a field; `name` as for `mentions` of one assertion."""
        return any(mentions(expectation, name) for expectation in (*self.expect, *self.until))

    @property
    def assertions(self) -> tuple[Expectation, ...]:
        """Return every assertion that a response of the step is judged by."""
        return (*self.expect, *self.warn, *self.until, *self.stop_when, *self.repeat_when)

    @property
    def service(self) -> str | None:
        """Return the AWS service it calls: None for no service, `*` when one of its keys names the service."""
        return self.spec.service if self.spec else None


class CompiledCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One check, ready to run."""

    definition: CheckDefinition
    variables: Mapping[str, Any]
    """The environment's `vars`, overridden by the check's own."""
    volatile: frozenset[str]
    """Variables whose value changes while the check runs."""
    requires: tuple[Reference, ...]
    steps: tuple[CompiledStep, ...]
    cleanup: tuple[CompiledStep, ...]
    expect: tuple[Expectation, ...]
    """Of a flow or composite as a whole."""
    warn: tuple[Expectation, ...]
    references: frozenset[Reference]
    """Every reference in it."""
    remote: bool
    """One of its references has to be fetched."""
    cleanup_references: frozenset[Reference]
    is_flow: bool
    timeout_s: float | None
    """Of the whole flow."""

    @property
    def steps_read_by_cleanup(self) -> frozenset[str]:
        """Return the steps whose response a cleanup step reads."""
        return frozenset(
            reference.path[0] for reference in self.cleanup_references if reference.scope == "steps" and reference.path
        )


class CheckCompiler:
    """Compiles the checks of one environment, each check once."""

    def __init__(self, environment: Environment, specs: Specs) -> None:
        self._environment = environment
        self._specs = specs
        self._attest = parse_path(environment.release.attest) if environment.release.attest else None
        self._finder = ReferenceFinder(environment.vars)
        self._compiled: dict[str, CompiledCheck] = {}

    def compile(self, definition: CheckDefinition) -> CompiledCheck:
        """Return the compiled check; raises the parsers' errors for a text that settings would have refused."""
        compiled = self._compiled.get(definition.id)
        if compiled is None or compiled.definition is not definition:
            compiled = self._compiled[definition.id] = self._compile(definition)
        return compiled

    def needs_aws(self, definitions: Iterable[CheckDefinition]) -> bool:
        """Return whether any of these checks calls AWS or reads a value that AWS provides."""
        for definition in definitions:
            try:
                compiled = self.compile(definition)
            except (AssertionSyntaxError, TemplateSyntaxError):
                continue  # it will never send anything
            steps = (*compiled.steps, *compiled.cleanup)
            if compiled.remote or any(step.service is not None or step.attest is not None for step in steps):
                return True
        return False

    def services(self, definitions: Iterable[CheckDefinition]) -> frozenset[str]:
        """Return the AWS services that these checks call, as far as they are known before the run."""
        steps = (step for definition in definitions for step in (*definition.steps, *definition.cleanup))
        named = ((spec.service, step.params) for step in steps if (spec := self._specs(step.type)) is not None)
        services = (str(params.get("service", "")) if service == "*" else service for service, params in named)
        return frozenset(service for service in services if service and "${" not in service)

    def _compile(self, definition: CheckDefinition) -> CompiledCheck:
        finder = self._finder
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
        own_texts = [hole for expectation in (*expect, *warn) for hole in expectation.holes]
        own_texts += [*definition.links.values(), *([definition.serial] if definition.serial else ())]
        if own_texts or definition.requires:
            references |= finder.references_in(own_texts) | set(map(dotted_reference, definition.requires))
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
        expect = _with_implied(step.expect, poll.until if poll else (), spec)
        warn = compile_assertions(step.warn, "warn")
        until = compile_assertions(poll.until, "until") if poll else ()
        stop_when = compile_assertions(poll.stop_when, "until") if poll else ()
        repeat_when = compile_assertions(step.repeat.when, "until") if step.repeat else ()
        texts = open_texts(step.params)
        captures = {name: parse_path(capture.path) for name, capture in step.capture.items()}
        patterns = {name: parse_template(each.pattern) for name, each in step.capture.items() if each.pattern}
        attest = None if cleanup else self._attestation(step)
        holes = _holes((*expect, *warn, *until, *stop_when, *repeat_when), captures.values(), attest, patterns.values())
        references = _NO_REFERENCES
        if texts or holes or step.for_each is not None:
            references = finder.references_in((*texts, *holes, step.for_each or ""))
        mutates = bool(step.mutates)
        timeout_s = _timeout_s(step, check, spec)
        retries = step.retry.times if step.retry else RETRIES
        return CompiledStep(
            definition=step,
            name=step.name,
            type=step.type,
            spec=spec,
            static=not texts,
            holes=holes,
            references=references,
            remote=any_remote(references),
            expect=expect,
            warn=warn,
            until=until,
            stop_when=stop_when,
            repeat_when=repeat_when,
            captures=captures,
            capture_patterns=patterns,
            attest=attest,
            timeout_s=timeout_s,
            # A mutating step is sent at most once, unless its author declares it idempotent.
            retries=0 if mutates and not step.idempotent else retries,
            retry_delay_s=step.retry.delay_s if step.retry else RETRY_DELAY_S,
            retry_timeouts=step.retry is not None,
            persists=cleanup and (not mutates or step.idempotent or (spec is not None and spec.deletes(step.params))),
            hold_every_s=step.hold_every_s or (poll.every_s if poll else 1.0),
            mutates=mutates,
            timed=spec.timed if spec else frozenset(),
            budget_s=max(CLEANUP_BUDGET_S, timeout_s + (poll.within_s if poll else 0.0) + (step.hold_s or 0.0)),
        )

    def _attestation(self, step: StepDefinition) -> Path | None:
        if step.attest is not None:
            return parse_path(step.attest) if step.attest else None
        return self._attest if step.type == "http" else None


def _timeout_s(step: StepDefinition, check: CheckDefinition, spec: ProbeSpec | None) -> float:
    """Return how long one request of the step may take."""
    if step.timeout_s is not None:
        return step.timeout_s
    if spec is None:
        return 5.0
    smoke_s = spec.smoke_timeout_s
    return smoke_s if smoke_s is not None and check.kind == "smoke" else spec.timeout_s


@lru_cache(maxsize=4096)
def _with_implied(expect: tuple[str, ...], until: tuple[str, ...], spec: ProbeSpec | None) -> tuple[Expectation, ...]:
    """Return `expect`, and those implied expectations whose fields neither it nor `until` mentions."""
    explicit = compile_assertions(expect, "expect")
    if spec is None:
        return explicit
    written = (*explicit, *compile_assertions(until, "until"))
    if any(mentions(expectation, name) for expectation in written for name in spec.replaces_implicit):
        return explicit
    named = frozenset().union(*(expectation.fields for expectation in written))
    implicit = compile_assertions(spec.implicit_expect, "implicit")
    return (*explicit, *(expectation for expectation in implicit if not expectation.fields & named))


def _holes(
    assertions: Iterable[Expectation], captures: Iterable[Path], attest: Path | None, patterns: Iterable[Template]
) -> tuple[str, ...]:
    holes = [hole for expectation in assertions for hole in expectation.holes]
    holes += [reference.source for pattern in patterns for reference in pattern.references]
    holes += [hole for path in captures for hole in path.holes]
    if attest is not None:
        holes += attest.holes
    return tuple(dict.fromkeys(holes)) if holes else ()


def _union(sets: Iterable[frozenset[Reference]]) -> frozenset[Reference]:
    return frozenset().union(*sets)
