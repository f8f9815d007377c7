"""Converts filled values to the kind of a key, because stack outputs and environment variables are always text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Key, ProbeSpec
from prodwatch.settings.template_filters import TemplateFilterError, as_text
from prodwatch.settings.value_types import problem_with


class FilledText(str):
    """Text from a reference, which may be converted to a number or boolean, unlike text written in the file."""

    __slots__ = ()


def fit(key: Key, value: Any) -> Any:
    """Return `value` converted to the kind of `key`. Raises ValueError with one sentence.

    Only unambiguous conversions are made: text to a number, `true` and `false` to booleans, numbers to text.
    """
    if isinstance(value, str):
        value = _from_text(key.kind, value)
    elif (
        key.kind in {"text", "duration", "size", "share"}
        and not isinstance(value, dict | list | tuple | bool)
        and value is not None
    ):
        try:
            value = as_text(value)
        except TemplateFilterError as error:
            raise ValueError(f'"{key.name}" must be text: {error}') from error
    elif isinstance(value, tuple):
        value = list(value)
    problem = problem_with(key, value, references=False)
    if problem is not None:
        raise ValueError(problem)
    if key.keys and isinstance(value, dict):
        return _fit_table({each.name: each for each in key.keys}, value)
    return value


def fit_params(spec: ProbeSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's filled params, converted for its type's probe. Raises ValueError."""
    return _fit_table({key.name: key for key in spec.keys}, params)


def _fit_table(keys: Mapping[str, Key], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fit(keys[name], value) if name in keys else value for name, value in values.items()}


def _from_text(kind: str, text: str) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text) if any(mark in text for mark in ".eE") else int(text)
    except ValueError:
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text
