"""What every widget may read: the store, the clock, the session's facts and how the user likes to see things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from prodwatch.clock import Clock
from prodwatch.store.store import Store
from prodwatch.tui.session import SessionFacts
from prodwatch.views.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """How one user likes the dashboard; all of it has a default."""

    theme: str = "prodwatch-dark"
    ascii: bool = False
    """Draw with ASCII only."""
    fps: float = 10.0
    """Frames per second; fewer spare a slow link. 0 leaves the pace to the caller."""
    local_time: bool = False
    """Times in this machine's zone instead of UTC; `t` switches."""
    bell: bool = True
    """Ring the terminal's bell when the verdict changes."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Binding id → keys, comma between alternatives."""


@dataclass(slots=True, kw_only=True)
class Deck:
    """Shared by all widgets of one app. Only the app changes it, and only what is the user's choice."""

    store: Store
    clock: Clock
    facts: SessionFacts
    preferences: Preferences
    zone: tzinfo | None = UTC
    """None: this machine's zone."""
    paused: bool = False
    """The display stands still; store, verdict and clock go on."""
    entered: dict[str, list[str]] = field(default_factory=dict)
    """Purpose of a prompt (`filter`, `find` …) → what was entered before, oldest first."""

    def now(self) -> datetime:
        """Return the present moment."""
        return self.clock.now()

    def glyph(self, state: State) -> str:
        """Return the sign of a state."""
        return state.ascii if self.preferences.ascii else state.glyph

    def time(self, at: datetime, *, millis: bool = False) -> str:
        """Return a moment as the time of day in the user's zone."""
        local = at.astimezone(self.zone)
        return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}" if millis else f"{local:%H:%M:%S}"

    @property
    def zone_name(self) -> str:
        """Return `UTC`, or the local zone's name."""
        return self.now().astimezone(self.zone).tzname() or "local"
