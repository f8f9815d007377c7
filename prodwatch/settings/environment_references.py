"""Checks every `${…}` of an environment file; a variable that is not used may refer to undefined ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from prodwatch.model.environment import RELEASE_VERSION, Environment
from prodwatch.settings.environment_keys import SECTIONS
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.template import TemplateSyntaxError, parse_template
from prodwatch.settings.toml_document import Document
from prodwatch.settings.variable_references import FILE_SCOPES, WATCHED_SCOPES, DefinedNames, follow, references_in

_LATE = tuple(section.name for section in SECTIONS if section.filled == "late" and section.name != "vars")


def names_of(document: Document, environment: Environment, environ: Mapping[str, str]) -> DefinedNames:
    """Return the names defined in the environment file, including invalid entries, which are reported elsewhere."""
    written = {name: document.data.get(name) for name in ("secrets", "stacks")}
    secrets, stacks = (tuple(table) if isinstance(table, dict) else () for table in written.values())
    return DefinedNames(environ=environ, vars=environment.vars, secrets=secrets, stacks=stacks)


def follow_environment(top: TomlCursor, environment: Environment, names: DefinedNames, needed: Collection[str]) -> None:
    """Report undefined references; `needed` are the variables that selected checks use."""
    names = DefinedNames(names.environ, names.vars, names.secrets, names.stacks, scopes=FILE_SCOPES)
    watched = replace(names, scopes=WATCHED_SCOPES)
    used: set[str] = set()
    pending: set[str] = set()
    for name in _LATE:
        written = top.document.data.get(name)
        if name == "metric":
            written = _without_version(written)
        pending |= follow(top.at(name).named(f"[{name}]"), written, watched)
    # A variable of a watched table is limited like the table itself.
    for allowed, more in ((watched, pending), (names, set(needed))):
        pending = more & set(environment.vars) - used
        while pending:
            name = pending.pop()
            used.add(name)
            written = environment.vars.get(name)
            pending |= (follow(_cursor(top, name), written, allowed) & set(environment.vars)) - used
    for name, written in environment.vars.items():
        if name not in used:
            # A syntax error is a mistake even in a variable that is not used.
            list(references_in(_cursor(top, name), written))
        report_circle(_cursor(top, name), name, environment.vars)


def _without_version(metrics: Any) -> Any:
    """Return the tables of metrics with the version under release masked in their dimensions, its only place."""

    def masked(value: Any) -> Any:
        return RELEASE_VERSION.sub(lambda found: "v" * len(found[0]), value) if isinstance(value, str) else value

    return [
        {**each, "dimensions": {name: masked(value) for name, value in each["dimensions"].items()}}
        if isinstance(each, Mapping) and isinstance(each.get("dimensions"), Mapping)
        else each
        for each in (metrics if isinstance(metrics, list) else ())
    ] or metrics


def report_circle(cursor: TomlCursor, name: str, vars_: Mapping[str, Any]) -> None:
    """Report a variable that refers to itself, directly or indirectly."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        for each in _made_of(vars_.get(pending.pop())):
            if each == name:
                cursor.report(f"variable {name} refers to itself")
                return
            if each not in seen:
                seen.add(each)
                pending.append(each)


def _made_of(value: Any) -> set[str]:
    if isinstance(value, str) and "${" in value:
        try:
            references = parse_template(value).references
        except TemplateSyntaxError:
            return set()  # reported where references are checked
        return {reference.path[0] for reference in references if reference.scope == "vars" and reference.path}
    if isinstance(value, Mapping):
        return set().union(*map(_made_of, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(_made_of, value)) if value else set()
    return set()


def _cursor(top: TomlCursor, name: str) -> TomlCursor:
    return top.at("vars", name).named("[vars]")
