"""Checks that every `${…}` of checks and environments is defined, before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.settings.check_keys import CHECK, RUNTIME_KEYS
from prodwatch.settings.flow_builder import step_cursor, step_names, undo_cursor, undo_table, with_flow_keys
from prodwatch.settings.load_time_values import undefined
from prodwatch.settings.problems import IN_KEY, TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.template import SCOPES, Reference, TemplateSyntaxError, parse_template
from prodwatch.settings.template_filters import follow_path
from prodwatch.settings.value_types import describe

RELEASE = ("version", "previous", "serving", "started_at", "state")
_FIXED = {"uid": (), "now": (), "account": (), "region": (), "trace_id": (), "run": ("id",), "release": RELEASE}
"""Scopes with fixed names → these names; empty when the scope itself is the value."""

FILE_SCOPES = frozenset(SCOPES) - {"captured", "steps", "matrix", "each"}
"""Scopes that the variables of an environment file may use."""
WATCHED_SCOPES = frozenset(("env", "vars", "stack", "resource", "account", "region"))
"""Scopes that the watched tables of an environment file may use, which are filled once per run."""


class DefinedNames(msgspec.Struct, frozen=True):
    """Names that a reference can use at its position."""

    environ: Mapping[str, str]
    vars: Mapping[str, Any]
    secrets: Collection[str]
    stacks: Collection[str]
    scopes: Collection[str] = frozenset(SCOPES)
    matrix: Mapping[str, Any] = {}
    """Values of the matrix by name, as written."""
    captured: Collection[str] = ()
    steps: Collection[str] = ()
    each: bool = False
    later: Mapping[str, str] = {}
    """Steps and captures of later steps, name → step."""
    excused: Collection[str] = ()
    """Dotted references listed in `requires`, which may be undefined."""
    selected: bool = True
    """False for a check that will not run, in which undefined names are not mistakes."""

    def problem(self, reference: Reference) -> str | None:
        """Return why the reference is invalid here; None when it is valid."""
        scope = reference.scope
        if scope not in SCOPES:
            return f'unknown scope "{scope}" in {reference.source}{did_you_mean(scope, SCOPES) or _all_scopes()}'
        if scope in _FIXED and scope in self.scopes:
            return _fixed_problem(reference, _FIXED[scope])
        return self._defined(reference, scope) if self.selected else None

    def _defined(self, reference: Reference, scope: str) -> str | None:
        if scope not in self.scopes:
            return f"{reference.source} cannot be used here; {scope} is only available in checks"
        if scope == "each":
            return None if self.each else f'{reference.source} needs a "for_each" on the same step'
        if reference.path and (reference.has_default or reference.dotted in self.excused):
            return None
        return (
            self._named(reference, scope) if reference.path else f"{reference.source} needs a name: ${{{scope}.name}}"
        )

    def _named(self, reference: Reference, scope: str) -> str | None:
        name = reference.path[0]
        if scope == "env":
            name = ".".join(reference.path)
            if name in self.environ:
                return None
            return f"environment variable {name} is not set; set it or write ${{env.{name} | default('…')}}"
        if scope in _OF_STACK and len(reference.path) != 2:
            return f"{reference.source} must name a stack and {_OF_STACK[scope]}"
        known: Collection[str] = {
            "vars": self.vars,
            "secret": self.secrets,
            "stack": self.stacks,
            "resource": self.stacks,
            "matrix": self.matrix,
            "captured": self.captured,
            "steps": self.steps,
        }[scope]
        if name in known:
            return _missing_part(reference, scope, known)
        if scope in {"captured", "steps"} and name in self.later:
            return f'{reference.source} is known only after step "{self.later[name]}"'
        return undefined(_NOUNS[scope], name, sorted(known))


_OF_STACK = {"stack": "an output: ${stack.alias.Output}", "resource": "a resource: ${resource.alias.LogicalId}"}
_NOUNS = {
    "vars": "variable",
    "secret": "secret",
    "stack": "stack",
    "resource": "stack",
    "matrix": "matrix value",
    "captured": "captured value",
    "steps": "step",
}


def _missing_part(reference: Reference, scope: str, known: Collection[str]) -> str | None:
    """Return why a defined name lacks the reference's path; None when it has it, or when only a run knows."""
    if not isinstance(known, Mapping):
        return None
    value = known[reference.path[0]]
    return {"matrix": _row_problem, "vars": _part_problem}[scope](reference, value) if scope in _READABLE else None


