"""The application: it wires store, session and screens together and decides nothing about them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar

from textual._context import active_message_pump
from textual.app import App
from textual.binding import BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome
from textual.message_pump import MessagePump
from textual.notifications import SeverityLevel
from textual.screen import Screen

from prodwatch.clock import Clock
from prodwatch.session.protocol import Session, SessionFacts
from prodwatch.store.store import Store
from prodwatch.tui.colourless import Colourless
from prodwatch.tui.desktop_notification import desktop_notice
from prodwatch.tui.fault_isolation import Survivor, in_one_sentence
from prodwatch.tui.keymap import APP_BINDINGS, SCREENS
from prodwatch.tui.screens.base import DashScreen
from prodwatch.tui.styled_line import safe
from prodwatch.tui.themes import THEMES, with_our_tokens
from prodwatch.tui.widget_context import Deck, Preferences
from prodwatch.views.verdict import VerdictLine

_LOG = logging.getLogger(__name__)
FRAMES_PER_LISTEN = 10
FRAMES_PER_LOOK = 5
"""Verdict and checks are looked at twice a second at the usual pace."""
MOST_TOASTS = 3
MOST_SURVIVED = 50
MOST_SURVIVED_TOLD = 3
"""Toasts about broken parts; the log file has them all."""
BROKEN = 70
DEFAULT_PREFERENCES = Preferences()
COLOURLESS = Colourless()


def _commands() -> type[Provider]:
    from prodwatch.tui.command_palette import Commands

    return Commands


class ProdwatchApp(Survivor, App[None]):
    """The dashboard over `store`, fed by `session`."""

    TITLE = "prodwatch"
    CSS_PATH: ClassVar[str | PurePath | list[str | PurePath] | None] = "prodwatch.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*APP_BINDINGS]
    DEFAULT_MODE = "overview"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        store: Store,
        session: Session,
        *,
        environment: SessionFacts,
        clock: Clock,
        preferences: Preferences = DEFAULT_PREFERENCES,
    ) -> None:
        super().__init__()
        self.session = session
        self.deck = Deck(
            store=store,
            clock=clock,
            facts=environment,
            preferences=preferences,
            zone=None if preferences.local_time else UTC,
        )
        self.animation_level = "none"
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = preferences.theme if preferences.theme in self.available_themes else "prodwatch-dark"
        self.set_class(preferences.ascii, "-ascii")
        self.set_keymap(dict(preferences.keymap))
        for name in SCREENS:
            self.add_mode(name, self._screen_maker(name))
        self.survived: list[Exception] = []
        """What broke so far without ending the app, oldest first."""
        self._verdict_seen: str | None = None
        self._came_up = False
        self._broke = 0
        self._notices_told = 0
        self._frames = 0

    def get_driver_class(self) -> type[Driver]:
        """Draw on a real terminal with our own driver; where Textual chooses another, a browser's say, with that."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from prodwatch.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Leave no colour where none is wanted: Textual's own filter makes greys of them."""
        filters = super().get_line_filters()
        return (
            [*(each for each in filters if not isinstance(each, Monochrome)), COLOURLESS] if self.no_color else filters
        )

    def get_css_variables(self) -> dict[str, str]:
        """Give our tokens a meaning in themes that do not know them."""
        return with_our_tokens(super().get_css_variables())

    def _screen_maker(self, name: str) -> Callable[[], Screen[Any]]:
        """Return what makes a screen when it is first asked for: until then its modules are not loaded."""

        def make() -> Screen[Any]:
            module = import_module(f"prodwatch.tui.screens.{name}")
            screen: Screen[Any] = getattr(module, f"{name.capitalize()}Screen")(self.deck)
            return screen

        return make

    def on_mount(self) -> None:
        """Start the clock of frames, and the session once the first picture stands."""
        fps = self.deck.preferences.fps
        if fps > 0:
            self.set_interval(1 / fps, self.frame)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._came_up = True
        self.work("start", self.session.start())
        if self.deck.preferences.keymap:
            self._check_keymap()

    def _check_keymap(self) -> None:
        """Say which ids of the user's keymap nobody knows; the others work."""
        from prodwatch.tui.bound_keys import known_ids
        from prodwatch.tui.preferences import nearest

        known = known_ids()
        for name in self.deck.preferences.keymap:
            if name not in known:
                text = f'[keys] names "{name}", which is no key of the dashboard{nearest(name, known)}'
                self.notify(text, severity="warning", markup=False)

    def frame(self) -> None:
        """One tick: the screen on top follows the store."""
        if self._frames % FRAMES_PER_LOOK == 0:
            self.deck.look()
        self._frames += 1
        if self._frames % FRAMES_PER_LISTEN == 0:
            self._listen()
        if isinstance(self.screen, DashScreen):
            self.screen.frame()

    def keep_alive(self, error: Exception, where: MessagePump) -> None:
        """Log what broke in `where` and say it; a screen that could not be built, or is not ours, is left."""
        self._broke += 1
        if self._broke <= MOST_SURVIVED or self._broke % MOST_SURVIVED == 0:
            _LOG.error("%r failed, %d failures so far", where, self._broke, exc_info=error)
        self.survived = [*self.survived[-MOST_SURVIVED:], error]
        if self._broke <= MOST_SURVIVED_TOLD:
            told = in_one_sentence(error, self.deck.facts.log_file)
            self.notify(f"something failed, the rest goes on: {told}", severity="error", markup=False)
        unusable = not isinstance(where, DashScreen) or not where.children
        if isinstance(where, Screen) and unusable and where is self.screen and len(self.screen_stack) > 1:
            self.pop_screen()

    def _handle_exception(self, error: Exception) -> None:
        """Go on after what Textual takes for the end; only an app that never came up ends, with one sentence."""
        if self._came_up:
            self.keep_alive(error, active_message_pump.get(self))
            return
        _LOG.critical("the dashboard broke", exc_info=error)
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._return_code = BROKEN
        self.panic(f"prodwatch: the dashboard broke: {in_one_sentence(error, self.deck.facts.log_file)}")

    def _listen(self) -> None:
        """Ring when the verdict changes; the first one is no change."""
        self._tell_notices()
        verdict = self.deck.glance.verdict
        if verdict.title.startswith("WAITING"):
            return  # nothing is known yet, so what comes next is no change
        before, self._verdict_seen = self._verdict_seen, verdict.status
        if before is None or before == verdict.status:
            return
        self._call_attention(verdict)
        severity: SeverityLevel = "information" if verdict.status == "pass" else "warning"
        self.notify(verdict.reasons[0], title=verdict.title, severity=severity, markup=False)

    def _call_attention(self, verdict: VerdictLine) -> None:
        """Do what the user wants done beyond the toast: they may be looking elsewhere."""
        wanted = self.deck.preferences.notify
        if wanted == "bell":
            self.bell()
        elif wanted == "desktop":
            title = f"prodwatch {self.deck.facts.environment}: {verdict.title}"
            self.write_to_terminal(desktop_notice(title, verdict.reasons[0], os.environ))

    def write_to_terminal(self, sequence: str) -> None:
        """Send an escape sequence beside the picture, as Textual itself does for the bell and the clipboard."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)

    def _tell_notices(self) -> None:
        """Show what came since the last look; of many, the newest few: help lists the rest."""
        store = self.deck.store
        fresh = min(store.noticed - self._notices_told, len(store.notices), MOST_TOASTS)
        self._notices_told = store.noticed
        for notice in store.notices[len(store.notices) - fresh :]:
            self.notify(notice.message, markup=False, severity="warning")

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast: whatever it says, it is never markup and cannot steer the terminal."""
        del markup
        super().notify(safe(message), title=safe(title), severity=severity, timeout=timeout, markup=False)

    def work(self, what: str, task: Coroutine[Any, Any, object], *, group: str = "session") -> None:
        """Run `task` beside the app; what it raises is shown and logged, and the app goes on."""

        async def guarded() -> None:
            try:
                await task
            except Exception as error:  # noqa: BLE001 -- a broken intent must not take the dashboard with it
                _LOG.exception("%s failed", what)
                self.notify(f"{what}: {error}", severity="error", markup=False)

        self.run_worker(guarded(), group=group, description=what, exit_on_error=False)

    def open_check(self, check_id: str) -> None:
        """Show one check."""
        from prodwatch.tui.screens.check import CheckScreen

        self.push_screen(CheckScreen(self.deck, check_id))

    def open_trace(self, trace_id: str) -> None:
        """Show one trace as a waterfall."""
        from prodwatch.tui.screens.trace import TraceScreen

        self.push_screen(TraceScreen(self.deck, trace_id))

    def open_metric(self, label: str, *, at_s: int | None = None) -> None:
        """Show the chart of one metric, the cursor on the minute that holds `at_s`; one layer above where one was."""
        from prodwatch.tui.screens.metrics import MetricsScreen

        self.push_screen(MetricsScreen(self.deck, label, at_s))

    def open_logs(self, text: str, *, number: int | None = None) -> None:
        """Show the logs under a filter, or one line by its ring number; one layer above where one was."""
        from prodwatch.tui.screens.logs import LogsScreen

        self.push_screen(LogsScreen(self.deck, text, number))

    def open_timeline(self, subject: str) -> None:
        """Show the events of one subject; one layer above where one was."""
        from prodwatch.tui.screens.timeline import TimelineScreen

        self.push_screen(TimelineScreen(self.deck, subject))

    def rerun(self, check_ids: Sequence[str]) -> None:
        """Run checks again, now."""
        self.work("re-run", self.session.rerun(tuple(check_ids)), group="rerun")

    def rerun_failed(self) -> None:
        """Run again whatever is not green."""
        self.work("re-run failed", self.session.rerun_failed(), group="rerun")

    def copy(self, text: str | None, otherwise: str) -> None:
        """Put `text` on the clipboard and say so, or say why there is nothing to copy."""
        if not text:
            self.notify(otherwise, markup=False, severity="warning", timeout=4)
            return
        self.copy_to_clipboard(text)
        lines = text.count("\n") + 1
        self.notify(f"copied {lines} {'line' if lines == 1 else 'lines'}", markup=False, timeout=2)

    def action_show(self, name: str) -> None:
        """Go to one of the numbered screens as it was left; from within it, to its first layer."""
        if name != self.current_mode:
            self.switch_mode(name)
            return
        for _ in self.screen_stack[1:]:
            self.pop_screen()

    def action_pause(self) -> None:
        """Let the display stand still, or follow again."""
        self.deck.paused = not self.deck.paused
        self.frame()

    def action_service_map(self) -> None:
        """Show who calls whom, above the traces."""
        from prodwatch.tui.screens.service_map import ServiceMapScreen

        self.switch_mode("traces")
        if not any(isinstance(screen, ServiceMapScreen) for screen in self.screen_stack):
            self.push_screen(ServiceMapScreen(self.deck))
        while not isinstance(self.screen, ServiceMapScreen):
            self.pop_screen()

    def action_switch_zone(self) -> None:
        """Show times in UTC or in this machine's zone."""
        self.deck.zone = None if self.deck.zone is UTC else UTC
        self._redraw()

    def action_switch_theme(self) -> None:
        """Go from dark to light or back."""
        dark, light = (theme.name for theme in THEMES)
        self.theme = light if self.theme == dark else dark

    async def action_mark(self) -> None:
        """Put a note on the time line, at this moment."""
        if isinstance(self.screen, DashScreen):
            await self.screen.ask("note")

    def action_help(self) -> None:
        """Explain what has focus, and every key that works now."""
        from prodwatch.tui.screens.help import HelpScreen

        if isinstance(self.screen, DashScreen) and not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.deck, self.screen))

    def _redraw(self) -> None:
        from prodwatch.tui.widgets.panel import Panel

        for panel in self.screen.query(Panel):
            panel.resync()
        self.frame()

    async def action_quit(self) -> None:
        """Leave at once; whoever runs the app stops the session afterwards."""
        self.exit()
