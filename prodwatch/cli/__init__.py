"""One file per command; owns stdout, stderr and the exit code."""

from __future__ import annotations


def entry() -> None:
    """Run the `prodwatch` command."""
