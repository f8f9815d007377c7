"""Second stage: a masked line as tokens, each constant or variable."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prodwatch.judge.signatures.masks import MASK, masked

VARIABLE = "<*>"

_TOKEN = re.compile(rf"[\w.$@/\\{MASK}-]+|[^\w\s]")
_QUOTED = re.compile(r"""(?<![\w])(?:"([^"\n]*)"|'([^'\n]*)')(?!\w)""")
_DIGIT = re.compile(r"\d")
_JOINS = frozenset(":,/.-@=_|#")
_CLOSING = ")"
_OPENING_OF = {")": "(", "]": "[", "}": "{"}
_QUOTES = frozenset("\"'`")
_REQUEST = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) \S+")
_LONGEST = 2000
"""Characters of a line that are read."""
_SAME_DIGITS = str.maketrans("123456789", "000000000")


def normalized(line: str) -> str:
    """Return the part of a line that its tokens depend on: its beginning, with every digit as 0."""
    return line[:_LONGEST].translate(_SAME_DIGITS)


def tokens_of(line: str) -> tuple[str, ...]:
    """Return the tokens of a line: words and punctuation, with `VARIABLE` for what varies."""
    text = masked(_QUOTED.sub(_unless_an_identifier, normalized(line)))
    return collapsed(
        VARIABLE if MASK in token or _DIGIT.search(token) else token.rstrip(".") for token in _TOKEN.findall(text)
    )


def collapsed(tokens: Iterable[str]) -> tuple[str, ...]:
    """Return tokens with neighbouring and joined variables as one, and without empty brackets and full stops."""
    kept: list[str] = []
    for word in tokens:
        if not word:
            continue
        if word == VARIABLE:
            while len(kept) > 1 and kept[-1] in _JOINS and kept[-2] == VARIABLE:
                kept.pop()
            if kept and kept[-1] == VARIABLE:
                continue
        elif word in _QUOTES and kept[-2:] == [word, VARIABLE]:
            kept[-2:] = [VARIABLE] if kept[-3:-2] != [VARIABLE] else []
            continue
        elif kept and word in _OPENING_OF and kept[-1] == _OPENING_OF[word]:
            kept.pop()
            continue
        elif word == _CLOSING and kept[-2:] == ["(", VARIABLE]:
            del kept[-2:]
            continue
        kept.append(word)
    return tuple(kept)


def _unless_an_identifier(match: re.Match[str]) -> str:
    inner = match[1] if match[1] is not None else match[2]
    request = _REQUEST.match(inner)
    if request is not None:
        return f"{request[1]} {MASK}"
    variable = not inner or " " in inner or _DIGIT.search(inner)
    return MASK if variable else match[0]
