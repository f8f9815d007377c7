"""Shared by all widgets: store, clock, session facts, preferences and the latest verdict."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from prodwatch.clock import Clock
from prodwatch.session.protocol import SessionFacts
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Store, Topic
from prodwatch.tui.preferences import Preferences
from prodwatch.views.status_style import State
from prodwatch.views.verdict import VerdictLine, given_line, verdict_line

if TYPE_CHECKING:
    from prodwatch.session.replay_session import ReplaySession

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictSnapshot:
    """Verdict and checks of the same moment, so that the panels that show them never contradict each other."""

    at: datetime
    verdict: VerdictLine
    checks: tuple[CheckTrack, ...]
    revision: int
    """Revision of the checks in the store."""


@dataclass(slots=True, kw_only=True)
class WidgetContext:
    """Shared by all widgets of one app. Only the app changes it, and only what the user chose."""

    store: Store
    clock: Clock
    facts: SessionFacts
    preferences: Preferences
    replay: ReplaySession | None = None
    """The recording that is replayed; None in a live session."""
    zone: tzinfo | None = UTC
    """None: this machine's zone."""
    paused: bool = False
    """The display is frozen; store, verdict and clock continue."""
    entered: dict[str, list[str]] = field(default_factory=dict)
    """Purpose of a prompt (`filter`, `find` …) → earlier entries, oldest first."""

    _snapshot: VerdictSnapshot | None = None

    def take_snapshot(self) -> VerdictSnapshot:
        """Take a new snapshot of verdict and checks; every widget shows it until the next one."""
        now = self.now()
        self._snapshot = VerdictSnapshot(
            at=now,
            verdict=self._verdict(now),
            checks=tuple(self.store.checks.tracks.values()),
            revision=self.store.revision(Topic.CHECKS),
        )
        return self._snapshot

    def _verdict(self, now: datetime) -> VerdictLine:
        """Return the verdict; a verdict that cannot be computed is an error, never the previous one."""
        facts = self.facts
        given = self.replay.given if self.replay is not None else None
        if given is not None:
            return given_line(given)
        try:
            return verdict_line(self.store, now, every_s=facts.every_s, window=facts.window, better=facts.better)
        except Exception as error:  # noqa: BLE001 -- a green verdict must not outlive its evidence
            _LOG.exception("the verdict could not be computed")
            reason = f"the verdict could not be computed: {type(error).__name__}: {error}"
            where = f"the traceback is in {facts.log_file}" if facts.log_file else None
            return VerdictLine(
                status="error",
                title="ERROR · could not verify",
                since=None,
                reasons=(reason,),
                evidence=where,
                outlook="retried twice a second",
            )

    @property
    def snapshot(self) -> VerdictSnapshot:
        """Return the latest snapshot."""
        return self._snapshot or self.take_snapshot()

    def now(self) -> datetime:
        """Return the present moment."""
        return self.clock.now()

    def glyph(self, state: State) -> str:
        """Return the symbol of a state."""
        return state.ascii if self.preferences.ascii else state.glyph

    def time(self, at: datetime, *, millis: bool = False) -> str:
        """Return the time of day in the user's zone."""
        local = at.astimezone(self.zone)
        return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}" if millis else f"{local:%H:%M:%S}"

    def window_text(self) -> str:
        """Return the triage window: `13:03 – 14:03`, with the date when it is not today."""
        window, now = self.facts.window, self.now()
        if window is None:
            return "now"
        start, end = window.start.astimezone(self.zone), window.until(now).astimezone(self.zone)
        day = f"{start:%Y-%m-%d} " if start.date() != self.today().date() or window.is_past else ""
        last = f"{end:%Y-%m-%d %H:%M}" if end.date() != start.date() else f"{end:%H:%M}"
        return f"{day}{start:%H:%M} – {last if window.is_past else 'now'}"

    def today(self) -> datetime:
        """Return the present moment in the user's zone."""
        return self.now().astimezone(self.zone)

    @property
    def zone_name(self) -> str:
        """Return `UTC`, or the local zone's name."""
        return self.now().astimezone(self.zone).tzname() or "local"
