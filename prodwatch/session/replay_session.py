"""The session of a replayed dashboard: a position in a recording that plays both ways, at any speed, and is moved."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from prodwatch.clock import Clock
from prodwatch.errors import ConfigurationError
from prodwatch.model.evidence import Concluded, GateLooked, Opened
from prodwatch.model.signal import LogRecord, Trace
from prodwatch.session.moments import Moment, moments
from prodwatch.session.replay import Loaded, Player, ReplayClock
from prodwatch.store.recording.frames import DamagedFrameError
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.store import Store

SPEEDS = (1, 2, 5, 10, 20, 60, 300, 1_000)
"""Speeds that the keys choose; an option may name another one."""
TICK_S = 0.1
BACK_S = 0.5
"""Time between two steps backwards, each of which begins at a snapshot."""
MOST_STEP_S = 1.0
"""Longest real time that a step makes up for: a slow machine plays more slowly than asked, and stays responsive."""
SLICE_RECORDS = 500
"""Records that are applied between two turns of the event loop."""
LEAP_US = 10_000_000
"""A step that is longer leaves out what a snapshot between holds."""
Read = Callable[[Callable[[], Loaded]], Awaitable[Loaded]]
_LOG = logging.getLogger(__name__)


def opening(file: SessionFile) -> Opened:
    """Return the first event that names the environment. Raises ConfigurationError for a recording without one."""
    try:
        for entry in file.entries():
            if isinstance(entry.event, Opened):
                return entry.event
    except DamagedFrameError:
        pass  # it is reported as the recording without an environment that is left
    raise ConfigurationError(f"{file.path}: no event names the environment, so that nothing can be shown")


class ReplaySession:
    """Feeds the store of a dashboard from a recording. Neither AWS nor a target is asked for anything."""

    def __init__(
        self,
        file: SessionFile,
        store: Store,
        clock: ReplayClock,
        timer: Clock,
        *,
        speed: float = 1.0,
        from_us: int = 0,
        to_us: int | None = None,
        playing: bool = True,
        read: Read = asyncio.to_thread,
    ) -> None:
        """`clock` shows the recorded time, `timer` the real one. Times are microseconds since the recording's start.

        `read` runs in a thread what reads much of the file.
        """
        self._read = read
        self._file = file
        self._timer = timer
        self._player = Player(file, clock, store)
        self._target_us: int | None = from_us
        self._owed_s = 0.0
        """Real seconds played backwards since the latest step."""
        self._task: asyncio.Task[None] | None = None
        self._scan: asyncio.Task[None] | None = None
        self._stopped = False
        self.from_us = from_us
        self.to_us = file.duration_us if to_us is None else min(to_us, file.duration_us)
        """Both ends of the time line."""
        self.speed = speed
        self.playing = playing
        self.backwards = False
        self.moments: tuple[Moment, ...] = ()
        self.all_moments_known = False
        self.damage = None if file.damage is None else str(file.damage)
        """Why the recording ends too early; None for a whole one."""
        self.report: Callable[[str], None] = _LOG.warning
        """Shows a sentence to the user."""

    @property
    def position_us(self) -> int:
        """The present position, or the one to which it is about to move."""
        return self._player.position_us if self._target_us is None else self._target_us

    @property
    def given(self) -> GateLooked | Concluded | None:
        """Latest verdict of a recorded gate or check; None before it, and in the recording of a session."""
        return self._player.given

    @property
    def is_cut(self) -> bool:
        """Whether the recording was not ended: its recorder was killed, or the file was cut or damaged."""
        return self.damage is not None or not self._file.is_ended

    @property
    def is_whole(self) -> bool:
        """Whether the time line ends where the recording does."""
        return self.to_us >= self._file.duration_us

    @property
    def is_at_end(self) -> bool:
        """Whether everything up to the end of the time line is shown."""
        return self.position_us >= self.to_us

    def at(self, position_us: int) -> datetime:
        """Return the wall time of a position, as far as the clock was never set during the recording."""
        return self._file.header.started_at + timedelta(microseconds=position_us)

    # The user's part

    def toggle(self) -> None:
        """Pause, or play on; at the end of the recording play it again."""
        self.playing = not self.playing
        if not self.playing:
            return
        if self.backwards and self.position_us <= self.from_us:
            self.seek(self.to_us)
        elif not self.backwards and self.is_at_end:
            self.seek(self.from_us)

    def change_speed(self, by: int) -> None:
        """Choose the next faster speed for 1, the next slower one for -1."""
        if by > 0:
            self.speed = next((each for each in SPEEDS if each > self.speed), self.speed)
        else:
            self.speed = next((each for each in reversed(SPEEDS) if each < self.speed), self.speed)

    def reverse(self) -> None:
        """Play in the other direction from now on."""
        self.backwards = not self.backwards
        self._owed_s = 0.0

    def seek(self, to_us: int) -> None:
        """Move to a position within the time line, as soon as the present step is over."""
        self._target_us = max(self.from_us, min(to_us, self.to_us))

    def skip(self, seconds: float) -> None:
        """Move by that many seconds, backwards for fewer than 0."""
        self.seek(self.position_us + round(seconds * 1_000_000))

    def jump(self, by: int) -> Moment | None:
        """Move to the next moment for 1, to the one before for -1, and return it; None where none is left."""
        found = self.moments
        if by > 0:
            index = bisect_right(found, self.position_us, key=_place)
        else:
            # While it plays, the moment jumped to a second ago has been passed.
            grace_us = round(self.speed * 1_000_000) if self.playing and not self.backwards else 0
            index = bisect_left(found, self.position_us - grace_us, key=_place) - 1
        if not 0 <= index < len(found) or not self.from_us <= _place(found[index]) <= self.to_us:
            return None
        self.seek(_place(found[index]))
        return found[index]

    def latest_moment(self) -> Moment | None:
        """Return the last moment up to the present position."""
        found = self.moments
        index = bisect_right(found, self.position_us, key=_place)
        return found[index - 1] if index else None

    # The dashboard's part

    async def start(self) -> None:
        """Show the beginning, and play from there."""
        await self._move()
        self._task = asyncio.create_task(self._run(), name="replay")
        self._scan = asyncio.create_task(self._find_moments(), name="moments of the replay")

    async def stop(self) -> None:
        """Stop playing and close the file."""
        self._stopped = True
        for task in (self._task, self._scan):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._file.close()

    async def rerun(self, check_ids: Sequence[str]) -> None:
        """Report that no check runs."""
        del check_ids
        self.report("a replay runs no checks: it shows the rounds that were recorded")

    async def rerun_failed(self) -> None:
        """Report that no check runs."""
        await self.rerun(())

    async def fetch_trace(self, trace_id: str) -> Trace | None:
        """Return None: X-Ray is not asked."""
        del trace_id
        return None

    def pin_logs(self, groups: Sequence[str]) -> None:
        """Do nothing: no log group is read."""

    async def fetch_logs_for(self, request_ids: Sequence[str], trace_id: str | None) -> Sequence[LogRecord]:
        """Return nothing: CloudWatch is not asked."""
        del request_ids, trace_id
        return ()

    async def _run(self) -> None:
        before_s = self._timer.monotonic_s()
        while True:
            await self._timer.sleep(TICK_S)
            now_s = self._timer.monotonic_s()
            elapsed_s, before_s = min(MOST_STEP_S, now_s - before_s), now_s
            if self._target_us is None and self.playing:
                self._step(elapsed_s)
            await self._move()

    def _step(self, elapsed_s: float) -> None:
        """Aim at the position that is due after some real seconds."""
        present_us = self._player.position_us
        if not self.backwards:
            self._target_us = min(self.to_us, present_us + round(elapsed_s * self.speed * 1_000_000))
            self.playing = self._target_us < self.to_us
            return
        self._owed_s += elapsed_s
        if self._owed_s >= BACK_S:
            self._target_us = max(self.from_us, present_us - round(self._owed_s * self.speed * 1_000_000))
            self._owed_s = 0.0
            self.playing = self._target_us > self.from_us

    async def _move(self) -> None:
        """Move to the target: from a snapshot that is read in a thread, or on from here in slices."""
        while (target_us := self._target_us) is not None:
            player = self._player
            if target_us - player.position_us <= LEAP_US and target_us >= player.position_us:
                plays_on = True
            else:
                plays_on = player.plays_on(target_us)
            try:
                if not plays_on:
                    loaded = await self._read(partial(player.load, target_us))
                    if target_us != self._target_us:
                        continue  # it was dragged on
                    player.show(loaded)
                    if loaded.position_us > 0:
                        player.play(target_us)
                else:
                    player.play(target_us, most_records=SLICE_RECORDS)
            except DamagedFrameError as damage:
                self._end_before(damage)
                return
            if player.position_us == target_us == self._target_us:
                self._target_us = None
            else:
                await self._timer.sleep(0)

    def _end_before(self, damage: DamagedFrameError) -> None:
        """End the time line before a damaged frame."""
        self.damage = str(damage)
        self._file.distrust_damage()
        self.to_us = max(self.from_us, min(self.to_us, self._file.duration_us))
        self.playing = False
        self._target_us = None
        self.report(f"the recording is damaged ({damage}): it ends at {self.at(self.to_us):%H:%M:%S} UTC")

    async def _find_moments(self) -> None:
        """Read the moments in a thread, by a file handle of its own."""

        def read() -> None:
            with SessionFile(self._file.path) as file:
                found: list[Moment] = []
                try:
                    for each in moments(file):
                        if self._stopped:
                            return
                        found.append(each)
                        if len(found) % 100 == 0:
                            self.moments = tuple(found)
                except DamagedFrameError:
                    pass  # the moments before the damage are known; playing reports it
                self.moments = tuple(found)

        try:
            await asyncio.to_thread(read)
        except Exception:  # noqa: BLE001 -- the recording plays without them
            _LOG.exception("the moments of the recording could not be read")
            self.report("the events of the recording could not be read: the time line shows none")
        self.all_moments_known = True


def _place(moment: Moment) -> int:
    return moment.elapsed_us
