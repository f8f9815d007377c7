"""Builds the steps and the cleanup of a flow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from prodwatch.model.check import StepDefinition
from prodwatch.settings.check_keys import ATTESTED, RESPONSE_KEYS, STEP
from prodwatch.settings.load_time_values import settle
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.read_shared_keys import CheckContext, read_common
from prodwatch.settings.step_builder import (
    Role,
    check_mutation,
    fill_quiet_for,
    may_write,
    read_params,
    read_request,
    read_untyped,
    spec_of,
)
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.table_reader import convert_filled
from prodwatch.settings.template import TemplateSyntaxError, parse_template
from prodwatch.settings.value_types import describe, problem_with

_NAMES = frozenset(key.name for key in STEP)
_FOR_ALL_STEPS = ("retry", "attest", "idempotent", "account", "region", "timeout")
"""Keys of a flow that are defaults for its steps."""


def read_flow(
    cursor: TomlCursor, table: Mapping[str, Any], right: Mapping[str, Any], context: CheckContext
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    """Return steps, cleanup, and whether any of them changes something; `right` are the flow's own validated keys."""
    for_steps = {**right, **_step_timeout(cursor, table, context)}
    steps = _steps(cursor, table, "step", for_steps, context)
    # The last one is run first: what the steps caused is removed before what they wrote.
    cleanup = (*_undos(cursor, table, steps, for_steps, context), *_steps(cursor, table, "cleanup", for_steps, context))
    if "step" not in table:
        cursor.report("a flow needs at least one step; write it as [[check.step]]")
    mutates = right.get("mutates", False) or any(step.mutates for step in (*steps, *cleanup))
    return steps, cleanup, mutates


def _step_timeout(cursor: TomlCursor, flow: Mapping[str, Any], context: CheckContext) -> dict[str, Any]:
    """Return the steps' `timeout` that the flow has for them; the flow's own `timeout` is not theirs."""
    known, filled = settle(cursor.at("step_timeout"), flow.get("step_timeout"), context.statics)
    if not known or filled is None:
        return {"timeout": None}
    (key,) = (key for key in STEP if key.name == "timeout")
    value = convert_filled(key, filled)
    # A text that is not a duration is reported with the flow's other keys.
    return {"timeout": None if problem_with(key, value, references=False) else value}


