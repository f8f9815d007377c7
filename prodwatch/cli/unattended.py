"""A live session without a dashboard, until it is cancelled or its end is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from prodwatch.cli import stderr
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.signal import SourcePhase

if TYPE_CHECKING:
    from prodwatch.clock import Clock
    from prodwatch.session.live import LiveSession
    from prodwatch.store.store import Store

LOOK_S = 1.0


async def follow(
    session: LiveSession,
    store: Store,
    clock: Clock,
    *,
    look: Callable[[], None],
    is_over: Callable[[], bool] = lambda: False,
) -> int:
    """Run the session and call `look` every second; return the exit code, after the session has been stopped."""
    try:
        await session.start()
        while not is_over():
            status = store.sources.get("session")
            if status is not None and status.phase is SourcePhase.FAILED:
                stderr.error(status.message or "the session could not be started")
                return int(ExitCode.ERROR)
            look()
            await clock.sleep(LOOK_S)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
    finally:
        await session.stop()
    return int(ExitCode.OK)
