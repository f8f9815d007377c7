"""The dashboard app: connects store, session and screens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar

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
from prodwatch.tui.keymap import APP_BINDINGS, SCREENS
from prodwatch.tui.notifications import Notifier
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import safe
from prodwatch.tui.textual_private import FaultTolerantApp, TerminalDriver
from prodwatch.tui.themes import THEMES, NoColourFilter, with_our_tokens
from prodwatch.tui.widget_context import WidgetContext

_LOG = logging.getLogger(__name__)
FRAMES_PER_NOTIFICATION_CHECK = 10
FRAMES_PER_SNAPSHOT = 5
"""Verdict and checks are updated twice a second at the default frame rate."""
MAX_KEPT_FAILURES = 50
MAX_FAILURE_TOASTS = 3
"""Toasts about failures; the log file has all of them."""
DEFAULT_PREFERENCES = Preferences()
NO_COLOUR_FILTER = NoColourFilter()


def _commands() -> type[Provider]:
    from prodwatch.tui.command_palette import Commands

    return Commands


class ProdwatchApp(FaultTolerantApp):
    """The dashboard over `store`, which `session` feeds."""

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
        self.context = WidgetContext(
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
            self.add_mode(name, self._screen_factory(name))
        self.failures: list[Exception] = []
        """The latest failures that did not end the app, oldest first."""
        self.notifier = Notifier(self, self.context)
        self._failure_count = 0
        self._frame_count = 0

    def get_driver_class(self) -> type[Driver]:
        """Use our own driver on a real terminal; keep Textual's choice elsewhere, in a browser for example."""
        chosen = super().get_driver_class()
        return TerminalDriver if chosen.__name__ == "LinuxDriver" else chosen

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Under NO_COLOR remove every colour; Textual's own filter turns colours into greys."""
        filters = super().get_line_filters()
        if not self.no_color:
            return filters
        return [*(line_filter for line_filter in filters if not isinstance(line_filter, Monochrome)), NO_COLOUR_FILTER]

    def get_css_variables(self) -> dict[str, str]:
        """Add our colour tokens to themes that do not define them."""
        return with_our_tokens(super().get_css_variables())

    def _screen_factory(self, name: str) -> Callable[[], Screen[Any]]:
        """Return a factory that loads the screen's modules on first use."""

        def make() -> Screen[Any]:
            module = import_module(f"prodwatch.tui.screens.{name}")
            screen: Screen[Any] = getattr(module, f"{name.capitalize()}Screen")(self.context)
            return screen

        return make

    def on_mount(self) -> None:
        """Start the frame clock, and the session after the first paint."""
        fps = self.context.preferences.fps
        if fps > 0:
            self.set_interval(1 / fps, self.frame)
        self.call_after_refresh(self._start_session)

    def _start_session(self) -> None:
        self.has_started = True
        self.run_in_background("start", self.session.start())
        if self.context.preferences.keymap:
            self._check_keymap()

    def _check_keymap(self) -> None:
        """Warn about unknown binding ids in the user's keymap."""
        from prodwatch.tui.bound_keys import known_ids
        from prodwatch.tui.preferences import did_you_mean

        ids = known_ids()
        for name in self.context.preferences.keymap:
            if name not in ids:
                text = f'[keys] "{name}" is not a key of the dashboard{did_you_mean(name, ids)}'
                self.notify(text, severity="warning", markup=False)

    def frame(self) -> None:
        """Run one tick of the frame clock: the top screen follows the store."""
        if self._frame_count % FRAMES_PER_SNAPSHOT == 0:
            self.context.take_snapshot()
        self._frame_count += 1
        if self._frame_count % FRAMES_PER_NOTIFICATION_CHECK == 0:
            self.notifier.check()
        if isinstance(self.screen, DashboardScreen):
            self.screen.frame()

    def handle_failure(self, error: Exception, pump: MessagePump) -> None:
        """Log `error` and show it; leave a screen that is not ours or that could not be built."""
        self._failure_count += 1
        if self._failure_count <= MAX_KEPT_FAILURES or self._failure_count % MAX_KEPT_FAILURES == 0:
            _LOG.error("%r failed, %d failures so far", pump, self._failure_count, exc_info=error)
        self.failures = [*self.failures[-MAX_KEPT_FAILURES:], error]
        if self._failure_count <= MAX_FAILURE_TOASTS:
            self.notify(f"a part of the dashboard failed: {self._described(error)}", severity="error", markup=False)
        unusable = not isinstance(pump, DashboardScreen) or not pump.children
        if isinstance(pump, Screen) and unusable and pump is self.screen and len(self.screen_stack) > 1:
            self.pop_screen()

    def startup_failure_text(self, error: Exception) -> str:
        """Log `error` and return the sentence printed in place of a traceback."""
        _LOG.critical("the dashboard could not start", exc_info=error)
        return f"prodwatch: the dashboard could not start: {self._described(error)}"

    def _described(self, error: Exception) -> str:
        log_file = self.context.facts.log_file
        details = f"; the traceback is in {log_file}" if log_file else ""
        return f"{type(error).__name__}: {error}{details}"

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast; its text is sanitised and never parsed as markup."""
        del markup
        super().notify(safe(message), title=safe(title), severity=severity, timeout=timeout, markup=False)

    def run_in_background(self, name: str, task: Coroutine[Any, Any, object], *, group: str = "session") -> None:
        """Run `task` concurrently; a failure is shown under `name` and logged."""

        async def guarded() -> None:
            try:
                await task
            except Exception as error:  # noqa: BLE001 -- a failed action must not end the dashboard
                _LOG.exception("%s failed", name)
                self.notify(f"{name} failed: {error}", severity="error", markup=False)

        self.run_worker(guarded(), group=group, description=name, exit_on_error=False)

    def open_check(self, check_id: str) -> None:
        """Show one check."""
        from prodwatch.tui.screens.check import CheckScreen

        self.push_screen(CheckScreen(self.context, check_id))

    def open_trace(self, trace_id: str) -> None:
        """Show one trace as a waterfall."""
        from prodwatch.tui.screens.trace import TraceScreen

        self.push_screen(TraceScreen(self.context, trace_id))

    def open_metric(self, label: str, *, at_s: int | None = None) -> None:
        """Show the chart of one metric in a new layer, the cursor on the minute that holds `at_s` (epoch seconds)."""
        from prodwatch.tui.screens.metrics import MetricsScreen

        self.push_screen(MetricsScreen(self.context, label, at_s))

    def open_logs(self, text: str, *, number: int | None = None) -> None:
        """Show the logs in a new layer, under a filter or at one line by its ring number."""
        from prodwatch.tui.screens.logs import LogsScreen

        self.push_screen(LogsScreen(self.context, text, number))

    def open_timeline(self, subject: str) -> None:
        """Show the events of one subject in a new layer."""
        from prodwatch.tui.screens.timeline import TimelineScreen

        self.push_screen(TimelineScreen(self.context, subject))

    def rerun(self, check_ids: Sequence[str]) -> None:
        """Run these checks again now."""
        self.run_in_background("re-run", self.session.rerun(tuple(check_ids)), group="rerun")

    def rerun_failed(self) -> None:
        """Run every check again that is not green."""
        self.run_in_background("re-run of failed checks", self.session.rerun_failed(), group="rerun")

    def copy(self, text: str | None, otherwise: str) -> None:
        """Copy `text` to the clipboard and confirm it; without text show `otherwise`."""
        if not text:
            self.notify(otherwise, markup=False, severity="warning", timeout=4)
            return
        self.copy_to_clipboard(text)
        lines = text.count("\n") + 1
        self.notify(f"copied {lines} {'line' if lines == 1 else 'lines'}", markup=False, timeout=2)

    def action_show(self, name: str) -> None:
        """Switch to a numbered screen as it was left; on that screen already, return to its first layer."""
        if name != self.current_mode:
            self.switch_mode(name)
            return
        for _ in self.screen_stack[1:]:
            self.pop_screen()

    def action_pause(self) -> None:
        """Freeze the display, or follow the store again."""
        self.context.paused = not self.context.paused
        self.frame()

    def action_service_map(self) -> None:
        """Show the service map, a layer above the traces."""
        from prodwatch.tui.screens.service_map import ServiceMapScreen

        self.switch_mode("traces")
        if not any(isinstance(screen, ServiceMapScreen) for screen in self.screen_stack):
            self.push_screen(ServiceMapScreen(self.context))
        while not isinstance(self.screen, ServiceMapScreen):
            self.pop_screen()

    def action_release(self) -> None:
        """Show the release in full, a layer above the overview."""
        from prodwatch.tui.screens.release import ReleaseScreen

        self.switch_mode("overview")
        if not any(isinstance(screen, ReleaseScreen) for screen in self.screen_stack):
            self.push_screen(ReleaseScreen(self.context))
        while not isinstance(self.screen, ReleaseScreen):
            self.pop_screen()

    def action_switch_zone(self) -> None:
        """Switch times between UTC and this machine's time zone."""
        self.context.zone = None if self.context.zone is UTC else UTC
        self._redraw()

    def action_switch_theme(self) -> None:
        """Switch between the dark and the light theme."""
        dark, light = (theme.name for theme in THEMES)
        self.theme = light if self.theme == dark else dark

    async def action_mark(self) -> None:
        """Ask for a note and add it to the timeline at the present moment."""
        if isinstance(self.screen, DashboardScreen):
            await self.screen.ask("note")

    def action_help(self) -> None:
        """Show help for the focused panel and every key that works now."""
        from prodwatch.tui.screens.help import HelpScreen

        if isinstance(self.screen, DashboardScreen) and not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.context, self.screen))

    def _redraw(self) -> None:
        from prodwatch.tui.widgets.panel import Panel

        for panel in self.screen.query(Panel):
            panel.resync()
        self.frame()

    async def action_quit(self) -> None:
        """Exit the app; the caller stops the session afterwards."""
        self.exit()
