"""Log lines in the plain terminal: selection, ordering by time across groups, and the four output formats."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

import msgspec

from prodwatch.cli.live.colour import BOLD, CYAN, DIM, RED, YELLOW, Style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.clock import Clock
from prodwatch.model.identity import LAMBDA_GROUPS, GroupId, PlaceNames
from prodwatch.model.signal import Level, LogRecord, Record
from prodwatch.store.logs import lines_lost
from prodwatch.text.parse_user_times import from_epoch, stamp
from prodwatch.text.units import format_age
from prodwatch.views.log_filter import FilterError, LogFilter

HOLD_LINES = 20_000
"""Largest number of held lines; more are written at once."""
HOLD_S = 2.0
"""Longest time lines are held while groups are read for the first time, to be in order across groups."""
HOLD_TO_END_S = 60.0
"""`HOLD_S` of a stream that ends, where order matters more than delay."""
REORDER_S = 1.0
"""Time a line waits for older lines of other groups; a busy group is read once per second."""
MAX_ORIGIN = 28
"""Widest column of function and version, in cells."""

_ERRORS = frozenset((Level.ERROR, Level.FATAL))
_WORDS = {Level.PLATFORM: "AWS", Level.UNKNOWN: "-"}
_COLOURS = {
    Level.FATAL: f"{BOLD};{RED}",
    Level.ERROR: RED,
    Level.WARN: YELLOW,
    Level.DEBUG: DIM,
    Level.TRACE: DIM,
    Level.PLATFORM: DIM,
}

Render = Callable[[LogRecord], str]


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of NDJSON; unknown fields are left out."""

    timestamp: str
    level: Level
    message: str
    group: str
    account: str | None = None
    """Account and region are left out where they are the environment's own."""
    region: str | None = None
    function: str | None = None
    """Function that wrote the line, as far as its group or stream names one."""
    stream: str = ""
    version: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    event_id: str = ""
    ingested_at: str | None = None
    late_ms: int = 0
    kind: str = "app"
    report: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None


def ndjson(record: LogRecord) -> str:
    """Return the record as one JSON object; times are RFC 3339 in UTC with milliseconds."""
    report = None
    if record.report is not None:
        report = {key: value for key, value in msgspec.to_builtins(record.report).items() if value is not None}
    line = LogLine(
        timestamp=stamp(record.timestamp_ms),
        level=record.level,
        message=record.message,
        group=record.group,
        account=record.place.account or None,
        region=record.place.region or None,
        function=_function(record),
        stream=record.stream,
        version=record.version,
        request_id=record.request_id,
        trace_id=record.trace_id,
        event_id=record.event_id,
        ingested_at=stamp(record.ingested_ms) if record.ingested_ms else None,
        late_ms=record.late_ms,
        kind=record.kind,
        report=report,
        fields=record.fields,
    )
    return msgspec.json.encode(line).decode()


def _function(record: LogRecord) -> str | None:
    writer = record.writer.name
    return writer.removeprefix(LAMBDA_GROUPS) if writer.startswith(LAMBDA_GROUPS) else None


def raw(record: LogRecord) -> str:
    """Return the original line alone: JSON for a JSON line, the message for any other."""
    if record.text is not None:
        return record.text
    if record.fields is None:
        return record.message
    return msgspec.json.encode(record.fields).decode()


def is_error(record: LogRecord) -> bool:
    """Return whether a record is ERROR, FATAL, a failed invocation, or a report of logs dropped by Lambda."""
    if record.level in _ERRORS or record.kind == "dropped":
        return True
    return record.report is not None and record.report.status not in {None, "success"}


class ShortLines:
    """Renders time and message only."""

    def __init__(self, style: Style, *, today: datetime, zone: tzinfo | None = None) -> None:
        self._style = style
        self._zone = zone
        self._today = today.astimezone(zone).date()

    def __call__(self, record: LogRecord) -> str:
        """Return one record as text, with several lines when its message has several."""
        time = clock_text(record.timestamp_ms, self._today, self._zone)
        message = record.message.replace("\n", f"\n{' ' * (len(time) + 1)}")
        return f"{self._style.paint(time, DIM)} {self._style.paint(message, _COLOURS.get(record.level))}"


def clock_text(epoch_ms: int, today: date, zone: tzinfo | None) -> str:
    """Return a time of day with milliseconds, preceded by the date unless that is `today`."""
    at = from_epoch(epoch_ms).astimezone(zone)
    time = f"{at:%H:%M:%S}.{epoch_ms % 1000:03}"
    return time if at.date() == today else f"{at:%Y-%m-%d} {time}"


class TextLines:
    """Renders columns: time, level, origin (function and version), message; further lines of a message are indented."""

    def __init__(
        self, style: Style, *, today: datetime, groups: Sequence[GroupId] = (), zone: tzinfo | None = None
    ) -> None:
        """`groups` are those known at the start; a single one is left out of the lines."""
        self._style = style
        self._zone = zone
        self._today = today.astimezone(zone).date()
        self._alone = len(groups) == 1 and not groups[0].name.endswith("*")
        self._names = PlaceNames((group.name, group.place) for group in groups)
        self._width = max((min(MAX_ORIGIN, len(self._name(group))) for group in groups), default=0)

    def __call__(self, record: LogRecord) -> str:
        """Return one record as text, with several lines when its message has several."""
        time = clock_text(record.timestamp_ms, self._today, self._zone)
        word = f"{_WORDS.get(record.level, record.level.value):<5}"
        origin = self._origin(record)
        indent = " " * (len(time) + len(word) + len(origin) + (3 if origin else 2))
        colour = _COLOURS.get(record.level)
        late = f"late {format_age(record.late_ms / 1000)} " if record.late_ms else ""
        message = record.message.replace("\n", f"\n{indent}")
        paint = self._style.paint
        body = message if record.level in {Level.INFO, Level.UNKNOWN} else paint(message, colour)
        columns = [paint(time, DIM), paint(word, colour), *([paint(origin, CYAN)] if origin else [])]
        return f"{' '.join(columns)} {paint(late, YELLOW)}{body}"

    def _origin(self, record: LogRecord) -> str:
        version = "" if record.version is None else f":{record.version}"
        if self._alone:
            origin = version.removeprefix(":")
        else:
            group = record.group_id
            self._names.add(group.name, group.place)
            origin = f"{group.short_name}{version}{self._names.suffix(group.name, group.place)}"
        # The column only grows, so that it rarely moves.
        self._width = max(self._width, min(MAX_ORIGIN, len(origin)))
        return f"{origin:<{self._width}}"

    def _name(self, group: GroupId) -> str:
        return group.short_name + self._names.suffix(group.name, group.place)


