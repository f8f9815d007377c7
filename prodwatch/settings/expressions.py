"""Reads assertions and paths in files, and maps their errors to the position in the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from prodwatch.assertions import AssertionSyntaxError, parse, parse_path
from prodwatch.assertions.errors import PathError
from prodwatch.assertions.patterns import compile_pattern
from prodwatch.model.spec import OneOfSeveral, ProbeSpec
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.template import TemplateSyntaxError, parse_template
from prodwatch.settings.value_types import texts


class Fields(msgspec.Struct, frozen=True):
    """First path elements that an assertion or a capture may read."""

    names: Collection[str] | None = None
    """All that a document can have; None: any."""
    one_of_several: Mapping[str, OneOfSeveral] = {}
    """Those among them that decide nothing for the other elements."""


ANY = Fields()


def fields_of(spec: ProbeSpec) -> Collection[str] | None:
    """Return the fields that a response of this type can have; None: any.

    Another field is reported as a mistake, because a misspelt one would make `absent` always true.
    """
    named = {field.name.split(".")[0].split("[")[0] for field in spec.fields}
    if not named or "*" in named:
        return None
    return named | {"error"} if spec.service else named


def read_assertions(cursor: TomlCursor, value: str | Sequence[str], fields: Fields = ANY) -> tuple[str, ...]:
    """Return one or several assertions as a tuple; syntax errors and unknown fields are reported."""
    if not value:
        return ()  # callers report an empty value where it is not allowed
    if isinstance(value, str):
        _report_assertion(cursor, value, fields)
    else:
        for index, source in enumerate(value):
            _report_assertion(cursor.at(index), source, fields)
    return texts(value)


def read_path(cursor: TomlCursor, source: str, fields: Fields = ANY) -> str:
    """Return the path; a syntax error or an unknown field is reported."""
    try:
        path = parse_path(source)
    except AssertionSyntaxError as error:
        _report(cursor, source, error)
    else:
        _report_fields(cursor, source, path.fields, fields.names)
        for name in path.fields & fields.one_of_several.keys():
            one = fields.one_of_several[name]
            first = one.every.replace("[]", "[0]", 1)
            way_out = f"write `{_renamed(source, name, first)}` for the first"
            cursor.report_inside(f"`{source}`: `{name}` is only {one.what}; {way_out}", source.find(name) + 1)
    return source


def check_pattern(cursor: TomlCursor, source: str) -> None:
    """Report a text that is not a regular expression; each `${…}` in it counts as a word."""
    try:
        parts = parse_template(source).parts
    except TemplateSyntaxError:
        return  # reported with the other references
    try:
        compile_pattern("".join(part if isinstance(part, str) else "x" for part in parts))
    except PathError as error:
        cursor.report(str(error))


def _report_assertion(cursor: TomlCursor, source: str, fields: Fields) -> None:
    try:
        assertion = parse(source)
    except AssertionSyntaxError as error:
        _report(cursor, source, error)
    else:
        _report_fields(cursor, source, assertion.fields, fields.names)
        for name in assertion.fields & fields.one_of_several.keys():
            one = fields.one_of_several[name]
            if str(assertion.path) == name and assertion.operator in one.allowed and not assertion.quantifier:
                continue
            way_out = f"use `{one.every}` in its place"
            if str(assertion.path).startswith(name):
                claim = source.strip() if assertion.quantifier else f"all {source.strip()}"
                way_out = f"write `{_renamed(claim, name, one.every)}`"
            message = f"`{source}`: `{name}` is only {one.what}, which decides nothing for the others; {way_out}"
            cursor.report_inside(message, source.find(name) + 1)


def _renamed(source: str, name: str, path: str) -> str:
    """Return an expression with `path` for the field `name`."""
    return re.sub(rf"(?<![\w.]){re.escape(name)}\b", lambda _match: path, source, count=1)


def _report(cursor: TomlCursor, source: str, error: AssertionSyntaxError) -> None:
    cursor.report_inside(f"cannot read `{source}`: {error.message}", error.column)


def _report_fields(cursor: TomlCursor, source: str, named: Collection[str], known: Collection[str] | None) -> None:
    if known is None:
        return
    for name in named:
        if name not in known:
            hint = did_you_mean(name, known) or f"; fields: {listing(sorted(known))}"
            cursor.report_inside(f'`{source}`: the response has no field "{name}"{hint}', source.find(name) + 1)
