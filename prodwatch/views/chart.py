"""Charts of series as braille dots, two by four per cell, or in ASCII."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

DOTS_X, DOTS_Y = 2, 4
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800


class Scale(msgspec.Struct, frozen=True):
    """The vertical axis."""

    low: float
    high: float

    def row(self, value: float, rows: int) -> int:
        """Return the row from the top, 0 to `rows` - 1, nearest to `value`; outside values lie on the edge."""
        if self.high <= self.low:
            return rows - 1
        share = (value - self.low) / (self.high - self.low)
        return min(rows - 1, max(0, round((1 - share) * (rows - 1))))


def scale_of(*series: Sequence[float | None]) -> Scale:
    """Return an axis for all values: from zero if they are positive, with 5 % of space above."""
    measured = [value for values in series for value in values if value is not None]
    if not measured:
        return Scale(0.0, 1.0)
    low, high = min(0.0, *measured), max(measured)
    if high <= low:
        return Scale(low, low + 1.0)
    return Scale(low, high + (high - low) * 0.05)


def plot(values: Sequence[float | None], scale: Scale, width: int, height: int) -> tuple[str, ...]:
    """Return `height` lines of `width` braille cells; cells without a dot are blanks, gaps stay gaps."""
    columns, rows = width * DOTS_X, height * DOTS_Y
    grid = [[0] * width for _ in range(height)]
    previous: tuple[int, int] | None = None
    for index, value in enumerate(values):
        if value is None:
            previous = None
            continue
        x = index * columns // len(values)
        y = scale.row(value, rows)
        for column, row in _line(previous or (x, y), (x, y)):
            grid[row // DOTS_Y][column // DOTS_X] |= _BITS[row % DOTS_Y][column % DOTS_X]
        previous = (x, y)
    return tuple("".join(chr(_BRAILLE + bits) if bits else " " for bits in line) for line in grid)


def plot_ascii(values: Sequence[float | None], scale: Scale, width: int, height: int, sign: str) -> tuple[str, ...]:
    """Return the same with one `sign` per value."""
    grid = [[" "] * width for _ in range(height)]
    for index, value in enumerate(values):
        if value is not None:
            grid[scale.row(value, height)][index * width // len(values)] = sign
    return tuple("".join(line) for line in grid)


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots from `start` to `end`, both in it."""
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0))
    if steps == 0:
        return [end]
    return [(x0 + round((x1 - x0) * step / steps), y0 + round((y1 - y0) * step / steps)) for step in range(steps + 1)]


def band(values: Sequence[float | None], percent: int = 80) -> tuple[float, float] | None:
    """Return the range that holds the middle `percent` of the values; None for fewer than five."""
    measured = sorted(value for value in values if value is not None)
    if len(measured) < 5:
        return None
    cut = len(measured) * (100 - percent) // 200
    return measured[cut], measured[-1 - cut]
