"""Notices about keys of an environment file that have no effect where they are written, or have moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prodwatch.assertions import parse
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import RELEASE_VERSION
from prodwatch.probes import registry
from prodwatch.settings.problems import TomlCursor

_MOVED = {("release", "signatures"): "[compare] signatures"}


def key_notices(top: TomlCursor) -> list[str]:
    """Return one sentence, with its position, for each written key that has no effect or is deprecated."""
    notices = _gates_without_assertions(top)
    for path, now in _MOVED.items():
        if _is_written(top, path):
            notices.append(f"{top.at(*path).position}: {_shown(path)} is deprecated; write {now} instead")
    return notices


def check_notices(checks: Iterable[CheckDefinition]) -> list[str]:
    """Return one sentence, with its position, for each step whose assertions prove less than they seem to."""
    notices = []
    for check in checks:
        for step in check.steps:
            spec = registry.spec(step.type)
            doubt = spec.doubt(step, _fields_of(step.expect)) if spec is not None else None
            if doubt is not None:
                notices.append(f'{step.source}: check "{check.name}": {doubt}')
    return list(dict.fromkeys(notices))


def _fields_of(assertions: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(parse(text).fields for text in assertions))


def _gates_without_assertions(top: TomlCursor) -> list[str]:
    tables = top.document.data.get("metric")
    return [
        f"{top.at('metric', number, 'gate').position}: gate has no effect: the metric has neither expect nor warn"
        for number, table in enumerate(tables if isinstance(tables, list) else ())
        if isinstance(table, dict)
        and table.get("gate") is True
        and not {"expect", "warn"} & table.keys()
        and not _names_the_version(table.get("dimensions"))
    ]


def _names_the_version(dimensions: object) -> bool:
    """Return whether the metric is compared between the versions of a release, which gates too."""
    texts = dimensions.values() if isinstance(dimensions, dict) else ()
    return any(isinstance(each, str) and RELEASE_VERSION.search(each) for each in texts)


def _is_written(top: TomlCursor, path: tuple[str, ...]) -> bool:
    value: Any = top.document.data
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _shown(path: tuple[str, ...]) -> str:
    return " ".join((f"[{path[0]}]", *path[1:]))
