"""Values of `${…}` inside one execution of one check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from prodwatch.assertions.errors import UndecidableError
from prodwatch.clock import Clock
from prodwatch.runner.values.remote_inputs import REMOTE, RemoteInputs
from prodwatch.settings.template import (
    Reference,
    TemplateSyntaxError,
    UnresolvedError,
    parse_template,
    resolve,
    value_of,
)
from prodwatch.settings.template_filters import TemplateFilterError, as_text, follow_path


class NoValue:
    """Marks that a name has no value; None is a value."""


NO_VALUE = NoValue()

_LATER = frozenset({"captured", "steps", "each"})
"""Scopes whose values the steps provide."""
_RUN_WIDE = REMOTE | {"env", "region"}


class Scope:
    """Names and values of one execution; the same `uid` and `vars` in all its steps and cleanups."""

    __slots__ = (
        "_clock",
        "_inputs",
        "_known",
        "_matrix",
        "_pending",
        "_run_id",
        "_vars",
        "_volatile",
        "captured",
        "documents",
        "each",
        "trace_id",
        "uid",
    )

    def __init__(
        self,
        inputs: RemoteInputs,
        *,
        variables: Mapping[str, Any],
        volatile: frozenset[str],
        matrix: Mapping[str, Any],
        run_id: str,
        uid: str,
        trace_id: str,
        clock: Clock,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare; `known` are values by dotted name that outrank all others (from a journal)."""
        self._inputs = inputs
        self._clock = clock
        self._vars = variables
        self._volatile = volatile
        self._matrix = matrix
        self._run_id = run_id
        self._known = known or {}
        self._pending: dict[str, Any] = {}
        self.uid = uid
        self.trace_id = trace_id
        self.captured: dict[str, Any] = {}
        self.documents: dict[str, Any] = {}
        """Documents of the steps that ran, by step name."""
        self.each: Any = NO_VALUE

    async def ensure(self, references: Iterable[Reference]) -> None:
        """Fetch the remote values that these references need; never raises."""
        await self._inputs.ensure(references)

    def fill(self, value: Any) -> Any:
        """Return `value` with every reference filled; UnresolvedError when one has no value.

        Call `ensure` first: nothing is fetched here.
        """
        try:
            return resolve(value, self.lookup)
        except (TemplateFilterError, TemplateSyntaxError) as error:
            raise UnresolvedError(Reference("", ()), str(error)) from error

    def is_later(self, reference: Reference) -> bool:
        """Return whether the value of a reference becomes known only while the check runs."""
        return reference.scope in _LATER or (
            reference.scope == "vars" and bool(self._volatile.intersection(reference.path[:1]))
        )

    def check_known(self, value: Any, *, behind: frozenset[str] = frozenset()) -> None:
        """Fill every reference in `value` whose value is known by now; UnresolvedError or ValueError when one fails.

        `behind` are the variables that are being followed.
        """
        for text in open_texts(value):
            for reference in parse_template(text).references:
                name = reference.path[0] if reference.path else ""
                if not self.is_later(reference):
                    value_of(reference, self.lookup)
                elif reference.scope == "vars" and name not in behind and not reference.has_default:
                    self.check_known(self._vars[name], behind=behind | {name})

    def show(self, value: Any) -> Any:
        """Return `value` with every reference filled that has a value; the others become `(name unknown)`."""
        if isinstance(value, Mapping):
            return {name: self.show(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.show(item) for item in value]
        try:
            return self.fill(value)
        except UnresolvedError:
            parts = parse_template(value).parts
            return "".join(part if isinstance(part, str) else self._shown(part) for part in parts)

    def _shown(self, reference: Reference) -> str:
        try:
            return as_text(self.fill(reference.source))
        except (UnresolvedError, TemplateFilterError):
            return f"({reference.dotted} unknown)"

    def now(self) -> datetime:
        """Return the time by the run's clock."""
        return self._clock.now()

    def lookup(self, reference: Reference) -> Any:
        """Return the raw value of one reference; UnresolvedError when it has none."""
        dotted = reference.dotted
        if dotted in self._known:
            return self._known[dotted]
        scope = reference.scope
        if scope in _RUN_WIDE:
            return self._inputs.lookup(reference)
        if scope == "vars":
            return self._variable(reference)
        return self._from_execution(reference)

    def _from_execution(self, reference: Reference) -> Any:
        if reference.scope in _OF_THE_EXECUTION:
            return _OF_THE_EXECUTION[reference.scope](self)
        if reference.scope == "each":
            if self.each is NO_VALUE:
                raise UnresolvedError(reference, f"{reference.source}: only a step with `for_each` has an element")
            return self._walk(reference, self.each, reference.path, "the element")
        tables: dict[str, tuple[Mapping[str, Any], str]] = {
            "run": ({"id": self._run_id}, "run has only `id`"),
            "captured": (self.captured, "no step has captured it"),
            "steps": (self.documents, "that step has not run or has no document"),
            "matrix": (self._matrix, "the matrix has no such key"),
        }
        table, why = tables.get(reference.scope, ({}, "there is no such scope"))
        name = reference.path[0] if reference.path else ""
        if name not in table:
            raise UnresolvedError(reference, f"{reference.source}: {why}")
        return self._walk(reference, table[name], reference.path[1:], f"{reference.scope}.{name}")

    def _variable(self, reference: Reference) -> Any:
        name = reference.path[0] if reference.path else ""
        if name in self._pending:
            value = self._pending[name]
            if value is NO_VALUE:
                raise UnresolvedError(reference, f"vars.{name} refers to itself")
        else:
            if name not in self._vars:
                raise UnresolvedError(reference, f"vars.{name} is not defined in the check or its environment")
            self._pending[name] = NO_VALUE
            try:
                value = resolve(self._vars[name], self.lookup)
            except BaseException:
                del self._pending[name]
                raise
            if name in self._volatile:
                del self._pending[name]
            else:
                self._pending[name] = value
        return self._walk(reference, value, reference.path[1:], f"vars.{name}")

    @staticmethod
    def _walk(reference: Reference, value: Any, path: tuple[str, ...], where: str) -> Any:
        try:
            return follow_path(value, path)
        except LookupError as error:
            raise UnresolvedError(reference, f"{reference.source}: {where} has no {error.args[0]}") from error
        except UndecidableError as error:
            raise UnresolvedError(reference, f"{reference.source}: {error}") from error


_OF_THE_EXECUTION: dict[str, Callable[[Scope], Any]] = {
    "uid": lambda scope: scope.uid,
    "now": lambda scope: scope.now(),
    "trace_id": lambda scope: scope.trace_id,
}


def open_texts(value: Any) -> list[str]:
    """Return every text in a value, keys included, that may contain a `${`."""
    texts: list[str] = []
    _collect(value, texts)
    return texts


def _collect(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        if "${" in value:
            texts.append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if "${" in key:
                texts.append(key)
            _collect(item, texts)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, texts)


class ReferenceFinder:
    """Finds the references in texts, through variables too; each variable is followed once."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self._behind: dict[str, frozenset[Reference]] = {}

    def references_in(self, texts: Iterable[str]) -> frozenset[Reference]:
        """Return every reference in `texts`, including those inside `vars`; a malformed template has none."""
        references: set[Reference] = set()
        for text in texts:
            for reference in _direct(text):
                references.add(reference)
                if reference.scope == "vars" and reference.path:
                    references |= self._of_variable(reference.path[0])
        return frozenset(references)

    def _of_variable(self, name: str) -> frozenset[Reference]:
        behind = self._behind.get(name)
        if behind is None:
            # Empty while it is being followed: a variable that refers to itself ends here.
            self._behind[name] = frozenset()
            behind = self._behind[name] = self.references_in(open_texts(self.variables.get(name)))
        return behind

    def volatile(self) -> frozenset[str]:
        """Return the variables whose value changes while a check runs."""
        return frozenset(
            name for name in self.variables if any(reference.scope in _LATER for reference in self._of_variable(name))
        )


def _direct(text: str) -> tuple[Reference, ...]:
    try:
        return parse_template(text).references
    except TemplateSyntaxError:
        return ()


def dotted_reference(dotted: str) -> Reference:
    """Return the reference that a `requires` entry such as `stack.shop.TestTable` means."""
    scope, *path = dotted.removeprefix("${").removesuffix("}").strip().split(".")
    return Reference(scope, tuple(path), (), "${" + dotted + "}")


def as_time(value: Any) -> datetime | None:
    """Return a time from RFC 3339, None for any other value."""
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
