"""One check's table, defaults applied, into a `CheckDefinition`; every mistake in it reported on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition, StepDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.spec import ProbeSpec
from prodwatch.settings.check_keys import CHECK, FLOW_ONLY_IN_STEPS, LATE, NO_ANSWER, STEP
from prodwatch.settings.expressions import read_assertions
from prodwatch.settings.ids import case_label, case_suffix, is_id, slug
from prodwatch.settings.kinds import describe, plain, texts
from prodwatch.settings.nearest import did_you_mean, listing
from prodwatch.settings.problems import Spot
from prodwatch.settings.statics import Statics, settle_table
from prodwatch.settings.steps import (
    Role,
    check_mutation,
    duration,
    read_params,
    read_request,
    spec_of,
)
from prodwatch.settings.tables import read_table

COMPOSITES = frozenset({"all", "any", "none"})
FIXED = frozenset({"pass", "fail", "skip"})
_MATRIX = re.compile(r"\$\{\s*matrix\b[^}]*\}")
_CHECK_NAMES = frozenset(key.name for key in CHECK)
_STEP_NAMES = frozenset(key.name for key in STEP)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check is read against."""

    environment: Environment
    environments: tuple[str, ...]
    """Names of all environments of the project; empty when unknown."""
    statics: Statics


def read_check(
    spot: Spot, table: Mapping[str, Any], case: dict[str, Any], prefix: str, around: Surroundings
) -> CheckDefinition | None:
    """Return the check of one case of a matrix, or None when too little of it is right to build it."""
    spec = spec_of(spot, table)
    right = _common(spot, table, _CHECK_NAMES, CHECK, around)
    named = _names(spot, table, right, case, prefix)
    if spec is None:
        return None
    params = read_params(spot, table, spec, "check")
    _check_expectations(spot, table, spec)
    is_flow = spec.type == "flow"
    steps, cleanup, mutates = _flow(spot, table, right, around) if is_flow else _plain(spot, right, params, spec)
    if named is None:
        return None
    own_words = is_flow or spec.type in COMPOSITES
    return CheckDefinition(
        id=named[0],
        name=named[1],
        title=named[2],
        kind=right.get("kind", "smoke"),
        type=spec.type,
        source=spot.position,
        tags=texts(right.get("tags", ())),
        owner=right.get("owner"),
        environments=_environments(spot.at("environments"), right, around),
        enabled=right.get("enabled", True),
        critical=right.get("critical", False),
        advisory=right.get("advisory", False),
        mutates=mutates,
        serial=right.get("serial"),
        needs=texts(right.get("needs", ())),
        requires=texts(right.get("requires", ())),
        diagnose=texts(right.get("diagnose", ())),
        of=_members(spot.at("of"), params) if spec.type in COMPOSITES else (),
        timeout_s=duration(right, "timeout") if is_flow else None,
        every_s=duration(right, "every"),
        vantage=texts(right.get("vantage", ())),
        links=_links(spot.at("links"), right.get("links", {})),
        muted_until=_muted_until(spot.at("muted_until"), right.get("muted_until")),
        matrix=case,
        vars=plain(right.get("vars", {})),
        expect=read_assertions(spot.at("expect"), right.get("expect", ())) if own_words else (),
        warn=read_assertions(spot.at("warn"), right.get("warn", ())) if own_words else (),
        steps=steps,
        cleanup=cleanup,
    )


def _common(
    spot: Spot, table: Mapping[str, Any], names: frozenset[str], keys: tuple[Any, ...], around: Surroundings
) -> dict[str, Any]:
    """Return the right ones of the common keys; `type` is judged by `spec_of` alone."""
    written = {name: value for name, value in table.items() if name in names and name != "type"}
    settled = settle_table(spot, written, around.statics, LATE)
    right = read_table(spot, {**settled, "type": ""}, keys)
    account = right.get("account")
    if account is not None and account not in around.environment.accounts:
        known = around.environment.accounts
        hint = did_you_mean(account, known) or f"; known: {listing(known)}"
        spot.at("account").report(
            f'account "{account}" is not in [aws.accounts] of environment "{around.environment.name}"{hint}'
        )
    return right


def _names(
    spot: Spot, table: Mapping[str, Any], right: Mapping[str, Any], case: dict[str, Any], prefix: str
) -> tuple[str, str, str] | None:
    """Return id, name and title, or None when there is no name to call the check by."""
    name = right.get("name")
    if name is None:
        return None
    if not name.strip():
        spot.at("name").report('"name" is empty')
        return None
    named_by_case = _names_case(table["name"])
    shown = name if named_by_case else name + case_label(case)
    title = right.get("title", shown)
    if "title" in right and not _names_case(table["title"]):
        title += case_label(case)
    id_ = right.get("id")
    if id_ is None:
        own = slug(_MATRIX.sub(" ", table["name"]) if named_by_case else name)
        if not own:
            spot.at("name").report(f'"{name}" has no letter or digit to make an id of; write an "id" too')
        return "/".join(filter(None, (prefix, own))) + case_suffix(case), shown, title
    if not is_id(id_):
        spot.at("id").report(f'"{id_}" cannot be an id; use letters, digits, ".", "-" and "_", in parts joined by "/"')
    return (id_ if _names_case(table["id"]) else id_ + case_suffix(case)), shown, title


def _names_case(text: str) -> bool:
    return bool(_MATRIX.search(text))


_REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(FIXED, (NO_ANSWER, "asks nothing and gets no answer")),
    **dict.fromkeys(COMPOSITES, (FLOW_ONLY_IN_STEPS, "makes no request itself")),
    "flow": (FLOW_ONLY_IN_STEPS, "makes no request itself; its steps do"),
}


