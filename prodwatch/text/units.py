"""Parses and formats durations, sizes, shares and metric values."""

from __future__ import annotations

import re
from decimal import Decimal

from prodwatch.model.quantity import NS_PER_S, Duration

_DURATION_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86400 * NS_PER_S,
}
_SIZE_BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_UNIT_SUFFIXES = {"Percent": " %", "Milliseconds": " ms", "Seconds": " s", "Bytes": " B", "Microseconds": " µs"}
"""CloudWatch unit → suffix of a value."""
_FINER_UNITS = {"Seconds": "Milliseconds", "Milliseconds": "Microseconds"}
"""Unit → the one a thousand times smaller, for values below 1."""
_CENT_USD = 0.01
LONGEST_DAYS = 36_500
"""Longest duration, a hundred years: dates beyond the calendar cannot be computed."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_DURATION = re.compile(rf"-?(?:{_PART.pattern})+")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_SIZE = re.compile(r"(-?\d+(?:\.\d+)?)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)")


def parse_duration(text: str) -> Duration:
    """Parse `300ms`, `5s`, `2m`, `1h30m`, `-5m` or `3d`; ValueError otherwise, and beyond `LONGEST_DAYS`."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f'"{text}" is not a duration; write one like 300ms, 5s, 2m or 1h30m')
    total = sum((Decimal(number) * _DURATION_NS[unit] for number, unit in _PART.findall(text)), Decimal(0))
    if total > LONGEST_DAYS * _DURATION_NS["d"]:
        raise ValueError(f'"{text}" is longer than {LONGEST_DAYS} days')
    return Duration(int(-total if text.startswith("-") else total))


def parse_size(text: str) -> int:
    """Parse `512B`, `10kB` or `5MiB` into bytes; ValueError otherwise."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f'"{text}" is not a size; write one like 512B, 10kB or 5MiB')
    return int(Decimal(match[1]) * _SIZE_BYTES[match[2]])


def parse_share(text: str) -> float:
    """Parse `0.5%`, `2%` or `100%` into a share from 0 to 1; ValueError otherwise."""
    match = _SHARE.fullmatch(text)
    share = Decimal(match[1]) / 100 if match else Decimal(-1)
    if not 0 <= share <= 1:
        raise ValueError(f'"{text}" is not a share; write one from 0% to 100%, like 0.5%')
    return float(share)


def format_ms(milliseconds: float) -> str:
    """Return a duration for a narrow column: `0.4 ms`, `212 ms`, `1.84 s`, `3 m 12 s`, `2 h 05 m`, `71 d`."""
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 99.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 172800:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86400} d"


def format_bytes(count: float) -> str:
    """Return a size for a narrow column: `512 B`, `1.4 kB`, `3.2 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_usd(usd: float) -> str:
    """Return a price in US dollars: `$1.25`, below a cent with two significant digits: `$0.00042`."""
    return f"${usd:,.2f}" if usd >= _CENT_USD else f"${Decimal(f'{usd:.2g}'):f}"


def format_age(seconds: float) -> str:
    """Return an age in its largest whole unit: `2s`, `4m`, `3h`, `2d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def format_value(value: float | None, unit: str | None) -> str:
    """Return a metric's value for a narrow column, with its CloudWatch unit: `1.8 s`, `12 ms`, `12k`, `–` for None."""
    if value is None:
        return "–"
    finer = _FINER_UNITS.get(unit or "")
    if finer is not None and 0 < abs(value) < 1:
        return format_value(value * 1000, finer)
    suffix = _UNIT_SUFFIXES.get(unit or "", "")
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.1f}M{suffix}"
    if size >= 1e4:
        return f"{value / 1e3:.0f}k{suffix}"
    if size >= 100 or abs(value - round(value)) <= 1e-9 * size:
        # Adding 0 makes a negative zero positive.
        return f"{value + 0.0:.0f}{suffix}"
    # A tenth of a percent is as fine as an error share is of use.
    return f"{value:.1f}{suffix}" if size >= (0.05 if unit == "Percent" else 1) else f"{value:.2g}{suffix}"


def format_change(change: float | None) -> str:
    """Return a relative change (0.5 is half as much again): `+48 %`, a factor from 9.5 on, empty for None."""
    if change is None:
        return ""
    return f"×{change + 1:.0f}" if change >= 9.5 else f"{change * 100:+.0f} %"
