"""The dashboard over a recording: its keys, the drag of its time line, its sentences, and what its header says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.signal import ReleaseEvent
from prodwatch.session.moments import Moment
from prodwatch.session.protocol import NOT_RECORDED
from prodwatch.tui.keymap import REPLAY_BINDINGS
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.replay_app import ReplayApp
from prodwatch.tui.widgets.replay_bar import ReplayBar
from tests.support.examples import slow_but
from tests.support.replays import LENGTH_S, MARK_S, NOTE, RED, RED_S, STOPPED_S, VERDICT_S, Replayed, record
from tests.tui.conftest import FACTS, Bench

PLAIN = Preferences(fps=0)
EVIL = "\x1b]0;owned\x07[bold]x[/bold]\u202e"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "f.pw"
    record(path)
    return path


class ReplayBench(Bench):
    """A running replay, whose real time moves only by `after`."""

    def __init__(self, replayed: Replayed, app: ReplayApp, pilot: Any) -> None:
        super().__init__(app, pilot, replayed.session, [])  # type: ignore[arg-type]
        self.replayed = replayed

    async def after(self, seconds: float = 0.2) -> float:
        """Let real time pass and draw; return the position in seconds."""
        at_s = await self.replayed.after(seconds)
        await self.frames(12)
        return at_s

    async def presses(self, *keys: str) -> float:
        """Press keys and return the position, in seconds."""
        await self.press(*keys)
        return await self.after()

    @property
    def toasts(self) -> list[str]:
        """Texts of the toasts so far."""
        return [each.message for each in self.app._notifications]

    @property
    def header(self) -> str:
        """The first line."""
        return self.painted()[0]


Run = Callable[..., AbstractAsyncContextManager[ReplayBench]]


@pytest.fixture
def run(path: Path) -> Run:
    @asynccontextmanager
    async def running(
        size: tuple[int, int] = (120, 40),
        *,
        file: Path = path,
        preferences: Preferences = PLAIN,
        **options: object,
    ) -> AsyncIterator[ReplayBench]:
        replayed = Replayed(file, **{"playing": False, **options})
        app = ReplayApp(
            replayed.store, replayed.session, environment=FACTS, clock=replayed.clock, preferences=preferences
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            bench = ReplayBench(replayed, app, pilot)
            await bench.until(lambda: replayed.session.all_moments_known, "the moments were never read")
            await bench.after()
            try:
                yield bench
            finally:
                await replayed.session.stop()
        if app.failures:
            raise app.failures[0]

    return running


async def test_the_keys_move_by_seconds_and_minutes_and_to_both_ends(run: Run) -> None:
    async with run() as bench:
        assert await bench.presses("right", "right") == 20
        assert await bench.presses("shift+right") == 80
        assert await bench.presses("left") == 70
        assert await bench.presses("less_than_sign") == 10
        assert await bench.presses("ctrl+end") == LENGTH_S
        assert await bench.presses("ctrl+home") == 0
        bench.app.screen.query_one(ReplayBar).focus()
        assert await bench.presses("end") == LENGTH_S
        assert await bench.presses("home") == 0


async def test_the_brackets_jump_to_events_and_name_them(run: Run) -> None:
    async with run() as bench:
        assert await bench.presses("right_square_bracket") == MARK_S
        assert f"notes {NOTE}" in bench.text
        assert await bench.presses("ctrl+right", "right_square_bracket") == RED_S
        assert "pass → fail" in bench.text
        assert await bench.presses("left_square_bracket") == STOPPED_S
        assert await bench.presses("ctrl+end", "right_square_bracket") == LENGTH_S
        assert "no event after this" in bench.toasts


async def test_space_plays_and_pauses_at_the_speed_that_plus_and_minus_choose(run: Run) -> None:
    async with run() as bench:
        assert "REPLAY ▶ 1× paused" in bench.header
        await bench.presses("plus", "plus", "plus", "space")
        assert "REPLAY ▶ 10×" in bench.header
        assert "paused" not in bench.header
        assert await bench.after(1.0) >= 10
        before = await bench.presses("minus", "space")
        assert "REPLAY ▶ 5× paused" in bench.header
        assert await bench.after(2.0) == before
        await bench.presses("b")
        assert "REPLAY ◀ 5× paused" in bench.header
        assert await bench.presses("space") <= before
        assert await bench.after(1.0) < before


async def test_the_clock_of_every_view_is_that_of_the_recording(run: Run) -> None:
    async with run() as bench:
        await bench.presses("ctrl+end")
        assert "12:08:00 UTC" in bench.header
        assert "end" in bench.header
        assert "end of the recording" in bench.text
        await bench.presses("left")
        assert "12:07:50 UTC" in bench.header
        assert "end of the recording" not in bench.text


async def test_the_time_line_is_dragged_with_the_mouse(run: Run) -> None:
    async with run() as bench:
        bar = bench.app.screen.query_one(ReplayBar)
        room = bar.size.width - 20
        assert await bench.pilot.mouse_down(ReplayBar, offset=(10 + room // 2, 0))
        assert await bench.after() == pytest.approx(LENGTH_S / 2, abs=5)
        for x in (10 + room // 3, 10 + room // 4):
            await bench.pilot.hover(ReplayBar, offset=(x, 0))
        assert await bench.after() == pytest.approx(LENGTH_S / 4, abs=5)
        await bench.pilot.hover(offset=(119, 3))
        assert await bench.after() == LENGTH_S, "the mouse is followed outside of the line, too"
        await bench.pilot.mouse_up(offset=(119, 3))
        await bench.pilot.hover(ReplayBar, offset=(30, 0))
        assert await bench.after() == LENGTH_S, "the line is no longer held"


async def test_the_time_line_has_a_symbol_at_each_moment(run: Run) -> None:
    async with run() as bench:
        await bench.presses("ctrl+home")
        line = next(each for each in bench.painted() if each.startswith(" 12:00:00 "))
        room = len(line.rstrip()) - 20 + 1
        assert {sign for sign in line if sign in "◆✘█"} == {"◆", "✘", "█"}
        for at_s, sign in ((MARK_S, "◆"), (RED_S, "✘"), (VERDICT_S, "✘")):
            place = 10 + round(at_s / LENGTH_S * room)
            assert sign in line[place - 2 : place + 3], at_s


async def test_nothing_asks_aws_and_each_says_so(run: Run) -> None:
    async with run() as bench:
        await bench.presses("r", "m")
        assert "a replay runs no checks: it shows the rounds that were recorded" in bench.toasts
        assert any("does not change its recording" in each for each in bench.toasts)
        assert not bench.app.screen.query("FilterBar.-open")
        bench.app.open_trace("1-not-recorded")
        await bench.after()
        assert NOT_RECORDED in bench.text
        await bench.press("escape")
        bench.replayed.session.seek(RED_S * 1_000_000)
        await bench.after()
        bench.app.open_check(RED)
        await bench.after()
        shown = bench.text
        for _ in range(6):
            await bench.press("right_square_bracket")
            shown += bench.text
        assert NOT_RECORDED in shown
        assert "waiting for" not in shown


async def test_every_screen_has_the_time_line_and_the_keys_work_there(run: Run) -> None:
    async with run() as bench:
        for number, key in enumerate("12345", 1):
            await bench.presses(key)
            assert bench.painted()[-3].startswith(" 12:00:00 "), key
            assert await bench.presses("greater_than_sign") == number * 60


async def test_help_and_palette_list_the_keys(run: Run) -> None:
    async with run((120, 100)) as bench:
        active = {each.binding.id for each in bench.app.screen.active_bindings.values()}
        assert {each.id for each in REPLAY_BINDINGS} <= active
        hints = bench.painted()[-1]
        assert "space play or pause" in hints
        assert "] next event" in hints
        assert "re-run" not in hints
        await bench.press("question_mark")
        for each in REPLAY_BINDINGS:
            assert str(each.id) in bench.text
        await bench.press("escape")
        await bench.press("colon")
        await bench.write("replay: faster")
        await bench.sees("replay: faster")


async def test_a_key_of_a_replay_is_moved_by_its_id(run: Run) -> None:
    async with run(preferences=Preferences(fps=0, keymap={"replay.on": "f5"})) as bench:
        assert await bench.presses("f5") == 10
        assert await bench.presses("right") == 10


async def test_a_cut_file_opens_with_a_notice(run: Run, path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pw"
    whole = path.read_bytes()  # noqa: ASYNC240 -- a small file
    cut.write_bytes(whole[: len(whole) // 2])
    async with run(file=cut) as bench:
        assert any("it is shown up to its last whole record" in each for each in bench.toasts)
        await bench.presses("ctrl+end")
        assert "the file ends here, before the recording was ended" in bench.text


async def test_nothing_of_a_recording_rings_or_notifies_again(run: Run) -> None:
    async with run() as bench:
        await bench.presses("ctrl+end")
        await bench.frames(40)
        assert bench.toasts == []


async def test_text_of_a_recording_cannot_steer_the_terminal(run: Run) -> None:
    async with run() as bench:
        event = ReleaseEvent(at=bench.replayed.clock.now(), source="alarm", subject=EVIL, what="state", to=EVIL)
        bench.replayed.session.moments = (Moment(elapsed_us=5_000_000, event=event),)
        await bench.presses("right_square_bracket")
        assert "[bold]x[/bold]" in bench.text
        assert not {"\x1b", "\x07", "\u202e"} & set(bench.text)
        assert not {"\x1b", "\x07", "\u202e"} & set("".join(bench.toasts))


@pytest.mark.parametrize(
    "size", slow_but(((60, 16),), [(60, 16), (80, 24), (200, 60)]), ids=lambda size: f"{size[0]}x{size[1]}"
)
async def test_the_time_line_fits_every_size(run: Run, size: tuple[int, int]) -> None:
    async with run(size) as bench:
        await bench.presses("right")
        line = next(each for each in bench.painted() if each.startswith(" 12:00:00 "))
        assert line.rstrip().endswith(" 12:08:00")
        assert "REPLAY" in bench.header
        assert "12:00:10" in bench.header


async def test_ascii_terminals_get_a_time_line_too(run: Run) -> None:
    async with run(preferences=Preferences(fps=0, ascii=True)) as bench:
        await bench.presses("shift+right")
        line = next(each for each in bench.painted() if each.startswith(" 12:00:00 "))
        assert line.isascii()
        assert "REPLAY > 1x paused" in bench.header
