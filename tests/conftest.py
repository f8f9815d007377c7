"""What every test may rely on: UTC, no colour settings from outside, golden files compared in bytes."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path
from types import FrameType

import pytest

from prodwatch.cli.run_with_signals import HANDLED
from tests.support.examples import choose_profile, mark_properties_slow

pytest_plugins = ("tests.support.pictures",)

_ENDED = count(1)

# Names that would make a result depend on the machine the tests run on.
_OUTSIDE = ("AWS_", "PRODWATCH_", "GITHUB_", "CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TEXTUAL")


def _ignored(_number: int, _frame: FrameType | None) -> None:
    """Do what SIG_IGN does, but not in the processes that the tests start."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name.startswith(_OUTSIDE):
            del os.environ[name]
    os.environ["TZ"] = "UTC"
    # Runs of tests are not runs of the user; tests/support/command_line.py has a home of its own.
    os.environ["PRODWATCH_HISTORY"] = "off"
    time.tzset()
    # A script's job in the background and `nohup` ignore signals, and so would every command under test.
    for number in HANDLED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignored)
    choose_profile(slow=config.option.markexpr == "slow")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    # A fresh clone has no test compiled: two processes that read them from both ends compile each one once.
    report = yield
    worker: str = getattr(collector.config, "workerinput", {}).get("workerid", "gw0")
    if isinstance(collector, pytest.Directory) and report.result and int(worker[2:]) % 2:
        report.result.reverse()
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: str(item.path))  # one order in all processes
    if config.option.markexpr == "slow":
        mark_properties_slow(items)


def pytest_collection_finish() -> None:
    # Looking again and again at what lives as long as the tests do took a quarter of the dashboard's tests' time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_runtest_logfinish() -> None:
    # What outlived a few hundred tests stays: caches, models of services, fixtures of the session.
    if next(_ENDED) % 300 == 0:
        gc.collect()
        gc.freeze()


def pytest_sessionfinish() -> None:
    # What is lost is looked for once; pytest and the interpreter would look through everything six times more.
    gc.collect()
    gc.freeze()


Golden = Callable[[str, bytes], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare bytes with `golden/<name>` beside the test file."""
    folder = Path(str(request.node.path)).parent / "golden"

    def compare(name: str, found: bytes) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(found)
        assert found == path.read_bytes()

    return compare
