"""Options of commands that record their session to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
import msgspec

from prodwatch.cli.stderr import say
from prodwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from prodwatch.clock import Clock
    from prodwatch.model.environment import Environment
    from prodwatch.model.result import RecordingInfo
    from prodwatch.session.recorder import Recorder
    from prodwatch.text.redact import Redactor

F = TypeVar("F", bound=Callable[..., Any])

RECORD = click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Record the session to FILE, compressed and redacted.",
)
REDACT = click.option(
    "--redact",
    multiple=True,
    metavar="REGEX",
    help="Mask what matches in the recording, such as personal data; secrets always are. Repeatable.",
)


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """The file to record to, None for no recording, and patterns to mask in it."""

    path: Path | None
    patterns: tuple[str, ...] = ()

    def open(
        self,
        clock: Clock,
        redactor: Redactor,
        *,
        mode: Literal["dashboard", "gate", "check", "record"],
        environment: Environment,
    ) -> Recorder | None:
        """Create the file; None without a recording. Raises ConfigurationError."""
        if self.path is None:
            return None
        from prodwatch.assertions.errors import PathError
        from prodwatch.session.recorder import open_recorder
        from prodwatch.store.recording.redaction import Redaction
        from prodwatch.store.recording.writer import FileInTheWayError

        try:
            redaction = Redaction(redactor, self.patterns)
        except PathError as error:
            raise ConfigurationError(f"--redact: {error}") from None
        try:
            return open_recorder(self.path, redaction, clock, mode=mode, environment=environment)
        except FileInTheWayError as error:
            raise ConfigurationError(f"{error}; name another file, or remove this one") from None
        except OSError as error:
            raise ConfigurationError(f"{self.path}: cannot be written: {error.strerror}") from None


NO_RECORDING = Recording(path=None)


def recording_options(command: F) -> F:
    """Add `--record` and `--redact` to a command; it receives them as `recording`."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        path, patterns = kwargs.pop("record"), kwargs.pop("redact")
        if patterns and path is None:
            raise click.UsageError("--redact needs --record")
        return command(*args, recording=Recording(path=path, patterns=patterns), **kwargs)

    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = RECORD(REDACT(wrapper))
    return decorated  # type: ignore[no-any-return]


def report_recording(info: RecordingInfo) -> None:
    """Write size and digest of a recording that has been closed to stderr, or why it ended early."""
    from prodwatch.text.units import format_bytes

    if info.ended is not None:
        say(f"the recording ended early, {info.file} is complete up to then: {info.ended}")
    say(f"recorded {info.file}: {format_bytes(info.bytes)}, digest {info.digest}")
