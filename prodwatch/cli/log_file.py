"""The log file: tracebacks and warnings that are kept off the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prodwatch.settings.user_folders import log_dir


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
    import logging

    path: Path | None
    handler: logging.Handler
    try:
        path = log_path()
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
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

    try:
        path = log_path()
        with path.open("a", encoding="utf-8") as log:
            log.write(f"\n--- {datetime.now(UTC).isoformat(timespec='seconds')}\n{traceback.format_exc()}")
    except OSError:
        return None
    return path
