"""Finds the project and the environment for a working directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.settings.suggestions import did_you_mean, listing

DEMO = "demo"


class ProjectLocation(msgspec.Struct, frozen=True):
    """A project's root and the name of one of its environments."""

    root: Path
    env: str


def find_project(start: Path, *, root: Path | None, env: str | None, environ: Mapping[str, str]) -> ProjectLocation:
    """Return the root that contains `config/<env>.toml`: `root`, else `start` or its nearest parent that has it.

    The environment is `env`, else PRODWATCH_ENV, else the only file in the nearest `config/`. `demo` is found
    everywhere. Raises ConfigurationError, which names the candidates.
    """
    start = start.absolute()
    roots = [root] if root is not None else [start, *start.parents]
    name = env or environ.get("PRODWATCH_ENV") or None
    if name is None:
        return _only_environment(roots)
    for folder in roots:
        if name in environments(folder):
            return ProjectLocation(folder, name)
    if name == DEMO and root is None:
        return ProjectLocation(demo_root(), DEMO)
    raise ConfigurationError(_unknown(name, roots, given=root is not None))


def environments(root: Path) -> list[str]:
    """Return the names of a project's environments, in alphabetical order; may be empty."""
    try:
        files = [each.name for each in (root / "config").iterdir() if each.suffix == ".toml" and each.is_file()]
    except OSError:
        return []
    return sorted(name.removesuffix(".toml") for name in files if not name.startswith("."))


def demo_root() -> Path:
    """Return the root of the demo shop's project: inside the wheel, or the repository's own."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "demo" / "project"
    return shipped if (shipped / "config").is_dir() else package.parent


def _only_environment(roots: list[Path]) -> ProjectLocation:
    for root, names in _projects(roots):
        if len(names) == 1:
            return ProjectLocation(root, names[0])
        raise ConfigurationError(
            f"{root / 'config'} has several environments, {listing(names)}: choose one with --env or PRODWATCH_ENV"
        )
    raise ConfigurationError(
        f"no config/*.toml in {roots[0]}{' or above it' if len(roots) > 1 else ''}: "
        f"create one (prodwatch schema environment prints its keys), or try prodwatch --env demo"
    )


def _projects(roots: list[Path]) -> Iterator[tuple[Path, list[str]]]:
    for root in roots:
        names = environments(root)
        if names:
            yield root, names


def _unknown(name: str, roots: list[Path], *, given: bool) -> str:
    for root, names in _projects(roots):
        known = (*names, DEMO)
        return f'there is no environment "{name}"{did_you_mean(name, known)}; {root / "config"} has {listing(names)}'
    where = str(roots[0]) if given else f"{roots[0]} or above it"
    return (
        f'there is no environment "{name}": no config/*.toml in {where}; create config/{name}.toml '
        f"(prodwatch schema environment prints its keys), or try prodwatch --env demo"
    )
