"""Exit codes that scripts may rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of the process."""

    OK = 0
    """The verdict is pass or degraded, or empty with --allow-empty."""
    FAIL = 1
    """Evidence against the release."""
    USAGE = 2
    """The options or the files are wrong."""
    ERROR = 3
    """Could not verify."""
    INCONCLUSIVE = 4
    """The checks ran, but there is too little evidence for a verdict."""
    NOTHING_SELECTED = 5
    """The selection is empty."""
    BUG = 70
    """A bug in prodwatch; never 1, which would read as "roll back"."""
    INTERRUPTED = 130
    """Ctrl-C: cleanup has run and the measured results have been written."""
    TERMINATED = 143
    """SIGTERM: as for Ctrl-C."""
