"""Findings of `prodwatch doctor` as values."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "prodwatch.doctor/1"

Area = Literal["identity", "permissions", "clock", "endpoints", "extras", "terminal", "folders"]
State = Literal["ok", "warn", "problem", "unknown", "skipped"]
"""`problem` and `unknown` exit 3: something these files need is missing, or nobody could say."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing looked at."""

    area: Area
    state: State
    message: str
    """One sentence: what is so, and what to do where it should not be."""
    action: str | None = None
    """The IAM action, of a permission."""
    resources: tuple[str, ...] = ()
    disables: tuple[str, ...] = ()
    """What does not work without it: live panels, checks, secrets, stacks."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON document."""

    schema: str = SCHEMA
    environment: str
    ok: bool
    findings: tuple[Finding, ...]
