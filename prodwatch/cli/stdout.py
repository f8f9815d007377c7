"""The only writer to stdout: results, in bytes, so that a pipe and a file get the same."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path


def write(document: bytes) -> None:
    """Write a whole document to stdout; a reader that has gone away is not an error of ours.

    OSError, with "stdout" as its file, when it cannot be written.
    """
    check_open()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        discard_rest()  # the verdict is also in the exit code
    except OSError as caught:
        discard_rest()
        raise OSError(caught.errno, caught.strerror or str(caught), "stdout") from None


def text(line: str) -> None:
    """Write one line of text to stdout."""
    write(f"{line}\n".encode())


def discard_rest() -> None:
    """Write nothing more: what is still buffered would fail again when Python exits, and change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def check_open() -> None:
    """Raise OSError when whoever started us closed stdout (`>&-`): Python then has none at all."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it was closed before the start; redirect it, to /dev/null if need be", "stdout")


def check_writable(path: Path) -> None:
    """Refuse a target that cannot be written, and empty it: an earlier run's green must not outlive a crash.

    OSError names what is wrong.
    """
    with path.open("wb"):
        pass


def write_file(path: Path, document: bytes) -> None:
    """Replace a file's content at once: a reader never sees half a result. OSError when it cannot be."""
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_bytes(document)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(document)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
