"""stdout in whole lines, each there at once: a reader that goes away ends the stream and is no error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO


class LineSink:
    """Writes lines to a binary stream; blocks while the reader is slow, so that nothing is dropped for it."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._told_end: Callable[[], None] = lambda: None
        self.lines = 0
        """Lines written so far."""
        self.gone = False
        """The reader has gone away (`| head`)."""
        self.cut = False
        """A signal ended a write to a reader that had stopped reading; the last line may be incomplete."""
        self.error: OSError | None = None
        """Why nothing can be written any more (a full disk), None while all is well."""
        self.busy = False
        """Inside a write: only a signal handler that raises gets out of it."""

    def on_end(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when nothing can be written any more."""
        self._told_end = tell

    def write(self, lines: Sequence[str]) -> None:
        """Write lines, without their newlines, and flush; whole lines only, nothing is held back."""
        if not lines or self.gone or self.cut or self.error is not None:
            return
        document = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
        self.busy = True
        try:
            self._out.write(document)
            self._out.flush()
        except BrokenPipeError:
            self.gone = True
            _to_nowhere(self._out)
            self._told_end()
            return
        except KeyboardInterrupt:
            self.cut = True
            _to_nowhere(self._out)
            raise
        except OSError as caught:
            self.error = caught
            self._told_end()
            return
        finally:
            self.busy = False
        self.lines += len(lines)


def _to_nowhere(out: BinaryIO) -> None:
    # Python flushes stdout once more at exit; pointing it elsewhere keeps that from failing again.
    try:
        number = out.fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
