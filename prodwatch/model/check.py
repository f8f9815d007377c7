"""A check as its author wrote it: loaded, validated, not yet expanded."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class SourcePosition(msgspec.Struct, frozen=True, order=True):
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting for a state of the target: `until` is waited for, then `expect` is judged once."""

    within_s: float
    every_s: float = 1.0
    until: tuple[str, ...] = ()
    """Empty: `expect` itself is waited for."""
    stop_when: tuple[str, ...] = ()
    """A terminal bad state that ends the wait at once."""
    backoff: Literal["fixed", "exponential", "fibonacci"] = "fixed"
    jitter: bool = False


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Repeating a request that never got an answer; never a false assertion."""

    times: int = 1
    delay_s: float = 0.2


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """Run another step again, then this one, while `when` holds (a 409 that wants a fresh read)."""

    when: tuple[str, ...]
    after: str
    times: int = 1


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A value taken from the answer for later steps."""

    path: str
    secret: bool = False


class StepDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what is expected of it: a flow's step, a cleanup, or the body of a plain check."""

    name: str
    type: str
    source: SourcePosition
    params: dict[str, Any] = {}
    """The type's own keys as written in TOML, `${…}` still inside."""
    expect: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    capture: dict[str, Capture] = {}
    attest: str | None = None
    """Overrides `[release] attest`; an empty text switches attestation off for this step."""
    timeout_s: float | None = None
    """Per request; None means the type's default."""
    retry: Retry | None = None
    """None means the default of one quick retry."""
    poll: Poll | None = None
    hold_s: float | None = None
    hold_every_s: float | None = None
    repeat: Repeat | None = None
    for_each: str | None = None
    """A template giving a list; the step runs once per element as `${each…}`."""
    mutates: bool | None = None
    """As written; None when the file says nothing. Settings has already refused what needs an answer."""
    idempotent: bool = False
    account: str | None = None
    region: str | None = None


class CheckDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One selectable check, matrix already unfolded."""

    id: str
    name: str
    title: str
    kind: Literal["smoke", "diagnostic"] = "smoke"
    type: str
    source: SourcePosition
    tags: tuple[str, ...] = ()
    owner: str | None = None
    environments: tuple[str, ...] = ()
    """Empty: every environment."""
    enabled: bool = True
    critical: bool = False
    advisory: bool = False
    mutates: bool = False
    """True when the check or any of its steps mutates."""
    serial: str | None = None
    needs: tuple[str, ...] = ()
    """Ids, references already resolved; so too `diagnose` and `of`."""
    requires: tuple[str, ...] = ()
    """Dotted references such as `stack.shop.TestTable`; missing means skipped."""
    diagnose: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    """Members of a composite (`all`, `any`, `none`)."""
    timeout_s: float | None = None
    """Of the whole flow; a plain check's lives in its step."""
    every_s: float | None = None
    """None unless written: a mutating check without it runs once per session."""
    vantage: tuple[str, ...] = ()
    links: dict[str, str] = {}
    muted_until: str | None = None
    """RFC 3339 date or time."""
    matrix: dict[str, Any] = {}
    vars: dict[str, Any] = {}
    expect: tuple[str, ...] = ()
    """Of a flow, judged over `steps.<name>` after its last step, or of a composite; a plain check's is in its step."""
    warn: tuple[str, ...] = ()
    steps: tuple[StepDefinition, ...] = ()
    """A plain check has exactly one, named after its type; composites and pass/fail/skip have one too or none."""
    cleanup: tuple[StepDefinition, ...] = ()
