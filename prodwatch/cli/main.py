"""Entry point of the command line: imports only the called command and maps every outcome to an exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from prodwatch import __version__
from prodwatch.cli.options import Common, common_options
from prodwatch.cli.recording_options import Recording, recording_options
from prodwatch.cli.stderr import error, problems, say
from prodwatch.cli.window_options import arguments, window_of, window_options
from prodwatch.errors import (
    CannotVerifyError,
    ConfigurationError,
    NothingSelectedError,
    ProdwatchError,
    UnavailableFeatureError,
)
from prodwatch.model.exit_code import ExitCode

COMMANDS = {
    "check": "Run the selected checks once and report the verdict.",
    "gate": "Watch a release until its bake ends and report the verdict.",
    "placebo": "Measure how often the gate would have failed while nothing was released.",
    "record": "Record a session without a dashboard.",
    "replay": "Open the dashboard over a recording.",
    "report": "Write a run as one HTML page, or as a note in Markdown.",
    "verify": "Find damage of a recording, and judge it again.",
    "list": "List the checks that would run.",
    "validate": "Check every file without network access.",
    "explain": "Show one check with all defaults filled in.",
    "schema": "Print the JSON Schema of the files and of the result.",
    "logs": "Follow log groups, or read a window of them.",
    "traces": "Follow X-Ray traces, or show one of them.",
    "metrics": "Show the latest value of every watched metric.",
    "doctor": "Report what works from this machine, and what each missing thing disables.",
    "iam-policy": "Print the IAM policy these files need, and nothing more.",
    "history": "Show past runs, and how often and how fast each check passed.",
    "diff": "Compare two runs: what turned red or green, slower, appeared or vanished.",
    "cleanup": "Finish the cleanups that a killed run left undone.",
    "merge": "Merge the results of several shards into one.",
    "demo": "Open the dashboard on the embedded AWS and its demo shop.",
}
"""Command → its one-line help; the module of the same name defines it as `command`."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is called or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the commands in the order of the documentation."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        """Import and return one command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"prodwatch.cli.commands.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for an unknown name suggests the closest one."""
        name = args[0]
        if name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            ctx.fail(f'no such command "{name}"{hint}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- likewise
        """List the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="prodwatch", message="%(prog)s %(version)s")
@click.option(
    "--web",
    is_flag=False,
    flag_value="127.0.0.1:8000",
    metavar="[HOST:PORT]",
    help="Serve the dashboard to a browser.",
)
@click.option("--allow-writes", is_flag=True, help="Run mutating checks even in a protected environment.")
@click.option("--plain", is_flag=True, help="No screen: print a line whenever the verdict changes, until Ctrl-C.")
@click.option("--utc", is_flag=True, help="With --plain: show times in UTC instead of local time.")
@window_options
@recording_options
@common_options
def main(
    common: Common,
    *,
    web: str | None,
    allow_writes: bool,
    plain: bool,
    utc: bool,
    since: str | None,
    from_: str | None,
    to: str | None,
    recording: Recording,
) -> None:
    """Is the release good? Why? How sure is that?

    Without a command: open the dashboard on ENV. With --since, or --from and --to, the dashboard covers a time window
    instead of a release: is production healthy, and what changed?
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        writes = "" if allow_writes else None
        record = None if recording.path is None else str(recording.path)
        flags = {"allow_writes": writes, "plain": "" if plain else None, "utc": "" if utc else None}
        _refuse_dashboard_options(context, web=web, since=since, from_=from_, to=to, record=record, **flags)
        return
    if utc and not plain:
        raise click.UsageError("--utc needs --plain; in the dashboard, t switches between local time and UTC")
    if plain and web is not None:
        raise click.UsageError("--web and --plain exclude each other")
    window = window_of(since, from_, to)
    if web is not None:
        if recording.path is not None:
            raise click.UsageError("--web opens a dashboard per browser, and --record needs one: leave out either")
        from prodwatch.cli.browser import serve
        from prodwatch.cli.project import load

        load(common)
        writing = ["--allow-writes"] if allow_writes else []
        context.exit(serve(web, [*common.arguments(), *writing, *arguments(since, from_, to)]))
    elif plain:
        from prodwatch.cli.live.time_options import zone_of
        from prodwatch.cli.plain import run_plain
        from prodwatch.cli.project import load
        from prodwatch.cli.run_with_signals import announced_demo

        project = load(common)
        context.exit(
            run_plain(
                project,
                demo=announced_demo(project, common),
                window=window,
                allow_writes=allow_writes,
                recording=recording,
                zone=zone_of({"utc": utc}),
            )
        )
    else:
        from prodwatch.cli.dashboard import open_dashboard

        context.exit(open_dashboard(common, window=window, allow_writes=allow_writes, recording=recording))


def _refuse_dashboard_options(context: click.Context, **values: str | None) -> None:
    """Raise UsageError for a dashboard option in front of a command."""
    for name, value in values.items():
        if value is not None:
            option = f"--{name.rstrip('_').replace('_', '-')}"
            command = context.invoked_subcommand
            hint = f", or put it after {command} if you mean the option of {command}" if name != "web" else ""
            raise click.UsageError(f"{option} is an option of the dashboard: leave {command} out{hint}")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; only SystemExit is raised."""
    debug = "--debug" in arguments
    try:
        outcome: Any = main.main(args=list(arguments), prog_name="prodwatch", standalone_mode=False)
        return outcome if isinstance(outcome, int) else ExitCode.OK
    except (ProdwatchError, click.ClickException) as caught:
        if debug and not isinstance(caught, click.UsageError):
            _show_traceback()
        return _expected(caught)
    except (KeyboardInterrupt, click.Abort):
        say("")
        error("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe (`| head`). Streaming commands handle that themselves; here a result was lost.
        _silence_stdout()
        return ExitCode.ERROR
    except OSError as caught:
        if debug:
            _show_traceback()
        error(_os_error(caught))
        return ExitCode.ERROR
    except BaseException as caught:  # noqa: BLE001 -- the last resort: a bug must not look like a verdict
        return _unexpected(caught, debug=debug)


def _expected(caught: ProdwatchError | click.ClickException) -> int:
    match caught:
        case ConfigurationError():
            problems(caught.problems)
            return ExitCode.USAGE
        case NothingSelectedError():
            error(str(caught))
            return ExitCode.NOTHING_SELECTED
        case CannotVerifyError():
            error(str(caught))
            return ExitCode.ERROR
        case UnavailableFeatureError():
            error(str(caught))
            return ExitCode.USAGE
        case click.UsageError():
            error(caught.format_message())
            if caught.ctx is not None:
                say(f"Try: {caught.ctx.command_path} --help")
            return ExitCode.USAGE
        case _:
            error(caught.format_message() if isinstance(caught, click.ClickException) else str(caught))
            return ExitCode.USAGE


def _os_error(caught: OSError) -> str:
    where = f"{caught.filename}: " if caught.filename else ""
    return f"{where}{caught.strerror or caught}"


def _silence_stdout() -> None:
    # Python flushes stdout at exit; redirecting it keeps that flush from failing a second time.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)


def _unexpected(caught: BaseException, *, debug: bool) -> int:
    # By name: a command that has no event loop does not import asyncio.
    if type(caught).__name__ == "CancelledError":
        error("interrupted")
        return ExitCode.INTERRUPTED
    if not isinstance(caught, Exception):
        raise caught
    return _bug(caught, debug=debug)


def _show_traceback() -> None:
    import traceback

    say(traceback.format_exc().rstrip())


def _bug(caught: Exception, *, debug: bool) -> int:
    from prodwatch.cli.log_file import write_crash

    if debug:
        _show_traceback()
    where = write_crash()
    details = f"details are in {where}" if where else "run again with --debug to see the details"
    error(f"a bug in prodwatch, no verdict was reached: {type(caught).__name__}: {caught}; {details}")
    return ExitCode.BUG