class LogStream:
    """Selects, orders and writes log lines."""

    def __init__(
        self,
        sink: LineWriter,
        render: Render,
        *,
        clock: Clock,
        until: datetime | None = None,
        hold_s: float = HOLD_S,
        only_errors: bool = False,
        selects_version: Callable[[GroupId, str | None], bool] | None = None,
        chosen_by: LogFilter | None = None,
    ) -> None:
        """`selects_version` decides from a line's writer and version; None: lines of all versions."""
        self._hold_s = hold_s
        self._sink = sink
        self._render = render
        self._clock = clock
        self._until_ms = None if until is None else int(until.timestamp() * 1000)
        self._to_the_end = until is not None and until <= clock.now()
        """The window is over, so all lines can wait for the last one."""
        self._only_errors = only_errors
        self._selects_version = selects_version
        self._filter = chosen_by
        self.problem: str | None = None
        self._held: list[LogRecord] = []
        self._held_since_s = 0.0
        self._arrived: deque[tuple[float, int]] = deque()
        """Arrival (monotonic seconds) and newest timestamp (ms) of each held batch."""
        self._groups: set[GroupId] = set()
        self._caught_up = False
        self._shown = 0
        self._read = 0
        self._without_version = 0
        self._lost = 0

    def take(self, records: Sequence[Record]) -> int:
        """Write or hold the selected lines of a batch; return their number."""
        lines = [record for record in records if isinstance(record, LogRecord)]
        self._read += len(lines)
        self._lost += sum(map(lines_lost, lines))
        selected = [line for line in lines if self._selects(line)]
        self._groups.update(line.group_id for line in lines)
        if self._caught_up:
            self._reorder(selected)
            return len(selected)
        if not self._held:
            self._held_since_s = self._clock.monotonic_s()
        self._held += selected
        if len(self._held) >= HOLD_LINES:
            self.finish()
        return len(selected)

    def _reorder(self, lines: Sequence[LogRecord]) -> None:
        """Hold lines for older ones of other groups; late lines and those of a single group are written at once."""
        waiting = [each for each in lines if not each.late_ms] if len(self._groups) > 1 else []
        if len(waiting) < len(lines):
            self._show([each for each in lines if each.late_ms] if waiting else lines)
        if waiting:
            self._arrived.append((self._clock.monotonic_s(), max(each.timestamp_ms for each in waiting)))
            self._held += waiting
            if len(self._held) >= HOLD_LINES:
                self.finish()

    def tick(self, *, caught_up: bool) -> None:
        """Write the lines that have been held long enough."""
        now_s = self._clock.monotonic_s()
        if not self._caught_up:
            self._caught_up = caught_up and not self._to_the_end
            if self._held and (self._caught_up or now_s - self._held_since_s >= self._hold_s):
                self.finish()
            return
        newest_ms = None
        while self._arrived and now_s - self._arrived[0][0] >= REORDER_S:
            newest_ms = max(newest_ms or 0, self._arrived.popleft()[1])
        if newest_ms is not None:
            due = [each for each in self._held if each.timestamp_ms <= newest_ms]
            self._held = [each for each in self._held if each.timestamp_ms > newest_ms]
            self._show(due)

    def finish(self) -> None:
        """Write all held lines."""
        held, self._held = self._held, []
        self._arrived.clear()
        self._show(held)

    def summary(self) -> str:
        """Return the number of lines shown, and of lines read when that differs."""
        shown = f"{self._shown:,} {'line' if self._shown == 1 else 'lines'}"
        return shown if self._shown == self._read else f"{shown} of {self._read:,} read"

    def shortcomings(self) -> dict[str, int]:
        """Return the number of lines `--version` left out because they have no version, and of lines Lambda dropped."""
        return {"left out (no version)": self._without_version, "lost by Lambda": self._lost}

    def _selects(self, record: LogRecord) -> bool:
        if self._until_ms is not None and record.timestamp_ms > self._until_ms:
            return False
        if self._only_errors and not is_error(record):
            return False
        if not self._matches(record):
            return False
        if self._selects_version is None or self._selects_version(record.writer, record.version):
            return True
        self._without_version += record.version is None
        return False

    def _matches(self, record: LogRecord) -> bool:
        """Return whether the filter selects a line; every line once the filter was given up."""
        if self._filter is None:
            return True
        try:
            return self._filter.matches(record)
        except FilterError as error:
            # A line must not be hidden because of a search that did not end.
            self.problem, self._filter = f"{error}; from there on all lines were shown", None
            return True

    def _show(self, records: Sequence[LogRecord]) -> None:
        ordered = sorted(records, key=lambda each: each.timestamp_ms)
        self._shown += self._sink.write([self._render(each) for each in ordered])
