"""Joins the lines of a traceback, each an event of its own, into one event.

Joined are lines of one stream that follow within a second: the frames of Python, Java, Node and .NET, the causes, and
the line with the error. A part that arrives with a later page is an event of its own; no line is ever left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum, auto

from msgspec.structs import replace

from prodwatch.sources.logs.events import RawEvent

WITHIN_MS = 1000
"""Longest time between two lines of a traceback."""
_INDENTS = frozenset(" \t")
_PYTHON = "Traceback (most recent call last):"
_frame = re.compile(r"\s+(?:at \S|\.\.\. \d+ (?:more|common frames)|from \S+:\d)").match
_cause = re.compile(r"\s*(?:Caused by|Suppressed): ").match
_error_word = re.compile(r"Exception\b|Error\b|Throwable\b|ERROR|FATAL|CRITICAL|panic").search
_python_end = re.compile(r"[A-Za-z_][\w.]*(?::|$)").match
_python_link = re.compile(
    r"During handling of the above exception, another exception occurred:|"
    r"The above exception was the direct cause of the following exception:"
).match
_NEVER_FIRST = ("{", "START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_")
"""Prefixes of lines that never begin a traceback, whatever they contain."""


class _Part(Enum):
    """Role of a line in a traceback."""

    OTHER = auto()
    """Any other line; frames may follow it."""
    FRAMES = auto()
    PYTHON = auto()
    """Python's frames, which end with the error."""
    ENDED = auto()
    LINKED = auto()
    """Between two linked tracebacks of Python."""


class _Run:
    """Consecutive lines of one stream that belong together."""

    __slots__ = ("events", "last")

    def __init__(self, event: RawEvent) -> None:
        self.events = [event]
        self.last = _first(event.message)

    def add(self, event: RawEvent) -> bool:
        """Add the next event of the stream if it continues this run; False when it does not."""
        if not 0 <= event.timestamp - self.events[-1].timestamp <= WITHIN_MS:
            return False
        part = _NEXT[self.last](self.events[0].message, event.message.rstrip("\r\n"))
        if part is None:
            return False
        self.events.append(event)
        self.last = part
        return True

    def joined(self) -> Iterable[RawEvent]:
        """Return the run as one event, followed by its trailing blank lines unchanged."""
        count = len(self.events)
        while count > 1 and not self.events[count - 1].message.strip():
            count -= 1
        if count == 1:
            return self.events
        whole = "\n".join(event.message.rstrip("\r\n") for event in self.events[:count])
        return [replace(self.events[0], message=whole), *self.events[count:]]


def may_have_tracebacks(events: Sequence[RawEvent]) -> bool:
    """Return whether any line is indented, as frames are: a fast check, nearly always false."""
    return not _INDENTS.isdisjoint({event.message[:1] for event in events})


def join_tracebacks(events: Iterable[RawEvent]) -> list[RawEvent]:
    """Return the events in order, with each traceback joined into one event with the id and time of its first line."""
    runs: list[_Run] = []
    open_runs: dict[str, _Run] = {}
    for event in events:
        run = open_runs.get(event.stream)
        if run is None or not run.add(event):
            run = open_runs[event.stream] = _Run(event)
            runs.append(run)
    return sorted((event for run in runs for event in run.joined()), key=lambda event: event.timestamp)


def _first(text: str) -> _Part:
    if text.startswith(_PYTHON):
        return _Part.PYTHON
    return _Part.FRAMES if _frame(text) else _Part.OTHER


def _after_other(head: str, text: str) -> _Part | None:
    return _Part.FRAMES if _frame(text) and _error_word(head) and not head.startswith(_NEVER_FIRST) else None


def _after_frames(_: str, text: str) -> _Part | None:
    return _Part.FRAMES if _cause(text) or (text[:1] in _INDENTS and text.strip()) else None


def _after_python(_: str, text: str) -> _Part | None:
    if text[:1] in _INDENTS or not text:
        return _Part.PYTHON
    return _Part.ENDED if _python_end(text) else None


def _after_end(_: str, text: str) -> _Part | None:
    if not text.strip():
        return _Part.ENDED
    return _Part.LINKED if _python_link(text) else None


def _after_link(_: str, text: str) -> _Part | None:
    if not text.strip():
        return _Part.LINKED
    return _Part.PYTHON if text.startswith(_PYTHON) else None


_NEXT = {
    _Part.OTHER: _after_other,
    _Part.FRAMES: _after_frames,
    _Part.PYTHON: _after_python,
    _Part.ENDED: _after_end,
    _Part.LINKED: _after_link,
}
"""Role of the last line → function of (first line, next line): the next line's role, None when unrelated."""
