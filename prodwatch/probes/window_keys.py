"""Rules of the keys `since` and `until`, which logs and traces share; imports no SDK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.text.units import parse_duration

_LOOKS_LIKE_DURATION = re.compile(r"-?[\d.]+[a-zµ]+([\d.]+[a-zµ]+)*")


def window_problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one sentence per `since` or `until` that is written like a duration and is not one."""
    return tuple(problem for key in ("since", "until") if (problem := _problem(key, params.get(key))) is not None)


def blind_hold(params: Mapping[str, Any]) -> str | None:
    """Return why no look of a `hold` sees what happens during it: the window has ended before. None when it can."""
    if params.get("until") is None:
        return None
    return f'no look of "hold" sees what happens during it, because the window ends at until = "{params["until"]}"'


def _problem(key: str, value: Any) -> str | None:
    if not isinstance(value, str) or not _LOOKS_LIKE_DURATION.fullmatch(value.strip()):
        return None
    try:
        parse_duration(value.strip())
    except ValueError as error:
        return f"`{key}`: {error}"
    return None
