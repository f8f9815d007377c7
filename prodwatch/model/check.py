"""Checks as defined in files: loaded and validated, but not expanded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec.structs import replace


class SourcePosition(msgspec.Struct, frozen=True, order=True):
    """A position in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """Polling of the target: wait for `until`, then judge `expect` once."""

    within_s: float
    every_s: float = 1.0
    until: tuple[str, ...] = ()
    """Condition to wait for; empty means `expect` itself."""
    stop_when: tuple[str, ...] = ()
    """Condition that ends the wait immediately, because the state cannot improve."""
    backoff: Literal["fixed", "exponential", "fibonacci"] = "fixed"
    max_every_s: float | None = None
    """Longest pause of a growing `backoff`; None: no limit."""
    jitter: bool = False


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Repetition of a request that received no response; a false assertion is never retried."""

    times: int = 1
    delay_s: float = 0.2


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """Repetition of another step and then this one while `when` holds, such as after a 409 that needs a fresh read."""

    when: tuple[str, ...]
    after: str
    times: int = 1


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """A value taken from the response for later steps."""

    path: str
    secret: bool = False
    pattern: str | None = None
    """Regular expression whose first group, or whole match without a group, is the value; None: the value itself."""


class StepDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its expectations: a step of a flow, a cleanup step, or the body of a plain check."""

    name: str
    type: str
    source: SourcePosition
    params: dict[str, Any] = {}
    """The type's own keys as in TOML, `${…}` not yet filled."""
    expect: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    capture: dict[str, Capture] = {}
    undoes: str | None = None
    """As a cleanup step: the only step whose changes it removes; None: those of all steps."""
    precondition: bool = False
    """A false `expect` skips the check instead of failing it."""
    attest: str | None = None
    """Overrides `[release] attest`; an empty text turns attestation off for this step."""
    timeout_s: float | None = None
    """Time limit per request; None means the type's default."""
    retry: Retry | None = None
    """None means one quick retry, the default."""
    poll: Poll | None = None
    hold_s: float | None = None
    hold_every_s: float | None = None
    hold_accumulates: bool = False
    """Every look of `hold` reads all that the earlier ones read, so that only the last has to be complete."""
    repeat: Repeat | None = None
    for_each: str | None = None
    """A template that yields a list; the step runs once per element, available as `${each…}`."""
    mutates: bool | None = None
    """Value in the file, None without one. Settings rejects steps that must set it and do not."""
    idempotent: bool = False
    account: str | None = None
    region: str | None = None


class CheckDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One selectable check, after expansion of its matrix."""

    id: str
    name: str
    title: str
    kind: Literal["smoke", "diagnostic"] = "smoke"
    type: str
    source: SourcePosition
    tags: tuple[str, ...] = ()
    owner: str | None = None
    environments: tuple[str, ...] = ()
    """Names of environments; empty means all."""
    enabled: bool = True
    critical: bool = False
    advisory: bool = False
    mutates: bool = False
    """Whether the check or any of its steps mutates."""
    serial: str | None = None
    needs: tuple[str, ...] = ()
    """Ids of checks, references resolved; likewise in `diagnose` and `of`."""
    requires: tuple[str, ...] = ()
    """Dotted references such as `stack.shop.TestTable`; the check is skipped when one is missing."""
    diagnose: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    """Members of a composite (`all`, `any`, `none`)."""
    timeout_s: float | None = None
    """Time limit of a flow; that of a plain check is in its step."""
    every_s: float | None = None
    """None unless set; a mutating check without it runs once per session."""
    vantage: tuple[str, ...] = ()
    links: dict[str, str] = {}
    muted_until: str | None = None
    """RFC 3339 date or time."""
    matrix: dict[str, Any] = {}
    vars: dict[str, Any] = {}
    expect: tuple[str, ...] = ()
    """Assertions of a flow, judged over `steps.<name>` after its last step, or of a composite.

    Those of a plain check are in its step.
    """
    warn: tuple[str, ...] = ()
    steps: tuple[StepDefinition, ...] = ()
    """Steps of a flow.

    A plain check has exactly one, named after its type; composites and pass/fail/skip have one or none.
    """
    cleanup: tuple[StepDefinition, ...] = ()


_NOWHERE = SourcePosition("")


def without_positions(steps: Iterable[StepDefinition]) -> tuple[StepDefinition, ...]:
    """Return the steps without their positions in the file."""
    return tuple(replace(step, source=_NOWHERE) for step in steps)


def measures_the_same(one: CheckDefinition, other: CheckDefinition) -> bool:
    """Return whether two definitions send and judge the same; names, titles, pace and positions do not count."""
    return one is other or _measured(one) == _measured(other)


def _measured(check: CheckDefinition) -> CheckDefinition:
    return replace(
        check,
        id="",
        name="",
        title="",
        source=_NOWHERE,
        tags=(),
        owner=None,
        critical=False,
        advisory=False,
        every_s=None,
        diagnose=(),
        links={},
        steps=without_positions(check.steps),
        cleanup=without_positions(check.cleanup),
    )
