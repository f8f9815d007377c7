"""Where prodwatch keeps its own files on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prodwatch.settings.user_folders import config_dir, data_dir, log_dir, state_dir


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("PRODWATCH_STATE_DIR", "PRODWATCH_DATA_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform == "darwin", reason="XDG folders are those of Linux")
def test_on_linux_they_are_the_xdg_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_dir() == home / ".local/state/prodwatch"
    assert data_dir() == home / ".local/share/prodwatch"
    assert config_dir() == home / ".config/prodwatch"
    assert log_dir() == home / ".local/state/prodwatch/log"
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "")  # empty is unset, by the specification
    assert state_dir() == home / "state/prodwatch"
    assert config_dir() == home / ".config/prodwatch"
    assert log_dir() == home / "state/prodwatch/log"


@pytest.mark.skipif(sys.platform != "darwin", reason="the folders of macOS")
def test_on_macos_they_are_in_the_library(home: Path) -> None:
    assert state_dir() == data_dir() == config_dir() == home / "Library/Application Support/prodwatch"
    assert log_dir() == home / "Library/Logs/prodwatch"


def test_the_folders_of_state_and_data_can_be_chosen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(home / "chosen"))
    monkeypatch.setenv("PRODWATCH_DATA_DIR", str(home / "kept"))
    assert state_dir() == home / "chosen"
    assert data_dir() == home / "kept"
