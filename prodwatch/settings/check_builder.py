"""Builds a `CheckDefinition` from one check's table with defaults applied, and reports every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.model.check import CheckDefinition, StepDefinition
from prodwatch.model.spec import ProbeSpec
from prodwatch.settings.check_ids import case_label, case_suffix, is_id, slug
from prodwatch.settings.check_keys import CHECK, FLOW_ONLY_IN_STEPS, RESPONSE_KEYS, STEP
from prodwatch.settings.expressions import Fields, fields_of, read_assertions
from prodwatch.settings.flow_builder import read_flow
from prodwatch.settings.load_time_values import fill_known
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.read_shared_keys import CheckContext, read_common
from prodwatch.settings.step_builder import (
    check_mutation,
    duration,
    fill_quiet_for,
    read_params,
    read_request,
    read_untyped,
    spec_of,
    swallowed_key_hint,
)
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.value_types import describe, parse_date, plain, texts

COMPOSITES = frozenset({"all", "any", "none"})
FIXED = frozenset({"pass", "fail", "skip"})
_MATRIX = re.compile(r"\$\{\s*matrix\b[^}]*\}")
_CHECK_NAMES = frozenset(key.name for key in CHECK)
_STEP_NAMES = frozenset(key.name for key in STEP)


def read_check(
    cursor: TomlCursor, table: Mapping[str, Any], case: dict[str, Any], prefix: str, context: CheckContext
) -> CheckDefinition | None:
    """Build the check of one matrix case; None when it has no name. Mistakes are reported."""
    spec = spec_of(cursor, table)
    right = read_common(cursor, table, _CHECK_NAMES, CHECK, context)
    named = _names(cursor, table, right, case, prefix)
    if spec is None:
        read_untyped(cursor, right)
        # Kept as a target, so that valid references to it are not reported as well.
        return (
            CheckDefinition(id=named[0], name=named[1], title=named[2], type="", source=cursor.position)
            if named
            else None
        )
    params = fill_quiet_for(cursor, read_params(cursor, table, spec, "check"), spec, context.statics)
    _check_expectations(cursor, table, spec)
    is_flow = spec.type == "flow"
    steps, cleanup, mutates = (
        read_flow(cursor, table, right, context) if is_flow else _plain(cursor, right, params, spec)
    )
    if named is None:
        return None
    own_words, fields = is_flow or spec.type in COMPOSITES, Fields(fields_of(spec))
    return CheckDefinition(
        id=named[0],
        name=named[1],
        title=named[2],
        kind=right.get("kind", "smoke"),
        type=spec.type,
        source=cursor.position,
        tags=texts(right.get("tags", ())),
        owner=right.get("owner"),
        environments=_environments(cursor.at("environments"), right, context),
        enabled=right.get("enabled", True),
        critical=right.get("critical", False),
        advisory=right.get("advisory", False),
        mutates=mutates,
        serial=fill_known(right["serial"], context.statics) if "serial" in right else None,
        needs=texts(right.get("needs", ())),
        requires=texts(right.get("requires", ())),
        diagnose=texts(right.get("diagnose", ())),
        of=_members(cursor.at("of"), params) if spec.type in COMPOSITES else (),
        timeout_s=duration(right, "timeout") if is_flow else None,
        every_s=duration(right, "every"),
        vantage=texts(right.get("vantage", ())),
        links=_links(cursor.at("links"), right.get("links", {})),
        muted_until=_muted_until(cursor.at("muted_until"), right.get("muted_until")),
        matrix=case,
        vars=plain(right.get("vars", {})),
        expect=read_assertions(cursor.at("expect"), right.get("expect", ()), fields) if own_words else (),
        warn=read_assertions(cursor.at("warn"), right.get("warn", ()), fields) if own_words else (),
        steps=steps,
        cleanup=cleanup,
    )


def _names(
    cursor: TomlCursor, table: Mapping[str, Any], right: Mapping[str, Any], case: dict[str, Any], prefix: str
) -> tuple[str, str, str] | None:
    """Return id, name and title; None when the check has no name."""
    name = right.get("name")
    if name is None:
        return None
    if not name.strip():
        cursor.at("name").report('"name" is empty')
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
            cursor.at("name").report(f'"{name}" has no letter or digit to derive an id from; add an "id"')
        return "/".join(filter(None, (prefix, own))) + case_suffix(case), shown, title
    if not is_id(id_):
        cursor.at("id").report(
            f'"{id_}" is not a valid id; use letters, digits, ".", "-" and "_", in parts joined by "/"'
        )
    return (id_ if _names_case(table["id"]) else id_ + case_suffix(case)), shown, title


def _names_case(text: str) -> bool:
    return bool(_MATRIX.search(text))


_REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(FIXED, (RESPONSE_KEYS, "sends no request and has no response")),
    **dict.fromkeys(COMPOSITES, (FLOW_ONLY_IN_STEPS, "sends no request itself")),
    "flow": (FLOW_ONLY_IN_STEPS, "sends no request itself; its steps do"),
}


def _check_expectations(cursor: TomlCursor, table: Mapping[str, Any], spec: ProbeSpec) -> None:
    """Report keys about a response that the type does not have, and a missing or empty `expect`."""
    if spec.type == "wait":
        cursor.at("type").report('type "wait" is only valid as a step of a flow; write it as [[check.step]]')
        return
    refused, why = _REFUSED.get(spec.type, ((), ""))
    for name in refused:
        if name in table:
            cursor.at(name).report(f'"{name}" is not allowed here: type "{spec.type}" {why}')
    quiet = bool(spec.quiet_expect) and "quiet_for" in table
    if spec.needs_probe and "expect" not in table and not quiet:
        hint = (
            swallowed_key_hint(cursor, table, "expect")
            or f"; add at least one assertion, such as {_an_expectation(spec)}"
        )
        cursor.report(f'"expect" is missing{hint}')
    if table.get("expect") in ("", []):
        cursor.at("expect").report('"expect" is empty: a check without expectations would always be green')


def _an_expectation(spec: ProbeSpec) -> str:
    example = re.search(r'^expect = \["[^"]*"', spec.example, re.MULTILINE)
    return f"{example[0]}]" if example else 'expect = ["… exists"]'


def _plain(
    cursor: TomlCursor, right: dict[str, Any], params: dict[str, Any], spec: ProbeSpec
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    changes = check_mutation(cursor, params, spec, right.get("mutates"))
    if spec.type in COMPOSITES:
        right = {name: value for name, value in right.items() if name not in {"expect", "warn"}}
    step = read_request(cursor, right, params, spec, name=spec.type, type_=spec.type)
    return (step,), (), right.get("mutates", changes)


def _members(cursor: TomlCursor, params: Mapping[str, Any]) -> tuple[str, ...]:
    written = params.get("of")
    if not isinstance(written, list):
        return ()
    if not written:
        cursor.report('"of" is empty; name at least one check')
    for index, each in enumerate(written):
        if not isinstance(each, str):
            cursor.at(index).report(f"a member must be the id or name of a check, not {describe(each)}")
    return tuple(each for each in written if isinstance(each, str))


def _environments(cursor: TomlCursor, right: Mapping[str, Any], context: CheckContext) -> tuple[str, ...]:
    names = texts(right.get("environments", ()))
    for index, name in enumerate(names):
        if context.environments and name not in context.environments:
            hint = did_you_mean(name, context.environments) or f"; environments: {listing(context.environments)}"
            cursor.at(index).report(f'there is no environment "{name}"{hint}')
    return names


def _links(cursor: TomlCursor, written: Mapping[str, Any]) -> dict[str, str]:
    for title, url in written.items():
        if not isinstance(url, str):
            cursor.at(title).report(f"a link must be a URL in quotes, not {describe(url)}")
    return {title: url for title, url in written.items() if isinstance(url, str)}


def _muted_until(cursor: TomlCursor, written: Any) -> str | None:
    if written is None:
        return None
    try:
        return parse_date("muted_until", written)
    except ValueError as error:
        cursor.report(str(error))
        return None
