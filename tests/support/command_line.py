"""The `prodwatch` command as people run it: a process in a project of its own, beside a small HTTP server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import prodwatch

PATIENCE_S = 60.0
"""After that long a process is taken for hung."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it wrote, results and talk."""
        return self.out + self.err


class CommandLine:
    """Runs commands in `folder`, with nothing of this machine's settings in their environment."""

    def __init__(self, folder: Path) -> None:
        """Keep the project in `folder/project` and the machine's folders of its user beside it."""
        self.project = folder / "project"
        self.home = folder / "home"
        self.project.mkdir()
        self.home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            # The package under test, wherever else one is installed.
            "PYTHONPATH": str(Path(prodwatch.__file__).parents[1]),
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file of the project, with its folders."""
        target = self.project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def start(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start a command without a terminal; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "prodwatch", *arguments],
            cwd=self.project,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> Ended:
        """Run a command to its end; subprocess.TimeoutExpired when it hangs."""
        with self.start(*arguments, environ=environ, stdout=stdout) as process:
            try:
                return finished(process)
            finally:
                process.kill()


def finished(process: subprocess.Popen[bytes]) -> Ended:
    """Wait for a process and return how it ended."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, (out or b"").decode(), err.decode())


@dataclass(slots=True)
class Target:
    """An HTTP server: `/status/NNN` answers NNN, `/slow` only when `release` is set, all else 200 with JSON."""

    url: str
    seen: list[str] = field(default_factory=list)
    """Method and path of each request, in order."""
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for each request for `/slow`: acquire it to wait for one."""
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def target() -> Iterator[Target]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            here.seen.append(f"{self.command} {self.path}")
            if self.path == "/slow":
                here.arrived.release()
                here.release.wait(PATIENCE_S)
            status = int(self.path.rpartition("/")[2]) if self.path.startswith("/status/") else 200
            body = b'{"status": "ok", "count": 3, "items": []}'
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client did not wait

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- names of the standard library

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    here = Target(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