def _check_expectations(spot: Spot, table: Mapping[str, Any], spec: ProbeSpec) -> None:
    """Report what is expected of nothing, and nothing expected of something."""
    if spec.type == "wait":
        spot.at("type").report('type "wait" is a step of a flow; write it as [[check.step]]')
        return
    refused, why = _REFUSED.get(spec.type, ((), ""))
    for name in refused:
        if name in table:
            spot.at(name).report(f'"{name}" cannot be written here: type "{spec.type}" {why}')
    if spec.needs_probe and "expect" not in table:
        example = _an_expectation(spec)
        spot.report(f'"expect" is missing: a check says what must be true, such as expect = ["{example}"]')
    if table.get("expect") in ("", []):
        spot.at("expect").report('"expect" is empty: a check without expectations would be green whatever happens')


def _an_expectation(spec: ProbeSpec) -> str:
    if spec.implicit_expect:
        return spec.implicit_expect[0]
    return f"{spec.fields[0].name} exists" if spec.fields else "… exists"


def _plain(
    spot: Spot, right: dict[str, Any], params: dict[str, Any], spec: ProbeSpec
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    changes = check_mutation(spot, params, spec, right.get("mutates"))
    if spec.type in COMPOSITES:
        right = {name: value for name, value in right.items() if name not in {"expect", "warn"}}
    step = read_request(spot, right, params, spec, name=spec.type, type_=spec.type)
    return (step,), (), right.get("mutates", changes)


def _flow(
    spot: Spot, table: Mapping[str, Any], right: dict[str, Any], around: Surroundings
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    steps = _steps(spot, table.get("step"), "step", right, around)
    cleanup = _steps(spot, table.get("cleanup"), "cleanup", right, around)
    if "step" not in table:
        spot.report("a flow needs steps; write each as [[check.step]]")
    mutates = right.get("mutates", False) or any(step.mutates for step in (*steps, *cleanup))
    return steps, cleanup, mutates


def _steps(
    spot: Spot, tables: Any, role: Role, of_check: Mapping[str, Any], around: Surroundings
) -> tuple[StepDefinition, ...]:
    if tables is None:
        return ()
    if not isinstance(tables, list) or not tables:
        spot.at(role).report(f"write each {role} of a flow as [[check.{role}]], not as {describe(tables)}")
        return ()
    steps: list[StepDefinition] = []
    taken: set[str] = set()
    for number, table in enumerate(tables):
        here = spot.at(role, number)
        if not isinstance(table, dict):
            here.report(f"write each {role} of a flow as [[check.{role}]], not as {describe(table)}")
            continue
        name = table.get("name", table.get("type"))
        label = f'{role} "{name}"' if isinstance(name, str) else f"{role} {number + 1}"
        step = _step(here.named(f"{spot.label}, {label}"), table, role, of_check, around)
        if step is None:
            continue
        if step.name in taken and "name" in table:
            here.at("name").report(f'another {role} of this flow is called "{step.name}" too; names must differ')
        steps.append(replace(step, name=_free(step.name, taken)))
        taken.add(steps[-1].name)
    return tuple(steps)


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, or with the first number that makes it unique."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _step(
    spot: Spot, table: Mapping[str, Any], role: Role, of_check: Mapping[str, Any], around: Surroundings
) -> StepDefinition | None:
    spec = spec_of(spot, table)
    right = _common(spot, table, _STEP_NAMES, STEP, around)
    if spec is None:
        return None
    if not spec.needs_probe and spec.type != "wait":
        spot.at("type").report(f'type "{spec.type}" cannot be a {role} of a flow; it is a check of its own')
        return None
    if spec.type == "wait":
        for name in (*NO_ANSWER, "repeat"):
            if name in table:
                spot.at(name).report(f'a wait gets no answer, so it cannot have "{name}"')
    params = read_params(spot, table, spec, role)
    written = right.get("mutates", of_check.get("mutates"))
    changes = check_mutation(spot, params, spec, written)
    inherited = {
        name: of_check[name] for name in ("retry", "attest", "idempotent", "account", "region") if name in of_check
    }
    right = {**inherited, **right}
    if "mutates" not in right and changes:
        right["mutates"] = written
    return read_request(spot, right, params, spec, name=right.get("name", spec.type), type_=spec.type)


def _members(spot: Spot, params: Mapping[str, Any]) -> tuple[str, ...]:
    written = params.get("of")
    if not isinstance(written, list):
        return ()
    if not written:
        spot.report('"of" is empty; name at least one check')
    for index, each in enumerate(written):
        if not isinstance(each, str):
            spot.at(index).report(f"a member is the id or name of a check, not {describe(each)}")
    return tuple(each for each in written if isinstance(each, str))


def _environments(spot: Spot, right: Mapping[str, Any], around: Surroundings) -> tuple[str, ...]:
    names = texts(right.get("environments", ()))
    for index, name in enumerate(names):
        if around.environments and name not in around.environments:
            hint = did_you_mean(name, around.environments) or f"; there are {listing(around.environments)}"
            spot.at(index).report(f'there is no environment "{name}"{hint}')
    return names


def _links(spot: Spot, written: Mapping[str, Any]) -> dict[str, str]:
    for title, url in written.items():
        if not isinstance(url, str):
            spot.at(title).report(f"a link is a URL in quotes, not {describe(url)}")
    return {title: url for title, url in written.items() if isinstance(url, str)}


def _muted_until(spot: Spot, written: Any) -> str | None:
    if written is None:
        return None
    try:
        if isinstance(written, datetime | date):
            return str(plain(written))
        datetime.fromisoformat(written)
    except (TypeError, ValueError):
        spot.report(
            f'"muted_until" must be a date or time such as 2026-12-24 or 2026-12-24T08:00:00Z, not {describe(written)}'
        )
        return None
    return str(written)
