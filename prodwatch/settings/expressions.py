"""Assertions and paths in files: parsed once, their errors mapped to the character in the file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from prodwatch.assertions import AssertionSyntaxError, parse, parse_path
from prodwatch.settings.kinds import texts
from prodwatch.settings.problems import Spot


@lru_cache(maxsize=8192)
def _assertion_problem(source: str) -> tuple[str, int] | None:
    try:
        parse(source)
    except AssertionSyntaxError as error:
        return error.message, error.column
    return None


@lru_cache(maxsize=8192)
def _path_problem(source: str) -> tuple[str, int] | None:
    try:
        parse_path(source)
    except AssertionSyntaxError as error:
        return error.message, error.column
    return None


def read_assertions(spot: Spot, value: str | Sequence[str]) -> tuple[str, ...]:
    """Return one or several assertions as a tuple; those that cannot be parsed are reported."""
    if isinstance(value, str):
        _report(spot, _assertion_problem(value), value)
    else:
        for index, source in enumerate(value):
            _report(spot.at(index), _assertion_problem(source), source)
    return texts(value)


def read_path(spot: Spot, source: str) -> str:
    """Return the path; one that cannot be parsed is reported."""
    _report(spot, _path_problem(source), source)
    return source


def _report(spot: Spot, problem: tuple[str, int] | None, source: str) -> None:
    if problem is not None:
        spot.report_inside(f"cannot read `{source}`: {problem[0]}", problem[1])
