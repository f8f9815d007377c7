"""Traces in the plain terminal: each once, when it is complete; a single trace as a waterfall."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from prodwatch.cli.live.colour import BOLD, DIM, RED, YELLOW, Style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.clock import Clock
from prodwatch.model.identity import Place, unique_name
from prodwatch.model.signal import Record, Trace, TraceSummary
from prodwatch.text.cell_width import clip, fitted, width
from prodwatch.text.parse_user_times import from_epoch, stamp
from prodwatch.text.units import format_ms
from prodwatch.views.release import version_label
from prodwatch.views.traces import SLOW_S, cause_text
from prodwatch.views.waterfall import EIGHTHS, Bar, waterfall

OPEN_FOR_S = 30.0
"""Seconds that a trace in progress waits for its end before it is shown as open."""
NAME_WIDTH = 34
REQUEST_WIDTH = 30
_BEFORE_REQUEST = 12 + 1 + 8 + 1 + 9 + 1 + 4 + 1 + 7 + 1
"""Cells of a row before its request."""
_INDENT = 13
"""Cells before a line that continues a row."""
DEEPEST = 8
"""Largest indentation of a span; deeper ones are drawn at this depth."""

Verdict = Literal["fault", "error", "throttle", "slow", "open", "ok"]
Render = Callable[[TraceSummary], str]

_COLOURS: dict[str, str] = {"fault": RED, "error": RED, "throttle": YELLOW, "slow": YELLOW, "open": DIM}
_PARTS = " ▏▎▍▌▋▊▉"


class TraceLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of NDJSON; unknown fields are left out."""

    id: str
    start: str
    verdict: Verdict
    duration_ms: int
    response_ms: int | None = None
    method: str | None = None
    url: str | None = None
    status: int | None = None
    service: str | None = None
    version: str | None = None
    root_cause: str | None = None
    slowest: str | None = None
    partial: bool = False
    annotations: dict[str, Any] = {}
    account: str | None = None
    """Account and region are left out where they are the environment's own."""
    region: str | None = None


def verdict(trace: TraceSummary, slow_s: float = SLOW_S) -> Verdict:
    """Return the verdict on a trace in one word, the worst first."""
    for word, applies in (("fault", trace.fault), ("throttle", trace.throttle), ("error", trace.error)):
        if applies:
            return word  # type: ignore[return-value]  # each is one of them
    if trace.duration_s > slow_s:
        return "slow"
    return "open" if trace.partial else "ok"


def ndjson(slow_s: float) -> Render:
    """Return a function that renders a trace as one JSON object."""

    def render(trace: TraceSummary) -> str:
        line = TraceLine(
            id=trace.id,
            start=stamp(trace.start_ms),
            verdict=verdict(trace, slow_s),
            duration_ms=round(trace.duration_s * 1000),
            response_ms=None if trace.response_s is None else round(trace.response_s * 1000),
            method=trace.method,
            url=trace.url,
            status=trace.status,
            service=trace.service,
            version=trace.version,
            root_cause=trace.root_cause,
            slowest=trace.slowest,
            partial=trace.partial,
            annotations=trace.annotations,
            account=trace.place.account or None,
            region=trace.place.region or None,
        )
        return msgspec.json.encode(line).decode()

    return render


def header(zone_name: str) -> str:
    """Return the names of the columns; `zone_name` is that of the times."""
    return f"{f'time {zone_name}':<12} {'verdict':<8} {'took':>9} {'code':>4} {'version':<7} request"


def text(
    style: Style, slow_s: float, zone: tzinfo | None = None, columns: Callable[[], int | None] = lambda: None
) -> Render:
    """Return a function that renders a trace under `header`: its row, the cause of a fault or slowness, its id.

    `columns` returns the width of a terminal, where cause and id continue on lines of their own; None for no limit.
    """

    def render(trace: TraceSummary) -> str:
        word = verdict(trace, slow_s)
        at = from_epoch(trace.start_ms).astimezone(zone)
        request = f"{trace.method or ''} {_path(trace.url) or trace.service or ''}".strip()
        version = version_label(trace.version) if trace.version else ""
        row = (
            f"{style.paint(f'{at:%H:%M:%S}.{trace.start_ms % 1000:03}', DIM)} "
            f"{style.paint(f'{word:<8}', _COLOURS.get(word))} {format_ms(trace.duration_s * 1000):>9} "
            f"{trace.status or '':>4} {version:<7} "
        )
        room = columns()
        shown = request if room is None else clip(request, max(0, room - _BEFORE_REQUEST))
        parts = (cause_text(trace, slow=word == "slow"), unique_name(trace.id, trace.place))
        return row + shown + _continued(parts, room, _BEFORE_REQUEST + width(shown))

    return render


def _continued(parts: Sequence[str], room: int | None, used: int) -> str:
    """Return parts behind `used` cells of a row; one for which the `room` is too small begins a line."""
    # The ids of rows without a cause are below each other.
    gap = max(2, _BEFORE_REQUEST + REQUEST_WIDTH + 2 - used)
    shown = ""
    for part in filter(None, parts):
        if room is None or used + gap + width(part) <= room:
            shown += " " * gap + part
            used += gap + width(part)
        else:
            cut = clip(part, max(1, room - _INDENT))
            shown += f"\n{'':<{_INDENT}}{cut}"
            used = _INDENT + width(cut)
        gap = 2
    return shown


def _path(url: str | None) -> str:
    if not url:
        return ""
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return url


_Key = tuple[str, Place]
"""Id of a trace, and the account and region that have this part of it."""


def _key(trace: TraceSummary) -> _Key:
    return (trace.id, trace.place)


