"""Runs commands in this process, which has imported everything, or in processes forked from it.

Run as a script with the number of a socket and the AWS services whose models are to be read. A message there is one
command line with its folder and environment, and brings its standard streams. Where it asks for a process, one is
forked, and the answer is its id; otherwise the command runs here, and the answer is its exit code: a fork copies
thousands of pages and finds every cache empty, which costs more than most commands. Or the message is `waitpid` of such
a process, with the options; the answer is what that returned.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, NoReturn

WHOLE = ("prodwatch.assertions", "prodwatch.report", "prodwatch.runner", "prodwatch.settings")
"""Packages of which every module is imported."""
WITH_AWS = (
    "prodwatch.access",
    "prodwatch.aws",
    "prodwatch.cli",
    "prodwatch.probes",
    "prodwatch.session",
    "prodwatch.sources",
)
"""Packages of which every module is imported too, where AWS is called."""
PARTS = (
    "prodwatch.aws.aws_calls",
    "prodwatch.cli.commands.check",
    "prodwatch.cli.run_with_signals",
    "prodwatch.probes.http.probe",
)
LONGEST = 65_536
"""In bytes, for one message."""


def serve(control: socket.socket, services: list[str]) -> None:
    """Run one command after the other until the other side closes; `services` get their AWS models read first."""
    import_everything(services)
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(control, LONGEST, 3)
        if not message:
            return
        order = json.loads(message)
        if "wait" in order:
            pid, status = os.waitpid(order["wait"], order["options"])
            control.send(b"%d %d" % (pid, status))
            continue
        if not order.pop("fork"):
            control.send(b"%d" % run_here(streams, **order))
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            become(streams, **order)
        for stream in streams:
            os.close(stream)
        control.send(b"%d" % pid)


def import_everything(services: list[str]) -> None:
    """Import what commands need, and read the models of the services."""
    for package in (*WHOLE, *(WITH_AWS if services else ())):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    for name in PARTS:
        importlib.import_module(name)
    if services:
        read_models(services)


def read_models(services: list[str]) -> None:
    """Build a client of each service, so that a forked process finds its model parsed."""
    import asyncio

    from prodwatch.aws.aws_calls import Aws
    from prodwatch.clock import SystemClock
    from prodwatch.model.check import SourcePosition
    from prodwatch.model.environment import AwsTarget, Environment

    target = AwsTarget(region="eu-west-1", endpoint_url="http://127.0.0.1:1")
    environment = Environment(name="warm", title="warm", source=SourcePosition("warm.toml"), aws=target)
    keys = {"AWS_ACCESS_KEY_ID": "warm", "AWS_SECRET_ACCESS_KEY": "warm"}

    async def build() -> None:
        async with Aws(environment, keys, SystemClock()) as aws:
            for service in services:
                await aws.client(service)

    asyncio.run(build())


def become(streams: list[int], folder: str, environ: dict[str, str], arguments: list[str]) -> NoReturn:
    """Be `python -m prodwatch …`, started in `folder` with these streams and nothing else in its environment."""
    _leave(_run(streams, folder, environ, arguments))


def run_here(streams: list[int], folder: str, environ: dict[str, str], arguments: list[str]) -> int:
    """Run a command as `become` does, in this process, and return its exit code; the streams are closed."""
    thresholds = gc.get_threshold()
    with warnings.catch_warnings():
        code = contextvars.copy_context().run(_run, streams, folder, environ, arguments)
    gc.set_threshold(*thresholds)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120 if stream is sys.stdout else code  # as the interpreter reports a flush that fails at exit
    with Path(os.devnull).open("r+b", buffering=0) as nothing:
        for number in range(3):
            os.dup2(nothing.fileno(), number)
    return code


def _run(streams: list[int], folder: str, environ: dict[str, str], arguments: list[str]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = folder
    sys.argv = ["prodwatch", *arguments]
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout, sys.stderr = _text(1, "strict"), _text(2, "backslashreplace")
    try:
        runpy.run_module("prodwatch", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return _code_of(ended)
    except BaseException:  # noqa: BLE001 -- the interpreter's own last resort
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _code_of(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1


def _leave(code: int) -> NoReturn:
    """End as the interpreter does, except that no object is torn down: each one would copy a page of the parent."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120  # as the interpreter reports a flush that fails at exit
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _text(number: int, errors: str) -> Any:
    encoding = os.environ.get("PYTHONIOENCODING") or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding=encoding, errors=errors)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
