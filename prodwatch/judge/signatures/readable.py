"""The text of a signature as people write it: no blanks within quotes and around punctuation.

Identity is the text of the tokens, which keeps a blank between any two; this one is for display alone.
"""

from __future__ import annotations

import re

_CLOSING = frozenset(",;:!?)]}%")
"""Punctuation that follows its word without a blank."""
_OPENING = frozenset("([{#$")
"""Punctuation that its word follows without a blank."""
_INFIX = frozenset("=")
"""Punctuation without a blank on either side."""
_QUOTES = frozenset("\"'`")
_CONTRACTIONS = frozenset(("d", "ll", "m", "re", "s", "t", "ve"))
"""Endings after an apostrophe: `can't`."""
_FILE = re.compile(r".*(?:\w\.(?:java|py|[cm]?js|tsx?|go|rs|cs|rb|php|kt|cpp|c)|[/\\]\S+)")
"""Word after which `:` comes before a line or a function."""
_WORD = re.compile(r".*\w")


def readable(text: str) -> str:
    """Return the text of a signature's tokens with blanks only where people write them."""
    tokens = text.split(" ")
    out: list[str] = []
    open_quote = ""
    glued = True
    for place, word in enumerate(tokens):
        following = tokens[place + 1] if place + 1 < len(tokens) else ""
        before, after = not glued, True
        if word == "'" and following in _CONTRACTIONS and _WORD.match(out[-1] if out else "") and not open_quote:
            before, after = False, False
        elif word == open_quote:
            before, open_quote = False, ""
        elif word in _QUOTES and not open_quote and word in tokens[place + 1 :]:
            after, open_quote = False, word
        elif word in _CLOSING:
            before = False
            after = word != ":" or not out or not (_FILE.fullmatch(out[-1]) or ":" in {following, out[-1]})
        elif word in _OPENING:
            after = False
        elif word in _INFIX:
            before = after = False
        if before and out:
            out.append(" ")
        out.append(word)
        glued = not after
    return "".join(out)
