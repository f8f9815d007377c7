"""Events that a run sends to its listeners."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.result import CheckResult


class CheckStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A check has started."""

    id: str
    at: datetime
    trace_id: str | None = None
    """Trace id that its requests carry; None for a check that sends none."""


class CheckFinished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A check has finished."""

    result: CheckResult


class RunProgress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Progress of the run, in checks."""

    done: int
    total: int


RunEvent = CheckStarted | CheckFinished | RunProgress
