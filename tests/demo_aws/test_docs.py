"""The reference page matches the code: every operation, every kind of fault, and its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Kind

PAGE = (Path(__file__).parents[2] / "docs/reference/embedded-aws.md").read_text()


def section(title: str) -> str:
    """Return the text below a heading."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_operation_is_in_its_row_and_no_other() -> None:
    aws = EmbeddedAws()
    region = aws._region_named("eu-west-1")
    implemented: dict[str, set[str]] = {}
    for service, operation in (*region.sync, *region.on_loop, *region.patches, ("logs", "StartLiveTail")):
        implemented.setdefault(service, set()).add(operation)
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Embedded operations"), re.MULTILINE))
    documented = {service: set(re.findall(r"\b[A-Z]\w+", row)) for service, row in rows.items()}
    assert documented == implemented


def test_every_kind_of_fault_has_a_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Faults"), re.MULTILINE) == list(get_args(Kind))


def test_the_example_runs() -> None:
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "asyncio.run" in block]
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
