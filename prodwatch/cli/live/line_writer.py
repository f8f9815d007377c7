"""Writes whole lines to stdout and flushes them; a reader that closes the pipe ends the stream without an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

CHUNK_CHARACTERS = 32_768


class LineWriter:
    """Writes lines to a binary stream; blocks while the reader is slow, so that no line is dropped."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._notify_end: Callable[[], None] = lambda: None
        self.lines = 0
        """Lines written so far."""
        self.gone = False
        """The reader has closed the pipe (`| head`)."""
        self.cut = False
        """A signal ended a write to a reader that had stopped reading; the last line may be incomplete."""
        self.error: OSError | None = None
        """Error after which no more lines are written, for example a full disk; None without one."""
        self._stopped = False
        self.busy = False
        """True inside a write, which only a raising signal handler can end."""

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` when no more lines can be written."""
        self._notify_end = callback

    def stop(self) -> None:
        """Finish the current line and write no more."""
        self._stopped = True

    def write(self, lines: Sequence[str]) -> int:
        """Write lines given without newlines, and flush; return the number written before the stream ended."""
        written = 0
        for chunk in _chunks(lines):
            if self.ended or not self._put(chunk):
                break
            written += len(chunk)
        self.lines += written
        return written

    @property
    def ended(self) -> bool:
        """Whether no more lines will be written."""
        return self._stopped or self.gone or self.cut or self.error is not None

    def _put(self, chunk: Sequence[str]) -> bool:
        self.busy = True
        try:
            self._out.write("".join(f"{line}\n" for line in chunk).encode("utf-8", "replace"))
            self._out.flush()
        except BrokenPipeError:
            self.gone = True
            _redirect_to_devnull(self._out)
            self._notify_end()
        except KeyboardInterrupt:
            self.cut = True
            _redirect_to_devnull(self._out)
            raise
        except OSError as caught:
            self.error = caught
            self._notify_end()
        finally:
            self.busy = False
        return not (self.gone or self.error is not None)


def _chunks(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Group lines into chunks of about a pipe's buffer: between two chunks a signal can end the stream."""
    start = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size >= CHUNK_CHARACTERS:
            yield lines[start : number + 1]
            start, size = number + 1, 0
    if start < len(lines):
        yield lines[start:]


def _redirect_to_devnull(out: BinaryIO) -> None:
    # Python flushes stdout at exit; redirecting it keeps that flush from failing again.
    try:
        number = out.fileno()
    except OSError:
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, number)
    os.close(devnull)
