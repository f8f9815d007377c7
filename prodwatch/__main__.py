"""`python -m prodwatch` is the `prodwatch` command."""

from __future__ import annotations

from prodwatch.cli import entry

if __name__ == "__main__":
    entry()
