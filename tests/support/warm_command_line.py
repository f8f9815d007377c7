"""The `prodwatch` command, forked from a process that has imported everything."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tests.support.command_line import PATIENCE_S, CommandLine

Control = Callable[[], socket.socket]
"""Returns the socket of the process that forks; starts it on the first call."""


class WarmCommandLine(CommandLine):
    """Its processes are forked from one that has imported everything."""

    def __init__(self, folder: Path, control: Control) -> None:
        super().__init__(folder)
        self._control = control

    def start(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Fork a command without a terminal; the caller ends it."""
        control = self._control()
        order = {"folder": str(self.project), "environ": {**self.environ, **(environ or {})}, "arguments": arguments}
        with ExitStack() as stack:
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            out, write_out = _pipe(stack) if stdout == subprocess.PIPE else (None, stdout)
            err, write_err = _pipe(stack)
            streams = [each if isinstance(each, int) else each.fileno() for each in (nothing, write_out, write_err)]
            socket.send_fds(control, [json.dumps(order).encode()], streams)
        return _Forked(int(control.recv(64)), out, err, control, arguments)


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Return both ends; the end to write is closed with the stack."""
    read, write = os.pipe()
    return os.fdopen(read, "rb"), stack.enter_context(os.fdopen(write, "wb"))


class _Forked(subprocess.Popen[bytes]):
    """A process that another one has forked, which therefore waits for it."""

    def __init__(
        self, pid: int, out: IO[bytes] | None, err: IO[bytes], control: socket.socket, arguments: Sequence[str]
    ) -> None:
        # All of Popen's state but the start of a process.
        self.args = arguments
        self.pid, self.returncode = pid, None
        self.stdin, self.stdout, self.stderr = None, out, err
        self.text_mode = self.encoding = self.errors = None
        self._input = None
        self._communication_started = False
        self._waitpid_lock = threading.Lock()
        self._control = control

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Return what `waitpid` returns in the parent: the id, 0 while the process runs, and the status."""
        self._control.send(json.dumps({"wait": self.pid, "options": wait_flags}).encode())
        pid, status = self._control.recv(64).split()
        return int(pid), int(status)

    def _internal_poll(self, **_: object) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid == self.pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def __del__(self, **_: object) -> None:
        """Leave a process that was not waited for to the one that forked it."""


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
