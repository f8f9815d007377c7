"""A project of one environment, and its results as the JSON document reports them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.warm_command_line import Control, WarmCommandLine


@dataclass(frozen=True, slots=True)
class Checked:
    """How `prodwatch check --json` ended."""

    code: int
    document: dict[str, Any]
    err: str

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Return the result of the check with this name."""
        return next(each for each in self.document["checks"] if each["name"] == name)

    @property
    def statuses(self) -> dict[str, str]:
        """Status of each check by name."""
        return {each["name"]: each["status"] for each in self.document["checks"]}

    @property
    def verdict(self) -> str:
        """Status of the run."""
        return str(self.document["verdict"]["status"])


class CaseProject(WarmCommandLine):
    """An empty project with the environment `t`; `${vars.url}` is the HTTP server."""

    def __init__(self, folder: Path, control: Control, *, environ: Mapping[str, str], url: str) -> None:
        super().__init__(folder, control)
        self.environ |= environ
        self.url = url
        self.configure("")

    def configure(self, text: str, *, variables: str = "", env: str = "t") -> None:
        """Write the environment's file: `[aws]` and `[vars]` with `variables`, then `text`."""
        head = f'protected = false\n[aws]\nregion = "eu-west-1"\n[vars]\nurl = "{self.url}"\n'
        self.write(f"config/{env}.toml", f"{head}{variables}\n{text}\n")

    def attempt(self, checks: str, *options: str) -> Checked:
        """Run `checks`; where they are refused as a mistake, `code` is 2 and there are no results."""
        self.write("checks/c.toml", checks)
        ended = self.run("check", "--json", *options)
        return Checked(ended.code, {} if ended.code == 2 else json.loads(ended.out), ended.err)

    def checked(self, checks: str | None, *options: str, environ: Mapping[str, str] | None = None) -> Checked:
        """Write `checks`, when given, run them, and return their results; fails when no document was written."""
        if checks is not None:
            self.write("checks/c.toml", checks)
        ended = self.run("check", "--json", *options, environ=environ)
        try:
            document = json.loads(ended.out)
        except json.JSONDecodeError:
            raise AssertionError(f"exit {ended.code} without a result: {ended.out}{ended.err}") from None
        return Checked(ended.code, document, ended.err)
