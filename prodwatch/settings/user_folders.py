"""The user's folders on this machine: state, data, configuration, logs. None of them needs to exist.

platformdirs chooses them: XDG folders on Linux, ~/Library on macOS. It is imported by the functions, because most
commands need none.
"""

from __future__ import annotations

import os
from pathlib import Path

_APP = "prodwatch"


def state_dir() -> Path:
    """Return the folder for journals and locks; PRODWATCH_STATE_DIR overrides it."""
    from platformdirs import user_state_path

    chosen = os.environ.get("PRODWATCH_STATE_DIR")
    return Path(chosen) if chosen else user_state_path(_APP, appauthor=False)


def data_dir() -> Path:
    """Return the folder for what is kept from run to run; PRODWATCH_DATA_DIR overrides it."""
    from platformdirs import user_data_path

    chosen = os.environ.get("PRODWATCH_DATA_DIR")
    return Path(chosen) if chosen else user_data_path(_APP, appauthor=False)


def config_dir() -> Path:
    """Return the folder for the dashboard's preferences."""
    from platformdirs import user_config_path

    return user_config_path(_APP, appauthor=False)


def log_dir() -> Path:
    """Return the folder for the log file."""
    from platformdirs import user_log_path

    return user_log_path(_APP, appauthor=False)
