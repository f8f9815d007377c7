"""No room's modules import each other in a cycle; imports inside functions and under TYPE_CHECKING count as well."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import prodwatch

ROOT = Path(prodwatch.__file__).parent
ROOMS = sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())


def modules_of(room: str) -> dict[str, Path]:
    """Return module name → file for every module of a room."""
    modules = {}
    for path in (ROOT / room).rglob("*.py"):
        parts = ("prodwatch", *path.relative_to(ROOT).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules of the room that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in modules else node.module)
    return names & set(modules)


def cycles_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules that remain after repeatedly removing those that import nothing that remains."""
    remaining = {name: set(imports) for name, imports in graph.items()}
    while True:
        leaves = {name for name, imports in remaining.items() if not imports & set(remaining) - {name}}
        if not leaves:
            return sorted(remaining)
        for name in leaves:
            del remaining[name]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_no_import_cycle(room: str) -> None:
    modules = modules_of(room)
    assert not cycles_in({name: imports_of(path, modules) for name, path in modules.items()})


def test_a_cycle_is_found() -> None:
    assert cycles_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
