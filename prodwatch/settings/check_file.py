"""One check file as drafts: every check built, references between checks still as their author wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition
from prodwatch.settings.check_builder import read_check
from prodwatch.settings.check_keys import ATTESTED, CHECK, DEFAULTS, FLOW_ONLY_IN_STEPS
from prodwatch.settings.problems import Problems, Spot
from prodwatch.settings.shared_keys import Surroundings
from prodwatch.settings.slugs import cases
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.table_reader import read_table
from prodwatch.settings.value_types import describe

MOST_CASES = 1000
"""Of one matrix: more is a slip of the keyboard that would fill the memory."""
_NAMES = frozenset(key.name for key in CHECK)


class Draft(msgspec.Struct, frozen=True):
    """A check whose `needs`, `diagnose` and `of` are not resolved yet."""

    check: CheckDefinition
    spot: Spot
    name: str
    """As written, without what a matrix adds."""
    number: int
    """Of its `[[check]]` in the file: cases of one matrix share it."""
    table: Mapping[str, Any]
    """As written, over the file's defaults."""
    unset: Problems
    """What nothing defines, in keys that were filled at once: mistakes if the check runs."""


def read_check_file(top: Spot, prefix: str, around: Surroundings) -> list[Draft]:
    """Return a draft per case of every check of the file; all that is wrong with the file is reported."""
    data = top.document.data
    for name in data:
        if name not in {"check", "defaults"}:
            top.at(name).report(_stray(name))
    defaults = _defaults(top.at("defaults"), data.get("defaults", {}))
    tables = data.get("check", [])
    if not isinstance(tables, list):
        top.at("check").report("write [[check]] with double brackets: a file holds a list of checks")
        return []
    drafts: list[Draft] = []
    for number, table in enumerate(tables):
        spot = top.at("check", number)
        if isinstance(table, dict):
            drafts += _read_check(spot, table, defaults, number, prefix, around)
        else:
            spot.report(f"a check is a table written as [[check]], not {describe(table)}")
    return drafts


def _stray(name: str) -> str:
    if name in _NAMES:
        return f'"{name}" stands before the first [[check]]; move it below one, or under [defaults]'
    hint = did_you_mean(name, ("check", "defaults"))
    return f'unknown table or key "{name}"{hint}; a check file holds [defaults] and [[check]]'


def _defaults(spot: Spot, written: Any) -> dict[str, Any]:
    def hint(name: str) -> str | None:
        return f'"{name}" cannot have a default; write it in each check' if name in _NAMES else None

    return read_table(spot.named("[defaults]"), written, DEFAULTS, references=True, hint=hint)


def _with_defaults(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the check's table over the defaults: tables are merged key by key, anything else is replaced."""
    type_ = table.get("type")
    unfit = FLOW_ONLY_IN_STEPS if type_ == "flow" else () if type_ == ATTESTED else ("attest",)
    merged: dict[str, Any] = {key: value for key, value in defaults.items() if key not in unfit}
    for key, value in table.items():
        default = merged.get(key)
        if key in {"vars", "links"} and isinstance(default, dict) and isinstance(value, dict):
            merged[key] = {**default, **value}
        else:
            merged[key] = value
    return merged


def _read_check(
    spot: Spot, table: dict[str, Any], defaults: Mapping[str, Any], number: int, prefix: str, around: Surroundings
) -> list[Draft]:
    name = table.get("name")
    spot = spot.named(f'check "{name}"' if isinstance(name, str) else f"check {number + 1}")
    merged = _with_defaults(table, defaults)
    spot = spot.inheriting(name for name in merged if name not in table)
    matrix = _matrix(spot.at("matrix"), merged.get("matrix", {}))
    vars_ = merged.get("vars", {})
    drafts = []
    for case in cases(matrix):
        unset = Problems()
        statics = around.statics.within(vars_ if isinstance(vars_, dict) else {}, case, unset)
        check = read_check(spot, merged, case, prefix, replace(around, statics=statics))
        if check is not None:
            drafts.append(Draft(check, spot, name if isinstance(name, str) else "", number, merged, unset))
    return drafts


def _matrix(spot: Spot, written: Any) -> dict[str, list[Any]]:
    if not isinstance(written, dict):
        return {}  # reported with the other keys
    matrix = {}
    for name, values in written.items():
        if not isinstance(values, list) or not values:
            spot.at(name).report(f'matrix "{name}" must be a list of one value or more, not {describe(values)}')
        elif any(isinstance(value, dict | list) for value in values):
            spot.at(name).report(f'matrix "{name}" must hold plain values: texts, numbers, true or false')
        else:
            matrix[name] = values
    count = prod(map(len, matrix.values()))
    if count > MOST_CASES:
        spot.report(f"the matrix unfolds into {count:,} cases; {MOST_CASES:,} are allowed")
        return {}
    return matrix
