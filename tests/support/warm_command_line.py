"""The `prodwatch` command, run by a process that has imported everything."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.command_line import PATIENCE_S, CommandLine, Ended, finished


@dataclass(frozen=True, slots=True)
class Warm:
    """The process that runs commands and forks."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


Control = Callable[[], Warm]
"""Returns the process that runs commands and forks; starts one on the first call, and after one was killed."""


class WarmCommandLine(CommandLine):
    """Its commands run in a process that has imported everything, or in one forked from that."""

    def __init__(self, folder: Path, control: Control) -> None:
        super().__init__(folder)
        self._control = control

    def start(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Fork a command without a terminal; the caller ends it."""
        return self._order(arguments, environ, stdout, fork=True)

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> Ended:
        """Run a command to its end; subprocess.TimeoutExpired when it hangs."""
        with self._order(arguments, environ, stdout, fork=stdout != subprocess.PIPE) as process:
            try:
                return finished(process)
            finally:
                process.kill()

    def _order(
        self, arguments: Sequence[str], environ: Mapping[str, str] | None, stdout: int | IO[bytes], *, fork: bool
    ) -> subprocess.Popen[bytes]:
        warm = self._control()
        order = {
            "folder": str(self.project),
            "environ": {**self.environ, **(environ or {})},
            "arguments": arguments,
            "fork": fork,
        }
        with ExitStack() as stack:
            nothing = stack.enter_context(Path(os.devnull).open("rb"))
            out, write_out = _pipe(stack) if stdout == subprocess.PIPE else (None, stdout)
            err, write_err = _pipe(stack)
            streams = [each if isinstance(each, int) else each.fileno() for each in (nothing, write_out, write_err)]
            socket.send_fds(warm.socket, [json.dumps(order).encode()], streams)
        if fork:
            return _Forked(int(warm.socket.recv(64)), out, err, warm.socket, arguments)
        return _Lent(warm.process.pid, out, err, warm.socket, arguments)


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


class _Lent(_Forked):
    """The process that forks while it runs a command itself."""

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """Return the id, 0 while the command runs, and the status that `waitpid` would return of its process."""
        if wait_flags and not select.select([self._control], [], [], 0)[0]:
            return 0, 0
        code = self._control.recv(64)
        return self.pid, int(code) << 8 if code else signal.SIGKILL


@contextmanager
def warm_process(*services: str) -> Iterator[Control]:
    """Give access to one process that forks; `services` are AWS services whose models it reads before."""
    with ExitStack() as stack:
        found: list[Warm] = []

        def control() -> Warm:
            if not found or found[-1].process.poll() is not None:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("warm_process.py")), str(theirs.fileno()), *services],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
                theirs.close()
                ours.settimeout(PATIENCE_S)
                stack.callback(process.wait)
                found.append(Warm(process, stack.enter_context(ours)))
            return found[-1]

        yield control
