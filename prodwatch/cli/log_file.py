"""The log file: tracebacks and warnings that are kept off the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prodwatch.settings.user_folders import log_dir
from prodwatch.text.sanitize import sanitize


class _SanitisedFormatter(logging.Formatter):
    """Makes control characters visible in every record, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        text = super().format(record)
        return sanitize(text, limit=len(text))


def log_path() -> Path:
    """Return the log's path: in the user's log folder, or in a temporary one when that cannot be written."""
    for folder_of in (log_dir, _temporary):
        try:
            folder = folder_of()
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "prodwatch.log"
            with path.open("a", encoding="utf-8"):
                return path
        except OSError:
            continue
    raise OSError("no folder for a log file can be written")


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.gettempdir())


@contextmanager
def log_to_file() -> Iterator[Path | None]:
    """Send prodwatch's log records to the log file only; yields its path, None when no log can be written.

    The logging configuration is restored afterwards: a process may open the dashboard more than once.
    """
    path: Path | None
    handler: logging.Handler
    try:
        path = log_path()
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
        handler.setFormatter(_SanitisedFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    except OSError:
        path, handler = None, logging.NullHandler()
    logger = logging.getLogger("prodwatch")
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield path
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.propagate = before


def write_crash() -> Path | None:
    """Append the current exception to the log; return the log's path, None when no log can be written."""
    import traceback

    crash = traceback.format_exc()
    try:
        path = log_path()
        with path.open("a", encoding="utf-8") as log:
            log.write(f"\n--- {datetime.now(UTC).isoformat(timespec='seconds')}\n{sanitize(crash, limit=len(crash))}")
    except OSError:
        return None
    return path
