"""A project on disk, the command that reads it, and a server for its checks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from tests.support.command_line import PATIENCE_S, CommandLine, Ended, Target, target

ENVIRONMENT = """\
title = "Shop"
protected = false
[vars]
api = "{url}"
"""


class WarmCommandLine(CommandLine):
    """Its `run` forks from a process that has imported everything; `start` starts one from the beginning."""

    def __init__(self, folder: Path, control: Callable[[], socket.socket]) -> None:
        super().__init__(folder)
        self._control = control

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> Ended:
        control = self._control()
        asked = {"folder": str(self.project), "environ": {**self.environ, **(environ or {})}, "arguments": arguments}
        out, err = self.home / "out", self.home / "err"
        with ExitStack() as stack:
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            told = stack.enter_context(out.open("wb"))
            streams = [nothing, told if stdout == subprocess.PIPE else stdout, stack.enter_context(err.open("wb"))]
            socket.send_fds(
                control,
                [json.dumps(asked).encode()],
                [each if isinstance(each, int) else each.fileno() for each in streams],
            )
        pid = int(control.recv(64))
        try:
            code = int(control.recv(64))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            control.recv(64)
            raise
        return Ended(code, out.read_bytes().decode(), err.read_bytes().decode())


@pytest.fixture(scope="session")
def warm() -> Iterator[Callable[[], socket.socket]]:
    """The socket of the process that forks; it is started when the first command is run."""
    with ExitStack() as stack:
        found: list[socket.socket] = []

        def control() -> socket.socket:
            if not found:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
                theirs.close()
                ours.settimeout(PATIENCE_S)
                stack.callback(process.wait)
                found.append(stack.enter_context(ours))
            return found[0]

        yield control


@pytest.fixture
def server() -> Iterator[Target]:
    with target() as here:
        yield here


@pytest.fixture
def commands(tmp_path: Path, warm: Callable[[], socket.socket]) -> CommandLine:
    """The command in an empty project."""
    return WarmCommandLine(tmp_path, warm)


@pytest.fixture
def shop(commands: CommandLine, server: Target) -> CommandLine:
    """The command in a project whose only environment points to the server."""
    commands.write("config/shop.toml", ENVIRONMENT.format(url=server.url))
    return commands
