"""Entries of past runs, and a history in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prodwatch.model.history import PastOutcome, PastRun, RunEntry
from prodwatch.model.result import Summary
from prodwatch.model.status import Status
from prodwatch.store.history.history import History, KeepLimits
from prodwatch.store.history.pending import pending_folder, write_pending

NOW = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
KEY = "shop-0123"


def outcome(id_: str, status: Status = Status.PASS, duration_ms: int | None = 100, **fields: Any) -> PastOutcome:
    values: dict[str, Any] = {"kind": "check", "id": id_, "title": id_, "status": status, "duration_ms": duration_ms}
    return PastOutcome(**values | fields)


def entry(
    id_: str, *outcomes: PastOutcome, ended_at: datetime = NOW, environment: str = "prod", **run: Any
) -> RunEntry:
    started_at = ended_at - timedelta(seconds=1)
    defaults: dict[str, Any] = {
        "mode": "check",
        "started_at": started_at,
        "duration_ms": 1000,
        "status": "pass",
        "exit_code": 0,
        "reason": "all passed",
        "summary": Summary(passed=len(outcomes), total=len(outcomes)),
        "host": "here",
        "version": "1",
    }
    past = PastRun(**defaults | {"id": id_, "environment": environment, "ended_at": ended_at} | run)
    return RunEntry(run=past, outcomes=outcomes)


def history(
    folder: Path,
    *,
    environment: str = "prod",
    keep_s: float = 90 * 86_400.0,
    size_bytes: int = 500_000_000,
    warn: Callable[[str], None] | None = None,
) -> History:
    """Return a history whose warnings fail the test, unless `warn` takes them."""
    limits = KeepLimits(keep_s=keep_s, size_bytes=size_bytes)
    return History(folder, KEY, environment, limits, warn=warn or unexpected, now=lambda: NOW)


def unexpected(message: str) -> None:
    raise AssertionError(message)


def add(folder: Path, *entries: RunEntry) -> None:
    for each in entries:
        write_pending(pending_folder(folder, KEY), each)


def ids(found: Sequence[PastRun]) -> list[str]:
    return [each.id for each in found]
