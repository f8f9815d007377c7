"""Parses events into records; an event that cannot be parsed does not affect the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.events import RawEvent

ParseLine = Callable[[RawEvent, str, int], LogRecord]
"""`parse(event, group, late_ms)` returns a sanitised and redacted record."""

_LOG = logging.getLogger(__name__)


class ParseLines(Protocol):
    """Parses many events at once, which is much cheaper."""

    def __call__(self, events: Sequence[RawEvent], group: str, *, late_before_ms: int, now_ms: int) -> list[LogRecord]:
        """Return the records in order; events dated before `late_before_ms` are late by their age at `now_ms`."""


class RecordParser:
    """Parses events in bulk, and one by one when one of them fails."""

    def __init__(self, parse: ParseLine, parse_all: ParseLines | None = None) -> None:
        self._parse = parse
        self._parse_all = parse_all

    def parse_events(
        self, events: Sequence[RawEvent], group: str, *, late_before_ms: int, now_ms: int
    ) -> list[LogRecord]:
        """Return one record per event, in order."""
        if self._parse_all is not None:
            try:
                return self._parse_all(events, group, late_before_ms=late_before_ms, now_ms=now_ms)
            except Exception:  # noqa: BLE001 -- parsed one by one below, where the failing event is reported
                _LOG.debug("lines of %s are read one by one", group)
        return [
            self._parse_one(event, group, now_ms - event.timestamp if event.timestamp < late_before_ms else 0)
            for event in events
        ]

    def _parse_one(self, event: RawEvent, group: str, late_ms: int) -> LogRecord:
        try:
            return self._parse(event, group, late_ms)
        except Exception as error:  # noqa: BLE001 -- one unparsable event must not affect the rest of its page
            _LOG.exception("a line of %s could not be parsed", group)
            message = f"this line could not be parsed ({type(error).__name__}); it has {len(event.message)} characters"
            return LogRecord(event.timestamp, message, group, event_id=event.event_id, late_ms=late_ms)
