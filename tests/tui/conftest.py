"""The dashboard over a scripted session at a standing clock: frames come only when a test asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import pytest
from textual._compositor import Compositor
from textual._context import active_app
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.message import Message
from textual.pilot import Pilot

from prodwatch.session.protocol import SessionFacts
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import Preferences
from tests.support.pictures import Compare
from tests.support.scene import Moment, Scene, bad_release
from tests.support.scene.comparisons import compare
from tests.support.scripted_session import ScriptedSession
from tests.support.waiting import turn

FACTS = SessionFacts(
    environment="prod",
    title="Shop · production",
    account="123456789012",
    region="eu-west-1",
    every_s=15,
    log_file="/tmp/prodwatch.log",
)


@pytest.fixture(autouse=True)
def _no_idle_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Textual's wait for an idle CPU, at least 20 ms a key, by giving way to everything that is ready."""

    async def give_way(*_: float) -> None:
        await turn(10)

    monkeypatch.setattr("textual.pilot.wait_for_idle", give_way)
    monkeypatch.setattr("textual.app.wait_for_idle", give_way)


@pytest.fixture(autouse=True, scope="session")
def _no_paint_without_a_terminal() -> Iterator[None]:
    """Skip the drawing that a headless app throws away; `Bench.painted` draws what a test looks at."""
    render = Compositor.render_update

    def render_for_a_terminal(compositor: Compositor, full: bool = False, **options: Any) -> Any:
        if full or not active_app.get().is_headless:
            return render(compositor, full, **options)
        compositor._dirty_regions.clear()
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Compositor, "render_update", render_for_a_terminal)
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_parse_per_sheet() -> Iterator[None]:
    """Let all apps of a worker share what their common style sheets mean: every start would parse them twice."""
    known: dict[tuple[Hashable, ...], list[RuleSet]] = {}
    parse = Stylesheet._parse_rules

    def parse_once(sheet: Stylesheet, css: str, **source: Any) -> list[RuleSet]:
        key = (css, *sorted(source.items()), *sorted(sheet._variables.items()))
        if key not in known:
            known[key] = parse(sheet, css, **source)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _hash_rules_in_c() -> Iterator[None]:
    """Hash a rule of a style sheet by its identity as Textual does, without Python code per rule and widget."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleSet, "__hash__", object.__hash__)
        yield


@cache
def scene_of(moment: Moment) -> Scene:
    """Return the scene of a moment; it is frozen, so tests may share it."""
    return bad_release(START, moment=moment)


class QuietSession(ScriptedSession):
    """Starts without telling anything: the dashboard before the first answer."""

    async def start(self) -> None:
        """Do nothing."""


class Bench:
    """A running dashboard and the means to drive it and to see what it painted."""

    def __init__(self, app: ProdwatchApp, pilot: Pilot[Any], session: ScriptedSession, messages: list[Message]) -> None:
        self.app = app
        self.pilot = pilot
        self.session = session
        self.store = app.context.store
        self.messages = messages
        self.may_break = False
        """Whether this test breaks something on purpose: what the app survives fails every other one."""

    async def frames(self, count: int = 6) -> None:
        """Let the frame clock tick and the screen settle."""
        await self.settle(1)
        for _ in range(count):
            self.app.frame()
        await self.settle()

    async def settle(self, rounds: int = 3) -> None:
        """Let messages, and the messages they cause, be handled."""
        for _ in range(rounds):
            await self.pilot.pause()

    async def sees(self, words: str) -> None:
        """Wait until `words` are painted."""
        await self.until(lambda: words in self.text, f"{words!r} was never painted")

    async def misses(self, words: str) -> None:
        """Wait until `words` are no longer painted."""
        await self.until(lambda: words not in self.text, f"{words!r} stayed on the screen")

    async def until(self, true: Callable[[], bool], otherwise: str = "it never became true") -> None:
        """Wait for what Textual does on a timer of its own."""
        for _ in range(500):
            if true():
                return
            self.app.frame()
            await self.pilot.pause(0.01)
        raise AssertionError(f"{otherwise}\n{self.text}")

    async def calm(self) -> None:
        """Wait until the painted screen stays as it is: Textual lays out on a timer of its own."""
        same, before = 0, ""
        while same < 3:
            await self.pilot.pause(0.02)
            await self.frames(1)
            same, before = (same + 1 if self.text == before else 0), self.text

    async def press(self, *keys: str) -> None:
        """Press keys, each followed by frames."""
        for key in keys:
            await self.pilot.press(key)
            await self.frames()

    async def write(self, text: str) -> None:
        """Type into whatever has focus."""
        for character in text:
            await self.pilot.press(_KEY_NAMES.get(character, character))
        await self.frames()

    def painted(self) -> list[str]:
        """Return the lines of the screen as painted. The only place that looks into the compositor."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def painted_bytes(self) -> bytes:
        """Return what a terminal would be sent to draw the whole screen."""
        update = self.app.screen._compositor.render_full_update()
        return update.render_segments(self.app.console).encode("utf-8", "surrogatepass")

    @property
    def text(self) -> str:
        """The painted screen as one text."""
        return "\n".join(self.painted())

    def told(self, kind: type[Message]) -> list[Message]:
        """Return messages of a kind, in order."""
        return list({id(message): message for message in self.messages if isinstance(message, kind)}.values())


