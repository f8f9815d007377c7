"""Runs checks: order, limits, deadlines, retry, polling, flows, cleanup; nothing is green by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodwatch.runner.dryrun import PlannedCall
    from prodwatch.runner.journal import Leftover, find_journal, left_behind
    from prodwatch.runner.merge import merge_results
    from prodwatch.runner.options import ReleaseOverride, RunOptions
    from prodwatch.runner.rounds import RoundPlan
    from prodwatch.runner.runner import TERMINATED, Runner
    from prodwatch.runner.selection import Selection, parse_shard, select
    from prodwatch.runner.verdict import decide, summarize

_HOMES = {
    "Leftover": "journal",
    "PlannedCall": "dryrun",
    "ReleaseOverride": "options",
    "RoundPlan": "rounds",
    "RunOptions": "options",
    "Runner": "runner",
    "Selection": "selection",
    "TERMINATED": "runner",
    "decide": "verdict",
    "find_journal": "journal",
    "left_behind": "journal",
    "merge_results": "merge",
    "parse_shard": "selection",
    "select": "selection",
    "summarize": "verdict",
}

__all__ = [
    "TERMINATED",
    "Leftover",
    "PlannedCall",
    "ReleaseOverride",
    "RoundPlan",
    "RunOptions",
    "Runner",
    "Selection",
    "decide",
    "find_journal",
    "left_behind",
    "merge_results",
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
