"""Reads one check file into drafts: complete checks whose references to each other are not resolved yet."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition
from prodwatch.settings.check_builder import read_check
from prodwatch.settings.check_ids import matrix_cases, row_name
from prodwatch.settings.check_keys import ATTESTED, CHECK, DEFAULTS, FLOW_ONLY_IN_STEPS
from prodwatch.settings.problems import Problems, TomlCursor
from prodwatch.settings.read_shared_keys import CheckContext
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.table_reader import read_table
from prodwatch.settings.value_types import describe

MOST_CASES = 1000
"""Largest number of cases of one matrix; a larger one is a mistake that would exhaust the memory."""
_NAMES = frozenset(key.name for key in CHECK)


class Draft(msgspec.Struct, frozen=True):
    """A check whose `needs`, `diagnose` and `of` are not resolved yet."""

    check: CheckDefinition
    cursor: TomlCursor
    name: str
    """Name as written, without the suffix of a matrix case."""
    number: int
    """Index of its `[[check]]` in the file; cases of one matrix share it."""
    table: Mapping[str, Any]
    """Table as written, merged over the file's defaults."""
    unset: Problems
    """Undefined variables in keys that are filled at load time; mistakes if the check runs."""


def read_check_file(top: TomlCursor, prefix: str, context: CheckContext) -> list[Draft]:
    """Return a draft per matrix case of every check of the file; mistakes are reported."""
    data = top.document.data
    for name in data:
        if name not in {"check", "defaults"}:
            top.at(name).report(_stray(name))
    defaults = _defaults(top.at("defaults"), data.get("defaults", {}))
    tables = data.get("check", [])
    if not isinstance(tables, list):
        top.at("check").report("write [[check]] with double brackets: a file contains a list of checks")
        return []
    drafts: list[Draft] = []
    for number, table in enumerate(tables):
        cursor = top.at("check", number)
        if isinstance(table, dict):
            drafts += _read_check(cursor, table, defaults, number, prefix, context)
        else:
            cursor.report(f"a check must be a table, written as [[check]], not {describe(table)}")
    return drafts


def _stray(name: str) -> str:
    if name in _NAMES:
        return f'"{name}" is written above the first [[check]]; move it below one, or to [defaults]'
    hint = did_you_mean(name, ("check", "defaults"))
    return f'unknown table or key "{name}"{hint}; a check file contains [defaults] and [[check]]'


def _defaults(cursor: TomlCursor, written: Any) -> dict[str, Any]:
    def hint(name: str) -> str | None:
        return f'"{name}" cannot have a default; write it in each check' if name in _NAMES else None

    return read_table(cursor.named("[defaults]"), written, DEFAULTS, references=True, hint=hint)


def _with_defaults(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the check's table merged over the defaults: tables key by key, other values replaced."""
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
    cursor: TomlCursor,
    table: dict[str, Any],
    defaults: Mapping[str, Any],
    number: int,
    prefix: str,
    context: CheckContext,
) -> list[Draft]:
    name = table.get("name")
    cursor = cursor.named(f'check "{name}"' if isinstance(name, str) else f"check {number + 1}")
    merged = _with_defaults(table, defaults)
    cursor = cursor.inheriting(name for name in merged if name not in table)
    matrix = _matrix(cursor.at("matrix"), merged.get("matrix", {}))
    vars_ = merged.get("vars", {})
    drafts = []
    for case in matrix_cases(matrix):
        unset = Problems()
        statics = context.statics.within(vars_ if isinstance(vars_, dict) else {}, case, unset)
        check = read_check(cursor, merged, case, prefix, replace(context, statics=statics))
        if check is not None:
            drafts.append(Draft(check, cursor, name if isinstance(name, str) else "", number, merged, unset))
    return drafts


def _values_problem(values: list[Any]) -> str | None:
    """Return why the values of one name of a matrix cannot name cases; None when they can."""
    tables = [value for value in values if isinstance(value, dict)]
    if any(isinstance(value, list) for value in values) or 0 < len(tables) < len(values):
        return "must hold plain values (texts, numbers, true or false), or tables only"
    number = next((n for n, row in enumerate(tables, 1) if row_name(row) is None), None)
    if number is not None:
        return f'needs a "name" or another plain value in table {number}, from which the id of its case is made'
    return None


def _matrix(cursor: TomlCursor, written: Any) -> dict[str, list[Any]]:
    if not isinstance(written, dict):
        return {}  # reported with the other keys
    matrix = {}
    for name, values in written.items():
        if not isinstance(values, list) or not values:
            cursor.at(name).report(f'matrix "{name}" must be a list of one value or more, not {describe(values)}')
        elif problem := _values_problem(values):
            cursor.at(name).report(f'matrix "{name}" {problem}')
        else:
            matrix[name] = values
    count = prod(map(len, matrix.values()))
    if count > MOST_CASES:
        cursor.report(f"the matrix has {count:,} cases; at most {MOST_CASES:,} are allowed")
        return {}
    return matrix
