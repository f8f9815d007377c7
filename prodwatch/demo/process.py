"""Runs the demo: as a child process that cannot outlive its parent, or in this process as a context manager."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prodwatch.errors import ProdwatchError, UnavailableFeatureError

if TYPE_CHECKING:
    from prodwatch.demo.shop.shop import Shop

START_TIMEOUT_S = 30.0
_NEEDED = ("moto", "flask")


class DemoError(ProdwatchError):
    """The demo did not start; the text names the reason."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running demo."""

    url: str
    """The endpoint of the embedded AWS: `http://127.0.0.1:PORT`."""
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the child immediately, as it holds no state to save; safe to call twice."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_demo(
    *,
    scenario: str = "bad",
    at: str | None = None,
    speed: float = 1.0,
    seed: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    timeout_s: float = START_TIMEOUT_S,
) -> DemoServer:
    """Start the demo as a child process and return once its port accepts requests.

    The child runs as long as this process holds the pipe to it: it ends by itself when this process ends in any
    way. Raises UnavailableFeatureError without moto, ConfigurationError for an unknown scenario or moment,
    DemoError when the child cannot start, for example because the port is in use.
    """
    require_moto()
    check_options(scenario, at, speed)
    arguments = _arguments(scenario=scenario, at=at, speed=speed, seed=seed, host=host, port=port)
    process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(os.environ),
        start_new_session=True,  # Ctrl-C in the terminal is for the parent alone
    )
    try:
        message = _first_line(process, time.monotonic() + timeout_s)
    except BaseException:
        _abandon(process)
        raise
    if "url" not in message:
        _abandon(process)
        raise DemoError(f"the demo did not start: {message.get('error', 'it reported no reason')}")
    return DemoServer(message["url"], process)


def _arguments(**options: object) -> list[str]:
    named = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["-P", "-m", "prodwatch.demo", "--child", *named]


def require_moto() -> None:
    """Raise UnavailableFeatureError unless the extra `demo` is installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise UnavailableFeatureError(
            "the demo needs moto, which is not installed; install it with: pip install 'prodwatch[demo]'"
        )


def check_options(scenario: str, at: str | None, speed: float) -> None:
    """Raise ConfigurationError for an unknown scenario or moment, or a speed out of range."""
    from prodwatch.demo.shop.release_timeline import check_speed
    from prodwatch.demo.shop.scenario import load

    load(scenario).moment_s(at)
    check_speed(speed)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: without variables of AWS and moto, and in UTC, which moto's times require."""
    variables = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "MOTO_", "BOTO_"))}
    root = Path(__file__).resolve().parents[2]
    if root.name not in {"site-packages", "dist-packages"}:
        # A checkout that is not installed is importable only from the working directory, which `-P` excludes.
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [variables.get("PYTHONPATH"), str(root)]))
    return variables | {"TZ": "UTC"}


def _abandon(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    DemoServer("", process).stop()


def _first_line(process: subprocess.Popen[bytes], until_s: float) -> dict[str, Any]:
    """Return the child's first line, read in parts, so that a silent child cannot block the caller."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]:
            return {"error": "it did not report its port in time"}
        chunk = os.read(process.stdout.fileno(), 4096)
        if not chunk:
            return {"error": f"it ended with exit code {process.wait()}"}
        line += chunk
    message: dict[str, Any] = json.loads(line)
    return message


@contextlib.asynccontextmanager
async def run_demo(
    *,
    scenario: str = "bad",
    at: str | None = None,
    speed: float = 1.0,
    seed: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    **shop: Any,
) -> AsyncIterator[Shop]:
    """Run the demo in this process, with moto populated; `shop` goes to `Shop` (a clock, latencies).

    Raises the same errors as `start_demo`. moto's state belongs to the process: run one at a time.
    """
    require_moto()
    check_options(scenario, at, speed)
    from prodwatch.demo.shop.scenario import load
    from prodwatch.demo.shop.shop import Shop

    running = Shop(load(scenario), at=at, speed=speed, seed=seed, **shop)
    try:
        try:
            await running.start(host, port)
        except OSError as error:
            raise DemoError(f"the demo cannot listen on {host}:{port}: {error.strerror}") from error
        await running.ready()
        yield running
    finally:
        await running.stop()
