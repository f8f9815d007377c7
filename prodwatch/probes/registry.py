"""Finds the spec and the probe of a check type by name, importing only that type."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prodwatch.model.spec import ProbeSpec

if TYPE_CHECKING:
    from prodwatch.probes.base import Preparation, Probe

GROUP = "prodwatch.probes"

BUILT_IN = {
    name: f"prodwatch.probes.{folder}"
    for folder, names in {
        "http": "http",
        "tcp": "tcp",
        "tls": "tls",
        "dns": "dns",
        "ping": "ping",
        "smtp": "smtp",
        "lambda_": "lambda",
        "sqs": "sqs",
        "dynamodb": "dynamodb",
        "s3": "s3",
        "aws": "aws",
        "logs": "logs",
        "traces": "traces",
        "metric": "metric",
        "alarm": "alarm",
        "stack": "stack",
        "release": "release",
        "sql": "sql",
        "redis": "redis",
        "command": "command",
        "flow": "flow wait",
        "composite": "all any none",
        "fixed": "pass fail skip",
    }.items()
    for name in names.split()
}
"""Type → package; a package's `spec` module holds `SPECS`, its `probe` module `probe`."""


def names() -> list[str]:
    """Return every known type, built-in ones first, each group in alphabetical order."""
    others = sorted(set(_external()) - set(BUILT_IN))
    return [*sorted(BUILT_IN), *others]


@cache
def spec(type_: str) -> ProbeSpec | None:
    """Return the spec of `type_`; None for an unknown type."""
    package = _package(type_)
    if package is None:
        return None
    specs: tuple[ProbeSpec, ...] = import_module(f"{package}.spec").SPECS
    return next((each for each in specs if each.type == type_), None)


@cache
def probe(type_: str) -> Probe:
    """Load and return the probe of `type_`. Raises KeyError for an unknown type."""
    package = _package(type_)
    if package is None:
        raise KeyError(type_)
    loaded: Probe = import_module(f"{package}.probe").probe
    return loaded


def preparation(probe: Probe) -> Preparation | None:
    """Return the `prepare` of the module that defines `probe`; None when it has none."""
    preparation: Preparation | None = getattr(sys.modules.get(getattr(probe, "__module__", "")), "prepare", None)
    return preparation


def warm(steps: Iterable[tuple[str, Mapping[str, Any]]], fill: Callable[[str], Any]) -> None:
    """Load what the built-in probes of these types and keys need, so that no import delays a measured request.

    `fill` returns a text with those of its references filled whose values are known before the run.
    """
    for type_, params in steps:
        load = _warm(type_)
        if load is not None:
            load(params, fill)


@cache
def _warm(type_: str) -> Callable[[Mapping[str, Any], Callable[[str], Any]], None] | None:
    """Return the `warm` of a built-in probe; None without one."""
    spec_of_type = spec(type_) if type_ in BUILT_IN else None
    if spec_of_type is None or not spec_of_type.needs_probe:
        return None
    return getattr(import_module(f"{BUILT_IN[type_]}.probe"), "warm", None)


def _package(type_: str) -> str | None:
    if type_ in BUILT_IN:
        return BUILT_IN[type_]
    return _external().get(type_)


@cache
def _external() -> dict[str, str]:
    # Reading installed metadata costs twenty milliseconds, so it happens only for a type we do not ship.
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}
