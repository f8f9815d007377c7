"""The only writer to stdout and to result files; writes bytes, so that a pipe and a file receive the same."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

from prodwatch.text.sanitize import sanitize_document


def write(document: bytes) -> None:
    """Write a whole document to stdout, sanitised; a reader that has closed the pipe is not an error.

    Raises OSError, with "stdout" as its file name, when stdout cannot be written.
    """
    _write(sanitize_document(document))


def _write(document: bytes) -> None:
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
    """Write one line of text to stdout, sanitised."""
    write(f"{line}\n".encode("utf-8", "surrogateescape"))


def painted(line: str) -> None:
    """Write text that holds colours; the caller has sanitised every part of it."""
    _write(f"{line}\n".encode("utf-8", "surrogateescape"))


def columns() -> int | None:
    """Return the width of the terminal that stdout is; None for a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def discard_rest() -> None:
    """Redirect stdout to /dev/null: flushing the buffer at exit would fail again and change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def accept_any_text() -> None:
    """Escape characters that stdout's encoding lacks, such as a check mark in ASCII, in place of raising."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def check_open() -> None:
    """Raise OSError when the process was started with stdout closed (`>&-`); `sys.stdout` is None then."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it was closed before prodwatch started; redirect it, e.g. to /dev/null", "stdout")


def check_writable(path: Path) -> None:
    """Create or truncate the file, so that an earlier run's green result does not survive a crash of this one.

    Raises OSError when it cannot be written.
    """
    with path.open("wb"):
        pass


def head(path: Path) -> bytes:
    """Return the first bytes of a regular file; empty when there is none. Raises OSError."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(4096)


def write_file(path: Path, document: bytes, *, mode: int = 0o666) -> None:
    """Replace a file atomically, sanitised, so that a reader never sees half a result. Raises OSError.

    The file has the permissions of `mode` that the umask leaves.
    """
    document = sanitize_document(document)
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe
        path.write_bytes(document)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
            file.write(document)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
