"""Validates one TOML table against its known keys: reports mistakes and returns the valid entries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from prodwatch.model.spec import Key
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.text_conversion import FilledText, fit
from prodwatch.settings.value_types import describe, problem_with


def read_table(
    cursor: TomlCursor,
    data: Any,
    keys: tuple[Key, ...],
    *,
    references: bool = False,
    hint: Callable[[str], str | None] = lambda _name: None,
    near: Collection[str] = (),
) -> dict[str, Any]:
    """Return the entries of `data` with a known key and a valid value; report all others and missing required keys.

    `references` allows `${…}` in place of values. `hint` returns the message for an unknown key, None for the usual
    one; `near` are further names for suggestions. A value that is not a table is reported and read as empty.
    """
    if not isinstance(data, dict):
        cursor.report(f"must be a table of keys, not {describe(data)}")
        return {}
    known = {key.name: key for key in keys}
    right: dict[str, Any] = {}
    for name, raw in data.items():
        key = known.get(name)
        if key is None:
            cursor.at(name).report(hint(name) or f'unknown key "{name}"{did_you_mean(name, (*known, *near))}')
            continue
        value = convert_filled(key, raw)
        problem = problem_with(key, value, references=references)
        if problem is not None:
            cursor.at(name).report(problem)
            continue
        nested = bool(key.keys) and isinstance(value, dict)
        here = cursor.at(name)
        inside = here.named(f"{here.label}, {name}" if here.label else name)
        right[name] = read_table(inside, value, key.keys, references=references) if nested else value
    for key in keys:
        if key.required and key.name not in data:
            cursor.report(f'"{key.name}" is missing')
    return right


def convert_filled(key: Key, value: Any) -> Any:
    """Return a filled text converted to the kind of `key` if possible; any other value unchanged."""
    if not isinstance(value, FilledText) or key.kind == "any":
        return value
    try:
        return fit(key, str(value))
    except ValueError:
        return str(value)


def check_groups(
    cursor: TomlCursor,
    data: Mapping[str, Any],
    *,
    one_of: Sequence[Sequence[str]] = (),
    at_most_one: Sequence[Sequence[str]] = (),
) -> None:
    """Report groups of keys with no key present, or with more than one."""
    for group in one_of:
        if not any(name in data for name in group):
            cursor.report(f"{_either(group)} is missing")
    for group in at_most_one:
        written = [name for name in group if name in data]
        if len(written) > 1:
            cursor.at(written[1]).report(f"only one of {_either(written)} is allowed")


def _either(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return " or ".join((", ".join(quoted[:-1]), quoted[-1])) if len(quoted) > 1 else quoted[0]
