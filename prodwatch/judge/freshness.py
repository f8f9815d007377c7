"""Which facts are too old to speak of the present."""

from __future__ import annotations

from enum import StrEnum

from prodwatch.judge.facts import CheckFact, SourceFact
from prodwatch.model.signal import UNREADABLE, SourcePhase

STALE_ROUNDS = 3
"""Number of intervals between rounds after which a result is stale."""
STALE_FLOOR_S = 60.0
"""Results younger than this are never stale."""
SOURCE_STALE_S = 300.0
"""Alarms, release and metrics are read every minute or more often."""
EVIDENCE = frozenset(("alarms", "release", "metrics", "logs", "session"))
"""Sources whose silence would look like good news."""


class SourceState(StrEnum):
    """Value of a source as evidence."""

    READ = "read"
    UNREAD = "unread"
    """It has not answered yet, or AWS has throttled every call so far."""
    PARTIAL = "partial"
    STALE = "stale"
    UNREADABLE = "unreadable"


def is_stale(age_s: float | None, every_s: float | None) -> bool:
    """Return whether a result of this age is stale; never for a check that runs once (`every_s` None)."""
    return age_s is not None and every_s is not None and age_s > max(STALE_FLOOR_S, STALE_ROUNDS * every_s)


def is_stale_check(check: CheckFact) -> bool:
    """Return whether the latest result of a check is stale; False before the first."""
    return check.status is not None and is_stale(check.age_s, check.every_s)


def is_evidence(source: SourceFact) -> bool:
    """Return whether a verdict needs this source."""
    return source.name.partition(":")[0] in EVIDENCE


def source_state(source: SourceFact) -> SourceState:
    """Return what a source is worth. Log groups are never stale: a busy group lags, and its panel says so."""
    if source.phase in UNREADABLE or source.phase is SourcePhase.WAITING:
        # What does not exist may be misspelt: its silence is not good news.
        return SourceState.UNREADABLE
    if source.unread:
        return SourceState.PARTIAL
    if source.phase is SourcePhase.STARTING or (source.phase is SourcePhase.THROTTLED and source.age_s is None):
        return SourceState.UNREAD
    if source.age_s is not None and source.age_s > SOURCE_STALE_S and not source.name.startswith("logs"):
        return SourceState.STALE
    return SourceState.READ
