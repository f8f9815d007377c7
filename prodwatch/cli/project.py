"""From options to a loaded project; every configuration error is reported at once."""

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
    from prodwatch.settings import Project


def load(
    common: Common, *, quiet: bool = False, selected: Callable[[CheckDefinition], bool] = lambda _check: True
) -> Project:
    """Find and load the project the options name; notices go to stderr. Raises ConfigurationError.

    A variable that is missing here and now is a mistake only in checks that are `selected`.
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
    if common.at is not None and project.environment.demo is None:
        raise ConfigurationError(
            f'--at moves the staged release of the demo, and environment "{located.env}" has no [demo]; leave it out'
        )
    if not quiet:
        if not project.checks:
            where = ", ".join(str(each) for each in common.checks) or located.root / "checks"
            say(f"note: there is no check in {where}")
        for notice in project.notices:
            say(f"note: {notice}")
    return project
