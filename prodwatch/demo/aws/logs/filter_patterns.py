"""CloudWatch filter patterns, compiled once into a predicate over messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from prodwatch.demo.aws.expression_parser import ExpressionError
from prodwatch.demo.aws.logs.json_pattern import compile_json
from prodwatch.demo.aws.logs.space_pattern import compile_space_delimited

Predicate = Callable[[str], bool]

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|%((?:[^%\\]|\\.)+)%|([^\s"%]+))')
MAX_PATTERN = 1024


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Predicate | None:
    """Return the predicate of a filter pattern, None when it matches everything.

    Raises ExpressionError for a pattern that CloudWatch refuses.
    """
    if len(pattern) > MAX_PATTERN:
        raise ExpressionError(f"the filter pattern is longer than {MAX_PATTERN} characters")
    text = pattern.strip()
    if not text:
        return None
    if text.startswith("{"):
        return compile_json(text)
    if text.startswith("["):
        return compile_space_delimited(text)
    return _terms(text)


def _contains(needle: str) -> Predicate:
    return lambda message: needle in message


def _searches(pattern: str) -> Predicate:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ExpressionError(f"the regular expression %{pattern}% is not valid: {error}") from error
    return lambda message: search(message) is not None


def _terms(text: str) -> Predicate:
    """Compile `a b` (all), `?a ?b` (any; ignored next to others), `-a` (none), `"a phrase"` and `%regex%`."""
    needed: list[Predicate] = []
    optional: list[Predicate] = []
    refused: list[Predicate] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise ExpressionError(f"the filter pattern cannot be read from character {at + 1} on")
        at = match.end()
        sign, quoted, regex, plain = match.groups()
        if regex is not None:
            predicate = _searches(regex)
        else:
            predicate = _contains(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        {"?": optional, "-": refused, "": needed}[sign].append(predicate)
        at += len(text[at:]) - len(text[at:].lstrip())
    if needed or refused:
        return lambda message: (
            all(matches(message) for matches in needed) and not any(matches(message) for matches in refused)
        )
    return lambda message: any(matches(message) for matches in optional)
