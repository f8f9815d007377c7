"""Reads assertions and paths in files, and maps their errors to the position in the file."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prodwatch.assertions import AssertionSyntaxError, parse, parse_path
from prodwatch.model.spec import ProbeSpec
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.value_types import texts

Fields = Collection[str] | None
"""First path elements that a document can have; None: any."""


def fields_of(spec: ProbeSpec) -> Fields:
    """Return the fields that a response of this type can have; None: any.

    Another field is reported as a mistake, because a misspelt one would make `absent` always true.
    """
    named = {field.name.split(".")[0].split("[")[0] for field in spec.fields}
    if not named or "*" in named:
        return None
    return named | {"error"} if spec.service else named


def read_assertions(cursor: TomlCursor, value: str | Sequence[str], fields: Fields = None) -> tuple[str, ...]:
    """Return one or several assertions as a tuple; syntax errors and unknown fields are reported."""
    if not value:
        return ()  # callers report an empty value where it is not allowed
    if isinstance(value, str):
        _report_assertion(cursor, value, fields)
    else:
        for index, source in enumerate(value):
            _report_assertion(cursor.at(index), source, fields)
    return texts(value)


def read_path(cursor: TomlCursor, source: str, fields: Fields = None) -> str:
    """Return the path; a syntax error or an unknown field is reported."""
    try:
        path = parse_path(source)
    except AssertionSyntaxError as error:
        _report(cursor, source, error)
    else:
        _report_fields(cursor, source, path.fields, fields)
    return source


def _report_assertion(cursor: TomlCursor, source: str, fields: Fields) -> None:
    try:
        assertion = parse(source)
    except AssertionSyntaxError as error:
        _report(cursor, source, error)
    else:
        _report_fields(cursor, source, assertion.fields, fields)


def _report(cursor: TomlCursor, source: str, error: AssertionSyntaxError) -> None:
    cursor.report_inside(f"cannot read `{source}`: {error.message}", error.column)


def _report_fields(cursor: TomlCursor, source: str, named: Collection[str], known: Fields) -> None:
    if known is None:
        return
    for name in named:
        if name not in known:
            hint = did_you_mean(name, known) or f"; fields: {listing(sorted(known))}"
            cursor.report_inside(f'`{source}`: the response has no field "{name}"{hint}', source.find(name) + 1)
