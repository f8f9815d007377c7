"""From options to a loaded project; every configuration error is reported at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prodwatch.cli.options import Common
from prodwatch.cli.talk import say

if TYPE_CHECKING:
    from prodwatch.settings import Project


def load(common: Common, *, quiet: bool = False) -> Project:
    """Find and load the project the options name; notices go to stderr. Raises ConfigurationError."""
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
    )
    if not quiet:
        for notice in project.notices:
            say(f"note: {notice}")
    return project
