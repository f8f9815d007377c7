"""A whole project, read and checked: one environment and every check that is for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.settings.build import Surroundings
from prodwatch.settings.checks import Draft, read_check_file
from prodwatch.settings.document import Document, read_document
from prodwatch.settings.environment import read_environment
from prodwatch.settings.environment_variables import follow_environment, names_of, report_circle
from prodwatch.settings.ids import file_prefix
from prodwatch.settings.locate import environments
from prodwatch.settings.nearest import listing
from prodwatch.settings.problems import Problems, Spot
from prodwatch.settings.references import resolve_references
from prodwatch.settings.statics import Statics
from prodwatch.settings.variables import Names, follow_check


@dataclass(frozen=True, slots=True)
class Project:
    """What was loaded; `checks` in the order of files and lines."""

    root: Path
    environment: Environment
    checks: tuple[CheckDefinition, ...]
    notices: tuple[str, ...] = ()
    """One sentence each: decisions the user should know of."""


def load_project(
    *,
    root: Path,
    env: str,
    checks: Sequence[Path] = (),
    overrides: Mapping[str, str] | None = None,
    region: str | None = None,
    profile: str | None = None,
    environ: Mapping[str, str],
    selected: Callable[[CheckDefinition], bool] = lambda _check: True,
    other_checks: Mapping[str, str] | None = None,
) -> Project:
    """Read `config/<env>.toml` and the check files under `root`; ConfigurationError carries every problem found.

    `checks` narrows to files and folders; `region` and `profile` stand before what the file says; `overrides` before
    its `[vars]`. `selected` says which checks will run: a variable that is missing here and now is a mistake only in
    those. `other_checks` are checks written in Python, id → name, so that TOML may refer to them.
    """
    problems = Problems()
    notices: list[str] = []
    document = _read(root / "config" / f"{env}.toml", root, problems)
    if document is None:
        problems.raise_any()
        raise ConfigurationError(f"config/{env}.toml cannot be read")
    top = Spot(document, (), "", problems)
    environment = read_environment(top, env, environ, overrides or {})
    environment = replace(environment, aws=_aws(environment, region, profile, environ, notices))
    statics = Statics(environ, environment.vars)
    around = Surroundings(environment, tuple(environments(root)), statics)
    drafts = _drafts(root, checks, around, problems)
    resolved = resolve_references(drafts, other_checks)
    names = names_of(environment, environ)
    needed = _follow(drafts, resolved, names, lambda check: _is_for(check, env) and selected(check))
    follow_environment(top, environment, names, needed)
    problems.raise_any()
    return Project(root, environment, _of_environment(resolved, env, notices), tuple(notices))


def _read(path: Path, root: Path, problems: Problems) -> Document | None:
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    found = read_document(path, shown)
    if isinstance(found, Problem):
        problems.add(found.position, found.message)
        return None
    return found


def _aws(
    environment: Environment, region: str | None, profile: str | None, environ: Mapping[str, str], notices: list[str]
) -> AwsTarget:
    target = environment.aws
    if region is not None:
        target = replace(target, region=region)
    if profile is not None:
        return replace(target, profile=profile)
    if target.profile and environ.get("AWS_ACCESS_KEY_ID"):
        notices.append(
            f'profile "{target.profile}" of {environment.source.file} is ignored: AWS_ACCESS_KEY_ID is set, '
            f"so the credentials of the environment are used"
        )
        return replace(target, profile="")
    return target


def check_files(root: Path, narrowed: Sequence[Path] = ()) -> list[tuple[Path, str]]:
    """Return each check file with what its ids begin with, in a stable order.

    All of `checks/`, or what `narrowed` names: files, and folders with all below them. ConfigurationError for a path
    that does not exist. Hidden files and folders are left out.
    """
    base = root / "checks"
    found: dict[Path, str] = {}
    for path in narrowed or [base]:
        if path.is_dir():
            for file in _toml_files(path):
                found[file] = file_prefix(_relative(file, base, path))
        elif path.is_file():
            if path.suffix == ".toml":
                found[path] = file_prefix(_relative(path, base, path.parent))
        elif narrowed:
            raise ConfigurationError(f"--checks {path}: there is no such file or folder")
    return list(found.items())


def _toml_files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*.toml") if file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _relative(file: Path, base: Path, otherwise: Path) -> str:
    start = base if file.is_relative_to(base) else otherwise
    return file.relative_to(start).as_posix()


def _drafts(root: Path, narrowed: Sequence[Path], around: Surroundings, problems: Problems) -> list[Draft]:
    drafts: list[Draft] = []
    for file, prefix in check_files(root, narrowed):
        document = _read(file, root, problems)
        if document is not None:
            drafts += read_check_file(Spot(document, (), "", problems), prefix, around)
    return drafts


def _follow(
    drafts: Sequence[Draft],
    checks: Sequence[CheckDefinition],
    names: Names,
    selected: Callable[[CheckDefinition], bool],
) -> set[str]:
    """Report references that lead nowhere in the checks that will run; return the variables they need."""
    needed: set[str] = set()
    for draft, check in zip(drafts, checks, strict=True):
        needed |= follow_check(draft.spot, draft.table, dataclasses.replace(names, selected=selected(check)))
        for name in check.vars:
            report_circle(draft.spot.at("vars", name), name, {**names.vars, **check.vars})
    return needed


def _is_for(check: CheckDefinition, env: str) -> bool:
    return not check.environments or env in check.environments


def _of_environment(checks: Sequence[CheckDefinition], env: str, notices: list[str]) -> tuple[CheckDefinition, ...]:
    """Return the checks of this environment; what they say of checks of others is dropped, with a notice."""
    mine = [check for check in checks if _is_for(check, env)]
    elsewhere = {check.id for check in checks} - {check.id for check in mine}
    return tuple(_without(check, elsewhere, env, notices) for check in mine)


def _without(check: CheckDefinition, elsewhere: Iterable[str], env: str, notices: list[str]) -> CheckDefinition:
    kept = {}
    for key in ("needs", "diagnose", "of"):
        ids: tuple[str, ...] = getattr(check, key)
        dropped = [id_ for id_ in ids if id_ in elsewhere]
        if dropped:
            kept[key] = tuple(id_ for id_ in ids if id_ not in elsewhere)
            notices.append(f'check "{check.id}": {key} leaves out {listing(dropped)}, not of environment "{env}"')
    return replace(check, **kept) if kept else check
