"""Writes the reference page of all commands from their definitions."""

from __future__ import annotations

from collections.abc import Iterable

import click

from prodwatch.cli.main import COMMANDS, main
from prodwatch.cli.options import Common
from prodwatch.model.exit_code import ExitCode

_HEAD = """# Commands

`prodwatch [OPTIONS] [COMMAND]` — without a command it opens the dashboard on the environment. stdout carries results
only, everything else goes to stderr; one format fits on stdout, any number into files.

The environment is `--env`, else `PRODWATCH_ENV`, else the only file in `config/`. The root is the working directory or
its nearest parent that holds the environment's file. Settings of the machine: `PRODWATCH_STATE_DIR` is where journals
and locks are kept (otherwise the user's state folder), `PRODWATCH_DATA_DIR` where the [history](../guide/history.md) is
(otherwise the user's data folder), which `PRODWATCH_HISTORY` turns `off` or `on`; `PRODWATCH_VANTAGE` names the place,
for checks with a `vantage`; `NO_COLOR` is honoured.
"""


def commands_page() -> str:
    """Return the page as Markdown."""
    context = click.Context(main, info_name="prodwatch")
    lines = [_HEAD, "## Options of every command", "", "These options are accepted before and after the command.", ""]
    lines += _options(main, keep=set(Common.__struct_fields__) | {"version"})
    lines += [
        "## The dashboard",
        "",
        "Options without a command. The [guide](../guide/dashboard.md) describes the dashboard.",
        "",
    ]
    lines += _options(main, drop=set(Common.__struct_fields__) | {"version"})
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        usage = " ".join(["prodwatch", name, *command.collect_usage_pieces(click.Context(command, info_name=name))])
        lines += [f"## {name}", "", _text(command.help or ""), "", "```", usage, "```", ""]
        if command.epilog:
            lines += ["```", *(line.strip() for line in command.epilog.splitlines()[2:]), "```", ""]
        own = list(_options(command, drop=set(Common.__struct_fields__)))
        if own:
            lines += own
    lines += ["## Exit codes", "", "| code | when |", "|--:|---|"]
    lines += [f"| {code.value} | {_MEANING[code]} |" for code in ExitCode]
    lines += ["", "`check --nagios` alone uses 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.", ""]
    return "\n".join(lines)


_MEANING = {
    ExitCode.OK: "`pass` or `degraded`; `empty` with `--allow-empty`; leaving the dashboard",
    ExitCode.FAIL: "`fail`: evidence against the release; `degraded` with `--strict`",
    ExitCode.USAGE: "invalid options or files; every problem is listed",
    ExitCode.ERROR: "`error`: could not verify — credentials, permission, network, wrong account",
    ExitCode.INCONCLUSIVE: "`inconclusive`: too little evidence; all skipped; a critical check skipped",
    ExitCode.NOTHING_SELECTED: "no check is selected",
    ExitCode.BUG: "a bug in prodwatch; there is no verdict, and the message names the log file",
    ExitCode.INTERRUPTED: "Ctrl-C: cleanups have run, measured results are written",
    ExitCode.TERMINATED: "SIGTERM or SIGHUP: as for Ctrl-C",
}


def _options(command: click.Command, *, keep: set[str] | None = None, drop: set[str] | None = None) -> Iterable[str]:
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option) or option.name is None:
            continue
        if (keep is not None and option.name not in keep) or (drop is not None and option.name in drop):
            continue
        names = ", ".join(f"`{each}`" for each in option.opts)
        rows.append(f"| {names}{_value(option)} | {_text(option.help or '')} |")
    return ["| option | meaning |", "|---|---|", *rows, ""] if rows else []


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if option.metavar:
        return f" `{option.metavar}`"
    if isinstance(option.type, click.Choice):
        choices = "\\|".join(map(str, option.type.choices))
        return f" `{choices}`"
    return ""


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
