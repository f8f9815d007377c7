"""The steps of a flow, in order, and its cleanup."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prodwatch.model.check import StepDefinition
from prodwatch.settings.check_keys import ATTESTED, NO_ANSWER, STEP
from prodwatch.settings.problems import Spot
from prodwatch.settings.shared_keys import Surroundings, read_common
from prodwatch.settings.step_builder import Role, check_mutation, read_params, read_request, read_untyped, spec_of
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.value_types import describe

_NAMES = frozenset(key.name for key in STEP)
_FOR_ALL_STEPS = ("retry", "attest", "idempotent", "account", "region")
"""Keys which a flow hands down to those of its steps that do not say otherwise."""


def read_flow(
    spot: Spot, table: Mapping[str, Any], right: Mapping[str, Any], around: Surroundings
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    """Return steps, cleanup, and whether any of it changes something; `right` are the flow's own keys, checked."""
    steps = _steps(spot, table.get("step"), "step", right, around)
    cleanup = _steps(spot, table.get("cleanup"), "cleanup", right, around)
    if "step" not in table:
        spot.report("a flow needs steps; write each as [[check.step]]")
    mutates = right.get("mutates", False) or any(step.mutates for step in (*steps, *cleanup))
    return steps, cleanup, mutates


def step_names(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what each step is called: its name, else its type, numbered from the second one without a name."""
    taken = {table["name"] for table in tables if isinstance(table.get("name"), str)}
    names = []
    for table in tables:
        name = table.get("name")
        if not isinstance(name, str):
            name = _free(str(table.get("type", "step")), taken)
        taken.add(name)
        names.append(name)
    return names


def step_spot(spot: Spot, role: Role, number: int, table: Any) -> Spot:
    """Return the place of one step of the check at `spot`."""
    name = table.get("name", table.get("type")) if isinstance(table, Mapping) else None
    label = f'{role} "{name}"' if isinstance(name, str) else f"{role} {number + 1}"
    return spot.at(role, number).named(f"{spot.label}, {label}")


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, or with the first number that makes it unique."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _steps(
    spot: Spot, tables: Any, role: Role, of_check: Mapping[str, Any], around: Surroundings
) -> tuple[StepDefinition, ...]:
    if tables is None:
        return ()
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        spot.at(role).report(f"write each {role} of a flow as [[check.{role}]], not as {describe(tables)}")
        return ()
    seen: dict[str, None] = {}
    steps = []
    for number, (table, name) in enumerate(zip(tables, step_names(tables), strict=True)):
        here = step_spot(spot, role, number, table)
        if name in seen:
            here.at("name").report(f'another {role} of this flow is called "{name}" too; names must differ')
        seen[name] = None
        if role == "cleanup" and "repeat" in table:
            here.at("repeat").report('a cleanup cannot have "repeat"; to wait for what arrives late it has "poll"')
        _check_repeat(here.at("repeat", "after"), table.get("repeat"), [each for each in seen if each != name])
        step = _step(here, table, name, role, of_check, around)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _check_repeat(spot: Spot, repeat: Any, earlier: Collection[str]) -> None:
    after = repeat.get("after") if isinstance(repeat, dict) else None
    if isinstance(after, str) and "${" not in after and after not in earlier:
        hint = did_you_mean(after, earlier) or f"; steps before this one: {listing(earlier)}"
        spot.report(f'"after" must name an earlier step, not "{after}"{hint}')


def _step(
    spot: Spot, table: Mapping[str, Any], name: str, role: Role, of_check: Mapping[str, Any], around: Surroundings
) -> StepDefinition | None:
    spec = spec_of(spot, table)
    right = read_common(spot, table, _NAMES, STEP, around)
    if spec is None:
        read_untyped(spot, right)
        return None
    if not spec.needs_probe and spec.type != "wait":
        spot.at("type").report(f'type "{spec.type}" cannot be a {role} of a flow; it is a check of its own')
        return None
    if spec.type == "wait":
        for key in (*NO_ANSWER, "repeat"):
            if key in table:
                spot.at(key).report(f'a wait gets no answer, so it cannot have "{key}"')
    params = read_params(spot, table, spec, role)
    written = right.get("mutates", of_check.get("mutates"))
    changes = check_mutation(spot, params, spec, written)
    inherited = {key: of_check[key] for key in _FOR_ALL_STEPS if key in of_check}
    if spec.type != ATTESTED:
        inherited.pop("attest", None)
    right = {**inherited, **right}
    if "mutates" not in right and changes:
        right["mutates"] = written
    return read_request(spot, right, params, spec, name=name, type_=spec.type)
