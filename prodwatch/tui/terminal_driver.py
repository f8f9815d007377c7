"""The driver of a real terminal: neither a terminal that is gone nor a stray signal ever blocks the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, cast

from textual.drivers.linux_driver import LinuxDriver


class LastingFile:
    """A terminal to write to; once it is gone, what is written goes nowhere and `lost` has been called once.

    Textual writes in a thread, through a queue of 30 texts. Were that thread to die of the first refused write, the
    queue would fill and the app would stand still for ever in the next, its cleanups never run.
    """

    def __init__(self, file: IO[str], lost: Callable[[], None]) -> None:
        self._file = file
        self._lost = lost
        self._gone = False

    def write(self, text: str) -> int:
        """Write as long as there is a terminal."""
        self._try(lambda: self._file.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush as long as there is a terminal."""
        self._try(self._file.flush)

    def fileno(self) -> int:
        """Return the terminal's own number."""
        return self._file.fileno()

    def _try(self, action: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            action()
        except (OSError, ValueError):  # gone, or closed by somebody
            self._gone = True
            self._lost()


class TerminalDriver(LinuxDriver):
    """Textual's driver, which leaves when its terminal is gone and does not start a second time beside itself."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if self._file is not None:
            self._file = cast("Any", LastingFile(self._file, self._leave))

    def _leave(self) -> None:
        self._loop.call_soon_threadsafe(self._app.exit)

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal back after a stop of our own; after any other, paint anew.

        The kernel sends SIGCONT with the SIGHUP of a terminal that goes away, and `kill -STOP` asks nobody before.
        Textual would take the terminal a second time then: two threads that read keys, and one that writes to nobody.
        """
        if self._must_signal_resume:
            super()._sigcont_application()
        else:
            self._loop.call_soon_threadsafe(self._repaint)

    def _repaint(self) -> None:
        if self._app.is_running:
            self._app.refresh(layout=True)
