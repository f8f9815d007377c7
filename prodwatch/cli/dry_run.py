"""`check --dry-run`: prints every call that a run would make, without sending any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from prodwatch.cli import stdout
from prodwatch.model.exit_code import ExitCode

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.runner import PlannedCall, RunOptions
    from prodwatch.settings import Project


def print_plan(project: Project, chosen: Sequence[CheckDefinition], options: RunOptions, *, as_json: bool) -> int:
    """Print the calls in order; return the exit code, 5 when no check is selected."""
    import os
    from datetime import UTC, datetime

    from prodwatch.probes.registry import spec
    from prodwatch.runner.dry_run import plan
    from prodwatch.runner.step.compiled import CheckCompiler
    from prodwatch.text.redact import Redactor

    calls = plan(
        chosen,
        {each.id: each for each in project.checks},
        CheckCompiler(project.environment, spec),
        environment=project.environment,
        options=options,
        environ=os.environ,
        redactor=Redactor(),
        now=datetime.now(UTC),
    )
    if as_json:
        stdout.write(msgspec.json.format(msgspec.json.encode(calls), indent=2) + b"\n")
    else:
        for call in calls:
            stdout.text(_line(call))
    return ExitCode.OK if chosen else ExitCode.NOTHING_SELECTED


def _line(call: PlannedCall) -> str:
    name = call.check + (f" › {call.step}" if call.step else "")
    marks = [call.when if call.when != "always" else "", "mutates" if call.mutates else "", call.repeats or ""]
    text = f"{name}  {call.type}  {msgspec.json.encode(call.params).decode()}"
    remarks = ", ".join(filter(None, marks))
    if remarks:
        text += f"  ({remarks})"
    if call.skipped:
        text = f"– {text}  not sent: {call.skipped}"
    return text
