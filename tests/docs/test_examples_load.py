"""Every TOML block of the documentation is what it says it is: a file that loads, or one a test of its own is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from prodwatch.settings import load_project

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```toml ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
VARIABLE = re.compile(r"\$\{env\.(\w+)")
NO_PROJECT_FILE = {
    "docs/guide/dashboard.md": "the settings of a user: tests/tui",
    "docs/guide/own-check-type.md": "another package: tests/probes/test_own_check_type.py",
    "docs/reference/assertions.md": "an answer: tests/assertions/test_assertion_reference_page.py",
    "docs/reference/keys.md": "the settings of a user: tests/tui",
}
PAGES: dict[str, list[tuple[str, str]]] = {
    str(path.relative_to(ROOT)): BLOCK.findall(path.read_text(encoding="utf-8"))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
WORLD = next(text for info, text in PAGES["docs/reference/environment.md"] if info == "config")


def is_checks(text: str) -> bool:
    return not {"check", "defaults"}.isdisjoint(tomli.loads(text))


def environment_of(page: str) -> str:
    """Return the page's own environment, else that of the reference."""
    return next((text for info, text in PAGES[page] if info != "wrong" and not is_checks(text)), WORLD)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param(page, text, id=f"{page} {number}")
        for page, blocks in PAGES.items()
        if page not in NO_PROJECT_FILE
        for number, (info, text) in enumerate(blocks, 1)
        if info != "wrong"
    ],
)
def test_an_example_loads(page: str, text: str, tmp_path: Path) -> None:
    config, checks = (environment_of(page), text) if is_checks(text) else (text, "")
    for name, content in (("config/prod.toml", config), ("checks/example.toml", checks)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content, encoding="utf-8")
    environ = dict.fromkeys(VARIABLE.findall(config + checks), "set")
    assert bool(load_project(root=tmp_path, env="prod", environ=environ).checks) is bool(checks)


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("flows.md", r"^base_url = "),
        ("flows.md", r"^auth = \{"),
        ("flows.md", r"^step_timeout = "),
        ("flows.md", r"^capture = .*\bpattern = "),
        ("flows.md", r"\[\$\{captured\.\w+\}\]"),
        ("flows.md", r"\$\{matrix\.\w+\.name\}"),
        ("polling-and-retry.md", r'^diagnose = \["consumer"\]'),
        ("polling-and-retry.md", r"^precondition = true"),
        ("polling-and-retry.md", r"^quiet_for = "),
        ("polling-and-retry.md", r"\bmatches in order \["),
        ("mutating-checks-and-cleanup.md", r"^undo = \{"),
        ("live-signals.md", r'^codedeploy = \["[\w-]+", '),
    ],
)
def test_a_guide_has_an_example_of(page: str, example: str) -> None:
    examples = "\n".join(text for info, text in PAGES[f"docs/guide/{page}"] if info != "wrong")
    assert re.search(example, examples, re.MULTILINE)


@pytest.mark.parametrize("page", NO_PROJECT_FILE)
def test_what_is_no_project_file_is_still_there(page: str) -> None:
    assert PAGES[page]
