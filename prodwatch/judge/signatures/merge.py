"""Third stage: signatures that differ only in a name are one group, once enough different names were seen.

Groups depend on what was seen, so that they serve display and subtraction alone; identity is the signature itself.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prodwatch.judge.signatures.tokens import VARIABLE, collapsed

Tokens = tuple[str, ...]


class Thresholds(NamedTuple):
    """Different names at one position from which it is variable."""

    naming: int = 4
    """After a word that announces a name, `user alice`, after `=` and after `[`."""
    form: int = 2
    """When all have the form of a name: `com.shop.Cart`, `node_a/disk`."""
    elsewhere: int = 9


DEFAULT_THRESHOLDS = Thresholds()
_FEWEST_CONSTANT = 3
"""Constant words without which a signature is too short for its positions to be compared."""
_FEWEST_NAMES = 2
_NAMING = re.compile(
    "user|users|username|account|host|hostname|node|server|client|peer|address|domain|device|"
    "interface|volume|disk|file|path|dir|directory|folder|module|class|method|function|name|tag|key|"
    "id|uid|gid|from|for|to|by|of|at|in|on|via|as|with|table|bucket|queue|topic|stream|group|role|"
    "service|container|task|job|process|thread|session|pool|owner|tenant|customer|region|zone|cluster|"
    "partition|component|property|setting|option",
    re.IGNORECASE,
)
"""Words after which a name follows."""
_NAMING_SIGNS = frozenset("=[")
_NAME = re.compile(r"(?=.*[a-z])[^\W\d]\w*(?:[./$\\][\w.$/\\-]+|_\w+)")
_WORD = re.compile(r"\w")
_OUTCOME = re.compile(r".*(?:Error|Exception|Warning|Fault|Failure|Timeout)")
"""Names of kinds of errors: they never vary within one signature."""
_ABSENT = frozenset(["null", "nil", "none", "None", "undefined", "true", "false", "True", "False"])
"""Values without a name; only among many names they are treated as one."""


def merged(signatures: Iterable[Tokens], thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Mapping[Tokens, Tokens]:
    """Return the group of each signature: the same tokens with `VARIABLE` where the names vary."""
    group = {each: each for each in signatures}
    while True:
        renamed = _once(sorted(set(group.values())), thresholds)
        if not renamed:
            return group
        group = {each: renamed.get(now, now) for each, now in group.items()}


def _once(present: list[Tokens], thresholds: Thresholds) -> dict[Tokens, Tokens]:
    """Return the next groups of the signatures with the widest hole; empty when nothing varies any more."""
    holes: defaultdict[tuple[Tokens, Tokens], set[str]] = defaultdict(set)
    rests = {tokens: _rests(tokens) for tokens in present}
    # Cutting a hole into every signature costs ten times as much as counting first where two of them may meet.
    meeting = Counter(rest for each in rests.values() for rest in each)
    for tokens in present:
        met = [index for index, rest in enumerate(rests[tokens]) if index and meeting[rest] >= _FEWEST_NAMES]
        if not met:
            continue
        constant = [index for index, token in enumerate(tokens) if token != VARIABLE and _WORD.search(token)]
        if len(constant) < _FEWEST_CONSTANT:
            continue
        for index in met:
            token = tokens[index]
            if (index in constant or token == VARIABLE) and not _OUTCOME.fullmatch(token):
                holes[tokens[:index], tokens[index + 1 :]].add(token)
    renamed: dict[Tokens, Tokens] = {}
    for (before, after), present_names in sorted(holes.items(), key=lambda item: (-len(item[1]), item[0])):
        names = present_names if len(present_names) >= thresholds.elsewhere else present_names - _ABSENT
        if len(names) < _FEWEST_NAMES or not _varies(before, names, thresholds):
            continue
        members = [(*before, name, *after) for name in sorted(names)]
        if any(each in renamed for each in members):
            continue
        together = collapsed((*before, VARIABLE, *after))
        renamed.update({each: together for each in members if each != together})
    return renamed


def _rests(tokens: Tokens) -> list[tuple[int, int]]:
    """Return for each position itself and a number: signatures that differ there alone share both."""
    hashes = [hash(each) for each in enumerate(tokens)]
    whole = sum(hashes) + len(tokens)
    return [(index, whole - each) for index, each in enumerate(hashes)]


def _varies(before: Tokens, names: set[str], thresholds: Thresholds) -> bool:
    """Return whether these words at one position are names of things, rather than words that say what happened."""
    if VARIABLE in names or len(names) >= thresholds.elsewhere:
        return True
    if all(_NAME.fullmatch(name) for name in names):
        return len(names) >= thresholds.form
    return len(names) >= thresholds.naming and (
        _NAMING.fullmatch(before[-1]) is not None or before[-1] in _NAMING_SIGNS
    )
