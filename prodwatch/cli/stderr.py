"""The only writer to stderr: notices, errors and progress; never a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


def ensure_stderr() -> None:
    """Give the process a stderr when whoever started it closed that (`2>&-`): silence must not become a crash."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- lives as long as the process


def say(message: str) -> None:
    """Write one line for the person at the terminal; a closed stderr is nobody's loss."""
    try:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody is listening; the exit code still speaks.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- lives as long as the process


def error(message: str) -> None:
    """Say what went wrong, in one sentence."""
    say(f"prodwatch: {message}")


def problems(found: Iterable[object]) -> None:
    """Say every configuration problem, one a line, each with its place."""
    for each in found:
        say(str(each))
