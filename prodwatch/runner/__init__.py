"""Runs checks; nothing is green by default.

The rooms follow the data, from a definition to a result:

- `bounds`: concurrency, time limits, serial groups.
- `values`: values of `${…}`, remote ones included, and the redaction of everything that leaves a run.
- `step`: `CompiledStep` → `Attempt`, one request and its judged response → `Outcome` → `Conclusion` → `StepResult`.
- `check`: prerequisites, the steps of a flow, cleanup → `CheckResult`.
- `schedule`: selection, order, dependencies, rounds.

`runner` drives them and `result_document` assembles the `RunResult`; a room imports only those listed before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prodwatch.runner.dry_run import PlannedCall
    from prodwatch.runner.early_end import TERMINATED
    from prodwatch.runner.merge_shards import merge_results
    from prodwatch.runner.options import ReleaseOverride, RunOptions, fresh_run_id
    from prodwatch.runner.runner import Runner
    from prodwatch.runner.schedule.rounds import RoundPlan
    from prodwatch.runner.schedule.selection import Selection, parse_shard, select
    from prodwatch.runner.step.journal import (
        UnfinishedJournal,
        find_journal,
        forget_journal,
        unfinished_journals,
        unreadable_journals,
    )

_HOMES = {
    "UnfinishedJournal": "step.journal",
    "PlannedCall": "dry_run",
    "ReleaseOverride": "options",
    "RoundPlan": "schedule.rounds",
    "RunOptions": "options",
    "Runner": "runner",
    "Selection": "schedule.selection",
    "TERMINATED": "early_end",
    "find_journal": "step.journal",
    "fresh_run_id": "options",
    "forget_journal": "step.journal",
    "unreadable_journals": "step.journal",
    "unfinished_journals": "step.journal",
    "merge_results": "merge_shards",
    "parse_shard": "schedule.selection",
    "select": "schedule.selection",
}

__all__ = [
    "TERMINATED",
    "PlannedCall",
    "ReleaseOverride",
    "RoundPlan",
    "RunOptions",
    "Runner",
    "Selection",
    "UnfinishedJournal",
    "find_journal",
    "forget_journal",
    "fresh_run_id",
    "merge_results",
    "parse_shard",
    "select",
    "unfinished_journals",
    "unreadable_journals",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: `list` selects checks without loading what runs them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
