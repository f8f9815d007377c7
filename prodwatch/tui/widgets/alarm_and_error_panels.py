"""The panels of alarms and of error signatures."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime

from prodwatch.judge.comparison.version_comparison import format_percent
from prodwatch.model.identity import GroupId, PlaceNames
from prodwatch.model.signal import AlarmState, SourcePhase
from prodwatch.model.status import Status
from prodwatch.store.store import Topic
from prodwatch.text.units import format_age
from prodwatch.tui.styled_line import Column, Line, fit, head, longest, named_column, row
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.log_panel import empty_source
from prodwatch.tui.widgets.panel import Panel
from prodwatch.views.alarm_and_error_rows import (
    ALARM_STATES,
    SignatureRow,
    Signatures,
    alarm_reason,
    alarm_rows,
    signature_rows,
)
from prodwatch.views.comparisons import signature_standing
from prodwatch.views.panel_freshness import freshness
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone

_ALARM_COLUMNS = (
    Column("state", "", 9),
    Column("name", "alarm", 16, grow=1),
    Column("kind", "", 7, drop=4),
    Column("reason", "why", 40, grow=2, drop=6),
    Column("age", "since", 5, right=True, drop=3),
)
_SIGNATURE_COLUMNS = (
    Column("count", "", 6, right=True),
    Column("new", "", 3),
    Column("version", "", 5, drop=3),
    Column("sample", "signature", 16, grow=1),
    Column("group", "", 14, drop=5),
    Column("last", "last", 8, drop=2),
)
_COMPARED_COLUMNS = (
    Column("count", "", 6, right=True),
    Column("new", "", 3),
    Column("status", "", 12, drop=1),
    Column("version", "", 5, drop=7),
    Column("share", "of new", 6, right=True, drop=3),
    Column("sample", "signature", 24, grow=1),
    Column("group", "", 14, drop=4),
    Column("first", "first", 8, drop=6),
    Column("last", "last", 8, drop=8),
    Column("trace", "trace", 35, drop=9),
)
"""With what is known of signatures that are compared between two versions."""
STALE_AFTER_S = 120.0
_READING = frozenset((SourcePhase.LIVE, SourcePhase.IDLE))


def _group_text(group: GroupId, names: PlaceNames) -> str:
    return group.short_name + names.suffix(group.name, group.place)


class AlarmsPanel(Panel):
    """Rows are alarms; firing ones come first."""

    TOPICS = (Topic.ALARMS, Topic.SOURCES)
    TITLE = "Alarms"
    HELP = (
        "CloudWatch alarms defined in the environment file. Alarms that do not gate are dim: they never decide the "
        "verdict."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._rows: tuple[AlarmState, ...] = ()
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the alarms from the store."""
        now = self.context.now()
        self._rows = alarm_rows(self.context.store)
        firing = sum(alarm.state == "ALARM" for alarm in self._rows)
        self.set_title(f"Alarms  {firing} of {len(self._rows)} firing" if self._rows else "Alarms")
        fresh = freshness(self.context.store, "alarms", now, stale_after_s=STALE_AFTER_S)
        self.set_subtitle(fresh.text)
        self.set_class(fresh.stale, "-stale")
        self.rows_changed()

    def row_count(self) -> int:
        """Return how many alarms there are."""
        return len(self._rows)

    def row_key(self, index: int) -> Hashable:
        """Return the alarm's identity."""
        return self._rows[index].id

    def row_line(self, index: int, width: int) -> Line:
        """Draw one alarm."""
        alarm = self._rows[index]
        state = ALARM_STATES[alarm.state]
        tone = Tone.STRONG if alarm.state == "ALARM" and alarm.gate else (Tone.PLAIN if alarm.gate else Tone.DIM)
        age = format_age((self.context.now() - alarm.since).total_seconds()) if alarm.since else ""
        return row(
            fit(_ALARM_COLUMNS, width),
            {
                "state": (f"{self.context.glyph(state)} {state.word}", state.tone if alarm.gate else Tone.DIM),
                "name": (self.context.store.release.alarm_name(alarm.id), tone),
                "kind": ("" if alarm.gate else "no gate", Tone.DIM),
                "reason": (alarm_reason(alarm), Tone.PLAIN),
                "age": (age, Tone.DIM),
            },
        )

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return the reason for the empty panel, and the remedy."""
        del width
        fresh = freshness(self.context.store, "alarms", self.context.now(), stale_after_s=STALE_AFTER_S)
        return empty_source(self.context, fresh, "No alarms defined: add an [[alarm]] to the environment file.")


class SignaturesPanel(Panel):
    """Rows are error signatures; opening one shows its lines."""

    TOPICS = (Topic.SIGNATURES, Topic.RELEASE, Topic.SOURCES, Topic.COMPARISONS)
    TITLE = "Errors"
    HELP = (
        "Error lines grouped by signature, which ignores numbers and ids. NEW: first seen after the release began; in "
        "triage, first seen within the window; only where lines from before were read. Signatures that differ only in "
        "a name are one row. During a release each is bound to the new version, listed only, or accepted by [compare] "
        "known. Errors of prodwatch's own requests are counted apart. Enter shows the lines."
    )

    def __init__(self, context: WidgetContext, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        self._table = Signatures(rows=(), new=0, since=None, version=None)
        self._placed = 0
        """Cells of the longest name of a group that has its account and region."""
        super().__init__(context, id=id, classes=classes)

    def sync(self) -> None:
        """Take the signatures from the store."""
        window = self.context.facts.window
        self._table = signature_rows(self.context.store, self.context.now(), since=window.start if window else None)
        names = self.context.store.logs.names
        groups = {each.signature.group for each in self._table.rows}
        self._placed = longest(_group_text(each, names) for each in groups if names.suffix(each.name, each.place))
        name = "Errors"
        if window is not None and self._table.rows:
            name += f"  {self._table.new} new in the window"
        elif self._table.version:
            name += f"  {self._table.new} new since {version_label(self._table.version)}"
        self.set_title(name)
        dropped = self.context.store.signatures.dropped
        shapes = sum(each.signature.count > 0 for each in self._table.rows)
        different = f"{shapes} different {'error' if shapes == 1 else 'errors'}"
        counts = f"{different}, {dropped:,} rarer ones dropped from memory" if dropped else different
        if own := self.context.store.signatures.own:
            counts += f", {own:,} of own requests set aside"
        fresh = freshness(self.context.store, "logs", self.context.now())
        # Few errors are good news only while lines are being read.
        self.set_subtitle(f"{counts} · {fresh.text}" if fresh.stale or fresh.phase not in _READING else counts)
        self.set_class(fresh.stale, "-stale")
        self.rows_changed()

    def row_count(self) -> int:
        """Return how many signatures there are."""
        return len(self._table.rows)

    def row_key(self, index: int) -> Hashable:
        """Return the signature's identity."""
        return self._table.rows[index].key

    def signature(self, key: Hashable) -> SignatureRow | None:
        """Return the row of a signature's identity."""
        return next((entry for entry in self._table.rows if entry.key == key), None)

    def row_line(self, index: int, width: int) -> Line:
        """Draw one signature."""
        entry = self._table.rows[index]
        signature, group = entry.signature, entry.signature.group
        versions = sorted(signature.by_version, key=lambda version: -signature.by_version[version])
        first, last = (datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in (signature.first_ms, signature.last_ms))
        compared = entry.compared
        bound = compared is not None and compared.status is Status.FAIL
        alike = f"{entry.text} ({entry.members} alike)" if entry.members > 1 else signature.sample
        share = compared.share if compared is not None and entry.members == 1 else None
        return row(
            fit(self._columns(width), width),
            {
                "count": (f"{signature.count or signature.own:,}×", Tone.STRONG if entry.new else Tone.PLAIN),
                "new": ("NEW", Tone.BAD) if entry.new else ("" if signature.count else "own", Tone.DIM),
                "status": (signature_standing(compared) if compared else "", Tone.BAD if bound else Tone.DIM),
                "version": (version_label(versions[0]) if versions else "", Tone.OLD),
                "share": (format_percent(share) if share is not None else "", Tone.PLAIN),
                "sample": (alike, Tone.STRONG if entry.new or bound else Tone.PLAIN),
                "group": (_group_text(group, self.context.store.logs.names), Tone.DIM),
                "first": (self.context.time(first), Tone.DIM),
                "last": (self.context.time(last), Tone.DIM),
                "trace": (signature.trace_id or "", Tone.DIM),
            },
        )

    @property
    def _is_compared(self) -> bool:
        return any(each.compared for each in self._table.rows)

    def _columns(self, width: int) -> tuple[Column, ...]:
        columns = _COMPARED_COLUMNS if self._is_compared else _SIGNATURE_COLUMNS
        return tuple(named_column(each, self._placed, width) if each.name == "group" else each for each in columns)

    def head_lines(self, width: int) -> Sequence[Line]:
        """Name the columns where the panel is high enough and signatures are compared."""
        if self.size.height < 6 or not self._is_compared:
            return ()
        return (head(fit(self._columns(width), width)),)

    def empty_lines(self, width: int) -> Sequence[Line]:
        """Return that there are no errors only if lines were read."""
        del width
        store = self.context.store
        if not len(store.logs.ring):
            return empty_source(
                self.context, freshness(store, "logs", self.context.now()), "No log lines have been read yet."
            )
        return (((f"no errors in {store.logs.ring.tail:,} lines read", Tone.DIM),),)
