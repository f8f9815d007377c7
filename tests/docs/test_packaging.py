"""What the package claims is what is run, and its requirement files name no place to download from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CLAIMED = [
    name.rpartition(" ")[2]
    for name in PROJECT["project"]["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
]
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def test_every_claimed_python_is_run_on_every_system() -> None:
    matrices = re.findall(r"os: \[(.+)\]\n +python: \[(.+)\]", WORKFLOW)
    assert len(matrices) == 2
    for systems, pythons in matrices:
        assert [name.strip('"') for name in pythons.split(", ")] == CLAIMED
        assert systems == "ubuntu-latest, macos-latest"
    assert PROJECT["project"]["requires-python"] == f">={CLAIMED[0]}"
    assert f"Python {CLAIMED[0]} to {CLAIMED[-1]}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_workflows_may_only_read() -> None:
    assert "\npermissions: {}\n" in WORKFLOW
    assert set(re.findall(r"^      (\w+): (\w+)$", WORKFLOW, re.MULTILINE)) >= {("contents", "read")}
    assert not re.findall(r": write\b", WORKFLOW)
    assert WORKFLOW.count("actions/checkout@") == WORKFLOW.count("persist-credentials: false")


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.stem)
def test_requirements_are_pinned_and_hashed_and_name_no_index(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith(" ")]
    assert packages
    for line in packages:
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( ; .+)? \\", line), line
    for line in lines:
        assert line in packages or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


@pytest.mark.parametrize("name", PROJECT["project"]["dependencies"])
def test_what_is_declared_is_pinned(name: str) -> None:
    package = re.split(r"[<>=\[]", name)[0]
    for file in ("demo", "dev"):
        assert f"\n{package}==" in "\n" + (ROOT / f"requirements/{file}.txt").read_text(encoding="utf-8")
