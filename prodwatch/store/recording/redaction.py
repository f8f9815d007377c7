"""Masks every text of a value before it is written: known secrets, and texts that the user's patterns match."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import msgspec

from prodwatch.assertions.errors import PathError
from prodwatch.assertions.patterns import SHORTEST_S, compile_pattern
from prodwatch.text.redact import MASK, Redactor

MOST_TIMEOUTS = 50
"""Searches of the user's patterns that may exceed their time limit before the recording ends."""
KNOWN_TEXTS = 5_000
"""Texts whose masked form is remembered."""
T = TypeVar("T")


class RedactionError(Exception):
    """A pattern is too slow to be applied to everything."""


class Redaction:
    """Masks known secrets in every notation, and the matches of patterns."""

    def __init__(self, redactor: Redactor, patterns: Sequence[str] = ()) -> None:
        """Raises PathError for a text that is not a regular expression, or matches an empty text."""
        self._redactor = redactor
        self._patterns = tuple(compile_pattern(each) for each in patterns)
        for text, pattern in zip(patterns, self._patterns, strict=True):
            if pattern.search(""):
                raise PathError(f"the pattern {text} matches an empty text, so that it would mask everything")
        self._known: dict[str, str] = {}
        """Texts that were searched lately → the same, masked."""
        self.timeouts = 0
        """Searches that exceeded their time limit; each masked its whole text."""

    def encoded(self, value: T, encode: Callable[[T], bytes]) -> bytes:
        """Return the line of a value with everything masked. Raises RedactionError when a pattern is too slow."""
        value, line = _encoded(value, encode)
        if self._redactor.knows_secrets:
            text = line.decode()
            # Most lines hold no secret, and to search the whole line once is all that they cost.
            if self._redactor.texts([text])[0] != text:
                value = masked(value, self._redactor.text)
                line = encode(value)
        return encode(masked(value, self._text)) if self._patterns else line

    def _text(self, text: str) -> str:
        """Return a text with the matches of all patterns masked; many, such as names of groups, occur often."""
        known = self._known.get(text)
        if known is None:
            known = self._masked_by_patterns(text)
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            self._known[text] = known
        return known

    def _masked_by_patterns(self, text: str) -> str:
        for pattern in self._patterns:
            try:
                text = pattern.sub(MASK, text, timeout=SHORTEST_S)
            except TimeoutError:
                self.timeouts += 1
                if self.timeouts > MOST_TIMEOUTS:
                    raise RedactionError(
                        f"the pattern {pattern.pattern} exceeded {SHORTEST_S * 1000:g} ms for {self.timeouts} texts;"
                        " write it without nested repetition"
                    ) from None
                return MASK
        return text


def _encoded(value: T, encode: Callable[[T], bytes]) -> tuple[T, bytes]:
    """Return a value and its line, without halves of surrogate pairs, for which UTF-8 has no form."""
    try:
        return value, encode(value)
    except UnicodeEncodeError:
        value = masked(value, lambda text: text.encode("utf-8", "replace").decode())
        return value, encode(value)


def masked(value: T, mask: Callable[[str], str]) -> T:
    """Return a value whose texts are masked.

    Fields with a fixed set of values keep theirs. Of fields with free content, numbers and keys are masked, too.
    """
    result: T = _masked(value, mask, free=False)
    return result


def _masked(value: Any, mask: Callable[[str], str], *, free: bool) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return mask(value)
    if isinstance(value, msgspec.Struct):
        return _masked_struct(value, mask)
    if isinstance(value, Mapping):
        return {mask(key) if type(key) is str else key: _masked(item, mask, free=free) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)([_masked(each, mask, free=free) for each in value])
    # An Enum, None, or a number: typed ones cannot hold a text in its place.
    return text if free and (text := mask(str(value))) != str(value) else value


def _masked_struct(value: msgspec.Struct, mask: Callable[[str], str]) -> msgspec.Struct:
    changed = {}
    for name, free in _open_fields(type(value)):
        old = getattr(value, name)
        new = _masked(old, mask, free=free)
        if new is not old:
            changed[name] = new
    return msgspec.structs.replace(value, **changed) if changed else value


@cache
def _open_fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a struct that may hold any text, each with whether its content is free."""
    hints = typing.get_type_hints(kind)
    names: tuple[str, ...] = kind.__struct_fields__  # type: ignore[attr-defined]
    return tuple((name, _is_free(hints[name])) for name in names if not _is_closed(hints[name]))


def _is_free(hint: Any) -> bool:
    return hint is Any or any(_is_free(each) for each in typing.get_args(hint))


def _is_closed(hint: Any) -> bool:
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return all(_is_closed(each) for each in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal or hint in {int, float, bool, type(None)}:
        return True
    return isinstance(hint, type) and issubclass(hint, Enum)
