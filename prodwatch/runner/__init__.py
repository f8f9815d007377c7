"""Runs checks: order, limits, deadlines, retry, polling, flows, cleanup; nothing is green by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodwatch.runner.dryrun import PlannedCall
    from prodwatch.runner.options import ReleaseOverride, RunOptions
    from prodwatch.runner.runner import TERMINATED, Runner
    from prodwatch.runner.selection import Selection, parse_shard, select
    from prodwatch.runner.verdict import decide, summarize

_HOMES = {
    "PlannedCall": "dryrun",
    "ReleaseOverride": "options",
    "RunOptions": "options",
    "Runner": "runner",
    "Selection": "selection",
    "TERMINATED": "runner",
    "decide": "verdict",
    "parse_shard": "selection",
    "select": "selection",
    "summarize": "verdict",
}

__all__ = [
    "TERMINATED",
    "PlannedCall",
    "ReleaseOverride",
    "RunOptions",
    "Runner",
    "Selection",
    "decide",
    "parse_shard",
    "select",
    "summarize",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: `list` selects checks without loading what runs them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