_READABLE = frozenset(("matrix", "vars"))
"""Scopes whose values are written in the files."""


def _part_problem(reference: Reference, value: Any) -> str | None:
    """Return why a variable has no part at the reference's path; None when it has, or when only a run knows."""
    for number, part in enumerate(reference.path[1:], 1):
        if isinstance(value, str) and "${" in value:
            return None
        try:
            value = follow_path(value, (part,))
        except LookupError:
            whole = ".".join(reference.path[:number])
            content = f"a list of {len(value)}" if isinstance(value, list) else describe(value)
            return f'{reference.source}: variable {whole} is {content} and has no "{part}"'
    return None


def _row_problem(reference: Reference, rows: Any) -> str | None:
    """Return which value of a matrix has no part at the reference's path; None when each has."""
    for number, row in enumerate(rows if isinstance(rows, list) else (), 1):
        try:
            follow_path(row, reference.path[1:])
        except LookupError as error:
            return f"{reference.source}: value {number} of matrix {reference.path[0]} has no {error.args[0]}"
    return None


def _all_scopes() -> str:
    return f"; scopes: {listing(SCOPES)}"


def _fixed_problem(reference: Reference, names: tuple[str, ...]) -> str | None:
    if not names:
        return None if not reference.path else f"{reference.source} has no fields; write ${{{reference.scope}}}"
    if len(reference.path) == 1 and reference.path[0] in names:
        return None
    return f"{reference.source} is unknown; use {listing(f'${{{reference.scope}.{name}}}' for name in names)}"


def references_in(cursor: TomlCursor, value: Any) -> Iterator[tuple[TomlCursor, Reference]]:
    """Yield every reference in a value with its cursor; syntax errors are reported."""
    if isinstance(value, str):
        for reference in _references(cursor, value):
            yield cursor, reference
    elif isinstance(value, Mapping):
        for key, each in value.items():
            for reference in _references(cursor.at(key), key):
                yield cursor.at(key), replace(reference, column=IN_KEY)
            yield from references_in(cursor.at(key), each)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from references_in(cursor.at(index), each)


def _references(cursor: TomlCursor, text: str) -> tuple[Reference, ...]:
    if "${" not in text:
        return ()
    try:
        return parse_template(text).references
    except TemplateSyntaxError as error:
        cursor.report_inside(error.message, error.column)
        return ()


def follow(cursor: TomlCursor, value: Any, names: DefinedNames) -> set[str]:
    """Report every undefined reference in `value`; return the names of the variables it needs."""
    needed = set()
    for place, reference in references_in(cursor, value):
        problem = names.problem(reference)
        if problem is not None:
            place.report_inside(problem, reference.column)
        elif reference.scope == "vars" and names.selected and not reference.has_default:
            needed.add(reference.path[0])
    return needed


def follow_check(cursor: TomlCursor, table: Mapping[str, Any], names: DefinedNames) -> set[str]:
    """Check the references of a whole check, including defaults; `names` are those of its environment.

    A step can use the captures of earlier steps. Cleanup and the flow's own expectations can use all captures, and a
    cleanup step also the documents of the cleanup steps below it. Returns the names of the variables it needs.
    """
    vars_ = _table(table.get("vars"))
    names = replace(
        names,
        vars={**names.vars, **vars_},
        matrix=_table(table.get("matrix")),
        excused=_required(cursor.at("requires"), table.get("requires", ()), names),
    )
    steps, cleanup = (_steps_of(table, role) for role in ("step", "cleanup"))
    before = replace(names, scopes=FILE_SCOPES | {"matrix"})
    needed = follow(cursor.at("vars"), vars_, before)
    for key in ("links", "serial", *(("base_url",) if steps else ())):
        needed |= follow(cursor.at(key), table.get(key), before)
    called = step_names(steps)
    after = replace(names, captured=_captured(steps), steps=called)
    for number, step in enumerate(steps):
        earlier = steps[:number]
        now = replace(
            names, captured=_captured(earlier), steps=called[:number], later=_later(steps[number:], called[number:])
        )
        needed |= _follow_step(step_cursor(cursor, "step", number, _tables(table["step"])[number]), step, now)
    cleaners = step_names(cleanup)
    for number, step in enumerate(cleanup):
        # Cleanup runs from the last step to the first, so the steps below have already run.
        below = [name for name in cleaners[number + 1 :] if name not in called]
        above = [name for name in cleaners[: number + 1] if name not in called]
        now = replace(after, steps=[*called, *below], later={name: name for name in above})
        needed |= _follow_step(step_cursor(cursor, "cleanup", number, _tables(table["cleanup"])[number]), step, now)
    for number, (step, name) in enumerate(zip(steps, called, strict=True)):
        if isinstance(step.get("undo"), dict):
            needed |= _follow_undo(undo_cursor(cursor, number, step), step, name, after)
    for key, value in table.items():
        if key not in _ELSEWHERE and not (steps and key in _WITH_STEPS):
            needed |= follow(cursor.at(key), value, after)
    return {name for name in needed if name not in vars_}


