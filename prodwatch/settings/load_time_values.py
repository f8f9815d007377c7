"""Fills `${…}` whose values are known at load time: environment variables, `vars` and matrix values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from prodwatch.settings.problems import Problems, TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.template import Reference, TemplateSyntaxError, UnresolvedError, literal, resolve
from prodwatch.settings.template_filters import TemplateFilterError, as_text, follow_path
from prodwatch.settings.text_conversion import FilledText


class NotStaticError(Exception):
    """The value of the reference is known only at run time; a default does not apply."""

    def __init__(self, reference: Reference, allowed: Collection[str]) -> None:
        allowed_text = listing(f"${{{scope}.…}}" for scope in allowed)
        super().__init__(f"{reference.source} is known only at run time; only {allowed_text} can be used here")


_HOMES = {
    "variable": "[vars] of the environment, or in vars of the check",
    "secret": "[secrets] of the environment",
    "stack": "[stacks] of the environment",
}


class Statics:
    """Looks up references of the static scopes.

    `vars_layers` are searched in order: a check's own variables first, then those of the environment. Undefined
    variables are collected in `unset` if it is given, because they are not a mistake in a check that will not run.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *vars_layers: Mapping[str, Any],
        matrix: Mapping[str, Any] | None = None,
        scopes: Collection[str] = ("env", "vars", "matrix"),
        unset: Problems | None = None,
    ) -> None:
        self.unset = unset
        self._environ = environ
        self._layers = vars_layers
        self._matrix = matrix or {}
        self._scopes = scopes
        self._open: list[str] = []

    def within(self, vars_: Mapping[str, Any], matrix: Mapping[str, Any], unset: Problems) -> Statics:
        """Return the lookup for one matrix case of a check."""
        return Statics(self._environ, vars_, *self._layers, matrix=matrix, scopes=self._scopes, unset=unset)

    def only(self, *scopes: str) -> Statics:
        """Return this lookup restricted to `scopes`."""
        return Statics(self._environ, *self._layers, matrix=self._matrix, scopes=scopes)

    def __call__(self, reference: Reference) -> Any:
        """Return the value. Raises UnresolvedError when it is undefined, NotStaticError when it has another scope."""
        scope, path = reference.scope, reference.path
        if scope not in self._scopes:
            raise NotStaticError(reference, self._scopes)
        if not path:
            raise UnresolvedError(reference, f"{reference.source} needs a name: ${{{scope}.name}}")
        if scope == "env":
            return self._environment_variable(reference)
        if scope == "matrix":
            return _part(reference, self._matrix, "matrix")
        return self._variable(reference)

    def _environment_variable(self, reference: Reference) -> str:
        name = ".".join(reference.path)
        if name not in self._environ:
            raise UnresolvedError(
                reference, f"environment variable {name} is not set; set it or write ${{env.{name} | default('…')}}"
            )
        return self._environ[name]

    def _variable(self, reference: Reference) -> Any:
        name = reference.path[0]
        layer = next((layer for layer in self._layers if name in layer), None)
        if layer is None:
            known = sorted({each for layer in self._layers for each in layer})
            raise UnresolvedError(reference, undefined("variable", name, known))
        if name in self._open:
            raise UnresolvedError(reference, f"variable {name} refers to itself: {' → '.join((*self._open, name))}")
        self._open.append(name)
        try:
            value = resolve(layer[name], self)
        except TemplateSyntaxError as error:
            raise UnresolvedError(reference, f"variable {name} cannot be read: {error.message}") from error
        finally:
            self._open.pop()
        return _part(reference, {name: value}, "variable")


def undefined(noun: str, name: str, known: Collection[str]) -> str:
    """Return the sentence for an undefined name; `noun` is its kind, such as "variable"."""
    hint = did_you_mean(name, known) or (f"; known: {listing(known)}" if known else "")
    home = _HOMES.get(noun)
    return f"{noun} {name} is not defined{hint}{f'; define it in {home}' if home and not known else ''}"


def settle(cursor: TomlCursor, value: Any, statics: Statics) -> tuple[bool, Any]:
    """Return (True, value with every reference filled), or report the reason and return (False, None)."""
    if isinstance(value, dict):
        settled = {key: settle(cursor.at(key), each, statics) for key, each in value.items()}
        return all(ok for ok, _ in settled.values()), {key: each for key, (_, each) in settled.items()}
    if isinstance(value, list):
        elements = [settle(cursor.at(index), each, statics) for index, each in enumerate(value)]
        return all(ok for ok, _ in elements), [
            str(each) if isinstance(each, FilledText) else each for _, each in elements
        ]
    if not isinstance(value, str) or "${" not in value:
        return True, value
    try:
        filled = resolve(value, statics)
        return True, FilledText(filled) if isinstance(filled, str) else filled
    except TemplateSyntaxError as error:
        cursor.report_inside(error.message, error.column)
    except UnresolvedError as error:
        where = cursor if statics.unset is None else cursor.into(statics.unset)
        where.report_inside(error.message, value.find(error.reference.source) + 1 or 1)
    except NotStaticError as error:
        cursor.report(str(error))
    return False, None


def fill_known(text: str, statics: Statics) -> str:
    """Return a template with its references filled when all of them are known at load time, otherwise as written."""
    if "${" not in text:
        return text
    try:
        return literal(as_text(resolve(text, statics)))
    except (UnresolvedError, NotStaticError, TemplateSyntaxError, TemplateFilterError):
        return text


def settle_table(
    cursor: TomlCursor, table: Mapping[str, Any], statics: Statics, late: Collection[str]
) -> dict[str, Any]:
    """Return the table with references filled, except in keys in `late`; entries that cannot be filled are left out."""
    settled = {}
    for name, value in table.items():
        if name in late:
            settled[name] = value
        elif name == "poll" and isinstance(value, dict):
            settled[name] = settle_table(cursor.at(name), value, statics, ("until", "stop_when"))
        else:
            known, filled = settle(cursor.at(name), value, statics)
            if known:
                settled[name] = filled
    return settled


def _part(reference: Reference, values: Mapping[str, Any], noun: str) -> Any:
    try:
        return follow_path(values, reference.path)
    except LookupError as error:
        raise UnresolvedError(reference, undefined(noun, str(error), sorted(values))) from error
