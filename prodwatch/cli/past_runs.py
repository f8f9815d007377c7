"""Past runs on the command line: the project's history, and run ids that a shell completes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from prodwatch.cli.options import Common
from prodwatch.cli.stderr import note
from prodwatch.errors import ConfigurationError, ProdwatchError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from prodwatch.settings import Project
    from prodwatch.store.history.history import History

RECENT = {"latest": 0, "previous": 1}
"""Word for a run → its place in the list of runs, newest first."""
_MOST_COMPLETED = 20


def project_history(common: Common) -> tuple[Project, History]:
    """Load the project that the options name and return it with its history. Raises ConfigurationError."""
    from prodwatch.cli.project import load
    from prodwatch.session.history import history_of, is_kept

    project = load(common, quiet=True)
    if not is_kept(project, os.environ):
        note("the history is off: no runs are kept")
    return project, history_of(project, warn=note)


def find_run(history: History, name: str) -> str | None:
    """Return the id of the run that a word, an id or the beginning of an id names; None when there is none.

    Raises ConfigurationError for the beginning of several ids.
    """
    if name in RECENT:
        newest = history.runs(None, RECENT[name] + 1)
        return newest[RECENT[name]].id if len(newest) > RECENT[name] else None
    ids = history.run_ids(name)
    if name in ids:
        return name
    if len(ids) > 1:
        shown = ", ".join(ids[:5])
        raise ConfigurationError(f'"{name}" is the beginning of {len(ids)} run ids: {shown}{" …" if ids[5:] else ""}')
    return ids[0] if ids else None


class RunParameter(click.ParamType[str]):
    """A run id, `latest` or `previous`; shells complete it."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 -- click's signature
        """Return the runs of the environment that begin with the typed text, newest first."""
        from click.shell_completion import CompletionItem

        try:
            _, history = project_history(_typed_options(ctx))
            runs = history.runs(None, None)
        except ProdwatchError:
            return []
        ids = [*RECENT, *(run.id for run in runs)]
        return [CompletionItem(each) for each in ids if each.startswith(incomplete)][:_MOST_COMPLETED]


def _typed_options(ctx: click.Context | None) -> Common:
    """Return the options that are already typed, which choose the project and its environment."""
    typed: dict[str, Any] = {}
    while ctx is not None:
        for name in ("env", "root"):
            if typed.get(name) is None:
                typed[name] = ctx.params.get(name)
        ctx = ctx.parent
    return Common(**typed)
