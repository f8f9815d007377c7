"""Runs checks: order, limits, deadlines, retry, polling, flows, cleanup; nothing is green by default."""

from __future__ import annotations

from prodwatch.runner.dryrun import PlannedCall
from prodwatch.runner.options import ReleaseOverride, RunOptions
from prodwatch.runner.runner import TERMINATED, Runner
from prodwatch.runner.selection import Selection, parse_shard, select
from prodwatch.runner.verdict import decide, summarize

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
