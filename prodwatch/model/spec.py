"""Declaration of a check type: its keys, its document, its rules. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from prodwatch.model.check import StepDefinition

KeyKind = Literal["text", "integer", "number", "boolean", "duration", "size", "share", "list", "table", "any", "texts"]
"""Kinds of values in TOML.

`texts` is one text or a list of texts; `any` is any TOML value; `duration` is written `"5s"`, `size` `"5MiB"`, `share`
`"0.5%"`. A probe receives durations and sizes as validated text.
"""

FieldKind = Literal["text", "integer", "number", "boolean", "duration", "size", "time", "list", "table", "any"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a check type."""

    name: str
    kind: KeyKind
    doc: str
    """Description for the reference page and the JSON Schema, one sentence."""
    required: bool = False
    choices: tuple[str, ...] = ()
    default: Any = None
    """Default as in TOML; documentation only."""
    minimum: float | None = None
    keys: tuple[Key, ...] = ()
    """Keys that a table may hold; empty means any."""
    can_be_off: bool = False
    """Whether `false` is allowed instead of the table, to turn its subject off."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the document that `expect` and `capture` read."""

    name: str
    kind: FieldKind
    doc: str
    """Shape, unit and source of the value."""
    timed: bool | None = None
    """Whether this machine's clock measured it, so that a stall of this machine spoils it.

    None: it did when it is a duration, except for durations that an AWS service reports.
    """
    behind: str = ""
    """Path to the list, table or text that a red claim on this field shows: `lines` for a count. Empty: none."""


class OneOfSeveral(msgspec.Struct, frozen=True, kw_only=True):
    """A field that holds the value of one element only, so that no claim on it is about all of them."""

    what: str
    """Completes `the field is …`: `that of the first copy`."""
    every: str
    """Path to the values of all elements: `results[].payload`."""
    allowed: frozenset[str] = frozenset()
    """Operators whose claim about the whole field is about every element."""


class ProbeSpec(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """A check type: everything that settings, docs and the schema need, without importing an SDK."""

    type: str
    title: str
    doc: str
    """Description for the reference page, one paragraph."""
    keys: tuple[Key, ...] = ()
    """Keys of the type.

    A key called `name` receives the name of the check or step; a key called `id` is for steps only, because a check's
    `id` is its own.
    """
    fields: tuple[Field, ...] = ()
    example: str = ""
    """A complete, valid check in TOML."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of keys of which at least one is required."""
    at_most_one: tuple[tuple[str, ...], ...] = ()
    """Groups of mutually exclusive keys."""
    problems: Callable[[Mapping[str, Any]], tuple[str, ...]] = msgspec.field(default=lambda _params: ())
    """Called with the keys as written (`${…}` not filled); returns one sentence per invalid combination."""
    blind_hold: Callable[[Mapping[str, Any]], str | None] = msgspec.field(default=lambda _params: None)
    """Called with the keys as written; returns why no look of a `hold` sees what happens during it, or None."""
    one_of_several: Callable[[Mapping[str, Any]], Mapping[str, OneOfSeveral]] = msgspec.field(
        default=lambda _params: {}
    )
    """Called with the keys as written; returns the fields that no assertion or capture may read with these keys."""
    doubt: Callable[[StepDefinition, frozenset[str]], str | None] = msgspec.field(default=lambda _step, _fields: None)
    """Called with a step and the leading fields of its `expect`; returns a sentence when they prove too little."""
    implicit_expect: tuple[str, ...] = ()
    """Assertions that apply unless an assertion of the step mentions the same leading field."""
    quiet_expect: tuple[str, ...] = ()
    """Assertions that a key `quiet_for` claims, and holds for its duration; empty: the type has no such key."""
    replaces_implicit: tuple[str, ...] = ()
    """Further mentions that replace `implicit_expect`: `error`; `results.function_error` is one below `results`."""
    timeout_s: float = 5.0
    smoke_timeout_s: float | None = None
    """Default timeout of a smoke check if it differs."""
    within_s: float = 10.0
    """Default time limit of polling."""
    mutation: Callable[[Mapping[str, Any]], str | None] = msgspec.field(default=lambda _params: None)
    """Called with the keys as written; returns why the check changes something, None when it only reads."""
    deletes: Callable[[Mapping[str, Any]], bool] = msgspec.field(default=lambda _params: False)
    """Called with the keys as written; whether the request deletes, which may be repeated without harm."""
    service: str | None = None
    """The AWS service it calls: None for none, `"*"` when a key names it."""
    needs_probe: bool = True
    """False for types that the runner implements (flow, all, any, none, pass, fail, skip, wait)."""

    @property
    def timed(self) -> frozenset[str]:
        """Leading names of the fields that this machine's clock measured."""
        return _timed(self)


@cache
def _timed(spec: ProbeSpec) -> frozenset[str]:
    return frozenset(field.name.partition(".")[0] for field in spec.fields if _is_timed(field, spec.service))


def _is_timed(field: Field, service: str | None) -> bool:
    if field.timed is not None:
        return field.timed
    return field.kind == "duration" and (service is None or field.name == "latency")
