"""The valid name somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean "timeout"?)` for the nearest of `valid`, or nothing when none is near."""
    from difflib import get_close_matches

    by_folded: dict[str, str] = {}
    for each in valid:
        by_folded.setdefault(each.casefold(), each)
    near = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f' (did you mean "{by_folded[near[0]]}"?)' if near else ""


def listing(names: Iterable[str], *, limit: int = 20) -> str:
    """Return `a, b, c` for a sentence; `none` when empty, cut after `limit` with the number left out."""
    ordered = list(names)
    shown = ", ".join(ordered[:limit])
    if len(ordered) > limit:
        shown += f" and {len(ordered) - limit} more"
    return shown or "none"
