"""A recording of eight minutes with every kind of moment, and a session that replays it by a fake timer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from prodwatch.model.event import CheckFinished
from prodwatch.model.result import Verdict
from prodwatch.model.signal import Batch, ReleaseEvent
from prodwatch.session.replay import Loaded, ReplayClock
from prodwatch.session.replay_session import ReplaySession
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from tests.support.recorded import RecordedScene
from tests.support.scene.checks import result

MARK_S, STOPPED_S, RED_S, VERDICT_S, LENGTH_S = 120, 180, 200, 300, 480
NOTE = "rolled back by hand"
RED = "orders/order-in-euros"


def record(path: Path) -> None:
    """Record the scene, then a mark, an event of a deployment, a check that turns red and green, and two verdicts."""
    recorded = RecordedScene(path)
    recorded.scene()
    store, dice = recorded.store, random.Random(1)
    store.set_verdict(Verdict(status="pass", exit_code=0, reason="as before"))
    green = {each: result(each, recorded.clock.now(), False, dice) for each in store.checks.tracks}
    for each in green.values():
        store.apply_event(CheckFinished(result=each))
    for at_s in range(2, LENGTH_S + 1, 2):
        recorded.lines(4, seconds=2)
        now = recorded.clock.now()
        if at_s == MARK_S:
            store.mark(NOTE)
        if at_s == STOPPED_S:
            stopped = ReleaseEvent(at=now, source="codedeploy", subject="d-1", what="status", to="Stopped")
            store.apply(Batch(source="release", records=(stopped,)))
        if at_s in {RED_S, RED_S + 10}:
            red = result(RED, now, at_s == RED_S, dice)
            store.apply_event(CheckFinished(result=replace(red, message="no euros")))
        if at_s == VERDICT_S:
            store.set_verdict(Verdict(status="fail", exit_code=1, reason="orders fail"))
    recorded.lines(1, seconds=0)
    recorded.close()


async def at_once(work: Callable[[], Loaded]) -> Loaded:
    """Read without a thread, for which no fake timer waits."""
    return work()


class Replayed:
    """A replay whose real time a test moves."""

    def __init__(self, path: Path, **options: object) -> None:
        self.file = SessionFile(path)
        self.timer = FakeClock()
        self.clock = ReplayClock(self.file.header.started_at)
        self.store = Store(self.clock)
        self.session = ReplaySession(self.file, self.store, self.clock, self.timer, **{"read": at_once, **options})  # type: ignore[arg-type]
        self.reports: list[str] = []
        self.session.report = self.reports.append

    @property
    def at_s(self) -> float:
        """Position in seconds since the start of the recording."""
        return self.session.position_us / 1_000_000

    async def after(self, seconds: float = 0.2) -> float:
        """Let real time pass; return the position."""
        await self.timer.advance(seconds)
        return self.at_s
