"""Cleanups that a front end with a session of rounds leaves undone, and the command that finishes them."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from prodwatch.settings.user_folders import state_dir

if TYPE_CHECKING:
    from prodwatch.runner import UnfinishedJournal


def unfinished() -> dict[str, UnfinishedJournal]:
    """Return the journals of this machine by run."""
    from prodwatch.runner import unfinished_journals

    return {each.run.run_id: each for each in unfinished_journals(state_dir())}


def left_undone(left_before: Collection[str]) -> list[str]:
    """Return a sentence for each run of this process whose journal remains; `left_before` has those of its start."""
    journals = unfinished()
    own = [journals[id_] for id_ in journals.keys() - left_before if journals[id_].run.pid == os.getpid()]
    sentences = []
    for journal in own:
        checks = ", ".join(dict.fromkeys(each.entry.check for each in journal.unfinished))
        sentences.append(f"not cleaned up: {checks}; `prodwatch cleanup {journal.run.run_id}` finishes it")
    return sentences
