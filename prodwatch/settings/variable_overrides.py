"""`--var name=value`: text of the command line in place of a variable of the environment file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Key, KeyKind
from prodwatch.settings.problems import Spot
from prodwatch.settings.template import literal
from prodwatch.settings.text_conversion import fit


def override(spot: Spot, written: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """Return the variables with the overrides in place, converted to the type of what they replace.

    An override is plain text: `${…}` in it means itself.
    """
    replaced = dict(written)
    for name, text in overrides.items():
        kind = _kind(written.get(name))
        try:
            value = fit(Key(name=name, kind=kind, doc=""), text)
        except ValueError as error:
            spot.problems.add(None, f"--var {name}={text}: {error}")
            continue
        replaced[name] = literal(value) if isinstance(value, str) else value
    return replaced


def _kind(value: Any) -> KeyKind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "text"
