"""The `prodwatch` command, forked from a process that has imported everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tests.support.command_line import PATIENCE_S, CommandLine, Ended

Control = Callable[[], socket.socket]
"""Returns the socket of the process that forks; starts it on the first call."""


class WarmCommandLine(CommandLine):
    """Its `run` forks from a process that has imported everything; `start` starts one from the beginning."""

    def __init__(self, folder: Path, control: Control) -> None:
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


@contextmanager
def warm_process(*services: str) -> Iterator[Control]:
    """Give access to one process that forks; `services` are AWS services whose models it reads before."""
    with ExitStack() as stack:
        found: list[socket.socket] = []

        def control() -> socket.socket:
            if not found:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("warm_process.py")), str(theirs.fileno()), *services],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
                theirs.close()
                ours.settimeout(PATIENCE_S)
                stack.callback(process.wait)
                found.append(stack.enter_context(ours))
            return found[0]

        yield control
