"""Loads the project that the options name; all configuration errors are reported at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prodwatch.cli.options import Common
from prodwatch.cli.stderr import say
from prodwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.model.environment import Environment
    from prodwatch.settings import Project

ADHOC = "(none)"
"""Name of the environment of an empty project."""


def load(
    common: Common, *, quiet: bool = False, selected: Callable[[CheckDefinition], bool] = lambda _check: True
) -> Project:
    """Find and load the project that the options name; notices go to stderr. Raises ConfigurationError.

    An undefined environment variable is an error only in checks for which `selected` is true.
    """
    from prodwatch.settings import find_project, load_project

    located = find_project(Path.cwd(), root=common.root, env=common.env, environ=os.environ)
    project = load_project(
        root=located.root,
        env=located.env,
        checks=common.checks,
        overrides=common.overrides(),
        region=common.region,
        profile=common.profile,
        environ=os.environ,
        selected=selected,
    )
    _check_demo_options(common, project.environment)
    if not quiet:
        if not project.checks:
            where = ", ".join(str(path) for path in common.checks) or located.root / "checks"
            say(f"note: no checks in {where}")
        for notice in project.notices:
            say(f"note: {notice}")
    return project


def _check_demo_options(common: Common, environment: Environment) -> None:
    from prodwatch.model.environment import SCENARIOS

    for option, value in (("--at", common.at), ("--scenario", common.scenario)):
        if value is not None and environment.demo is None:
            raise ConfigurationError(
                f'{option} needs a demo environment, and "{environment.name}" has no [demo] table; leave {option} out'
            )
    if common.scenario is not None and common.scenario not in SCENARIOS:
        raise ConfigurationError(
            f'--scenario: unknown staged release "{common.scenario}"; known: {", ".join(SCENARIOS)}'
        )


def load_or_empty(common: Common, *, without: bool) -> Project:
    """Load the project that the options name, or an empty one when `without` allows it and none is named or found.

    Raises ConfigurationError for broken files, and when a needed project is missing.
    """
    from prodwatch.settings import find_project

    named = common.env or os.environ.get("PRODWATCH_ENV")
    if not without or named or common.root is not None:
        return load(common)
    try:
        located = find_project(Path.cwd(), root=None, env=None, environ=os.environ)
    except ConfigurationError:
        return empty_project(region=common.region, profile=common.profile)
    say(f"note: using environment {located.env} of {located.root}; choose another with --env")
    return load(common)


def empty_project(*, region: str | None, profile: str | None) -> Project:
    """Return a project without files: credentials and region are found as by the AWS CLI."""
    from prodwatch.model.check import SourcePosition
    from prodwatch.model.environment import AwsTarget, Environment
    from prodwatch.settings import Project

    environment = Environment(
        name=ADHOC,
        title="no project",
        source=SourcePosition(file="command line"),
        aws=AwsTarget(region=region, profile=profile),
    )
    return Project(Path.cwd(), environment, ())