_KEY_NAMES = {
    " ": "space",
    "/": "slash",
    ":": "colon",
    "+": "plus",
    "!": "exclamation_mark",
    "(": "left_parenthesis",
    "'": "apostrophe",
    "-": "minus",
}

Run = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def run() -> Run:
    """Return a context manager that runs the dashboard; see `Bench`."""

    @asynccontextmanager
    async def running(
        size: tuple[int, int] = (120, 40),
        *,
        moment: Moment = "during",
        keys: Sequence[str] = (),
        preferences: Preferences | None = None,
        quiet: bool = False,
        notifications: bool = False,
        facts: SessionFacts = FACTS,
    ) -> AsyncIterator[Bench]:
        clock = FakeClock()
        store = Store(clock)
        kind = QuietSession if quiet else ScriptedSession
        session = kind(store, clock, scene=scene_of(moment))
        messages: list[Message] = []
        app = ProdwatchApp(
            store, session, environment=facts, clock=clock, preferences=preferences or Preferences(fps=0)
        )
        async with app.run_test(size=size, message_hook=messages.append, notifications=notifications) as pilot:
            bench = Bench(app, pilot, session, messages)
            await bench.until(lambda: quiet or store.checks.defined, "the session never started")
            await bench.frames()
            await bench.press(*keys)
            yield bench
        if not bench.may_break and app.failures:
            raise app.failures[0]

    return running


Snap = Callable[..., bool]


@pytest.fixture
def snap(compare_picture: Compare) -> Snap:
    """Compare a picture of the dashboard with the one kept."""

    def look(
        size: tuple[int, int],
        *keys: str,
        theme: str = "prodwatch-dark",
        moment: Moment = "during",
        quiet: bool = False,
        ascii_only: bool = False,
        facts: SessionFacts = FACTS,
        compared: bool = False,
    ) -> bool:
        clock = FakeClock()
        store = Store(clock)
        session = (QuietSession if quiet else ScriptedSession)(store, clock, scene=scene_of(moment))
        preferences = Preferences(fps=0, theme=theme, ascii=ascii_only)
        app = ProdwatchApp(store, session, environment=facts, clock=clock, preferences=preferences)

        async def before(pilot: Pilot[Any]) -> None:
            bench = Bench(app, pilot, session, [])
            await bench.until(lambda: quiet or store.checks.defined, "the session never started")
            await bench.frames()
            if compared:
                compare(store)
            await bench.press(*keys)
            await bench.frames(12)
            await bench.calm()

        return compare_picture(app, size, before)

    return look
