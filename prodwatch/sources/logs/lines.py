"""Events become records; a line that nobody can read takes no other with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.events import RawEvent

ParseLine = Callable[[RawEvent, str, int], LogRecord]
"""`parse(event, group, late_ms)`: sanitised and redacted."""

_LOG = logging.getLogger(__name__)


class ParseLines(Protocol):
    """The same for many lines at once, which is much cheaper."""

    def __call__(self, events: Sequence[RawEvent], group: str, *, late_before_ms: int, now_ms: int) -> list[LogRecord]:
        """Return the records in order; events dated before `late_before_ms` are late by their age at `now_ms`."""


class LineReader:
    """Reads many lines at once while it can, one by one where one of them breaks."""

    def __init__(self, parse: ParseLine, parse_all: ParseLines | None = None) -> None:
        self._parse = parse
        self._parse_all = parse_all

    def read(self, events: Sequence[RawEvent], group: str, *, late_before_ms: int, now_ms: int) -> list[LogRecord]:
        """Return one record for each event."""
        if self._parse_all is not None:
            try:
                return self._parse_all(events, group, late_before_ms=late_before_ms, now_ms=now_ms)
            except Exception:  # noqa: BLE001 -- which line it was is found and told below
                _LOG.debug("lines of %s are read one by one", group)
        return [
            self._one(each, group, now_ms - each.timestamp if each.timestamp < late_before_ms else 0) for each in events
        ]

    def _one(self, event: RawEvent, group: str, late_ms: int) -> LogRecord:
        try:
            return self._parse(event, group, late_ms)
        except Exception as broken:  # noqa: BLE001 -- one line that nobody can read must not take its page with it
            _LOG.exception("a line of %s could not be parsed", group)
            told = f"this line could not be parsed ({type(broken).__name__}); it has {len(event.message)} characters"
            return LogRecord(event.timestamp, told, group, event_id=event.event_id, late_ms=late_ms)
