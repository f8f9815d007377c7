"""The exit codes scripts may rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends."""

    OK = 0
    """pass, degraded, or allowed to be empty."""
    FAIL = 1
    """Evidence against the release."""
    USAGE = 2
    """The options or the files are wrong."""
    ERROR = 3
    """Could not verify."""
    INCONCLUSIVE = 4
    """Ran, but the evidence is too thin."""
    NOTHING_SELECTED = 5
    """The selection is empty."""
    BUG = 70
    """A bug in prodwatch; never 1, which would read as "roll back"."""
    INTERRUPTED = 130
    """Ctrl-C: cleanup done, what was measured written."""
    TERMINATED = 143
    """SIGTERM: the same."""
