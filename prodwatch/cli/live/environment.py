"""Where a live command looks: a project's environment, or none at all when the options say enough themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prodwatch.cli.options import Common
from prodwatch.cli.stderr import say
from prodwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from prodwatch.settings import Project

ADHOC = "(none)"
"""Name of the environment that no file describes."""


def find_place(common: Common, *, without: bool) -> Project:
    """Return the project the options name; where none is named or found, and `without` allows it, an empty one.

    Raises ConfigurationError for broken files, and when there is no project although one is needed.
    """
    from prodwatch.cli.project import load
    from prodwatch.settings import find_project

    named = common.env or os.environ.get("PRODWATCH_ENV")
    if not without or named or common.root is not None:
        return load(common)
    try:
        located = find_project(Path.cwd(), root=None, env=None, environ=os.environ)
    except ConfigurationError:
        return adhoc(region=common.region, profile=common.profile)
    say(f"note: environment {located.env} of {located.root}; --env names another")
    return load(common)


def adhoc(*, region: str | None, profile: str | None) -> Project:
    """Return a project of no files: credentials and region as the AWS CLI would find them."""
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
