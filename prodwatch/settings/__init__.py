"""TOML into checked values: every problem at once, each with file, line and column."""

from __future__ import annotations

from prodwatch.settings.convert import fit_params
from prodwatch.settings.files import CheckFile, check_files
from prodwatch.settings.locate import Located, demo_root, environments, find_project
from prodwatch.settings.project import Project, load_project
from prodwatch.settings.schema import check_schema, environment_schema

__all__ = [
    "CheckFile",
    "Located",
    "Project",
    "check_files",
    "check_schema",
    "demo_root",
    "environment_schema",
    "environments",
    "find_project",
    "fit_params",
    "load_project",
]
