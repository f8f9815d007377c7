"""stdout in whole lines, each there at once: a reader that goes away ends the stream and is no error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

CHUNK_CHARACTERS = 32_768


class LineWriter:
    """Writes lines to a binary stream; blocks while the reader is slow, so that nothing is dropped for it."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._notify_end: Callable[[], None] = lambda: None
        self.lines = 0
        """Lines written so far."""
        self.gone = False
        """The reader has gone away (`| head`)."""
        self.cut = False
        """A signal ended a write to a reader that had stopped reading; the last line may be incomplete."""
        self.error: OSError | None = None
        """Why nothing can be written any more (a full disk), None while all is well."""
        self._stopped = False
        self.busy = False
        """Inside a write: only a signal handler that raises gets out of it."""

    def on_end(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when nothing can be written any more."""
        self._notify_end = tell

    def stop(self) -> None:
        """Write nothing more behind the line that is being written."""
        self._stopped = True

    def write(self, lines: Sequence[str]) -> int:
        """Write lines, without their newlines, and flush; return how many were written before the stream ended."""
        written = 0
        for chunk in _chunks(lines):
            if self.ended or not self._put(chunk):
                break
            written += len(chunk)
        self.lines += written
        return written

    @property
    def ended(self) -> bool:
        """Whether nothing will be written any more."""
        return self._stopped or self.gone or self.cut or self.error is not None

    def _put(self, chunk: Sequence[str]) -> bool:
        self.busy = True
        try:
            self._out.write("".join(f"{line}\n" for line in chunk).encode("utf-8", "replace"))
            self._out.flush()
        except BrokenPipeError:
            self.gone = True
            _to_nowhere(self._out)
            self._notify_end()
        except KeyboardInterrupt:
            self.cut = True
            _to_nowhere(self._out)
            raise
        except OSError as caught:
            self.error = caught
            self._notify_end()
        finally:
            self.busy = False
        return not (self.gone or self.error is not None)


def _chunks(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut lines into pieces a pipe takes at once or nearly so: between two of them a signal can end the stream."""
    start = size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size >= CHUNK_CHARACTERS:
            yield lines[start : number + 1]
            start, size = number + 1, 0
    if start < len(lines):
        yield lines[start:]


def _to_nowhere(out: BinaryIO) -> None:
    # Python flushes stdout once more at exit; pointing it elsewhere keeps that from failing again.
    try:
        number = out.fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
