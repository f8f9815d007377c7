"""Renders the pictures of the README and the guides: the real dashboard over the demo's bad release."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.clock import SystemClock
from prodwatch.model.environment import DemoTarget
from prodwatch.session.live import LiveSession
from prodwatch.session.protocol import SessionFacts
from prodwatch.store.store import DEFAULT_LIMITS, TRIAGE_LIMITS, Store
from prodwatch.tui.app import ProdwatchApp
from prodwatch.tui.preferences import Preferences
from prodwatch.views.events_in_window import changes
from prodwatch.views.time_window import Window

PICTURES = Path(__file__).parent / "pictures"

SCENES: dict[str, tuple[tuple[int, int], str, list[str]]] = {
    "overview-80x24": ((80, 24), "prodwatch-dark", []),
    "overview-120x40": ((120, 40), "prodwatch-dark", []),
    "overview-200x60": ((200, 60), "prodwatch-dark", []),
    "overview-light": ((120, 40), "prodwatch-light", []),
    "check": ((120, 40), "prodwatch-dark", ["down", "enter"]),
    "logs": ((120, 40), "prodwatch-dark", ["2"]),
    "traces": ((120, 40), "prodwatch-dark", ["3"]),
    "trace": ((120, 40), "prodwatch-dark", ["3", "enter"]),
    "service-map": ((120, 40), "prodwatch-dark", ["S"]),
    "metrics": ((120, 40), "prodwatch-dark", ["4"]),
    "timeline": ((120, 40), "prodwatch-dark", ["5"]),
    "release": ((120, 40), "prodwatch-dark", ["C"]),
    "triage": ((120, 40), "prodwatch-dark", []),
}
"""Picture → size in cells, theme, keys pressed first."""

PANELS: dict[str, tuple[str, ...]] = {
    "overview-80x24": ("Checks", "Signals", "Logs"),
    "overview-120x40": ("Checks", "Signals", "Alarms", "Errors", "Traces", "Logs"),
    "overview-200x60": ("Checks", "Signals", "Alarms", "Errors", "Traces", "Logs"),
    "overview-light": ("Checks", "Signals", "Alarms", "Errors", "Traces", "Logs"),
    "check": ("Assertions", "Trace", "Log lines"),
    "logs": ("Logs",),
    "traces": ("Traces",),
    "trace": ("Span", "Log lines"),
    "service-map": ("Service map", "Edge"),
    "metrics": ("Signals", "Comparisons"),
    "timeline": ("Timeline",),
    "release": ("Comparisons", "Errors"),
    "triage": ("What changed", "Signals", "Checks"),
}
"""Picture → titles of the panels it shows; a test opens each scene and looks for them."""

TRIAGE = frozenset({"triage"})
"""Pictures of the last half hour, taken after the bad release was rolled back."""

SETTLE_S = 45.0
READING_S = 240.0
"""Longest wait for a window to be read to its end."""
CALM_S = 15.0
"""Longest wait for the header's note of a slow machine to go: opening an app holds up the loop that is measured."""


async def render(wanted: set[str]) -> None:
    """Take the wanted pictures, all of them when none is named."""
    names = [name for name in SCENES if not wanted or name in wanted]
    for group in ([each for each in names if each not in TRIAGE], [each for each in names if each in TRIAGE]):
        if group:
            await take(group, is_triage=group[0] in TRIAGE)


async def take(names: list[str], *, is_triage: bool) -> None:
    """Open the demo once, let two rounds pass, then take every picture from the same store."""
    project = load(Common(env="demo"), quiet=True)
    clock = SystemClock()
    window = Window(start=clock.now() - timedelta(minutes=30)) if is_triage else None
    store = Store(clock, limits=TRIAGE_LIMITS if is_triage else DEFAULT_LIMITS)
    demo = DemoTarget(scenario="bad", at="after" if is_triage else "during")
    session = LiveSession(project, store, clock, demo=demo, window=window)
    await session.start()
    try:
        await asyncio.sleep(SETTLE_S)
        if window is not None:
            shown = window
            await until(lambda: not changes(store, shown, clock.now()).reading, READING_S)
        for name in names:
            size, theme, keys = SCENES[name]
            await picture(name, size, theme, keys, store, session, project.environment.title, window)
    finally:
        await session.stop()


async def until(reached: Callable[[], bool], within_s: float) -> None:
    """Return once a state is reached, at the latest after `within_s` seconds."""
    for _ in range(round(within_s * 4)):
        if reached():
            return
        await asyncio.sleep(0.25)
    print(f"not reached within {within_s:g} s: the picture shows it", file=sys.stderr)


async def picture(
    name: str,
    size: tuple[int, int],
    theme: str,
    keys: list[str],
    store: Store,
    session: LiveSession,
    title: str,
    window: Window | None,
) -> None:
    """Take one picture."""
    facts = SessionFacts(
        environment="demo",
        title=title,
        region="eu-west-1",
        protected=False,
        allow_writes=True,
        mode="demo",
        every_s=15,
        window=window,
    )
    quiet = Onlooker(session)
    app = ProdwatchApp(
        store, quiet, environment=facts, clock=SystemClock(), preferences=Preferences(theme=theme, notify="off")
    )
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(1.5)
        await pilot.pause(0.5)
        await until(lambda: store.slow_ms is None, CALM_S)
        await pilot.pause(0.5)
        svg = app.export_screenshot(title=f"prodwatch · {title}")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(standalone(svg), encoding="utf-8")
    print(f"written: {name}.svg")


class Onlooker:
    """The running session, which opening one more app neither starts nor stops."""

    def __init__(self, session: LiveSession) -> None:
        self.rerun = session.rerun
        self.rerun_failed = session.rerun_failed
        self.fetch_trace = session.fetch_trace
        self.fetch_logs_for = session.fetch_logs_for
        self.pin_logs = session.pin_logs

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""


def standalone(svg: str, sub: Callable[..., str] = re.sub) -> str:
    """Return the picture without fonts from elsewhere, its columns aligned: it shows in any viewer, offline."""
    # Some viewers drop leading blanks of a text without this attribute.
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    svg = sub(r"@font-face\s*\{[^}]*\}", "", svg)
    return sub(r"font-family:\s*Fira Code", "font-family: 'DejaVu Sans Mono', Menlo, Consolas", svg)


if __name__ == "__main__":
    asyncio.run(render(set(sys.argv[1:])))
