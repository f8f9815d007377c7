"""Reads one TOML table against a table of keys: reports what is wrong, returns what is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from prodwatch.model.spec import Key
from prodwatch.settings.problems import Spot
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.text_conversion import Filled, fit
from prodwatch.settings.value_types import describe, problem_with


def read_table(
    spot: Spot,
    data: Any,
    keys: tuple[Key, ...],
    *,
    references: bool = False,
    hint: Callable[[str], str | None] = lambda _name: None,
    near: Collection[str] = (),
) -> dict[str, Any]:
    """Return the entries of `data` whose key is known and whose value is right; report all others.

    `references` lets `${…}` stand for values. `hint` may say more about an unknown key than that it is unknown, and
    `near` adds names to those a misspelt key is compared with. Something else than a table is reported and read as
    empty; keys that are required and missing are reported.
    """
    if not isinstance(data, dict):
        spot.report(f"a table of keys is expected here, not {describe(data)}")
        return {}
    known = {key.name: key for key in keys}
    right: dict[str, Any] = {}
    for name, raw in data.items():
        key = known.get(name)
        if key is None:
            spot.at(name).report(hint(name) or f'unknown key "{name}"{did_you_mean(name, (*known, *near))}')
            continue
        value = fitted(key, raw)
        problem = problem_with(key, value, references=references)
        if problem is not None:
            spot.at(name).report(problem)
            continue
        nested = bool(key.keys) and isinstance(value, dict)
        inside = spot.at(name).named(f"{spot.label}, {name}" if spot.label else name)
        right[name] = read_table(inside, value, key.keys, references=references) if nested else value
    for key in keys:
        if key.required and key.name not in data:
            spot.report(f'"{key.name}" is missing')
    return right


def fitted(key: Key, value: Any) -> Any:
    """Return what a reference brought as `key` wants it where it can be that; anything else as it is."""
    if not isinstance(value, Filled) or key.kind == "any":
        return value
    try:
        return fit(key, str(value))
    except ValueError:
        return str(value)


def check_groups(
    spot: Spot,
    data: Mapping[str, Any],
    *,
    one_of: Sequence[Sequence[str]] = (),
    at_most_one: Sequence[Sequence[str]] = (),
) -> None:
    """Report groups of keys of which none, or more than one, is written."""
    for group in one_of:
        if not any(name in data for name in group):
            spot.report(f"one of {_either(group)} is needed")
    for group in at_most_one:
        written = [name for name in group if name in data]
        if len(written) > 1:
            spot.at(written[1]).report(f"only one of {_either(written)} may be written")


def _either(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return " or ".join((", ".join(quoted[:-1]), quoted[-1])) if len(quoted) > 1 else quoted[0]
