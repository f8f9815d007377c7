"""Recordings made by tests: a scene that a store receives over some virtual minutes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from prodwatch.model.environment import Environment
from prodwatch.model.evidence import Opened
from prodwatch.model.result import RecordingInfo
from prodwatch.model.signal import Batch
from prodwatch.session.recorder import Recorder, open_recorder
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor
from prodwatch.views.verdict import judge_session
from tests.support.scene import bad_release
from tests.support.scene.comparisons import compare
from tests.support.scene.logs import log_line
from tests.support.scene.release import SHARE, live


class ManualClock(FakeClock):
    """A clock that a test moves without an event loop."""

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed_s += seconds


class RecordedScene:
    """A store that is recorded: `flush` writes what it has received."""

    def __init__(
        self,
        path: Path,
        *,
        redactor: Redactor | None = None,
        patterns: Iterable[str] = (),
        of: Environment | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.store = Store(self.clock)
        self.recorder: Recorder = open_recorder(
            path,
            Redaction(redactor or Redactor(), tuple(patterns)),
            self.clock,
            mode="dashboard",
            environment=of or environment(),
        )
        self.recorder.subscribe(self.store)
        self._dice = random.Random(7)
        self._number = 1_000_000
        self.store.note(Opened(environment=of or environment()))

    def scene(self) -> None:
        """Receive the whole scene at this moment, and write it."""
        scene = bad_release(self.clock.now())
        self.store.define(scene.definitions)
        for batch in scene.batches:
            self.store.apply(batch)
        for event in scene.events:
            self.store.apply_event(event)
        self.recorder.flush()

    def judged(self) -> None:
        """Receive the whole scene, open its traces, compare its versions, judge it, and write it."""
        self.scene()
        now = self.clock.now()
        for trace in bad_release(now).traces.values():
            self.store.add_trace(trace)
        compare(self.store)
        self.store.set_verdict(judge_session(self.store, now).decision.verdict)
        self.recorder.flush()

    def lines(self, count: int, *, seconds: float = 1.0) -> None:
        """Receive log lines after some time has passed, and write them."""
        self.clock.skip(seconds)
        now = self.clock.now()
        begin_ms = int((now - timedelta(seconds=seconds)).timestamp() * 1000)
        lines = tuple(log_line(self._number + index, begin_ms + index, SHARE, self._dice) for index in range(count))
        self._number += count
        self.store.apply(Batch(source="logs", records=lines, status=live(f"logs:{lines[0].group}", now)))
        self.recorder.flush()

    def close(self) -> RecordingInfo:
        """End the recording."""
        return self.recorder.close()
