"""Follows every `${…}` of a check and of an environment to what defines it, before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.settings.check_keys import CHECK, LATE
from prodwatch.settings.flow_builder import step_names, step_spot
from prodwatch.settings.problems import IN_KEY, Spot
from prodwatch.settings.static_values import undefined
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.template import SCOPES, Reference, TemplateSyntaxError, parse_template

RELEASE = ("version", "previous", "started_at", "state")
_FIXED = {"uid": (), "now": (), "account": (), "region": (), "trace_id": (), "run": ("id",), "release": RELEASE}
"""Scopes whose names are given: the names, or nothing when the scope itself is the value."""

FILE_SCOPES = frozenset(SCOPES) - {"captured", "steps", "matrix", "each"}
"""Scopes an environment file may use where its values are filled late."""


class Names(msgspec.Struct, frozen=True):
    """What is defined where a reference stands."""

    environ: Mapping[str, str]
    vars: Mapping[str, Any]
    secrets: Collection[str]
    stacks: Collection[str]
    scopes: Collection[str] = frozenset(SCOPES)
    matrix: Collection[str] = ()
    captured: Collection[str] = ()
    steps: Collection[str] = ()
    each: bool = False
    later: Mapping[str, str] = {}
    """Steps and captures that exist, but only later: name → the step."""
    excused: Collection[str] = ()
    """Dotted references named in `requires`: missing is no mistake."""
    selected: bool = True
    """False for a check that will not run: only what can be right nowhere is a mistake."""

    def problem(self, reference: Reference) -> str | None:
        """Return why the reference can have no value here, or None."""
        scope = reference.scope
        if scope not in SCOPES:
            return f'unknown scope "{scope}" in {reference.source}{did_you_mean(scope, SCOPES) or _all_scopes()}'
        if scope in _FIXED:
            return _fixed_problem(reference, _FIXED[scope])
        return self._defined(reference, scope) if self.selected else None

    def _defined(self, reference: Reference, scope: str) -> str | None:
        if scope not in self.scopes:
            return f"{reference.source} cannot be used here; {scope} belongs to a running check"
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
        if scope == "stack" and len(reference.path) != 2:
            return f"{reference.source} must name a stack and one of its outputs: ${{stack.alias.Output}}"
        known: Collection[str] = {
            "vars": self.vars,
            "secret": self.secrets,
            "stack": self.stacks,
            "matrix": self.matrix,
            "captured": self.captured,
            "steps": self.steps,
        }[scope]
        if name in known:
            return None
        if scope in {"captured", "steps"} and name in self.later:
            return f'{reference.source} is known only when step "{self.later[name]}" is done'
        return undefined(_WHAT[scope], name, sorted(known))


_WHAT = {
    "vars": "variable",
    "secret": "secret",
    "stack": "stack",
    "matrix": "matrix value",
    "captured": "captured value",
    "steps": "step",
}


def _all_scopes() -> str:
    return f"; scopes are {listing(SCOPES)}"


def _fixed_problem(reference: Reference, names: tuple[str, ...]) -> str | None:
    if not names:
        return None if not reference.path else f"{reference.source} has no parts; write ${{{reference.scope}}}"
    if len(reference.path) == 1 and reference.path[0] in names:
        return None
    return f"{reference.source} is unknown; there is {listing(f'${{{reference.scope}.{name}}}' for name in names)}"


def references_in(spot: Spot, value: Any) -> Iterator[tuple[Spot, Reference]]:
    """Yield every reference in a value with its place; a `${` that cannot be read is reported."""
    if isinstance(value, str):
        for reference in _references(spot, value):
            yield spot, reference
    elif isinstance(value, Mapping):
        for key, each in value.items():
            for reference in _references(spot.at(key), key):
                yield spot.at(key), replace(reference, column=IN_KEY)
            yield from references_in(spot.at(key), each)
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from references_in(spot.at(index), each)


def _references(spot: Spot, text: str) -> tuple[Reference, ...]:
    if "${" not in text:
        return ()
    try:
        return parse_template(text).references
    except TemplateSyntaxError as error:
        spot.report_inside(error.message, error.column)
        return ()


def follow(spot: Spot, value: Any, names: Names) -> set[str]:
    """Report every reference in `value` that leads nowhere; return the names of the variables it needs."""
    needed = set()
    for place, reference in references_in(spot, value):
        problem = names.problem(reference)
        if problem is not None:
            place.report_inside(problem, reference.column)
        elif reference.scope == "vars" and names.selected and not reference.has_default:
            needed.add(reference.path[0])
    return needed


def follow_check(spot: Spot, table: Mapping[str, Any], names: Names) -> set[str]:
    """Do so for a whole check, defaults included; `names` are those of its environment.

    Each step sees what steps before it captured; cleanup and the flow's own expectations see all of them, and cleanup
    also the documents of the cleanup steps below it.
    """
    vars_ = _table(table.get("vars"))
    names = replace(
        names,
        vars={**names.vars, **vars_},
        matrix=tuple(_table(table.get("matrix"))),
        excused=_required(spot.at("requires"), table.get("requires", ()), names),
    )
    steps, cleanup = _tables(table.get("step")), _tables(table.get("cleanup"))
    before = replace(names, scopes=FILE_SCOPES | {"matrix"})
    needed = follow(spot.at("vars"), vars_, before)
    for key in ("links", "serial"):
        needed |= follow(spot.at(key), table.get(key), before)
    called = step_names(steps)
    after = replace(names, captured=_captured(steps), steps=called)
    for number, step in enumerate(steps):
        earlier = steps[:number]
        now = replace(
            names, captured=_captured(earlier), steps=called[:number], later=_later(steps[number:], called[number:])
        )
        needed |= _follow_step(step_spot(spot, "step", number, step), step, now)
    cleaners = step_names(cleanup)
    for number, step in enumerate(cleanup):
        # Cleanup runs from the last step to the first: what stands below has been done.
        below = [name for name in cleaners[number + 1 :] if name not in called]
        above = [name for name in cleaners[: number + 1] if name not in called]
        now = replace(after, steps=[*called, *below], later={name: name for name in above})
        needed |= _follow_step(step_spot(spot, "cleanup", number, step), step, now)
    for key, value in table.items():
        if key not in _ELSEWHERE:
            needed |= follow(spot.at(key), value, after)
    return {name for name in needed if name not in vars_}


_ELSEWHERE = frozenset(("step", "cleanup", "vars", "links", "serial", "requires", "matrix")) | (
    {key.name for key in CHECK} - LATE - {"poll"}
)
"""Keys of a check that `follow_check` reads by themselves, or that were filled when the check was built."""


def _follow_step(spot: Spot, step: Mapping[str, Any], names: Names) -> set[str]:
    for_each = step.get("for_each")
    needed = follow(spot.at("for_each"), for_each, names)
    if isinstance(for_each, str) and for_each.count("${") != 1:
        spot.at("for_each").report('"for_each" must be one reference to a list, such as "${steps.find.items}"')
    inside = replace(names, each=for_each is not None)
    for key, value in step.items():
        if key != "for_each":
            needed |= follow(spot.at(key), value, inside)
    return needed


def _required(spot: Spot, written: Any, names: Names) -> frozenset[str]:
    """Return the dotted references of `requires`; those of a stack or secret nobody declared are reported."""
    found = set()
    listed: list[Any] = [written] if isinstance(written, str) else written if isinstance(written, list) else []
    for index, text in enumerate(listed):
        here = spot.at(index)
        if not isinstance(text, str):
            continue  # reported with the kinds of values
        dotted = text.split(".")
        if len(dotted) < 2 or "${" in text:
            here.report('a requirement is a reference without ${ }, such as "stack.shop.TestTable" or "env.TOKEN"')
            continue
        reference = Reference(dotted[0], tuple(dotted[1:]), (), text)
        allowed = replace(names, excused=(text,) if dotted[0] in {"env", "vars"} else ())
        if problem := allowed.problem(reference):
            here.report(problem)
        found.add(text)
    return frozenset(found)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [_table(each) for each in value] if isinstance(value, list) else []


def _captured(steps: list[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(name for step in steps for name in _table(step.get("capture")))


def _later(steps: list[Mapping[str, Any]], called: list[str]) -> dict[str, str]:
    captured = {name: own for step, own in zip(steps, called, strict=True) for name in _table(step.get("capture"))}
    return {name: name for name in called} | captured
