"""Presentation of states: always a glyph, a word and a tone, never a colour alone."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from prodwatch.model.signal import SourcePhase
from prodwatch.model.status import Status


class Tone(StrEnum):
    """Meaning of a piece of text; themes define its colour. Only the first five are statuses."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    UNKNOWN = "unknown"
    RUNNING = "running"
    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    """Keys and links."""
    HEAD = "head"
    OLD = "old"
    """Values of the previous version."""
    NEW = "new"
    """Values of the version under release."""
    MARK = "mark"
    """A moment on an axis."""
    BAND = "band"
    """Background of a picture: usual range, axis."""
    HIT = "hit"
    """A search hit."""


class State(NamedTuple):
    """One state as glyph, ASCII glyph, word and tone."""

    glyph: str
    ascii: str
    word: str
    tone: Tone


STATES: dict[Status, State] = {
    Status.FAIL: State("✘", "x", "FAIL", Tone.BAD),
    Status.ERROR: State("⊘", "E", "ERROR", Tone.UNKNOWN),
    Status.INCONCLUSIVE: State("?", "?", "UNSURE", Tone.UNKNOWN),
    Status.DEGRADED: State("!", "!", "WARN", Tone.WARN),
    Status.PASS: State("✔", "+", "PASS", Tone.GOOD),
    Status.SKIPPED: State("–", "-", "SKIP", Tone.DIM),
}
WAITING = State("·", ".", "WAIT", Tone.RUNNING)
"""No round has finished yet."""
EARLIER = State("┊", "|", "earlier", Tone.DIM)
"""Outcomes of earlier runs before it, those of this session after it."""
RUNNING = State("…", "~", "RUN", Tone.RUNNING)


def state_of(status: Status | None, *, running: bool = False) -> State:
    """Return the state of `status`; None is a check that has not finished a round."""
    if status is None:
        return RUNNING if running else WAITING
    return STATES[status]


SOURCE_STATES: dict[SourcePhase, State] = {
    SourcePhase.STARTING: State("…", "~", "loading", Tone.RUNNING),
    SourcePhase.LIVE: State("●", "*", "live", Tone.GOOD),
    SourcePhase.IDLE: State("○", "o", "idle", Tone.DIM),
    SourcePhase.BEHIND: State("!", "!", "behind", Tone.WARN),
    SourcePhase.THROTTLED: State("!", "!", "throttled", Tone.WARN),
    SourcePhase.DENIED: State("⊘", "E", "denied", Tone.BAD),
    SourcePhase.EXPIRED: State("⊘", "E", "expired", Tone.BAD),
    SourcePhase.WAITING: State("·", ".", "waiting", Tone.DIM),
    SourcePhase.FAILED: State("✘", "x", "failed", Tone.BAD),
    SourcePhase.STOPPED: State("■", "#", "stopped", Tone.DIM),
}
