"""`prodwatch gate --replay`: judges a recording as a live gate would, or each recording of a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Protocol

import click
import msgspec

from prodwatch.cli import stdout
from prodwatch.cli.gate_progress import GateProgress
from prodwatch.cli.result_outputs import Outputs
from prodwatch.errors import NothingSelectedError
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import Notice, RunResult, Verdict
from prodwatch.model.status import Reason
from prodwatch.session.gate import Listener
from prodwatch.session.gate_replay import NotAGateRecordingError, ReplayOptions, recorded_verdict, replay_gate
from prodwatch.store.recording.reader import NotASessionFileError, SessionFile, is_session_file

SCHEMA = "prodwatch.replays/1"


class ExitCodeOf(Protocol):
    """Verdict and its usual exit code → the exit code that the options ask for."""

    def __call__(self, verdict: Verdict, code: int, /) -> int:
        """Return the exit code."""
        ...


_WORST: tuple[int, ...] = (ExitCode.FAIL, ExitCode.ERROR, ExitCode.INCONCLUSIVE, ExitCode.OK)


class JudgedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One recording of a folder and its verdict."""

    file: str
    recorded: Verdict | None
    """Last verdict of the live gate; null where none was recorded."""
    verdict: Verdict


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = SCHEMA
    failed: int
    total: int
    files: tuple[JudgedFile, ...]


def judge_recordings(path: Path, options: ReplayOptions, outputs: Outputs, exit_code_of: ExitCodeOf) -> int:
    """Judge a file or a folder, write the result, and return the exit code. Raises ConfigurationError."""
    if path.is_dir():
        return _judge_folder(path, options, outputs, exit_code_of)
    outputs.keep((path,))
    outputs.prepare()
    with open_recording(path) as file:
        progress = GateProgress(outputs) if outputs.stdout_format == "ndjson" else _quiet
        result = judge_file(file, options, progress)
    return exit_code_of(result.verdict, outputs.deliver(result))


def open_recording(path: Path) -> SessionFile:
    """Open a session file. Raises NotAGateRecordingError for a file that is not one or cannot be read."""
    try:
        return SessionFile(path)
    except NotASessionFileError as error:
        raise NotAGateRecordingError(str(error)) from None
    except OSError as error:
        raise NotAGateRecordingError(f"{path}: cannot be read: {error.strerror}") from None


def judge_file(file: SessionFile, options: ReplayOptions, listener: Listener = lambda _state: None) -> RunResult:
    """Return the result of a gate over a recording, judged up to the first damage."""
    from prodwatch.runner import fresh_run_id

    damage = file.distrust_damage()
    gate = replay_gate(file, options, listener=listener)
    if damage is not None:
        gate.store.notice(Notice(code="recording", message=f"{file.path} is damaged: {damage}"))
    asyncio.run(gate.run())
    return gate.result(fresh_run_id(file.header.started_at, SystemRandom()))


def _judge_folder(folder: Path, options: ReplayOptions, outputs: Outputs, exit_code_of: ExitCodeOf) -> int:
    if outputs.stdout_format not in {None, "json"} or set(outputs.files) - {"json"} or outputs.github_summary:
        raise click.UsageError("--replay of a folder is written as text or with --json; leave the other formats out")
    paths = sorted(each for each in folder.iterdir() if each.is_file() and is_session_file(each))
    if not paths:
        raise NothingSelectedError(f"{folder}: no file in it is a session file")
    outputs.keep(paths)
    judged = [_judged(path, options) for path in paths]
    _write(judged, outputs)
    codes = {exit_code_of(each.verdict, each.verdict.exit_code) for each in judged}
    return next((code for code in _WORST if code in codes), int(ExitCode.ERROR))


def _judged(path: Path, options: ReplayOptions) -> JudgedFile:
    """Judge one file of a folder; one that cannot be judged is an error, because the others can be."""
    try:
        with open_recording(path) as file:
            verdict = judge_file(file, options).verdict
            return JudgedFile(file=path.name, recorded=recorded_verdict(file), verdict=verdict)
    except NotAGateRecordingError as error:
        verdict = Verdict(status="error", exit_code=int(ExitCode.ERROR), reason_code=Reason.INVALID, reason=f"{error}.")
        return JudgedFile(file=path.name, recorded=None, verdict=verdict)


def _write(judged: Sequence[JudgedFile], outputs: Outputs) -> None:
    failed = [each for each in judged if each.verdict.status == "fail"]
    document = _Document(failed=len(failed), total=len(judged), files=tuple(judged))
    encoded = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    for path in outputs.files.get("json", ()):
        stdout.write_file(path, encoded)
    if outputs.stdout_format == "json":
        stdout.write(encoded)
        return
    names = ", ".join(each.file for each in failed)
    stdout.text(f"would have failed {len(failed)} of {len(judged)}{f': {names}' if failed else ''}")
    for each in judged:
        before = each.recorded
        changed = f" (recorded: {before.status})" if before is not None and before.status != each.verdict.status else ""
        stdout.text(f"{each.verdict.status:<12}  {each.file}{changed}  {each.verdict.reason}")


def _quiet(_state: object) -> None:
    return
