"""The session is loaded after the first picture; stopped at any moment it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from prodwatch.session.protocol import LazySession
from tests.support.waiting import turn


class Made:
    """A session that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def start(self) -> None:
        self.asked.append("start")

    async def stop(self) -> None:
        self.asked.append("stop")

    async def rerun(self, check_ids: Sequence[str]) -> None:
        self.asked.append(tuple(check_ids))

    async def rerun_failed(self) -> None:
        self.asked.append("failed")

    def pin_logs(self, groups: Sequence[str]) -> None:
        self.asked.append(("pin", *groups))


async def test_what_is_asked_reaches_the_session_once_it_is_there() -> None:
    made: Any = Made()
    late = LazySession(lambda: made)
    await late.rerun(["a"])
    await late.rerun_failed()
    assert await late.fetch_trace("1-a") is None
    assert await late.fetch_logs_for(["r"], None) == ()
    late.pin_logs(["g"])
    await late.start()
    await late.rerun(["b"])
    await late.rerun_failed()
    await late.stop()
    assert made.asked == ["start", ("pin", "g"), ("b",), "failed", "stop"]


async def test_stopped_before_it_was_loaded_it_never_starts() -> None:
    made: Any = Made()
    late = LazySession(lambda: made)
    starting = asyncio.create_task(late.start())
    await turn()
    await late.stop()
    await starting
    assert made.asked == []


async def test_never_started_it_stops() -> None:
    await LazySession(lambda: pytest.fail("made for nothing")).stop()
