"""The documentation names everything there is, and what is generated is not stale."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from prodwatch.cli.main import COMMANDS
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import CheckResult, RunResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_generated_pages_are_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run make docs; {done.stdout}{done.stderr}"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_code_is_explained(reason: Reason) -> None:
    assert f"| `{reason.value}` |" in page("reference/results.md")


@pytest.mark.parametrize("status", Status)
def test_every_status_is_explained(status: Status) -> None:
    assert f"| `{status.value}` |" in page("reference/results.md")


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    assert f"| {code.value} |" in page("reference/commands.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section(command: str) -> None:
    assert f"\n## {command}\n" in page("reference/commands.md")


@pytest.mark.parametrize("type_", sorted(registry.BUILT_IN))
def test_every_check_type_has_a_page(type_: str) -> None:
    assert (DOCS / "reference/check-types" / f"{type_}.md").exists()


@pytest.mark.parametrize("field", [*RunResult.__struct_encode_fields__, *CheckResult.__struct_encode_fields__])
def test_every_field_of_the_document_is_named(field: str) -> None:
    assert re.search(rf"\b{field}\b", page("reference/results.md"))


@pytest.mark.parametrize("path", sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]), ids=str)
def test_no_link_leads_nowhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def pages_of(nav: Any) -> list[str]:
    match nav:
        case str():
            return [nav]
        case dict():
            return [path for part in nav.values() for path in pages_of(part)]
    return [path for part in nav for path in pages_of(part)]


def test_the_site_lists_every_page_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages_of(nav)) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("guide", sorted(path.name for path in (DOCS / "guide").glob("*.md")))
def test_the_index_lists_every_guide(guide: str) -> None:
    assert f"](guide/{guide})" in page("index.md")
