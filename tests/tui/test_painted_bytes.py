"""What reaches the terminal, byte by byte: no colour where none is wanted, notices that cannot steer it."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from prodwatch.model.event import CheckFinished
from prodwatch.model.signal import AlarmState, Batch
from prodwatch.session.protocol import SessionFacts
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.notifications import desktop_notification
from prodwatch.tui.preferences import Preferences
from tests.support.scene import bad_release
from tests.support.scene.checks import result
from tests.support.scripted_session import ScriptedSession
from tests.support.terminal import COLOURS, ESCAPES
from tests.support.waiting import turn, until

FACTS = SessionFacts(environment="prod", title="Shop", region="eu-west-1", every_s=15)
DEFAULT_COLOURS = re.compile(rb"\x1b\[(?:[0-9;:]*;)?[34]9(?:;[0-9;:]*)?m")


class Written(HeadlessDriver):
    """A terminal of 120 × 40 that keeps what is written to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "size": (120, 40)})
        self.bytes = bytearray()

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.bytes += data.encode("utf-8", "surrogateescape")


class Painted:
    """A running dashboard and the bytes it wrote."""

    def __init__(self, app: ProdwatchApp, store: Store) -> None:
        self.app = app
        self.store = store

    @property
    def written(self) -> bytes:
        driver: Any = self.app._driver
        return bytes(driver.bytes) if driver else b""

    async def until(self, words: bytes) -> None:
        """Wait until `words` were written, a frame at a time."""

        def paint() -> None:
            if self.app.is_running and self.app._driver:
                self.app.frame()

        await until(lambda: words in self.written, f"{words!r} was never written", meanwhile=paint)

    async def press(self, key: str) -> None:
        """Press a key as the driver would."""
        from textual.events import Key

        self.app.post_message(Key(key, key if len(key) == 1 else None))
        await turn()


@asynccontextmanager
async def painting(**preferences: Any) -> AsyncIterator[Painted]:
    """Run the dashboard on a driver that keeps its bytes."""
    clock = FakeClock()
    store = Store(clock)
    session = ScriptedSession(store, clock, scene=bad_release(START, moment="before"))
    app = ProdwatchApp(store, session, environment=FACTS, clock=clock, preferences=Preferences(fps=0, **preferences))
    app.driver_class = Written
    running = asyncio.create_task(app.run_async())
    try:
        painted = Painted(app, store)
        await painted.until(b"certificate")
        yield painted
    finally:
        app.exit()
        await asyncio.wait_for(running, 30)


def turn_red(store: Store) -> None:
    store.apply_event(CheckFinished(result=result("orders/order-in-euros", START, True, random.Random(1))))


def rung(painted: Painted) -> bool:
    """Return whether the bell rang; the same byte also ends some sequences of Textual's own."""
    return b"\x07" in ESCAPES.sub(b"", painted.written)


async def test_no_color_means_not_one_colour_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with painting() as painted:
        turn_red(painted.store)
        await painted.until(b"not healthy")
        for key, words in (
            ("question_mark", b"help"),
            ("escape", b"certificate"),
            ("3", b"traces"),
            ("colon", b"Search"),
        ):
            await painted.press(key)
            await painted.until(words)
        written = painted.written
    assert not COLOURS.findall(written)
    assert not DEFAULT_COLOURS.findall(written)
    assert re.search(rb"\x1b\[(?:1;)?7(?:;1)?m", written), "the cursor is in reverse"
    assert b"\x1b[1m" in written


async def test_otherwise_there_are_colours() -> None:
    async with painting() as painted:
        assert COLOURS.findall(painted.written)


@pytest.mark.parametrize(
    ("environ", "sequence"),
    [
        ({"TERM": "xterm-256color"}, b"\x1b]9;prodwatch prod: FAIL"),
        ({"TERM": "foot"}, b"\x1b]777;notify;prodwatch prod: FAIL"),
        ({"TERM": "xterm", "TMUX": "/tmp/t,1,0"}, b"\x1bPtmux;\x1b\x1b]9;prodwatch prod: FAIL"),
    ],
    ids=["OSC 9", "OSC 777", "through tmux"],
)
async def test_a_change_of_verdict_notifies_the_desktop_once(
    environ: dict[str, str], sequence: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "VTE_VERSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with painting(notify="desktop") as painted:
        for _ in range(20):
            painted.app.frame()
        assert b"\x1b]9;" not in painted.written
        turn_red(painted.store)
        await painted.until(sequence)
        for _ in range(40):
            painted.app.frame()
        assert painted.written.count(sequence) == 1
        assert not rung(painted)


@pytest.mark.parametrize(("notify", "rings"), [("bell", True), ("off", False)])
async def test_the_bell_rings_or_nothing_does(notify: Any, rings: bool) -> None:
    async with painting(notify=notify) as painted:
        for _ in range(20):
            painted.app.frame()
        turn_red(painted.store)
        await painted.until(b"not healthy")
        for _ in range(20):
            painted.app.frame()
        assert rung(painted) is rings
        assert b"\x1b]9;" not in painted.written


async def test_the_first_verdict_is_no_change() -> None:
    async with painting(notify="desktop") as painted:
        for _ in range(60):
            painted.app.frame()
        await turn()
        assert b"\x1b]9;" not in painted.written


async def test_a_hostile_reason_cannot_end_the_notice() -> None:
    async with painting(notify="desktop") as painted:
        for _ in range(20):
            painted.app.frame()
        reason = "x\x1b\\\x1b]0;PWNED\x07\x9c\u202e; rm"
        alarm = AlarmState(name="errors", state="ALARM", reason=reason)
        painted.store.apply(Batch(source="alarms", records=(alarm,)))
        await painted.until(b"\x1b]9;prodwatch prod: FAIL")
        notice = painted.written.partition(b"\x1b]9;")[2].partition(b"\x1b")[0].decode()
        assert "alarm errors is firing: x" in notice
        assert notice.isprintable()
        assert "PWNED" in notice


@pytest.mark.parametrize("environ", [{}, {"VTE_VERSION": "7006"}, {"TMUX": "1"}], ids=["9", "777", "tmux"])
@pytest.mark.parametrize("text", ["\x1b\\", "\x07", "\x9c", "a;b", "\n", "\x00", "界" * 500])
def test_a_notice_has_no_control_character_but_its_own(text: str, environ: dict[str, str]) -> None:
    sequence = desktop_notification(text, text, environ)
    inner = re.sub(r"^\x1b(?:Ptmux;\x1b\x1b)?\]?(?:9|777;notify);|(?:\x1b){1,2}\\(?:\x1b\\)?$", "", sequence)
    assert inner.isprintable()
    assert len(sequence) < 1000
    if "VTE_VERSION" in environ:
        assert ";" not in inner.partition(";")[0]
