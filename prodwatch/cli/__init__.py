"""The command line: one module per command, and the only code that writes stdout and stderr and sets exit codes."""

from __future__ import annotations

__all__ = ["entry"]


def entry() -> None:
    """Run the `prodwatch` command with the process's own arguments and end the process."""
    import sys

    if sys.platform == "win32":
        # Before any other import: several modules need what only POSIX systems have.
        sys.stderr.write("prodwatch: Windows is supported through WSL only; install and run prodwatch inside WSL\n")
        sys.exit(2)

    from prodwatch.cli.main import run
    from prodwatch.cli.stderr import ensure_stderr
    from prodwatch.cli.stdout import accept_any_text

    ensure_stderr()
    accept_any_text()
    sys.exit(run(sys.argv[1:]))
