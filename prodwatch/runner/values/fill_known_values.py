"""Fills the references whose values are known before a run; all others stay as `${…}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.settings.template import Reference, UnresolvedError, parse_template, resolve, value_of
from prodwatch.settings.template_filters import TemplateFilterError, as_text, follow_path

if TYPE_CHECKING:
    from prodwatch.assertions import Assertion

_ONLY_THE_RUN = "known only at run time"


class StaticValues:
    """Values of one check's `env`, `vars` and `matrix`; a secret's environment variable is never read.

    Without a check, those of the environment.
    """

    def __init__(self, check: CheckDefinition | None, environment: Environment, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._secret = {secret.env for secret in environment.secrets.values()}
        self._tables: dict[str, Mapping[str, Any]] = {"vars": environment.vars}
        if check is not None:
            self._tables = {"vars": {**environment.vars, **check.vars}, "matrix": check.matrix}

    def fill(self, value: Any) -> Any:
        """Return `value` with every known reference filled; the others remain as written."""
        if isinstance(value, Mapping):
            return {as_text(self.fill(key)): self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(item) for item in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        template = parse_template(value)
        if template.is_whole:
            return self._part(template.references[0])
        return "".join(part if isinstance(part, str) else as_text(self._part(part)) for part in template.parts)

    def knows(self, reference: Reference) -> bool:
        """Return whether a reference has a value before the run."""
        try:
            value_of(reference, self._value)
        except (UnresolvedError, TemplateFilterError):
            return False
        return True

    def assertion(self, assertion: Assertion) -> str:
        """Return an assertion with its references filled when all of them are known, else as written."""
        references = [parse_template(hole).references[0] for hole in assertion.holes]
        if not references or not all(map(self.knows, references)):
            return assertion.source.strip()
        return assertion.render([value_of(reference, self._value) for reference in references])

    def _part(self, reference: Reference) -> Any:
        """Return the value of one reference; for a variable without a known value, its partly filled text."""
        try:
            return value_of(reference, self._value)
        except (UnresolvedError, TemplateFilterError):
            raw = self._raw(reference) if reference.scope == "vars" else None
            if raw is None:
                return reference.source
            return self._filtered(raw, reference) if reference.filters else self.fill(raw)

    def _filtered(self, raw: Any, reference: Reference) -> str:
        """Append a variable's filters to the one reference it consists of; as written when it has more parts."""
        inner = self.fill(raw)
        if not isinstance(inner, str) or "${" not in inner or not parse_template(inner).is_whole:
            return reference.source
        return f"{inner[:-1].rstrip()} |{reference.source.partition('|')[2]}"

    def _value(self, reference: Reference) -> Any:
        """Return the whole value; UnresolvedError when any part of it is not known."""
        if reference.scope == "env":
            name = ".".join(reference.path)
            if name in self._secret or name not in self._environ:
                raise UnresolvedError(reference, _ONLY_THE_RUN)
            return self._environ[name]
        value = self._raw(reference)
        if value is None:
            raise UnresolvedError(reference, _ONLY_THE_RUN)
        return resolve(value, self._value) if reference.scope == "vars" else value

    def _raw(self, reference: Reference) -> Any:
        """Return the unfilled value of a reference to `vars` or `matrix`, None when it has no value there."""
        table = self._tables.get(reference.scope)
        if table is None:
            return None
        try:
            return follow_path(table, reference.path)
        except LookupError:
            return None
