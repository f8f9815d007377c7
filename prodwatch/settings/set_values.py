"""Values of `--set KEY=VALUE`, which replace those of an environment's `[compare]` and `[rounds]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import tomli
from msgspec.structs import replace

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, ErrorComparison, LatencyComparison, SignatureLimits
from prodwatch.model.spec import Key
from prodwatch.settings.environment_file import build_values
from prodwatch.settings.environment_keys import SECTIONS
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.value_types import problem_with

_TABLES = ("compare", "rounds")
_LISTS = frozenset(("exclude", "known"))
"""Keys that need a file: their values are lists, which the other keys of the file go with."""
_KINDS: dict[str, type[msgspec.Struct]] = {
    "errors": ErrorComparison,
    "latency": LatencyComparison,
    "signatures": SignatureLimits,
}


class _WrongValueError(ValueError):
    """The text after `--set` cannot be used; the text is one sentence."""


def with_values(environment: Environment, assignments: Sequence[str]) -> Environment:
    """Return the environment with these values, each as `compare.errors.ratio=3`.

    Raises ConfigurationError with every problem; its line is the number of the option.
    """
    problems: list[Problem] = []
    for number, text in enumerate(assignments, 1):
        try:
            environment = _with_value(environment, text)
        except _WrongValueError as error:
            problems.append(Problem(SourcePosition("--set", number), str(error)))
    if problems:
        raise ConfigurationError(problems)
    return environment


def _with_value(environment: Environment, text: str) -> Environment:
    name, equals, written = text.partition("=")
    if not equals:
        raise _WrongValueError(f'"{text}" is not KEY=VALUE, such as compare.errors.ratio=3')
    path = name.strip().split(".")
    key = _key(path)
    value = _value(written.strip(), key)
    problem = problem_with(key, value, references=False)
    if problem is not None:
        raise _WrongValueError(f"{name.strip()}: {problem}")
    if path[0] == "rounds":
        return replace(environment, rounds=_changed(environment.rounds, path[1], value))
    if len(path) == 2 and path[1] in _KINDS:
        kind = None if value is False else _KINDS[path[1]]()
        return replace(environment, compare=replace(environment.compare, **{path[1]: kind}))
    if len(path) == 2:
        return replace(environment, compare=_changed(environment.compare, path[1], value))
    present = getattr(environment.compare, path[1]) or _KINDS[path[1]]()
    return replace(environment, compare=replace(environment.compare, **{path[1]: _changed(present, path[2], value)}))


def _key(path: Sequence[str]) -> Key:
    """Return the key at a dotted path."""
    keys = {each.name: each.keys for each in SECTIONS if each.name in _TABLES}.get(path[0])
    if keys is None or len(path) == 1:
        raise _WrongValueError(f'"{".".join(path)}" cannot be set; keys of [compare] and [rounds] can')
    key = None
    for depth, name in enumerate(path[1:], 2):
        names = [each.name for each in keys]
        key = next((each for each in keys if each.name == name), None)
        if key is None:
            raise _WrongValueError(f'unknown key "{".".join(path[:depth])}"{did_you_mean(name, names)}')
        keys = key.keys
    if key is None or key.name in _LISTS:
        raise _WrongValueError(f'"{".".join(path)}" is a list: set it in the file of the environment')
    return key


def _value(written: str, key: Key) -> Any:
    """Return the value as in TOML; a text needs no quotes."""
    try:
        value: Any = tomli.loads(f"value = {written}")["value"]
    except tomli.TOMLDecodeError:
        value = written
    if isinstance(value, dict):
        raise _WrongValueError(f'"{key.name}" is a table: set its keys, such as compare.errors.ratio=3')
    return value


def _changed(present: Any, name: str, value: Any) -> Any:
    """Return a table with one value changed."""
    built = build_values(type(present), {name: value})
    field = name if name in type(present).__struct_fields__ else f"{name}_s"
    return replace(present, **{field: getattr(built, field)})
