"""Suggestions for misspelt names, and lists of names, in messages."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean "timeout"?)` for the closest name in `valid`; empty without a close one."""
    near = closest(name, valid)
    return f' (did you mean "{near}"?)' if near is not None else ""


def closest(name: str, valid: Iterable[str]) -> str | None:
    """Return the name in `valid` that most resembles `name`; None without a close one."""
    from difflib import SequenceMatcher, get_close_matches

    folded = name.casefold()
    by_folded: dict[str, str] = {}
    for candidate in valid:
        by_folded.setdefault(candidate.casefold(), candidate)
    near = get_close_matches(folded, by_folded, n=5, cutoff=0.6)
    if not near:
        return None

    def similarity(other: str) -> tuple[float, int]:
        # Among equal ratios, the candidate with more letters in place is the more likely one.
        in_place = sum(one == two for one, two in zip(folded, other, strict=False))
        return SequenceMatcher(None, folded, other).ratio(), in_place

    return by_folded[max(near, key=similarity)]


def listing(names: Iterable[str], *, limit: int = 20) -> str:
    """Return `a, b, c` for a sentence; `none` when empty, and after `limit` names the number of the others."""
    ordered = list(names)
    shown = ", ".join(ordered[:limit])
    if len(ordered) > limit:
        shown += f" and {len(ordered) - limit} more"
    return shown or "none"
