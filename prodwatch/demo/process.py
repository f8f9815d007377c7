"""Runs the demo beside whoever asked for it: a child process that cannot outlive its parent, or a context in tests."""

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
    """The demo did not start; the text says why."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A running demo."""

    url: str
    """The endpoint of the embedded AWS: `http://127.0.0.1:PORT`."""
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the child at once, for it holds nothing worth saving; safe to call twice."""
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
    """Start the demo as a child process and return once its port answers.

    The child lives as long as this process holds the pipe to it: it ends by itself when this process dies, however
    it dies. Raises UnavailableFeatureError without moto, ConfigurationError for an unknown scenario or moment,
    DemoError when the child cannot start (a port that is taken, say).
    """
    require_moto()
    check_story(scenario, at, speed)
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
        told = _first_line(process, time.monotonic() + timeout_s)
    except BaseException:
        _abandon(process)
        raise
    if "url" not in told:
        _abandon(process)
        raise DemoError(f"the demo did not start: {told.get('error', 'it said nothing')}")
    return DemoServer(told["url"], process)


def _arguments(**options: object) -> list[str]:
    told = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return ["-P", "-m", "prodwatch.demo", "--child", *told]


def require_moto() -> None:
    """Raise UnavailableFeatureError unless the extra `demo` is installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise UnavailableFeatureError(
            "the demo needs moto, which is not installed; install it with: pip install 'prodwatch[demo]'"
        )


def check_story(scenario: str, at: str | None, speed: float) -> None:
    """Raise ConfigurationError unless there is such a scenario, moment and speed."""
    from prodwatch.demo.shop.release_timeline import check_speed
    from prodwatch.demo.shop.scenario import load

    load(scenario).moment_s(at)
    check_speed(speed)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: nothing of AWS's or moto's, and UTC, in which moto's times are right."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "MOTO_", "BOTO_"))}
    root = Path(__file__).resolve().parents[2]
    if root.name not in {"site-packages", "dist-packages"}:
        # A checkout that was never installed is found through the working directory, which `-P` leaves out.
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [kept.get("PYTHONPATH"), str(root)]))
    return kept | {"TZ": "UTC"}


def _abandon(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    DemoServer("", process).stop()


def _first_line(process: subprocess.Popen[bytes], until_s: float) -> dict[str, Any]:
    """Return the child's first line, read byte by byte so that a silent child cannot hold us for ever."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]:
            return {"error": "its port did not answer in time"}
        chunk = os.read(process.stdout.fileno(), 4096)
        if not chunk:
            return {"error": f"it ended with exit code {process.wait()}"}
        line += chunk
    told: dict[str, Any] = json.loads(line)
    return told


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
    """Run the demo in this process, furnished and ready; `shop` goes to `Shop` (a clock, latencies).

    Raises what `start_demo` raises. moto's state belongs to the process: one at a time.
    """
    require_moto()
    check_story(scenario, at, speed)
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
