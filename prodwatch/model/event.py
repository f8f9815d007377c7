"""What a run tells its listeners while it happens."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.result import CheckResult


class CheckStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A check left the queue."""

    id: str
    at: datetime


class CheckFinished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A check has its result."""

    result: CheckResult


class RunProgress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How far the run is."""

    done: int
    total: int


RunEvent = CheckStarted | CheckFinished | RunProgress
