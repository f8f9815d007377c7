"""Writes a session file, frame by frame, so that it is whole up to the last flush however the writer ends."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from prodwatch.store.recording.events import End, Entry, Header, encode, encode_value
from prodwatch.store.recording.frames import FIRST_DIGEST, FrameKind, pack
from prodwatch.store.recording.reader import is_session_file
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.state import StoreState, parts_of

_MODE = 0o600
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class FileInTheWayError(Exception):
    """The file exists, and is not a session file that could be replaced, or one that is still being written."""


class SessionWriter:
    """An open session file. Used by one thread at a time."""

    def __init__(self, path: Path, redaction: Redaction) -> None:
        """Create the file, readable by its owner only; an earlier session file of this name is replaced.

        Raises OSError, and FileInTheWayError for any other file.
        """
        self.path = path
        self._redaction = redaction
        _make_way(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, _MODE)
        _lock(self._file)
        self.digest = FIRST_DIGEST
        """Digest of the last frame."""
        self.size = 0
        """Bytes of whole frames."""
        self.events = 0

    def write_header(self, header: Header) -> None:
        """Write the first frame. Raises OSError and RedactionError."""
        self._write("H", 0, self._redaction.encoded(header, encode_value))

    def write_events(self, entries: Iterable[Entry]) -> None:
        """Write a frame of events; nothing without any. Raises OSError and RedactionError."""
        entries = tuple(entries)
        if entries:
            lines = [self._redaction.encoded(each, encode) for each in entries]
            self._write("E", entries[-1].elapsed_us, b"\n".join(lines))
            self.events += len(entries)

    def write_snapshot(self, elapsed_us: int, state: StoreState) -> None:
        """Write the state after all events so far, in parts. Raises OSError and RedactionError."""
        lines = [self._redaction.encoded(each, encode_value) for each in parts_of(state)]
        self._write("S", elapsed_us, b"\n".join(lines))

    def write_end(self, elapsed_us: int, end: End) -> None:
        """Write the last frame. Raises OSError and RedactionError."""
        self._write("Z", elapsed_us, encode_value(end))

    def close(self) -> None:
        """Close the file after its last whole frame. Raises OSError."""
        try:
            os.ftruncate(self._file, self.size)
            os.fsync(self._file)
        finally:
            os.close(self._file)

    def _write(self, kind: FrameKind, elapsed_us: int, content: bytes) -> None:
        frame, digest = pack(self.digest, kind, elapsed_us, content + b"\n")
        rest = memoryview(frame)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self.digest = digest
        self.size += len(frame)


def _make_way(path: Path) -> None:
    """Remove an earlier session file that has been closed. Raises FileInTheWayError for any other one."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or not (found.st_size == 0 or is_session_file(path)):
        raise FileInTheWayError(f"{path} exists and is not a session file")
    file = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    try:
        if not _lock(file):
            raise FileInTheWayError(f"another process is recording to {path}")
        path.unlink()
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    """Lock an open file until it is closed; return False when another process holds its lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True