_WITH_STEPS = frozenset(("auth", "base_url"))
"""Keys of a flow that are followed with its steps."""
_ELSEWHERE = frozenset(("step", "cleanup", "vars", "links", "serial", "requires", "matrix")) | (
    {key.name for key in CHECK} - RUNTIME_KEYS - {"poll"}
)
"""Keys of a check that `follow_check` handles separately, or that were filled at load time."""


def _steps_of(table: Mapping[str, Any], role: str) -> list[Mapping[str, Any]]:
    """Return the steps with the authentication that the flow has for them; their URLs as written."""
    return [
        {**with_flow_keys(table, step), **({"url": step["url"]} if "url" in step else {})}
        for step in _tables(table.get(role))
    ]


def _follow_step(cursor: TomlCursor, step: Mapping[str, Any], names: DefinedNames) -> set[str]:
    for_each = step.get("for_each")
    needed = follow(cursor.at("for_each"), for_each, names)
    if isinstance(for_each, str) and for_each.count("${") != 1:
        cursor.at("for_each").report('"for_each" must be one reference to a list, such as "${steps.find.items}"')
    inside = replace(names, each=for_each is not None)
    for key, value in step.items():
        if key not in {"for_each", "undo"}:
            needed |= follow(cursor.at(key), value, inside)
    return needed


def _follow_undo(cursor: TomlCursor, step: Mapping[str, Any], name: str, names: DefinedNames) -> set[str]:
    undo = undo_table(step)
    if names.selected and not _names_own(undo, step, name, names.vars, set()):
        cursor.report(
            "it must name what this step created: a value with ${uid}, or one that this step captured; "
            "other data is never deleted"
        )
    return _follow_step(cursor, undo, names)


def _names_own(value: Any, step: Mapping[str, Any], name: str, vars_: Mapping[str, Any], seen: set[str]) -> bool:
    """Return whether a value is unique to this execution, or comes from the response of the step."""
    own = {"uid": (), "steps": (name,), "captured": tuple(_table(step.get("capture")))}
    for text in _templates(value):
        for reference in parse_template(text).references:
            first = reference.path[0] if reference.path else ""
            if reference.scope == "uid" or first in own.get(reference.scope, ()):
                return True
            unseen = reference.scope == "vars" and first not in seen
            if unseen and _names_own(vars_.get(first), step, name, vars_, seen | {first}):
                return True
    return False


def _templates(value: Any) -> Iterator[str]:
    """Yield every text in a value that is a valid template."""
    if isinstance(value, str):
        try:
            parse_template(value)
        except TemplateSyntaxError:
            return  # reported where the references are followed
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _templates(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _templates(each)


def _required(cursor: TomlCursor, written: Any, names: DefinedNames) -> frozenset[str]:
    """Return the dotted references of `requires`; undeclared stacks and secrets are reported."""
    required = set()
    listed: list[Any] = [written] if isinstance(written, str) else written if isinstance(written, list) else []
    for index, text in enumerate(listed):
        here = cursor.at(index)
        if not isinstance(text, str):
            continue  # reported where kinds of values are validated
        dotted = text.split(".")
        if len(dotted) < 2 or "${" in text:
            here.report('a requirement is a reference without ${ }, such as "stack.shop.TestTable" or "env.TOKEN"')
            continue
        reference = Reference(dotted[0], tuple(dotted[1:]), (), text)
        allowed = replace(names, excused=(text,) if dotted[0] in {"env", "vars"} else ())
        if problem := allowed.problem(reference):
            here.report(problem)
        required.add(text)
    return frozenset(required)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [_table(each) for each in value] if isinstance(value, list) else []


def _captured(steps: list[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(name for step in steps for name in _table(step.get("capture")))


def _later(steps: list[Mapping[str, Any]], called: list[str]) -> dict[str, str]:
    captured = {name: own for step, own in zip(steps, called, strict=True) for name in _table(step.get("capture"))}
    return {name: name for name in called} | captured
