"""Findings of `prodwatch doctor` as values."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "prodwatch.doctor/1"

Area = Literal["identity", "values", "permissions", "clock", "endpoints", "extras", "terminal", "folders"]
State = Literal["ok", "warn", "problem", "unknown", "skipped"]
"""`problem` and `unknown` exit 3: something these files need is missing, or could not be determined."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Outcome of one test of the doctor."""

    area: Area
    state: State
    message: str
    """One sentence with the finding, and with a remedy for a problem."""
    action: str | None = None
    """IAM action, for a permission."""
    resources: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    """`account/region` of each place with this outcome, `home` for the own; empty where the own is the only one."""
    disables: tuple[str, ...] = ()
    """Features that do not work without it: live panels, checks, secrets, stacks."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON document."""

    schema: str = SCHEMA
    environment: str
    ok: bool
    findings: tuple[Finding, ...]
