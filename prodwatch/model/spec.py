"""How a check type describes itself: its keys, its document, its manners. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

KeyKind = Literal["text", "integer", "number", "boolean", "duration", "size", "share", "list", "table", "any", "texts"]
"""`texts` is one text or a list of texts; `any` is any TOML value; `duration` is written `"5s"`, `size` `"5MiB"`,
`share` `"0.5%"`.

A probe receives durations and sizes as the text that was written, already checked.
"""

FieldKind = Literal["text", "integer", "number", "boolean", "duration", "size", "time", "list", "table", "any"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a check type, as users write it."""

    name: str
    kind: KeyKind
    doc: str
    """One sentence for the reference page and the JSON Schema."""
    required: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None
    """As TOML would say it; for documentation."""
    minimum: float | None = None
    keys: tuple[Key, ...] = ()
    """Of a table: the keys it may hold; empty when it may hold any."""
    can_be_off: bool = False
    """`false` may stand in place of the table: it turns off the table's subject."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the document that `expect` and `capture` read."""

    name: str
    kind: FieldKind
    doc: str
    """Shape, unit, and where the value comes from."""


class ProbeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A check type: everything settings, docs and schema need, without importing any SDK."""

    type: str
    title: str
    doc: str
    """A paragraph for the reference page."""
    keys: tuple[Key, ...] = ()
    """A key called `name` gets the name of the check or step itself; one called `id` belongs to steps only,
    since a check's `id` is its own."""
    fields: tuple[Field, ...] = ()
    example: str = ""
    """A complete check in TOML that validates."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of keys of which at least one must be written."""
    at_most_one: tuple[tuple[str, ...], ...] = ()
    """Groups of keys of which no two may be written together."""
    problems: Callable[[Mapping[str, Any]], tuple[str, ...]] = msgspec.field(default=lambda _params: ())
    """Given the keys as written, one sentence for each combination that cannot be run; `${…}` may still be inside."""
    implicit_expect: tuple[str, ...] = ()
    """Judged unless an assertion of the step mentions the same leading field."""
    timeout_s: float = 5.0
    smoke_timeout_s: float | None = None
    """Default timeout of a smoke check when it differs."""
    within_s: float = 10.0
    """Default poll budget."""
    mutation: Callable[[Mapping[str, Any]], str | None] = msgspec.field(default=lambda _params: None)
    """Given the keys as written, says why this check changes something, or None when it only reads."""
    service: str | None = None
    """The AWS service it calls; `None` for none, `"*"` when a key names it."""
    needs_probe: bool = True
    """False for types the runner itself understands (flow, all, any, none, pass, fail, skip, wait)."""
