"""Runs a program and ends all processes it started."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.decode import JsonText, decode_text, read_json
from prodwatch.probes.failures import timed_out, unavailable, unusable
from prodwatch.probes.project_files import inside
from prodwatch.probes.scalar_text import text_value
from prodwatch.text.units import format_bytes

MAX_OUTPUT_BYTES = 1 << 20
_LINGER_S = 0.1
"""Seconds to wait for the output of child processes after the program has ended."""
_INHERITED = ("PATH", "HOME", "LANG", "TZ")


class _Output:
    """Output of one stream, of which the beginning is kept."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        room = MAX_OUTPUT_BYTES - len(self.kept)
        self.kept += data[:room]
        self.dropped += max(0, len(data) - room)


class _Program(asyncio.SubprocessProtocol):
    """Collects the output of a program and its end."""

    def __init__(self, stdout: _Output, stderr: _Output) -> None:
        loop = asyncio.get_running_loop()
        self._outputs = {1: stdout, 2: stderr}
        self._open = set(self._outputs)
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        """Set when all processes have closed the program's output."""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._outputs[fd].add(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 -- a closed stdin is not an error
        self._open.discard(fd)
        if not self._open and not self.drained.done():
            self.drained.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Run the program; the document is that of the type's reference page."""
    stdout, stderr = _Output(), _Output()
    try:
        argv = [text_value(word, "an element of `argv`") for word in params["argv"]]
        folder = _folder(params.get("cwd"), context.root)
        environment = _environment(params.get("env") or {})
    except UnusableError as error:
        return unusable(error)
    exchange = Exchange(request={"argv": argv, "cwd": str(folder), "env": sorted(environment)})
    now = context.clock.monotonic_s
    started_s = now()
    try:
        with Deadline(context.timeout_s) as deadline:
            exit_code = await _run(argv, folder, environment, params.get("stdin"), stdout, stderr)
    except TimeoutError:
        if not deadline.expired:
            raise
        failure = timed_out(argv[0], "finish", context.timeout_s)
        return Observation(failure=failure, exchange=_with_output(exchange, None, stdout, stderr))
    except (FileNotFoundError, PermissionError) as error:
        return unavailable(f'the program "{argv[0]}" cannot be started: {error.strerror}')
    except ValueError:
        return unusable(
            UnusableError(
                "`argv`, `env`, `stdin` or `cwd` contains a NUL or a lone surrogate, which a program cannot receive"
            )
        )
    document = {
        "exit_code": exit_code,
        "stdout": decode_text(bytes(stdout.kept)),
        "stderr": decode_text(bytes(stderr.kept)),
        "duration": Duration.from_s(now() - started_s),
    }
    json = JsonText() if stdout.dropped else read_json(bytes(stdout.kept))
    document |= json.fields
    remarks, unreadable = {}, {}
    if json.beyond_limits:
        message = f"the output of {argv[0]} {json.problem}"
        unreadable["json"] = Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)
    elif json.problem is not None:
        remarks["json"] = f"stdout {json.problem}"
    return Observation(
        document=document,
        remarks=remarks,
        unreadable=unreadable,
        complete=not stdout.dropped and not stderr.dropped,
        exchange=_with_output(exchange, exit_code, stdout, stderr),
        notices=tuple(
            f"{name} is longer than {format_bytes(MAX_OUTPUT_BYTES)}: {output.dropped} bytes were left out"
            for name, output in (("stdout", stdout), ("stderr", stderr))
            if output.dropped
        ),
    )


def _folder(written: str | None, root: str) -> Path:
    folder = inside(root, written or ".")
    if not folder.is_dir():
        raise UnusableError(f'`cwd` is "{written}", which is not a folder inside the project root {root}')
    return folder


def _environment(given: Mapping[str, Any]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {name: text_value(value, f"`env.{name}`") for name, value in given.items()}
    if bad := next((name for name in own if not name or "=" in name), None):
        raise UnusableError(f'"{bad}" is not a name for an environment variable')
    return {"PATH": os.defpath, **inherited, **own}


async def _run(
    argv: list[str], folder: Path, environment: dict[str, str], stdin: str | None, stdout: _Output, stderr: _Output
) -> int | None:
    """Return the exit code; the program and all processes it started have ended when this returns or raises."""
    loop = asyncio.get_running_loop()
    # A task of its own: cancelled half-way, asyncio itself would end the program but not what that has started.
    starting = asyncio.ensure_future(
        loop.subprocess_exec(
            lambda: _Program(stdout, stderr),
            *argv,
            stdin=DEVNULL if stdin is None else PIPE,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    )
    try:
        await asyncio.wait((starting,))
        transport, program = starting.result()
        pipe = transport.get_pipe_transport(0)
        if stdin is not None and isinstance(pipe, asyncio.WriteTransport):
            pipe.write(stdin.encode())
            pipe.write_eof()
        await asyncio.wait((program.exited,))
        await asyncio.wait((program.drained,), timeout=_LINGER_S)
        return transport.get_returncode()
    finally:
        await asyncio.wait((starting,))
        if starting.exception() is None:
            await _end(*starting.result())


async def _end(transport: asyncio.SubprocessTransport, program: _Program) -> None:
    # The program leads a process group of its own, which outlives it when it left something running.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    try:
        await asyncio.wait((program.exited,))
    finally:
        transport.close()


def _with_output(exchange: Exchange, exit_code: int | None, stdout: _Output, stderr: _Output) -> Exchange:
    return Exchange(
        request=exchange.request,
        response={
            "exit_code": exit_code,
            "stdout": decode_text(bytes(stdout.kept)),
            "stderr": decode_text(bytes(stderr.kept)),
        },
        truncated=bool(stdout.dropped or stderr.dropped),
    )
