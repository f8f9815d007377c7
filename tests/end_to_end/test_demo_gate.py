"""Whole gates on the demo: each staged release ends with the exit code that it deserves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONGEST_S = 900
"""Time after which a gate that has not ended fails the test."""


def gate(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and document of one gate."""
    done = subprocess.run(
        [sys.executable, "-m", "prodwatch", "gate", "--env", "demo", "--json", *options],
        cwd=folder,
        capture_output=True,
        timeout=LONGEST_S,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bake", "code"),
    [("bad", "10m", 1), ("outage", "10m", 1), ("config-only", "10m", 1), ("no-traffic", "5m", 4)],
)
def test_a_gate_on_each_scenario_exits_by_the_verdict_that_it_deserves(
    scenario: str, bake: str, code: int, tmp_path: Path
) -> None:
    found, result = gate(tmp_path, "--scenario", scenario, "--at", "during", "--for", bake)
    assert (found, result["verdict"]["exit_code"]) == (code, code), result["verdict"]
    release = result["release"]
    assert (release["version"], release["previous"]) == ("42", "41")
    assert (release["change"] == "configuration") is (scenario == "config-only")
    if code == 4:
        # A metric's points are periods, which pass without a request too.
        compared = [each for each in result["comparisons"] if each["kind"] != "metric"]
        assert compared
        assert all(each["canary"]["requests"] == 0 for each in compared)
