"""`python -m prodwatch.demo`: the embedded AWS with its shop, in the foreground or as somebody's child."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading

from prodwatch.demo.process import DemoError, check_story, require_moto
from prodwatch.errors import ProdwatchError

LAST_RESORT_S = 2.0
"""A child whose event loop hangs is ended so long after its parent."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        require_moto()
        check_story(options.scenario, options.at, options.speed)
        asyncio.run(_serve(options))
    except ProdwatchError as error:
        _say(options, {"error": str(error)}, str(error))
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prodwatch.demo", description=__doc__)
    parser.add_argument("--scenario", default="bad", help="staged release: bad or good")
    parser.add_argument("--at", help="hold the story: before, during, after or +90s")
    parser.add_argument("--speed", type=float, default=1.0, help="compress the script by this factor")
    parser.add_argument("--seed", type=int, help="the scenario's own by default")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="any free port by default")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


async def _serve(options: argparse.Namespace) -> None:
    # Imported here so that a wrong option is answered at once.
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
        _say(options, {"url": url}, f"the embedded AWS and its shop answer at {url}")
        await stopped.wait()
    finally:
        await shop.stop()


def _watch_parent(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Wait for the end of standard input: the parent closed it, or died."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stopped.set)
    threading.Event().wait(LAST_RESORT_S)
    os._exit(0)  # moto may be in the middle of its import, and that cannot be cancelled


def _say(options: argparse.Namespace, message: dict[str, str], sentence: str) -> None:
    """Tell the parent in JSON, a person in words."""
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
