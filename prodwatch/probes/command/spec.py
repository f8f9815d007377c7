"""Keys and document of a `command` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec


def _mutation(_params: Mapping[str, Any]) -> str:
    return "a command may change anything"


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    argv = params.get("argv")
    if argv == []:
        return ("`argv` needs at least the program's name",)
    return ()


SPECS = (
    ProbeSpec(
        type="command",
        title="Command",
        doc=(
            "Runs a program; the document is its exit code and output. There is no shell, so nothing in `argv`"
            " is expanded. The environment contains PATH, HOME, LANG and TZ and the variables of `env`, but no"
            " credentials. On a timeout or Ctrl-C the program and all processes it started are ended. Unless"
            " an assertion mentions `exit_code`, `exit_code == 0` is expected too. A program that does not"
            " exist is an `error`."
        ),
        keys=(
            Key(name="argv", kind="list", required=True, doc="Program and arguments, a list of texts."),
            Key(name="env", kind="table", doc="Further environment variables of the program."),
            Key(name="stdin", kind="text", doc="Standard input of the program. Default: empty."),
            Key(
                name="cwd",
                kind="text",
                doc="Working directory, relative to the project root and inside it. Default: the project root.",
            ),
        ),
        problems=_problems,
        fields=(
            Field(
                name="exit_code",
                kind="integer",
                behind="stderr",
                doc="Exit code; negative when a signal ended the program.",
            ),
            Field(name="stdout", kind="text", doc="Standard output as UTF-8, the first 1 MiB."),
            Field(name="stderr", kind="text", doc="Standard error as UTF-8, the first 1 MiB."),
            Field(
                name="json",
                kind="any",
                behind="stdout",
                doc="Standard output as JSON with exact decimals; absent when it is not JSON.",
            ),
            Field(name="duration", kind="duration", doc="Time from start to exit."),
        ),
        example="""\
[[check]]
name = "the migration script sees nothing to do"
type = "command"
mutates = false
argv = ["./migrate", "--check", "--json"]
timeout = "20s"
expect = ["exit_code == 0", "json.pending == 0"]
""",
        implicit_expect=("exit_code == 0",),
        mutation=_mutation,
    ),
)
