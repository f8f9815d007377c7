"""While the terminal is a dashboard's, what goes wrong is in the log file; afterwards logging is as it was."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from prodwatch.cli import log_file


def test_a_failing_source_is_in_the_log_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_file, "log_path", lambda: tmp_path / "prodwatch.log")
    logger = logging.getLogger("prodwatch.sources")
    with log_file.log_to_file() as path:
        logger.error("a line of %s could not be parsed", "g")
    assert path is not None
    assert "ERROR prodwatch.sources: a line of g could not be parsed" in path.read_text("utf-8")
    assert caplog.text == ""
    logger.error("afterwards")
    assert "afterwards" in caplog.text
    assert "afterwards" not in path.read_text("utf-8")


def test_without_a_folder_to_write_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise OSError("read-only")

    monkeypatch.setattr(log_file, "log_path", none)
    before = logging.getLogger("prodwatch").handlers[:]
    with log_file.log_to_file() as path:
        assert path is None
    assert logging.getLogger("prodwatch").handlers == before
