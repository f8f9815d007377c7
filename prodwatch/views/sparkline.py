"""Heights of sparklines: scaled values, gaps preserved."""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = 8


def heights(
    values: Sequence[float | None], *, low: float | None = None, high: float | None = None, levels: int = LEVELS
) -> tuple[int | None, ...]:
    """Return each value as a level from 0 to `levels` - 1; None stays None.

    Without `low` the scale begins at the smallest value or at zero, whichever is lower; all equal: the lowest level.
    """
    measured = [value for value in values if value is not None]
    if not measured:
        return (None,) * len(values)
    bottom = min(0.0, *measured) if low is None else low
    top = max(measured) if high is None else high
    if top <= bottom:
        return tuple(None if value is None else 0 for value in values)
    span, most = top - bottom, levels - 1
    return tuple(
        None if value is None else min(most, max(0, round((value - bottom) / span * most))) for value in values
    )


def squeeze(values: Sequence[float | None], slots: int) -> tuple[float | None, ...]:
    """Return at most `slots` values, each the maximum of adjacent ones."""
    if len(values) <= slots or slots < 1:
        return tuple(values)
    out: list[float | None] = []
    for slot in range(slots):
        part = [
            value
            for value in values[slot * len(values) // slots : (slot + 1) * len(values) // slots]
            if value is not None
        ]
        out.append(max(part) if part else None)
    return tuple(out)
