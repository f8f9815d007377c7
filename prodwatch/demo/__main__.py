"""`python -m prodwatch.demo`: the embedded AWS with its shop, in the foreground or as a child process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading

from prodwatch.demo.process import DemoError, check_options, require_moto
from prodwatch.errors import ProdwatchError

LAST_RESORT_S = 2.0
"""Seconds after its parent's end at which a child with a blocked event loop is ended."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal or the parent's end; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        require_moto()
        check_options(options.scenario, options.at, options.speed)
        asyncio.run(_serve(options))
    except ProdwatchError as error:
        _report(options, {"error": str(error)}, str(error))
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prodwatch.demo", description=__doc__)
    parser.add_argument("--scenario", default="bad", help="name of the staged release")
    parser.add_argument("--at", help="stay at one moment: before, during, after or +90s")
    parser.add_argument("--speed", type=float, default=1.0, help="run the scenario this many times as fast")
    parser.add_argument("--seed", type=int, help="default: the scenario's own")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


async def _serve(options: argparse.Namespace) -> None:
    # Imported here so that a wrong option is reported immediately.
    from prodwatch.demo.shop.scenario import load
    from prodwatch.demo.shop.shop import Shop

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if options.child:
        threading.Thread(target=_watch_parent, args=(loop, stopped), daemon=True).start()
    shop = Shop(load(options.scenario), at=options.at, speed=options.speed, seed=options.seed)
    try:
        try:
            url = await shop.start(options.host, options.port)
        except OSError as error:
            raise DemoError(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from error
        _report(options, {"url": url}, f"the embedded AWS and its shop listen on {url}")
        await stopped.wait()
    finally:
        await shop.stop()


def _watch_parent(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Wait for the end of standard input: the parent closed it or ended."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stopped.set)
    threading.Event().wait(LAST_RESORT_S)
    os._exit(0)  # an import of moto that is under way cannot be cancelled


def _report(options: argparse.Namespace, message: dict[str, str], sentence: str) -> None:
    """Report to the parent in JSON, to a terminal in words."""
    if options.child:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    elif "error" in message:
        sys.stderr.write(sentence + "\n")
    else:
        sys.stdout.write(sentence + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
