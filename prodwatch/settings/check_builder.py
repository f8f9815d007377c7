"""One check's table, defaults applied, into a `CheckDefinition`; every mistake in it reported on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.model.check import CheckDefinition, StepDefinition
from prodwatch.model.spec import ProbeSpec
from prodwatch.settings.check_keys import CHECK, FLOW_ONLY_IN_STEPS, NO_ANSWER, STEP
from prodwatch.settings.expressions import fields_of, read_assertions
from prodwatch.settings.flow_builder import read_flow
from prodwatch.settings.problems import Spot
from prodwatch.settings.shared_keys import Surroundings, read_common
from prodwatch.settings.slugs import case_label, case_suffix, is_id, slug
from prodwatch.settings.step_builder import (
    check_mutation,
    duration,
    read_params,
    read_request,
    read_untyped,
    spec_of,
    stranded,
)
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.value_types import describe, moment, plain, texts

COMPOSITES = frozenset({"all", "any", "none"})
FIXED = frozenset({"pass", "fail", "skip"})
_MATRIX = re.compile(r"\$\{\s*matrix\b[^}]*\}")
_CHECK_NAMES = frozenset(key.name for key in CHECK)
_STEP_NAMES = frozenset(key.name for key in STEP)


def read_check(
    spot: Spot, table: Mapping[str, Any], case: dict[str, Any], prefix: str, around: Surroundings
) -> CheckDefinition | None:
    """Return the check of one case of a matrix, or None when it has no name; what is wrong with it is reported."""
    spec = spec_of(spot, table)
    right = read_common(spot, table, _CHECK_NAMES, CHECK, around)
    named = _names(spot, table, right, case, prefix)
    if spec is None:
        read_untyped(spot, right)
        # Nothing more can be said of it, but others may refer to it and have made no mistake.
        return (
            CheckDefinition(id=named[0], name=named[1], title=named[2], type="", source=spot.position)
            if named
            else None
        )
    params = read_params(spot, table, spec, "check")
    _check_expectations(spot, table, spec)
    is_flow = spec.type == "flow"
    steps, cleanup, mutates = read_flow(spot, table, right, around) if is_flow else _plain(spot, right, params, spec)
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
        expect=read_assertions(spot.at("expect"), right.get("expect", ()), fields_of(spec)) if own_words else (),
        warn=read_assertions(spot.at("warn"), right.get("warn", ()), fields_of(spec)) if own_words else (),
        steps=steps,
        cleanup=cleanup,
    )


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
        hint = stranded(spot, table, "expect") or f": a check says what must be true, such as {_an_expectation(spec)}"
        spot.report(f'"expect" is missing{hint}')
    if table.get("expect") in ("", []):
        spot.at("expect").report('"expect" is empty: a check without expectations would be green whatever happens')


def _an_expectation(spec: ProbeSpec) -> str:
    example = re.search(r'^expect = \["[^"]*"', spec.example, re.MULTILINE)
    return f"{example[0]}]" if example else 'expect = ["… exists"]'


def _plain(
    spot: Spot, right: dict[str, Any], params: dict[str, Any], spec: ProbeSpec
) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...], bool]:
    changes = check_mutation(spot, params, spec, right.get("mutates"))
    if spec.type in COMPOSITES:
        right = {name: value for name, value in right.items() if name not in {"expect", "warn"}}
    step = read_request(spot, right, params, spec, name=spec.type, type_=spec.type)
    return (step,), (), right.get("mutates", changes)


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
        return moment("muted_until", written)
    except ValueError as error:
        spot.report(str(error))
        return None
