"""Regular expressions with limits: every search has a time limit, every pattern a size limit."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

import msgspec

from prodwatch.assertions.errors import PathError, UndecidableError

LIMIT_S = 0.25
"""Time limit of one search, in seconds."""
SHORTEST_S = 0.005
"""Shortest time limit of each of many searches, in seconds: enough on a loaded machine."""
MAX_LENGTH = 10_000
MAX_NESTING = 60
MAX_REPEATS = 100_000
"""Product of nested `{n}` counts: the compiler unrolls them."""
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?#[^)]*\))?|\)|\{(\d*),?(\d*)\}|.", re.DOTALL)


LOOKS_AHEAD = re.compile(r"\$|\\[bBmMzZG]|\(\?")
"""Parts of a pattern that may depend on the end of the text, or on the text that follows."""


class Pattern(msgspec.Struct, frozen=True):
    """A pattern from a text with `${…}` in it, whose values match themselves."""

    text: str
    """The regular expression, with the values escaped."""
    shown: str
    """The same for display, with the values as they are: an escaped secret would not be recognised and masked."""


def as_shown(expected: Any) -> Any:
    """Return an expected value for display: patterns, and those in a list, with their values as they are."""
    if isinstance(expected, list):
        return [as_shown(each) for each in expected]
    return expected.shown if isinstance(expected, Pattern) else expected


def share_s(searches: int) -> float:
    """Return the time limit of each of several searches of one claim; their sum is about the limit of one."""
    return max(SHORTEST_S, LIMIT_S / max(1, searches))


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern; PathError when it is not a regular expression."""
    import regex

    _refuse_explosive(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as problem:
        raise PathError(f"the pattern is not a regular expression: {problem}") from None


def search(pattern: str, text: str, limit_s: float = LIMIT_S) -> bool:
    """Return whether `pattern` matches anywhere in `text`; UndecidableError after `limit_s` seconds."""
    return first_match(pattern, text, limit_s) is not None


def first_match(pattern: str, text: str, limit_s: float = LIMIT_S) -> Any:
    """Return the first match of `pattern` in `text`, None without one; UndecidableError after `limit_s` seconds."""
    compiled = compile_pattern(pattern)
    try:
        return compiled.search(text, timeout=limit_s)
    except TimeoutError:
        raise UndecidableError(
            f"the pattern was still searching {len(text):,} characters after {limit_s * 1000:g} ms and was stopped;"
            " write it without nested repetition"
        ) from None
    except (MemoryError, RecursionError):
        raise UndecidableError(f"the pattern needs too much memory for {len(text):,} characters") from None


def _refuse_explosive(pattern: str) -> None:
    """Refuse patterns whose compilation alone would exhaust memory or time."""
    if len(pattern) > MAX_LENGTH:
        raise PathError(f"the pattern has {len(pattern):,} characters; the limit is {MAX_LENGTH:,}")
    # For each open group, the largest count of unrolled repetitions seen inside it.
    largest = [1]
    last = 1
    for match in _PIECE.finditer(pattern):
        piece = match[0]
        if piece == "(":
            largest.append(1)
            if len(largest) > MAX_NESTING:
                raise PathError(f"the pattern nests groups more than {MAX_NESTING} deep")
        elif piece == ")" and len(largest) > 1:
            last = largest.pop()
            largest[-1] = max(largest[-1], last)
            continue
        elif piece[0] == "{" and (match[1] or match[2]):
            last *= max(1, *(int(digits) for digits in match.groups() if digits and len(digits) < 12))
            if last > MAX_REPEATS:
                raise PathError(f"the pattern repeats its parts more than {MAX_REPEATS:,} times")
            largest[-1] = max(largest[-1], last)
            continue
        last = 1
