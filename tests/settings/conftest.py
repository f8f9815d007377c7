"""A project on disk, written by a test and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import CheckDefinition
from prodwatch.settings import Project, load_project


class Workshop:
    """Writes files under one root and loads them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        self.write("config/prod.toml", "")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, files: str | Mapping[str, str] = "", config: str | None = None, **options: Any) -> Project:
        """Load environment `prod`; `files` is the text of checks/shop.toml, or texts by name."""
        if config is not None:
            self.write("config/prod.toml", config)
        for name, text in ({"shop.toml": files} if isinstance(files, str) else files).items():
            self.write(f"checks/{name}", text)
        return load_project(**{"root": self.root, "env": "prod", "environ": self.environ, **options})

    def check(self, text: str, config: str | None = None, **options: Any) -> CheckDefinition:
        """Load and return the only check."""
        (check,) = self.load(text, config, **options).checks
        return check

    def mistakes(self, files: str | Mapping[str, str] = "", config: str | None = None, **options: Any) -> list[str]:
        """Load what cannot be loaded; return the lines a user reads."""
        with pytest.raises(ConfigurationError) as caught:
            self.load(files, config, **options)
        return str(caught.value).splitlines()

    def mistake(self, files: str | Mapping[str, str] = "", config: str | None = None, **options: Any) -> str:
        """Do so when there is exactly one."""
        lines = self.mistakes(files, config, **options)
        assert len(lines) == 1, lines
        return lines[0]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)
