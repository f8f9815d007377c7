"""Fills the `${…}` of everything an environment watches, once per run or session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from prodwatch.assertions import AssertionSyntaxError, parse
from prodwatch.clock import Clock
from prodwatch.model.environment import (
    RELEASE_VERSION,
    VERSION_MARK,
    AlarmTarget,
    Environment,
    FunctionTarget,
    LogTarget,
    MetricTarget,
    UnfilledTarget,
)
from prodwatch.runner.values.remote_inputs import RemoteInputs
from prodwatch.runner.values.template_scope import ReferenceFinder, Scope, open_texts
from prodwatch.settings.template import Reference, UnresolvedError, fill, parse_template
from prodwatch.settings.template_filters import TemplateFilterError, as_text

_Target = TypeVar("_Target", FunctionTarget, LogTarget, MetricTarget, AlarmTarget)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ASSERTIONS = frozenset(("expect", "warn"))


def watched_texts(environment: Environment) -> list[str]:
    """Return every text of the watched tables that may contain a reference, those of assertions included."""
    tables = (environment.functions, environment.logs, environment.metrics, environment.alarms)
    release = environment.release
    applications = [*release.codedeploy, *release.appconfig]
    return open_texts([msgspec.to_builtins(tables), environment.traces_filter or "", applications])


async def fill_watched(environment: Environment, inputs: RemoteInputs, clock: Clock) -> Environment:
    """Return the environment with every watched table filled, and every target in `in_own_region`; never raises.

    A table that cannot be filled is left out and listed in `unfilled` with the reason, so that nothing takes it for a
    source without news.
    """
    texts = watched_texts(environment)
    if not texts:
        return environment.in_own_regions(inputs.region_of)
    await inputs.ensure(ReferenceFinder(environment.vars).references_in(texts))
    filler = _Filler(
        Scope(
            inputs,
            variables=environment.vars,
            volatile=frozenset(),
            matrix={},
            run_id="",
            uid="",
            trace_id="",
            clock=clock,
        )
    )
    functions = filler.targets("function", environment.functions)
    traces_filter = filler.named("traces", environment.traces_filter)
    release = environment.release
    codedeploy, appconfig = (
        tuple(name for each in names if (name := filler.named("release", each)) is not None)
        for names in (release.codedeploy, release.appconfig)
    )
    filled = replace(
        environment,
        functions=functions,
        logs=filler.targets("logs", environment.logs),
        metrics=filler.targets("metric", environment.metrics),
        alarms=filler.targets("alarm", environment.alarms),
        traces_filter=traces_filter,
        # An unfiltered reading would show the traces of the whole account.
        traces_enabled=environment.traces_enabled and (traces_filter is None) is (environment.traces_filter is None),
        release=replace(release, codedeploy=codedeploy, appconfig=appconfig),
        unfilled=tuple(filler.unfilled),
    )
    return filled.in_own_regions(inputs.region_of)


class _Filler:
    """Fills tables one by one and collects those that cannot be filled."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.unfilled: list[UnfilledTarget] = []

    def targets(
        self, kind: Literal["function", "logs", "metric", "alarm"], targets: tuple[_Target, ...]
    ) -> tuple[_Target, ...]:
        """Return the targets that could be filled."""
        return tuple(filled for target in targets for filled in self._target(kind, target))

    def named(self, kind: Literal["traces", "release"], text: str | None) -> str | None:
        """Return a filled text; None when there is none or it cannot be filled."""
        if text is None:
            return None
        try:
            return self._text(text)
        except UnresolvedError as error:
            self._leave_out(kind, text, error)
            return None

    def _target(self, kind: Literal["function", "logs", "metric", "alarm"], target: _Target) -> list[_Target]:
        """Return the filled target, or an empty list when it cannot be filled."""
        written = open_texts(msgspec.to_builtins(target))
        if not written:
            return [target]
        try:
            filled = self._filled(target)
        except UnresolvedError as error:
            kept: object = target
            label = kept.name if isinstance(kept, MetricTarget) else written[0]
            self._leave_out(kind, label, error, kept if isinstance(kept, MetricTarget | AlarmTarget) else None)
            return []
        return [filled]

    def _filled(self, target: _Target) -> _Target:
        values = {name: self._value(name, getattr(target, name)) for name in target.__struct_fields__}
        table: object = target  # mypy checks each constraint of the type variable apart
        if isinstance(table, FunctionTarget) and values["name"].startswith("arn:"):
            message = f"{values['name']} is an ARN, not a name; append | arn('id') to the reference"
            raise UnresolvedError(Reference("", ()), message)
        if isinstance(table, MetricTarget) and table.is_by_version:
            values["by_version"] = {self._text(key): self._but_version(each) for key, each in table.dimensions.items()}
        return replace(target, **values)

    def _but_version(self, text: str) -> str:
        """Return a filled text in which the version under release is left open: it changes while a session runs."""
        parts = RELEASE_VERSION.split(text)
        return VERSION_MARK.join(self._text(each) if each else "" for each in parts)

    def _leave_out(
        self,
        kind: Literal["function", "logs", "traces", "metric", "alarm", "release"],
        label: str,
        error: UnresolvedError,
        target: MetricTarget | AlarmTarget | None = None,
    ) -> None:
        self.unfilled.append(
            UnfilledTarget(kind=kind, label=label, message=error.message, reason=error.reason, target=target)
        )

    def _value(self, name: str, value: Any) -> Any:
        if name == "dimensions" and isinstance(value, str):
            value = self._table(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(key): self._text(each) for key, each in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self._assertion if name in _ASSERTIONS else self._text, value))
        return value

    def _table(self, text: str) -> Mapping[str, Any]:
        """Return the table that a whole reference names."""
        value = self._scope.fill(text)
        if not isinstance(value, Mapping):
            raise UnresolvedError(Reference("", ()), f"{text} is not a table")
        return value

    def _text(self, text: str) -> str:
        value = self._scope.fill(text)
        if value is None or isinstance(value, bool | Mapping | list | tuple):
            raise UnresolvedError(Reference("", ()), f"{text} is not a text")
        filled = as_text(value)
        if text and not filled:
            # An empty prefix names every alarm or group of the account.
            raise UnresolvedError(Reference("", ()), f"{text} is empty")
        return filled

    def _assertion(self, source: str) -> str:
        assertion = parse(source)
        if not assertion.holes:
            return source
        try:
            values = [fill(parse_template(hole), self._scope.lookup) for hole in assertion.holes]
            filled = assertion.render(list(map(_number, values)))
            parse(filled)
        except (AssertionSyntaxError, TemplateFilterError) as error:
            raise UnresolvedError(Reference("", ()), f"{source}: {error}") from error
        return filled


def _number(value: Any) -> Any:
    """Return the number that a text is, such as a stack output; any other value as it is."""
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value
