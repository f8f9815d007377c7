"""Every use of Textual's private names: fault-tolerant message pumps and app, and the terminal driver.

Private names change without notice, so `tests/tui/test_textual_private.py` names the version they were checked with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Protocol, cast, runtime_checkable

from textual._context import active_message_pump
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Compose, Mount
from textual.message import Message
from textual.message_pump import MessagePump

EXIT_CODE_CRASHED = 70


@runtime_checkable
class ErrorHandler(Protocol):
    """The app, as far as failed widgets and screens are concerned."""

    def handle_failure(self, error: Exception, pump: MessagePump) -> None:
        """Log and show `error`, raised while `pump` handled a message; the app keeps running."""
        ...


class FaultTolerant(MessagePump):
    """Continues with the next message after a failed one, where Textual would end the app."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            handler = self.app
            if isinstance(message, Compose | Mount) or not isinstance(handler, ErrorHandler):
                raise  # a widget that is only half built cannot be used: the app decides
            handler.handle_failure(error, self)


class FaultTolerantApp(FaultTolerant, App[None]):
    """App that keeps running after a failure; only a failure before the first paint ends it."""

    has_started = False
    """Set by the subclass once the first picture is painted."""

    def handle_failure(self, error: Exception, pump: MessagePump) -> None:
        """Log and show `error`, raised while `pump` handled a message."""
        raise NotImplementedError

    def startup_failure_text(self, error: Exception) -> str:
        """Return the sentence printed when the app could not start; also the place to log `error`."""
        raise NotImplementedError

    def _handle_exception(self, error: Exception) -> None:
        """Replace Textual's handler, which ends the app with a traceback."""
        if self.has_started:
            self.handle_failure(error, active_message_pump.get(self))
            return
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._return_code = EXIT_CODE_CRASHED
        self.panic(self.startup_failure_text(error))

    def write_to_terminal(self, sequence: str) -> None:
        """Write an escape sequence that paints nothing, as Textual does for the bell; nothing when headless."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)


class DetachableFile:
    """A terminal's file; after the first failed write `on_lost` is called once and further writes are discarded.

    Textual writes in a thread, through a queue of 30 texts. If a failed write ended that thread, the queue would fill
    and the app would block for ever in its next write, its cleanups never run.
    """

    def __init__(self, file: IO[str], on_lost: Callable[[], None]) -> None:
        self._file = file
        self._on_lost = on_lost
        self._lost = False

    def write(self, text: str) -> int:
        """Write `text` while the terminal is there; return its length either way."""
        self._try(lambda: self._file.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush while the terminal is there."""
        self._try(self._file.flush)

    def fileno(self) -> int:
        """Return the terminal's file descriptor."""
        return self._file.fileno()

    def _try(self, action: Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            action()
        except (OSError, ValueError):  # the terminal is gone, or its file was closed
            self._lost = True
            self._on_lost()


class TerminalDriver(LinuxDriver):
    """Textual's driver for real terminals; exits when the terminal is lost, and ignores a stray SIGCONT."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if self._file is not None:
            self._file = cast("Any", DetachableFile(self._file, self._exit_app))

    def _exit_app(self) -> None:
        self._loop.call_soon_threadsafe(self._app.exit)

    def _sigcont_application(self, *_: object) -> None:
        """Resume application mode after our own suspend; after any other SIGCONT only repaint.

        The kernel sends SIGCONT together with the SIGHUP of a lost terminal, and `kill -STOP` cannot be caught.
        Textual would start application mode a second time then: two threads would read keys.
        """
        if self._must_signal_resume:
            super()._sigcont_application()
        else:
            self._loop.call_soon_threadsafe(self._repaint_app)

    def _repaint_app(self) -> None:
        if self._app.is_running:
            self._app.refresh(layout=True)
