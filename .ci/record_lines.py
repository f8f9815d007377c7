"""Records the lines that a process runs, each with the test that was running.

`.ci/mutants` copies this file to `sitecustomize.py` of the tree under test. Each process that has the tree on its path
imports it at its start: pytest, and the commands that tests start. The folder `lines` next to the tree holds
`rooms.json`, the folders to record; `test`, the id of the present test; and `part.*`, the recordings.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import coverage

TREE = Path(__file__).parent
LINES = TREE.with_name("lines")


def present_test() -> str:
    """Return the id of the test that is running; empty before the first."""
    name = LINES / "test"
    return name.read_text() if name.exists() else ""


def start() -> None:
    """Record from now on; a forked process records what it runs itself, under the test that is running then."""
    recording = coverage.Coverage(
        data_file=str(LINES / "part"),
        data_suffix=True,
        auto_data=True,
        config_file=False,
        include=[str(TREE / room / "*") for room in json.loads((LINES / "rooms.json").read_text())],
    )
    # A command may run no line of these rooms, and tests look at what it writes.
    recording.set_option("run:disable_warnings", ["no-data-collected"])
    recording.start()
    recording.switch_context(present_test())
    os.register_at_fork(after_in_child=lambda: recording.switch_context(present_test()))


if LINES.exists():
    start()
