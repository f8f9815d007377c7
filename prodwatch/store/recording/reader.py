"""Reads a session file: opens it by its frames' heads, yields its events from any time on, and finds damage."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from prodwatch.store.recording.events import SCHEMA, TOOL, End, Entry, Header, decode_all
from prodwatch.store.recording.frames import (
    FIRST_DIGEST,
    HEAD_BYTES,
    DamagedFrameError,
    FrameHead,
    digest_of,
    read_head,
    unpack,
)
from prodwatch.store.state import StoreState, joined

_STATE = msgspec.json.Decoder(StoreState)


class NotASessionFileError(Exception):
    """The file is not a session file, or one of a version that this prodwatch cannot read."""


class SessionFile:
    """A session file opened for reading. What follows a damaged frame is not read.

    Opening looks at the heads of frames only; contents are checked against their checksums as they are read.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError and NotASessionFileError."""
        self.path = path
        self._file: BinaryIO = path.open("rb")
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.frames, self.damage = self._scan()
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise
        self._ends_us = [each.elapsed_us for each in self.frames]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def is_ended(self) -> bool:
        """Whether the recording was ended, rather than killed or cut."""
        return self.damage is None and self.frames[-1].kind == "Z"

    @property
    def duration_us(self) -> int:
        """Microseconds from the start to the last whole event."""
        return self._ends_us[-1]

    @property
    def digest(self) -> str:
        """Digest of the last whole frame in hex, as its head names it."""
        return self.frames[-1].digest.hex()

    def entries(self, after: FrameHead | None = None) -> Iterator[Entry]:
        """Yield the entries after a frame, without one all of them, in their order.

        Raises DamagedFrameError at the first frame that is damaged.
        """
        for frame in self.frames[0 if after is None else after.number + 1 :]:
            if frame.kind == "E":
                yield from self._decoded(frame)

    def by_frame(self) -> Iterator[tuple[FrameHead, tuple[Entry, ...]]]:
        """Yield each frame of events with its entries. Raises DamagedFrameError."""
        for frame in self.frames:
            if frame.kind == "E":
                yield frame, self._decoded(frame)

    def entries_with(self, words: Sequence[bytes]) -> Iterator[Entry]:
        """Yield the entries whose line holds one of the words; only those are parsed. Raises DamagedFrameError."""
        for frame in self.frames:
            if frame.kind != "E":
                continue
            content = self.content(frame)
            if any(word in content for word in words):
                lines = [line for line in content.splitlines() if any(word in line for word in words)]
                yield from _parsed(frame, b"\n".join(lines))

    def entries_before(self, frame: FrameHead) -> Iterator[tuple[Entry, ...]]:
        """Yield the entries before a frame, by frame, the latest frame first. Raises DamagedFrameError."""
        for each in reversed(self.frames[: frame.number]):
            if each.kind == "E":
                yield self._decoded(each)

    def entries_backwards(self) -> Iterator[Entry]:
        """Yield the entries, the latest first. Raises DamagedFrameError."""
        for frame in reversed(self.frames):
            if frame.kind == "E":
                yield from reversed(self._decoded(frame))

    def snapshot_at(self, up_to_us: int) -> FrameHead | None:
        """Return the latest snapshot of up to a time; None when there is none that this version wrote."""
        if self.header.tool != TOOL:
            return None
        frames = reversed(self.frames[: bisect_right(self._ends_us, up_to_us)])
        return next((each for each in frames if each.kind == "S"), None)

    def state(self, snapshot: FrameHead) -> StoreState:
        """Return the state in a snapshot. Raises DamagedFrameError."""
        try:
            return joined(map(_STATE.decode, self.content(snapshot).splitlines()))
        except msgspec.DecodeError as error:
            raise DamagedFrameError(f"frame {snapshot.number} holds no state: {error}") from None

    def end(self) -> End | None:
        """Return the end of the recording; None when it was not ended."""
        if not self.is_ended:
            return None
        return msgspec.json.decode(self.content(self.frames[-1]), type=End)

    def check_chain(self) -> tuple[FrameHead, DamagedFrameError | None]:
        """Check every frame against its digest; return the last good frame, and the damage after it."""
        previous, last = FIRST_DIGEST, self.frames[0]
        for frame in self.frames:
            member = self._member(frame)
            try:
                unpack(frame, member)
            except DamagedFrameError as damage:
                return last, damage
            if digest_of(previous, member) != frame.digest:
                changed = f"frame {frame.number} was changed, moved or replaced: it does not have its digest"
                return last, DamagedFrameError(changed)
            previous, last = frame.digest, frame
        return last, self.damage

    def distrust_damage(self, *, decode: bool = False) -> DamagedFrameError | None:
        """Check every frame, and read nothing from the first damaged one on; return the damage, None without any.

        With `decode` a frame with a line that is not an event is damaged, too.
        """
        last, damage = self.check_chain()
        self._distrust_after(last, damage)
        for frame in tuple(self.frames) if decode else ():
            try:
                if frame.kind == "E":
                    self._decoded(frame)
            except DamagedFrameError as wrong_line:
                self._distrust_after(self.frames[frame.number - 1], wrong_line)
                break
        return self.damage

    def _distrust_after(self, last: FrameHead, damage: DamagedFrameError | None) -> None:
        if damage is not None:
            del self.frames[last.number + 1 :], self._ends_us[last.number + 1 :]
            self.damage = damage

    def content(self, frame: FrameHead) -> bytes:
        """Return the content of a frame. Raises DamagedFrameError."""
        return unpack(frame, self._member(frame))

    def _member(self, frame: FrameHead) -> bytes:
        self._file.seek(frame.offset)
        return self._file.read(frame.length)

    def _decoded(self, frame: FrameHead) -> tuple[Entry, ...]:
        return _parsed(frame, self.content(frame))

    def _scan(self) -> tuple[list[FrameHead], DamagedFrameError | None]:
        frames: list[FrameHead] = []
        offset = 0
        while offset < self.size:
            self._file.seek(offset)
            try:
                head = read_head(self._file.read(HEAD_BYTES), len(frames), offset)
            except DamagedFrameError as damage:
                return frames, DamagedFrameError(f"at byte {offset:,}: {damage}")
            if offset + head.length > self.size:
                present = self.size - offset
                cut = f"at byte {offset:,}: frame {head.number} is cut: {present:,} of {head.length:,} bytes"
                return frames, DamagedFrameError(cut)
            if frames and head.elapsed_us < frames[-1].elapsed_us:
                return frames, DamagedFrameError(f"frame {head.number} is earlier than the one before it")
            frames.append(head)
            offset += head.length
        return frames, None

    def _read_header(self) -> Header:
        if not self.frames or self.frames[0].kind != "H":
            raise NotASessionFileError(f"{self.path} is not a session file of prodwatch")
        try:
            header = msgspec.json.decode(self.content(self.frames[0]), type=Header)
        except (msgspec.DecodeError, DamagedFrameError) as error:
            raise NotASessionFileError(f"the header of {self.path} cannot be read: {error}") from None
        if header.started_at.tzinfo is None:
            raise NotASessionFileError(f"the header of {self.path} has a time without a zone")
        if header.schema != SCHEMA:
            newer = f"{self.path} has the format {header.schema}; this prodwatch reads {SCHEMA}"
            raise NotASessionFileError(newer)
        return header


def _parsed(frame: FrameHead, content: bytes) -> tuple[Entry, ...]:
    try:
        entries = tuple(decode_all(content))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DamagedFrameError(f"frame {frame.number} holds a line that is not an event: {error}") from None
    if any(each.at.tzinfo is None or not 0 <= each.elapsed_us <= frame.elapsed_us for each in entries):
        raise DamagedFrameError(f"frame {frame.number} holds a time without a zone, or one that is not in the frame")
    return entries


def is_session_file(path: Path) -> bool:
    """Return whether a file begins like a session file."""
    try:
        with path.open("rb") as file:
            return read_head(file.read(HEAD_BYTES), 0, 0).kind == "H"
    except (OSError, DamagedFrameError):
        return False