class TraceStream:
    """Selects and writes traces; one in progress is held for `OPEN_FOR_S`, to be written when complete."""

    problem: str | None = None

    def __init__(
        self,
        sink: LineWriter,
        render: Render,
        *,
        clock: Clock,
        until: datetime | None = None,
        only_errors: bool = False,
        slow_s: float | None = None,
    ) -> None:
        """With `only_errors` and `slow_s` a trace is shown when either applies."""
        self._sink = sink
        self._render = render
        self._clock = clock
        self._until_ms = None if until is None else int(until.timestamp() * 1000)
        self._only_errors = only_errors
        self._slow_s = slow_s
        self._open: dict[_Key, tuple[float, TraceSummary]] = {}
        self._shown: set[_Key] = set()
        self._read: set[_Key] = set()
        self._grown: set[_Key] = set()

    def take(self, records: Sequence[Record]) -> int:
        """Write or hold the selected traces of a batch; return the number of new ones."""
        traces = [record for record in records if isinstance(record, TraceSummary)]
        self._read.update(map(_key, traces))
        self._grown.update(key for key in map(_key, traces) if key in self._shown)
        new = [trace for trace in traces if _key(trace) not in self._shown and self._in_window(trace)]
        now_s = self._clock.monotonic_s()
        whole = []
        for trace in new:
            if trace.partial:
                since_s = self._open.get(_key(trace), (now_s, trace))[0]
                self._open[_key(trace)] = (since_s, trace)
            else:
                self._open.pop(_key(trace), None)
                whole.append(trace)
        return self._show(whole)

    def tick(self, *, caught_up: bool) -> None:  # noqa: ARG002 -- traces wait for their own end, not for other sources
        """Write traces that have been open for `OPEN_FOR_S`."""
        now_s = self._clock.monotonic_s()
        due = [trace for since_s, trace in self._open.values() if now_s - since_s >= OPEN_FOR_S]
        for trace in due:
            del self._open[_key(trace)]
        self._show(due)

    def finish(self) -> None:
        """Write the traces that are still open."""
        waiting, self._open = self._open, {}
        self._show([trace for _, trace in waiting.values()])

    def summary(self) -> str:
        """Return the number of traces shown, and of traces read when that differs."""
        shown = f"{len(self._shown):,} {'trace' if len(self._shown) == 1 else 'traces'}"
        return shown if len(self._shown) == len(self._read) else f"{shown} of {len(self._read):,} read"

    def shortcomings(self) -> dict[str, int]:
        """Return the number of traces that grew after they were shown, and of open traces not shown."""
        return {"grew after they were shown": len(self._grown), "still open, not shown": len(self._open)}

    def _in_window(self, trace: TraceSummary) -> bool:
        return self._until_ms is None or trace.start_ms <= self._until_ms

    def _selects(self, trace: TraceSummary) -> bool:
        if not self._only_errors and self._slow_s is None:
            return True
        failed = trace.fault or trace.error or trace.throttle
        slow = self._slow_s is not None and trace.duration_s >= self._slow_s
        return (self._only_errors and failed) or slow

    def _show(self, traces: Sequence[TraceSummary]) -> int:
        selected = sorted((trace for trace in traces if self._selects(trace)), key=lambda trace: trace.start_ms)
        written = self._sink.write([self._render(trace) for trace in selected])
        self._shown.update(map(_key, selected[:written]))
        return len(selected)


def waterfall_text(trace: Trace, style: Style, *, width: int, unicode: bool = True) -> list[str]:
    """Return one trace as lines: a row per span with a bar on a common axis and its error, then the bottleneck."""
    room = max(10, width - NAME_WIDTH - 12)
    picture = waterfall(trace, room)
    title = f"{trace.id}  {format_ms(picture.total_s * 1000)}  {len(picture.bars)} spans"
    if trace.unread:
        title += f"  ({trace.unread:,} {'segment' if trace.unread == 1 else 'segments'} could not be read)"
    if picture.cut:
        title += "  (X-Ray left spans out: the trace is too large)"
    elif not picture.complete:
        title += "  (not complete yet)"
    lines = [style.paint(title, BOLD)]
    for bar in picture.bars:
        name = "  " * min(bar.depth, DEEPEST) + bar.name
        mark = ("◆" if unicode else "*") if bar.slowest else " "
        colour = {"fault": RED, "error": RED, "throttle": YELLOW}.get(bar.state)
        drawn = style.paint(_drawn(bar, unicode=unicode).ljust(room), colour or (None if bar.critical else DIM))
        lines.append(f"{fitted(name, NAME_WIDTH)} {format_ms(bar.duration_s * 1000):>9} {mark}{drawn}".rstrip())
        if remark := _remark(bar):
            lines.append(f"{'':<{NAME_WIDTH}} {'':>9}  {style.paint(remark, colour or DIM)}")
    if bottleneck := picture.bottleneck_text():
        lines.append(f"bottleneck: {bottleneck}")
    lines += [f"linked trace: {id_} (by {span.name})" for span in trace.spans for id_ in span.links]
    return lines


def _drawn(bar: Bar, *, unicode: bool) -> str:
    first, last = bar.x0 // EIGHTHS, bar.x1 // EIGHTHS
    if not unicode:
        return " " * first + "#" * max(1, last - first)
    rest = bar.x1 % EIGHTHS
    return " " * first + ("█" * (last - first) + (_PARTS[rest] if rest else "") or _PARTS[1])


def _remark(bar: Bar) -> str:
    words = [bar.state if bar.state != "ok" else "", bar.note or ""]
    words += ["still open" if bar.open else "", "parent span missing" if bar.orphan else ""]
    words += ["clocks differ" if bar.skewed else ""]
    return " · ".join(filter(None, words))
