"""Reads TOML files into validated values; reports all problems at once, each with file, line and column."""

from __future__ import annotations

from prodwatch.settings.check_discovery import CheckFile, check_files
from prodwatch.settings.json_schema import check_schema, environment_schema
from prodwatch.settings.project import Project, load_project
from prodwatch.settings.project_lookup import ProjectLocation, demo_root, environments, find_project
from prodwatch.settings.text_conversion import fit_params

__all__ = [
    "CheckFile",
    "Project",
    "ProjectLocation",
    "check_files",
    "check_schema",
    "demo_root",
    "environment_schema",
    "environments",
    "find_project",
    "fit_params",
    "load_project",
]
