"""pytest plugin of `.ci/mutants`: records the present test and its duration, and runs chosen tests in order."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

DURATION_S = pytest.StashKey[dict[str, float]]()
"""Id of a test → its duration with its fixtures."""
FAILED = pytest.StashKey[list[str]]()
"""Ids of the tests that failed, in the order of their runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that `.ci/mutants` gives."""
    parser.addoption("--record-lines", type=Path, help="name the present test in this folder; write durations.json")
    parser.addoption("--only", type=Path, help="run the tests of this JSON list of ids, in its order")
    parser.addoption("--failed", type=Path, help="write a JSON list of the ids of tests that fail to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Start with no durations and no failures."""
    config.stash[DURATION_S] = {}
    config.stash[FAILED] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the chosen tests, in the order of the list."""
    only: Path | None = config.getoption("--only")
    if only is not None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[test] for test in json.loads(only.read_text()) if test in found]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Name the present test for every process that records."""
    folder: Path | None = item.config.getoption("--record-lines")
    if folder is None:
        return (yield)
    (folder / "test").write_text(item.nodeid)
    recording = coverage.Coverage.current()
    assert recording is not None, "the recorder is imported at the start of the process"
    recording.switch_context(item.nodeid)
    begun_s = time.monotonic()
    try:
        return (yield)
    finally:
        item.config.stash[DURATION_S][item.nodeid] = time.monotonic() - begun_s


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a test that fails."""
    report = yield
    if report.failed:
        item.config.stash[FAILED].append(item.nodeid)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the files."""
    folder: Path | None = session.config.getoption("--record-lines")
    if folder is not None:
        (folder / "durations.json").write_text(json.dumps(session.config.stash[DURATION_S]))
    failed: Path | None = session.config.getoption("--failed")
    if failed is not None:
        failed.write_text(json.dumps(session.config.stash[FAILED]))
