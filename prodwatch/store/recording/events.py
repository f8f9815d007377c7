"""Lines of a session file: evidence with the time at which it was received, as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, Literal, cast

import msgspec

from prodwatch import __version__
from prodwatch.model.evidence import (
    CheckReported,
    ChecksDefined,
    Compared,
    Concluded,
    Delivered,
    Evidence,
    FunctionsWatched,
    GateLooked,
    GateOpened,
    Judged,
    LastWeekRead,
    Looked,
    Marked,
    NoticeAdded,
    Opened,
    SourceForgotten,
    Stalled,
    TraceFetched,
    UsageCounted,
)
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    CountedErrors,
    EvaluatedSignals,
    LogRecord,
    MetricSeries,
    Record,
    ReleaseEvent,
    ReleaseState,
    ServiceGraph,
    SourceStatus,
    TraceSummary,
)

SCHEMA = "prodwatch.session/1"
TOOL = f"prodwatch {__version__}"
"""This program and its version; snapshots are read by the version that wrote them."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The only line of the first frame."""

    schema: str = SCHEMA
    started_at: datetime
    tool: str = ""
    """Program and version that wrote the file."""
    mode: Literal["dashboard", "gate", "check", "record"] = "record"
    environment: str = ""
    title: str = ""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The only line of the last frame of a recording that was ended."""

    ended_at: datetime
    events: int
    """Lines in all frames of events."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence and the time at which it was received."""

    at: datetime
    """Wall time, by AWS's clock where it is known."""
    elapsed_us: int
    """Microseconds since the start of the recording by a clock that is never set."""
    event: Evidence


class _Logs(msgspec.Struct, frozen=True, tag_field="kind", tag="logs"):
    items: tuple[LogRecord, ...]


class _Traces(msgspec.Struct, frozen=True, tag_field="kind", tag="traces"):
    items: tuple[TraceSummary, ...]


class _Graphs(msgspec.Struct, frozen=True, tag_field="kind", tag="service_graphs"):
    items: tuple[ServiceGraph, ...]


class _Series(msgspec.Struct, frozen=True, tag_field="kind", tag="series"):
    items: tuple[MetricSeries, ...]


class _Alarms(msgspec.Struct, frozen=True, tag_field="kind", tag="alarms"):
    items: tuple[AlarmState, ...]


class _Evaluated(msgspec.Struct, frozen=True, tag_field="kind", tag="evaluated"):
    items: tuple[EvaluatedSignals, ...]


class _Counted(msgspec.Struct, frozen=True, tag_field="kind", tag="counted_errors"):
    items: tuple[CountedErrors, ...]


class _ReleaseEvents(msgspec.Struct, frozen=True, tag_field="kind", tag="release_events"):
    items: tuple[ReleaseEvent, ...]


class _Releases(msgspec.Struct, frozen=True, tag_field="kind", tag="releases"):
    items: tuple[ReleaseState, ...]


_Records = _Logs | _Traces | _Graphs | _Series | _Alarms | _Evaluated | _Counted | _ReleaseEvents | _Releases
KIND_OF: dict[type, Any] = {
    LogRecord: _Logs,
    TraceSummary: _Traces,
    ServiceGraph: _Graphs,
    MetricSeries: _Series,
    AlarmState: _Alarms,
    EvaluatedSignals: _Evaluated,
    CountedErrors: _Counted,
    ReleaseEvent: _ReleaseEvents,
    ReleaseState: _Releases,
}


class _Delivered(msgspec.Struct, frozen=True, kw_only=True, tag="delivered"):
    """A batch, whose records are grouped by kind in their order."""

    source: str
    status: SourceStatus | None = None
    is_answered: bool = False
    records: tuple[_Records, ...] = ()


_Written = (
    Opened
    | GateOpened
    | ChecksDefined
    | FunctionsWatched
    | _Delivered
    | SourceForgotten
    | CheckReported
    | LastWeekRead
    | TraceFetched
    | Marked
    | NoticeAdded
    | UsageCounted
    | Stalled
    | Looked
    | Compared
    | Judged
    | GateLooked
    | Concluded
)


class _Line(msgspec.Struct, frozen=True):
    at: datetime
    elapsed_us: int
    event: _Written


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_DECODER = msgspec.json.Decoder(_Line)
_KNOWN = frozenset(each.__struct_config__.tag for each in _Written.__args__)


def encode(entry: Entry) -> bytes:
    """Return the line of an entry, without its end of line."""
    event = entry.event
    written: Any = event
    if isinstance(event, Delivered):
        batch = event.batch
        runs = tuple(KIND_OF[kind](tuple(items)) for kind, items in groupby(batch.records, type))
        written = _Delivered(source=batch.source, status=batch.status, is_answered=batch.is_answered, records=runs)
    return _ENCODER.encode(_Line(entry.at, entry.elapsed_us, written))


def encode_value(value: Header | End | msgspec.Struct) -> bytes:
    """Return the line of a value that is not an event."""
    return _ENCODER.encode(value)


def decode_all(content: bytes) -> Iterator[Entry]:
    """Yield the entries of a frame of events. Raises ValueError for any other line.

    Lines of a type that this version does not know are left out: a later version may add types.
    """
    for line in content.splitlines():
        try:
            decoded = _DECODER.decode(line)
        except msgspec.ValidationError:
            if _is_unknown(line):
                continue
            raise
        yield Entry(at=decoded.at, elapsed_us=decoded.elapsed_us, event=_evidence(decoded.event))


def _evidence(written: _Written) -> Evidence:
    if isinstance(written, _Delivered):
        records: Iterable[Record] = (item for run in written.records for item in run.items)
        batch = Batch(
            source=written.source,
            records=tuple(records),
            status=written.status,
            is_answered=written.is_answered,
        )
        return Delivered(batch=batch)
    return written


def _is_unknown(line: bytes) -> bool:
    value = msgspec.json.decode(line)
    event = cast("object", value.get("event")) if isinstance(value, dict) else None
    return isinstance(event, dict) and isinstance(event.get("type"), str) and event["type"] not in _KNOWN


def line_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a line in a frame of events."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "One event of a session file. Types and fields are only ever added within a major version.",
        **msgspec.json.schema(_Line),
    }
