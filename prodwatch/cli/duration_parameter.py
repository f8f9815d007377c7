"""Durations as values of options."""

from __future__ import annotations

from typing import Any

import click


class DurationParameter(click.ParamType[float]):
    """A duration such as 90s or 5m, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds. Raises a usage error for any other value."""
        from prodwatch.text.units import parse_duration

        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(str(value)).s
        except ValueError as caught:
            self.fail(str(caught), param, ctx)
        if seconds <= 0:
            self.fail(f'"{value}" is not greater than zero', param, ctx)
        return seconds
