"""The dashboard over a recording: a time line to seek, and nothing that would ask AWS or send a request."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from prodwatch.clock import Clock
from prodwatch.session.protocol import SessionFacts
from prodwatch.session.replay_session import ReplaySession
from prodwatch.store.store import Store
from prodwatch.tui.app import DEFAULT_PREFERENCES, ProdwatchApp
from prodwatch.tui.keymap import REPLAY_BINDINGS
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.widgets.header import speed_text
from prodwatch.tui.widgets.replay_bar import LOW_ROWS, ReplayBar
from prodwatch.views.timeline import describe

TOAST_S = 4.0


class ReplayApp(ProdwatchApp):
    """The dashboard over `store`, into which `session` plays a recording."""

    BINDINGS: ClassVar[list[BindingType]] = [*REPLAY_BINDINGS]
    CSS = "ToastRack { margin-bottom: 3; }"
    """Toasts do not cover the time line and the keys."""

    def __init__(
        self,
        store: Store,
        session: ReplaySession,
        *,
        environment: SessionFacts,
        clock: Clock,
        preferences: Preferences = DEFAULT_PREFERENCES,
    ) -> None:
        super().__init__(store, session, environment=environment, clock=clock, preferences=preferences)
        self._replay = session
        self.context.replay = session
        session.report = self._report
        # What was news when it was recorded must not page anyone again.
        self.notifier.is_silent = True

    def _report(self, sentence: str) -> None:
        self.notify(sentence, severity="warning", timeout=TOAST_S)

    def _start_session(self) -> None:
        super()._start_session()
        if self._replay.is_cut:
            why = self._replay.damage or "the recorder was killed, or the file was cut between two frames"
            end = self.context.time(self._replay.at(self._replay.to_us))
            self._report(f"the recording was not ended: {why}; it is shown up to its last whole record, {end}")

    async def action_mark(self) -> None:
        """Report that a recording is not changed."""
        self._report("a replay does not change its recording: notes are added while it is recorded")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the arrow keys to a chart and to an input line while one of them has the focus."""
        from textual.widgets import Input

        from prodwatch.tui.widgets.chart_panel import ChartPanel

        return not (action == "skip" and isinstance(self.focused, ChartPanel | Input)) and super().check_action(
            action, parameters
        )

    def action_play(self) -> None:
        """Pause, or play on."""
        self._replay.toggle()
        self._show()

    def action_skip(self, seconds: int) -> None:
        """Move by some recorded seconds."""
        self._replay.skip(seconds)
        self._show()

    def action_jump(self, by: int) -> None:
        """Move to the next event, or to the one before."""
        moment = self._replay.jump(by)
        if moment is None:
            where = "after this" if by > 0 else "before this"
            more = "" if self._replay.all_moments_known else " yet: the recording is still being read"
            self._report(f"no event {where}{more}")
        elif self.size.height < LOW_ROWS:
            # Where the time line has no room for the latest moment.
            text = f"{self.context.time(self._replay.at(moment.elapsed_us))}  {moment.event.subject}: "
            self.notify(text + describe(moment.event), timeout=2)
        self._show()

    def action_speed(self, by: int) -> None:
        """Play faster or slower."""
        self._replay.change_speed(by)
        self._show()

    def action_reverse(self) -> None:
        """Play in the other direction."""
        self._replay.reverse()
        direction = "backwards" if self._replay.backwards else "forwards"
        speed = speed_text(self._replay.speed, ascii_only=self.context.preferences.ascii)
        self.notify(f"plays {direction}, {speed}", timeout=2)
        self._show()

    def action_seek_edge(self, end: int) -> None:
        """Move to the beginning or to the end."""
        self._replay.seek(self._replay.to_us if end else self._replay.from_us)
        self._show()

    def _show(self) -> None:
        """Draw the time line at once."""
        for bar in self.screen.query(ReplayBar):
            bar.show_now()
