"""Joins the lines of a traceback, each an event of its own, into one event.

Joined are lines of one stream that follow within a second: the frames of Python, Java, Node, .NET, Go, Ruby, Rust and
PHP, the causes, and the line with the error. Where the runtime writes the request id before every line, lines of one
request are joined even if those of others lie between, as in streams that serve several requests at once. A part that
arrives with a later page is an event of its own; no line is ever left out.
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
_prefix = re.compile(
    r"(?:\[[A-Z]{4,8}\]\t)?\d{4}-\d\d-\d\dT[\d:.]{8,20}Z\t([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\t"
    r"(?:[A-Za-z]{4,11}\t)?"
).match
"""Prefix of a line by the runtimes of Python, Node and .NET, with the request id."""
_go_head = re.compile(r"panic: |fatal error: ").match
_go = re.compile(
    r"$|goroutine \d+ |\[signal |\t\S+:\d+|created by |panic\(|exit status \d|\t?panic: |[\w./*()\[\]-]+\([^)]*\)$"
).match
_rust_head = re.compile(r"thread '[^']*' (?:\(\d+\) )?panicked at ").match
_rust = re.compile(r"note: |stack backtrace:|\s+\d+: |\s+at \S").match
_php_head = re.compile(r"(?:PHP )?Fatal error: |.*\bUncaught ").match
_php = re.compile(r"Stack trace:|#\d+ |\s+thrown in |Next \S").match
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
    GO = auto()
    RUST_HEAD = auto()
    """The line of Rust that the panic's message follows."""
    RUST = auto()
    PHP = auto()


class _Run:
    """Consecutive lines of one stream that belong together."""

    __slots__ = ("bodies", "events", "last")

    def __init__(self, event: RawEvent, body: str) -> None:
        self.events = [event]
        self.bodies = [body]
        """The lines without their prefixes."""
        self.last = _first(body)

    def add(self, event: RawEvent, body: str) -> bool:
        """Add the next event of the stream, or of its request, if it continues this run; False when it does not."""
        if not 0 <= event.timestamp - self.events[-1].timestamp <= WITHIN_MS:
            return False
        part = _NEXT[self.last](self.bodies[0], body)
        if part is None:
            return False
        self.events.append(event)
        self.bodies.append(body)
        self.last = part
        return True

    def joined(self) -> Iterable[RawEvent]:
        """Return the run as one event, followed by its trailing blank lines unchanged."""
        count = len(self.events)
        while count > 1 and not self.bodies[count - 1].strip():
            count -= 1
        if count == 1:
            return self.events
        whole = "\n".join((self.events[0].message.rstrip("\r\n"), *self.bodies[1:count]))
        return [replace(self.events[0], message=whole), *self.events[count:]]


def may_have_tracebacks(events: Sequence[RawEvent]) -> bool:
    """Return whether any line may belong to a traceback: a fast check, nearly always false."""
    texts = [event.message for event in events]
    firsts = {text[:1] for text in texts}
    if not _INDENTS.isdisjoint(firsts) or ("t" in firsts and any(text.startswith("thread '") for text in texts)):
        return True
    # Indented behind a prefix.
    return any("\t  " in text or "\t\t" in text for text in texts)


def join_tracebacks(events: Iterable[RawEvent]) -> list[RawEvent]:
    """Return the events in order, with each traceback joined into one event with the id and time of its first line."""
    runs: list[_Run] = []
    open_runs: dict[tuple[str, str | None], _Run] = {}
    """(stream, request id) → its last run; by stream alone, the last run of any request."""
    for event in events:
        prefix = _prefix(event.message)
        request_id = prefix[1] if prefix else None
        body = event.message[prefix.end() if prefix else 0 :].rstrip("\r\n")
        run = open_runs.get((event.stream, request_id))
        if run is None or not run.add(event, body):
            run = _Run(event, body)
            runs.append(run)
        open_runs[event.stream, request_id] = open_runs[event.stream, None] = run
    return sorted((event for run in runs for event in run.joined()), key=lambda event: event.timestamp)


def _first(text: str) -> _Part:
    if text.startswith(_PYTHON):
        return _Part.PYTHON
    if _go_head(text):
        return _Part.GO
    if _rust_head(text):
        # An event of several lines has the message already.
        return _Part.RUST if "\n" in text else _Part.RUST_HEAD
    return _Part.FRAMES if _frame(text) else _Part.OTHER


def _after_other(head: str, text: str) -> _Part | None:
    if head.startswith(_NEVER_FIRST):
        return None
    if _php_head(head) and _php(text):
        return _Part.PHP
    return _Part.FRAMES if _frame(text) and _error_word(head) else None


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


def _after_go(_: str, text: str) -> _Part | None:
    return _Part.GO if _go(text) else None


def _after_rust_head(_: str, text: str) -> _Part | None:
    return _Part.RUST if text.strip() and not _prefix(text) and not text.startswith(_NEVER_FIRST) else None


def _after_rust(_: str, text: str) -> _Part | None:
    return _Part.RUST if _rust(text) else None


def _after_php(_: str, text: str) -> _Part | None:
    return _Part.PHP if _php(text) else None


_NEXT = {
    _Part.OTHER: _after_other,
    _Part.FRAMES: _after_frames,
    _Part.PYTHON: _after_python,
    _Part.ENDED: _after_end,
    _Part.LINKED: _after_link,
    _Part.GO: _after_go,
    _Part.RUST_HEAD: _after_rust_head,
    _Part.RUST: _after_rust,
    _Part.PHP: _after_php,
}
"""Role of the last line → function of (first line, next line): the next line's role, None when unrelated."""