def with_flow_keys(flow: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's table as written, completed by the keys that the flow has for its `http` steps.

    A flow with `base_url` sends its `auth` there only: an absolute `url` may be that of another host.
    """
    table = dict(step)
    if step.get("type") != "http":
        return table
    base_url, url = flow.get("base_url"), step.get("url")
    is_below = isinstance(url, str) and url.startswith("/")
    if isinstance(base_url, str) and isinstance(url, str) and is_below:
        table["url"] = joined_url(base_url, url)
    own = "auth" in step or _has_authorization(step.get("headers"))
    if "auth" in flow and not own and (is_below or base_url is None):
        table["auth"] = flow["auth"]
    if table.get("auth") is False:
        del table["auth"]
    return table


def _has_authorization(headers: Any) -> bool:
    return isinstance(headers, Mapping) and any(name.lower() == "authorization" for name in headers)


def joined_url(base_url: str, path: str) -> str:
    """Return the template of a URL: both templates with exactly one slash in between."""
    rest = path.lstrip("/")
    try:
        last = parse_template(base_url).parts[-1:]
    except TemplateSyntaxError:
        return base_url  # reported where the flow's own references are followed
    if not last or isinstance(last[0], str):
        return f"{base_url.rstrip('/')}/{rest}"
    whole = last[0].source
    return f"{base_url.removesuffix(whole)}{whole.removesuffix('}')} | join('')}}{rest}"


def step_names(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the name of each step: its `name`, else its type, numbered from the second unnamed one on."""
    taken = {table["name"] for table in tables if isinstance(table.get("name"), str)}
    names = []
    for table in tables:
        name = table.get("name")
        if not isinstance(name, str):
            name = _free(str(table.get("type", "step")), taken)
        taken.add(name)
        names.append(name)
    return names


def step_cursor(cursor: TomlCursor, role: Role, number: int, table: Any) -> TomlCursor:
    """Return the cursor of one step of the check at `cursor`."""
    name = table.get("name", table.get("type")) if isinstance(table, Mapping) else None
    label = f'{role} "{name}"' if isinstance(name, str) else f"{role} {number + 1}"
    from_flow = ("auth",) if isinstance(table, Mapping) and "auth" not in table else ()
    return cursor.at(role, number).named(f"{cursor.label}, {label}").inheriting(from_flow, cursor)


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, or with the first number that makes it unique."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _steps(
    cursor: TomlCursor,
    flow: Mapping[str, Any],
    role: Role,
    of_check: Mapping[str, Any],
    context: CheckContext,
) -> tuple[StepDefinition, ...]:
    tables = flow.get(role)
    if tables is None:
        return ()
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        cursor.at(role).report(f"write each {role} of a flow as [[check.{role}]], not as {describe(tables)}")
        return ()
    seen: dict[str, None] = {}
    steps = []
    for number, (table, name) in enumerate(zip(tables, step_names(tables), strict=True)):
        here = step_cursor(cursor, role, number, table)
        if "${" in name:
            here.at("name").report("the name of a step has no ${…}, because other steps refer to it; write it in full")
        if name in seen:
            here.at("name").report(f'another {role} of this flow is also named "{name}"; names must be unique')
        seen[name] = None
        if role == "cleanup" and "undo" in table:
            here.at("undo").report('"undo" is not allowed in a cleanup')
        if role == "cleanup" and "repeat" in table:
            here.at("repeat").report('"repeat" is not allowed in a cleanup; use "poll" to wait for something')
        _check_precondition(here.at("precondition"), table, role, tables[:number])
        _check_repeat(here.at("repeat", "after"), table.get("repeat"), [each for each in seen if each != name])
        step = _step(here, with_flow_keys(flow, table), name, role, of_check, context)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def undo_table(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a step's `undo`, completed by the keys of the step that name its target."""
    undo: Mapping[str, Any] = step["undo"]
    same = undo.get("type", step.get("type")) == step.get("type")
    names = ("type", "account", "region", "for_each", *(_TARGET.get(str(step.get("type")), ()) if same else ()))
    return {**{name: step[name] for name in names if name in step}, **undo}


_TARGET = {
    "aws": ("service",),
    "dynamodb": ("table",),
    "http": ("url", "auth", "verify_tls", "proxy", "client_certificate", "address_family"),
    "lambda": ("function", "qualifier"),
    "redis": ("url",),
    "s3": ("bucket", "key"),
    "sql": ("url",),
    "sqs": ("queue",),
}
"""Type → keys that name what a request changes."""


def undo_cursor(cursor: TomlCursor, number: int, table: Any) -> TomlCursor:
    """Return the cursor of the `undo` of one step of the check at `cursor`."""
    step = step_cursor(cursor, "step", number, table)
    return step.at("undo").named(f"{step.label}, undo")


def _undos(
    cursor: TomlCursor,
    flow: Mapping[str, Any],
    steps: Sequence[StepDefinition],
    of_check: Mapping[str, Any],
    context: CheckContext,
) -> Iterator[StepDefinition]:
    reads = {step.name for step in steps if not step.mutates}
    tables = flow.get("step")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return
    for number, (table, name) in enumerate(zip(tables, step_names(tables), strict=True)):
        if not isinstance(table.get("undo"), dict) or table.get("type") == "wait":
            continue
        here = undo_cursor(cursor, number, table)
        if name in reads:
            here.report("there is nothing to undo, because this step changes nothing; it would never run")
        for key in ("name", "repeat", "precondition", "undo"):
            if key in table["undo"]:
                here.at(key).report(f'"{key}" is not allowed in an undo')
        undo = _step(here, with_flow_keys(flow, undo_table(table)), f"undo {name}", "cleanup", of_check, context)
        if undo is not None:
            yield replace(undo, undoes=name)


def _check_precondition(cursor: TomlCursor, table: Any, role: Role, earlier: Sequence[Mapping[str, Any]]) -> None:
    if table.get("precondition") is not True:
        return
    if role == "cleanup":
        cursor.report('"precondition" is not allowed in a cleanup, which always runs')
    elif table.get("type") == "wait":
        cursor.report('"precondition" is not allowed here: type "wait" has no response')
    elif table.get("mutates") is True:
        cursor.report('"precondition" is not allowed on a step that changes something: it decides whether to begin')
    elif any(step.get("precondition") is not True for step in earlier):
        cursor.report('"precondition" must be on the first steps: a check that has begun is not skipped')
    elif "expect" not in table:
        cursor.report('"precondition" needs an "expect", which decides whether the check runs')


def _check_repeat(cursor: TomlCursor, repeat: Any, earlier: Collection[str]) -> None:
    after = repeat.get("after") if isinstance(repeat, dict) else None
    if isinstance(after, str) and "${" not in after and after not in earlier:
        hint = did_you_mean(after, earlier) or f"; steps before this one: {listing(earlier)}"
        cursor.report(f'"after" must name an earlier step, not "{after}"{hint}')


def _step(
    cursor: TomlCursor,
    table: Mapping[str, Any],
    name: str,
    role: Role,
    of_check: Mapping[str, Any],
    context: CheckContext,
) -> StepDefinition | None:
    spec = spec_of(cursor, table)
    right = read_common(cursor, table, _NAMES, STEP, context)
    if spec is None:
        read_untyped(cursor, right)
        return None
    if not spec.needs_probe and spec.type != "wait":
        cursor.at("type").report(f'type "{spec.type}" cannot be a {role} of a flow, only a check')
        return None
    if spec.type == "wait":
        for key in (*RESPONSE_KEYS, "repeat", "undo"):
            if key in table:
                cursor.at(key).report(f'"{key}" is not allowed here: type "wait" has no response')
    params = fill_quiet_for(cursor, read_params(cursor, table, spec, role), spec, context.statics)
    # A precondition changes nothing, whatever the flow does after it.
    of_flow = None if right.get("precondition") else of_check.get("mutates")
    written = right.get("mutates", of_flow)
    changes = check_mutation(cursor, params, spec, written)
    inherited = {key: of_check[key] for key in _FOR_ALL_STEPS if of_check.get(key) is not None}
    if spec.type != ATTESTED:
        inherited.pop("attest", None)
    right = {**inherited, **right}
    if written is not None and (changes or may_write(spec)):
        right["mutates"] = written
    return read_request(cursor, right, params, spec, name=name, type_=spec.type)
