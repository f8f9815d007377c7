"""Parses one event of CloudWatch Logs into a `LogRecord`; nothing is rejected, unknown formats remain text.

Supports Lambda's text and JSON platform lines, the runtimes' own formats, Powertools in any spelling, and EMF. The
version comes from the stream name, else from the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from prodwatch.formats.lambda_json import Line, parse_json_line
from prodwatch.formats.lambda_text import normalise_newlines, parse_report, parse_text_line
from prodwatch.formats.level_values import without_colours
from prodwatch.model.identity import HOME
from prodwatch.model.signal import LogRecord
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import MAX_CHARS, sanitize

__all__ = ["Event", "LineParser", "parse_report", "version_of_stream"]

_IN_STREAM = re.compile(r"(?:(?:^|/)([A-Za-z0-9_-]{1,140}))?\[(\$LATEST|\d+)\]")
"""Function, which only groups of several functions need, and version."""
_BLANKS = "\ufeff \t\r\n"
"""Characters that may precede a JSON document in a line."""
_MAX_STREAMS = 4096
"""Cached stream names."""


class Event(Protocol):
    """One event of CloudWatch Logs; times in epoch milliseconds."""

    @property
    def timestamp(self) -> int:
        """Timestamp set by the writer."""

    @property
    def message(self) -> str:
        """The text as written."""

    @property
    def event_id(self) -> str:
        """Unique id."""

    @property
    def stream(self) -> str:
        """Name of the log stream."""

    @property
    def ingested_ms(self) -> int:
        """Time of ingestion."""


@lru_cache(maxsize=4096)
def version_of_stream(stream: str) -> str | None:
    """Return the version in a stream name (`2026/11/20/[7]ab12…` gives `7`); None without one."""
    match = _IN_STREAM.search(stream)
    return match[2] if match else None


def function_of_stream(stream: str) -> str | None:
    """Return the function in a stream name (`2026/11/20/orders[7]ab12…` gives `orders`); None without one."""
    match = _IN_STREAM.search(stream)
    return match[1] if match else None


class _Stream(NamedTuple):
    name: str
    """One string for all lines of the stream."""
    version: str | None
    function: str | None


class LineParser:
    """Parses lines into records that are sanitised, and redacted by `redactor`."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor
        self._streams: dict[str, _Stream] = {}

    def parse(
        self,
        message: str,
        *,
        group: str,
        timestamp_ms: int,
        stream: str = "",
        event_id: str = "",
        ingested_ms: int = 0,
        late_ms: int = 0,
    ) -> LogRecord:
        """Return the record of one event, given as separate values."""
        message = without_colours(message)
        text = self._redactor.text(message) if self._redactor else message
        return self._record(text, group, timestamp_ms, self._stream(stream), event_id, ingested_ms, late_ms)

    def parse_event(self, event: Event, group: str, late_ms: int) -> LogRecord:
        """Return the record of one event."""
        return self.parse_all([event], group, late_before_ms=event.timestamp + 1, now_ms=event.timestamp + late_ms)[0]

    def parse_all(
        self, events: Sequence[Event], group: str, *, late_before_ms: int = 0, now_ms: int = 0
    ) -> list[LogRecord]:
        """Return the records of many events of one group, in order; much cheaper than one by one.

        Events dated before `late_before_ms` are late by their age at `now_ms`.
        """
        # Before secrets are masked: a sequence within a secret would hide it.
        texts = [event.message if "\x1b" not in event.message else without_colours(event.message) for event in events]
        if self._redactor:
            texts = self._redactor.texts(texts)
        record, streams = self._record, self._streams
        records = []
        for event, text in zip(events, texts, strict=True):
            stamp = event.timestamp
            stream = streams.get(event.stream) or self._stream(event.stream)
            late_ms = now_ms - stamp if stamp < late_before_ms else 0
            records.append(record(text, group, stamp, stream, event.event_id, event.ingested_ms, late_ms))
        return records

    def _stream(self, name: str) -> _Stream:
        cached = self._streams.get(name)
        if cached is None:
            if len(self._streams) >= _MAX_STREAMS:
                self._streams.clear()
            cached = self._streams[name] = _Stream(name, version_of_stream(name), function_of_stream(name))
        return cached

    def _record(
        self,
        text: str,
        group: str,
        timestamp_ms: int,
        stream: _Stream,
        event_id: str,
        ingested_ms: int,
        late_ms: int,
    ) -> LogRecord:
        """Return the record of a line in which unescaped secrets are already masked."""
        first = text[:1]
        is_object = first == "{" or (first in _BLANKS and text.lstrip(_BLANKS)[:1] == "{")
        line = parse_json_line(text) if is_object else None
        if line is not None:
            line = self._safe(line, text)
        else:
            line = parse_text_line(text)
            if line.fields is not None and ("\\" in text or not text.expandtabs(1).isprintable()):
                line = self._checked(line, text)
        return LogRecord(
            timestamp_ms,
            line.message,
            group,
            stream.name,
            line.level,
            stream.version or line.version,
            line.request_id,
            line.trace_id,
            event_id,
            ingested_ms,
            line.fields,
            line.kind,
            line.report,
            late_ms,
            HOME,
            stream.function,
            line.text,
        )

    def _safe(self, line: Line, text: str) -> Line:
        """Return a JSON line with all its texts safe to show."""
        if "\\" not in text and len(text) <= MAX_CHARS:
            # Without escapes, decoded texts are as safe as the line itself; JSON allows no raw control characters in
            # them.
            if text.isascii():
                if "\x7f" not in text:
                    return line if line.message.isprintable() else _shown(line, text)
            elif text.isprintable():
                return line
        return self._checked(line, text)

    def _checked(self, line: Line, text: str) -> Line:
        """Return a line with each of its decoded texts masked and sanitised."""
        message = self._masked(without_colours(line.message), text)
        return replace(line, fields=self._clean(line.fields, text), message=sanitize(normalise_newlines(message)))

    def _clean(self, value: Any, raw: str) -> Any:
        """Return a value of a JSON line with all its texts masked and sanitised, keys included."""
        if isinstance(value, str):
            return sanitize(self._masked(without_colours(value), raw))
        if isinstance(value, dict):
            return {self._clean(key, raw): self._clean(item, raw) for key, item in value.items()}
        if isinstance(value, list):
            return [self._clean(item, raw) for item in value]
        return value

    def _masked(self, text: str, raw: str) -> str:
        """Return a decoded text masked: an escape may have hidden a secret in the raw line."""
        # Text that occurs in the raw line unchanged has been checked there.
        return text if self._redactor is None or text in raw else self._redactor.text(text)


def _shown(line: Line, text: str) -> Line:
    """Return a line without a message of its own, shown as written, with unsafe characters replaced."""
    return line if text.isprintable() else replace(line, message=sanitize(normalise_newlines(line.message)))
