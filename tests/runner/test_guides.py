"""The guides of this room: every example loads, and what they promise in numbers is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prodwatch.runner.step.attempts import Ending
from prodwatch.runner.step.compiled import CLEANUP_BUDGET_S, RETRIES, RETRY_DELAY_S
from prodwatch.runner.step.request_sender import GRACE_S
from prodwatch.settings import load_project

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = ("polling-and-retry.md", "mutating-checks-and-cleanup.md", "never-a-false-green.md")
BLOCK = re.compile(r"^```toml checks\n((?:.*\n)*?)```$", re.MULTILINE)
CONFIG = '[stacks]\nshop = "shop"\n'


def text(name: str) -> str:
    return (GUIDE / name).read_text("utf-8")


EXAMPLES = [
    pytest.param(block, id=f"{name} {number}")
    for name in PAGES
    for number, block in enumerate(BLOCK.findall(text(name)), 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_load(tmp_path: Path, example: str) -> None:
    for name, content in (("config/prod.toml", CONFIG), ("checks/guide.toml", example)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(content, "utf-8")
    assert load_project(root=tmp_path, env="prod", environ={}).checks


def test_numbers_are_the_runners_own() -> None:
    polling, mutating = text("polling-and-retry.md"), text("mutating-checks-and-cleanup.md")
    assert CLEANUP_BUDGET_S == 15
    assert "15 s" in polling
    assert "15 s" in mutating
    assert (RETRIES, RETRY_DELAY_S) == (1, 0.2)
    assert "one repetition after 200 ms" in polling
    assert GRACE_S == 0.1
    assert "a tenth of a second after its" in polling


@pytest.mark.parametrize("ending", [Ending.NEVER, Ending.WRONG, Ending.LOST, Ending.FAILED])
def test_every_way_a_wait_fails_is_explained(ending: Ending) -> None:
    assert f"| `{ending}` |" in text("polling-and-retry.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", text(page)):
        assert (GUIDE / target).exists()
