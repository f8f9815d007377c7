"""The valid name somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean "timeout"?)` for the nearest of `valid`, or nothing when none is near."""
    from difflib import SequenceMatcher, get_close_matches

    wanted = name.casefold()
    by_folded: dict[str, str] = {}
    for each in valid:
        by_folded.setdefault(each.casefold(), each)
    near = get_close_matches(wanted, by_folded, n=5, cutoff=0.6)
    if not near:
        return ""

    def likeness(other: str) -> tuple[float, int]:
        # Equally similar by letters: the one with more letters in their place is the one that was mistyped.
        in_place = sum(one == two for one, two in zip(wanted, other, strict=False))
        return SequenceMatcher(None, wanted, other).ratio(), in_place

    return f' (did you mean "{by_folded[max(near, key=likeness)]}"?)'


def listing(names: Iterable[str], *, limit: int = 20) -> str:
    """Return `a, b, c` for a sentence; `none` when empty, cut after `limit` with the number left out."""
    ordered = list(names)
    shown = ", ".join(ordered[:limit])
    if len(ordered) > limit:
        shown += f" and {len(ordered) - limit} more"
    return shown or "none"
