"""A session that plays a scene into a store: the dashboard runs on it without AWS, checks or network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from prodwatch.clock import Clock
from prodwatch.model.event import CheckFinished, CheckStarted
from prodwatch.model.result import Usage
from prodwatch.model.signal import Batch, LogRecord, Trace
from prodwatch.model.status import Status
from prodwatch.store.store import Store
from tests.support.scene import Scene, bad_release
from tests.support.scene.checks import result
from tests.support.scene.logs import log_line
from tests.support.scene.release import NEW, SHARE, live
from tests.support.waiting import turn

TICK_S = 0.25


class ScriptedSession:
    """Plays `scene` at once when started, then writes `lines_per_s` log lines for as long as it lives."""

    def __init__(self, store: Store, clock: Clock, *, scene: Scene | None = None, lines_per_s: int = 0) -> None:
        self._store = store
        self._clock = clock
        self._scene = scene or bad_release(clock.now())
        self._lines_per_s = lines_per_s
        self._dice = random.Random(7)
        self._task: asyncio.Task[None] | None = None
        self._number = 1_000_000
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        """Every intent the dashboard sent, in order."""

    async def start(self) -> None:
        """Define the checks and play everything up to the scene's moment."""
        self._store.define(self._scene.definitions)
        for batch in self._scene.batches:
            self._store.apply(batch)
        for event in self._scene.events:
            self._store.apply_event(event)
        self._store.set_usage(Usage(calls={"logs:FilterLogEvents": 212, "cloudwatch:GetMetricData": 9}, cost_usd=0.014))
        if self._lines_per_s:
            self._task = asyncio.create_task(self._write(), name="scripted lines")

    async def stop(self) -> None:
        """Stop writing."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Run checks again: each fails or passes as it did in the scene."""
        self.asked.append(("rerun", tuple(check_ids)))
        broken = any(state.weights.get(NEW) for state in self._store.release.states.values())
        for check_id in check_ids:
            now = self._clock.now()
            self._store.apply_event(CheckStarted(id=check_id, at=now))
            await turn()
            self._store.apply_event(CheckFinished(result=result(check_id, now, broken, self._dice)))

    async def rerun_failed(self) -> None:
        """Run every check again that is not green."""
        red = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE)
        await self.rerun([each.id for each in self._store.checks.tracks.values() if each.status in red])

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return the whole trace when the scene has it."""
        self.asked.append(("fetch_trace", (trace_id,)))
        return self._scene.traces.get(trace_id)

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Note the wish."""
        self.asked.append(("pin", tuple(groups)))

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return nothing: all lines of the scene are in the store."""
        self.asked.append(("fetch_logs_for", (*request_ids, *((trace_id,) if trace_id else ()))))
        return ()

    async def _write(self) -> None:
        count = max(1, round(self._lines_per_s * TICK_S))
        while True:
            now = self._clock.now()
            begin_ms = int((now - timedelta(seconds=TICK_S)).timestamp() * 1000)
            lines = tuple(
                log_line(self._number + index, begin_ms + index * 250 // count, SHARE, self._dice)
                for index in range(count)
            )
            self._number += count
            self._store.apply(Batch(source="logs", records=lines, status=live(f"logs:{lines[0].group}", now)))
            await self._clock.sleep(TICK_S)
