"""Values and changes in as few digits as say what matters."""

from __future__ import annotations

_UNITS = {"Percent": " %", "Milliseconds": " ms", "Seconds": " s", "Bytes": " B", "Microseconds": " µs"}


def value_text(value: float | None, unit: str | None) -> str:
    """Return a value with as many digits as fit a narrow column, and its unit once."""
    if value is None:
        return "–"
    suffix = _UNITS.get(unit or "", "")
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.1f}M{suffix}"
    if size >= 1e4:
        return f"{value / 1e3:.0f}k{suffix}"
    return f"{value:.0f}{suffix}" if size >= 100 or value == int(value) else f"{value:.1f}{suffix}"


def change_text(change: float | None) -> str:
    """Return `+48 %`, or a factor when it is large."""
    if change is None:
        return ""
    return f"×{change + 1:.0f}" if change >= 9.5 else f"{change * 100:+.0f} %"
