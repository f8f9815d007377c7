"""What a `command` check may say and what its answer looks like."""

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
            "Runs a program and judges how it ended and what it wrote. No shell: nothing in `argv` is"
            " expanded. The environment holds PATH, HOME, LANG and TZ plus what `env` says, no credentials."
            " On a timeout or Ctrl-C the program and everything it started are ended. Unless an assertion"
            " mentions `exit_code`, `exit_code == 0` is expected too. A program that does not exist is an"
            " `error`."
        ),
        keys=(
            Key(name="argv", kind="list", required=True, doc="Program and arguments, as texts."),
            Key(
                name="env", kind="table", doc="Environment variables the program gets besides PATH, HOME, LANG and TZ."
            ),
            Key(name="stdin", kind="text", doc="Text the program reads; empty by default."),
            Key(
                name="cwd",
                kind="text",
                doc="Folder the program starts in; begins at the project root, its default, and may not leave it.",
            ),
        ),
        problems=_problems,
        fields=(
            Field(name="exit_code", kind="integer", doc="Exit code; negative: ended by that signal."),
            Field(name="stdout", kind="text", doc="Standard output as UTF-8, the first 1 MiB."),
            Field(name="stderr", kind="text", doc="Standard error as UTF-8, the first 1 MiB."),
            Field(name="json", kind="any", doc="Standard output as JSON with exact decimals; absent when it is none."),
            Field(name="duration", kind="duration", doc="From start to exit."),
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
