"""The only writer to stderr: notices, errors and progress; never a result."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable

from prodwatch.text.sanitize import sanitize


def ensure_stderr() -> None:
    """Open /dev/null as stderr when the process was started with stderr closed (`2>&-`)."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- lives as long as the process


def say(message: str) -> None:
    """Write one line to stderr, sanitised; a closed stderr is ignored."""
    draw(f"{sanitize(message, limit=len(message))}\n")


def note(message: str) -> None:
    """Write one sentence that does not affect the outcome."""
    say(f"note: {message}")


def say_in_handler(message: str) -> None:
    """Write one line from a signal handler, which may have interrupted another write: past the buffer of stderr."""
    with contextlib.suppress(OSError):
        os.write(2, f"{message}\n".encode())


def draw(text: str) -> None:
    """Write text without a line's end to stderr; a closed stderr is ignored."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        # The reader has gone; the exit code still reports the outcome.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 -- lives as long as the process


def painted(line: str) -> None:
    """Write one line that holds colours; the caller has sanitised every part of it."""
    draw(f"{line}\n")


def can_redraw() -> bool:
    """Return whether stderr is a terminal that can erase a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


def columns() -> int:
    """Return the width of the terminal behind stderr; stdout may be a file."""
    return size().columns


def size() -> os.terminal_size:
    """Return the size of the terminal behind stderr."""
    try:
        found = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
    return found if found.columns > 0 and found.lines > 0 else shutil.get_terminal_size()


def error(message: str) -> None:
    """Write one error sentence, prefixed with the program's name."""
    say(f"prodwatch: {message}")


def problems(items: Iterable[object]) -> None:
    """Write configuration problems, one per line, each with its position."""
    for item in items:
        say(str(item))
