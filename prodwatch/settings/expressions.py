"""Assertions and paths in files: parsed once, their errors mapped to the character in the file."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prodwatch.assertions import AssertionSyntaxError, parse, parse_path
from prodwatch.model.spec import ProbeSpec
from prodwatch.settings.problems import Spot
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.value_types import texts

Fields = Collection[str] | None
"""Leading fields a document can have; None: any."""


def fields_of(spec: ProbeSpec) -> Fields:
    """Return the fields that assertions on an answer of this type may begin with.

    A misspelt one would make `absent` true for ever, so it is a mistake and not just a missing field.
    """
    named = {field.name.split(".")[0].split("[")[0] for field in spec.fields}
    if not named or "*" in named:
        return None
    return named | {"error"} if spec.service else named


def read_assertions(spot: Spot, value: str | Sequence[str], fields: Fields = None) -> tuple[str, ...]:
    """Return one or several assertions as a tuple; those that cannot be parsed or speak of no field are reported."""
    if not value:
        return ()  # what is empty and must not be is reported where that is known
    if isinstance(value, str):
        _report_assertion(spot, value, fields)
    else:
        for index, source in enumerate(value):
            _report_assertion(spot.at(index), source, fields)
    return texts(value)


def read_path(spot: Spot, source: str, fields: Fields = None) -> str:
    """Return the path; one that cannot be parsed or speaks of no field is reported."""
    try:
        path = parse_path(source)
    except AssertionSyntaxError as error:
        _report(spot, source, error)
    else:
        _report_fields(spot, source, path.fields, fields)
    return source


def _report_assertion(spot: Spot, source: str, fields: Fields) -> None:
    try:
        assertion = parse(source)
    except AssertionSyntaxError as error:
        _report(spot, source, error)
    else:
        _report_fields(spot, source, assertion.fields, fields)


def _report(spot: Spot, source: str, error: AssertionSyntaxError) -> None:
    spot.report_inside(f"cannot read `{source}`: {error.message}", error.column)


def _report_fields(spot: Spot, source: str, named: Collection[str], known: Fields) -> None:
    if known is None:
        return
    for name in named:
        if name not in known:
            hint = did_you_mean(name, known) or f"; it has {listing(sorted(known))}"
            spot.report_inside(f'`{source}`: the answer has no field "{name}"{hint}', source.find(name) + 1)
