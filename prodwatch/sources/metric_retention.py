"""How long CloudWatch keeps points of a period: asked for finer ones from further back, it answers with none at all."""

from __future__ import annotations

from datetime import timedelta

_KEPT = (
    (60, timedelta(hours=3)),
    (300, timedelta(days=15)),
    (3600, timedelta(days=63)),
)
"""Points finer than so many seconds are kept for so long."""
_LONGEST = timedelta(days=455)


def coarse(period_s: int, age: timedelta) -> int:
    """Return the finest period not under `period_s` of which CloudWatch still has points `age` ago."""
    for below_s, kept in _KEPT:
        if age >= kept and period_s % below_s:
            # Above the finest, a period is a multiple of the next that is kept.
            period_s = -(-period_s // below_s) * below_s
    return period_s


def kept_for(period_s: int) -> timedelta:
    """Return how far back points of a period reach."""
    return next((kept for below_s, kept in _KEPT if period_s % below_s), _LONGEST)
