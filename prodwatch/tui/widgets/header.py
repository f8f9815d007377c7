"""The top line: environment, account, state of the sources, AWS cost and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prodwatch.model.signal import SourcePhase
from prodwatch.text.units import format_ms
from prodwatch.tui.styled_line import Line, Piece, spread, width_of
from prodwatch.tui.widgets.breadcrumb import breadcrumb_line, layer_names
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.status_style import SOURCE_STATES, Tone

if TYPE_CHECKING:
    from prodwatch.session.replay_session import ReplaySession

_PROBLEM_PHASES = (
    SourcePhase.DENIED,
    SourcePhase.EXPIRED,
    SourcePhase.FAILED,
    SourcePhase.STOPPED,
    SourcePhase.THROTTLED,
    SourcePhase.BEHIND,
)


def speed_text(speed: float, *, ascii_only: bool = False) -> str:
    """Return a speed as a multiple of real time: `20×`."""
    return f"{speed:,.4g}{'x' if ascii_only else '×'}"


def _replay_pieces(replay: ReplaySession, *, ascii_only: bool) -> list[Piece]:
    """Return that it is a replay, its speed and direction, and whether it is paused or at its end."""
    sign = ("<" if ascii_only else "◀") if replay.backwards else (">" if ascii_only else "▶")
    pieces: list[Piece] = [
        ("REPLAY ", Tone.ACCENT),
        (f"{sign} {speed_text(replay.speed, ascii_only=ascii_only)}", Tone.STRONG),
    ]
    if replay.is_at_end:
        return [*pieces, (" end", Tone.WARN)]
    return pieces if replay.playing else [*pieces, (" paused", Tone.WARN)]


class Header(StaticLines):
    """On narrow screens parts are dropped from the middle: environment and clock stay."""

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        facts = self.context.facts
        badge = facts.environment.upper()
        tone = Tone.BAD if facts.protected else Tone.STRONG
        bar = "|" if self.context.preferences.ascii else "▎"
        left: list[Piece] = [("prodwatch ", Tone.STRONG), (f"{bar}{badge}{bar} ", tone)]
        then = "as of " if self._is_past else ""
        clock: Piece = (f"   {then}{self.context.time(self.context.now())} {self.context.zone_name} ", Tone.PLAIN)
        title = self._place(0)
        signals = self._signals(width - width_of([*left, *title, clock]) - 2)
        right = [*self._slow(width - width_of([*left, *title, *signals, clock]) - 2), *signals, clock]
        if width_of([*left, *right]) > width:
            # The environment is always shown, even when nothing else fits.
            right = [*signals, clock] if width_of([*left, *signals, clock]) <= width else signals
        left += self._place(width - width_of(left) - width_of(right) - 2)
        usage = self.context.store.usage
        optional: list[Piece] = [
            (f"   cost {'at least ' if usage.unpriced else ''}${usage.cost_usd:.3f}", Tone.DIM),
            (f"   {self._where()}", Tone.DIM),
        ]
        if facts.recording is not None:
            optional.insert(0, (f"   {facts.recording()}", Tone.DIM))
        for piece in optional:
            if width_of(left) + width_of(right) + len(piece[0]) + 2 <= width:
                if piece[0].startswith("   cost"):
                    right.insert(-1, piece)
                else:
                    left.append(piece)
        return (spread(left, right, width),)

    def _place(self, room: int) -> Line:
        """Return the breadcrumb; the environment's title on the first screen and above a separate breadcrumb."""
        names = [] if getattr(self.screen, "HAS_BREADCRUMB", True) else layer_names(self.screen)
        return (
            breadcrumb_line(names, max(10, room), self.context) if names else ((self.context.facts.title, Tone.PLAIN),)
        )

    def _where(self) -> str:
        facts = self.context.facts
        account = f"{facts.account[:4]}…{facts.account[-4:]}" if facts.account else None
        access = "writes allowed" if facts.allow_writes else "read-only"
        if facts.mode == "replay":
            access = "recorded"
        return " · ".join(part for part in (facts.region, account, access) if part)

    @property
    def _is_past(self) -> bool:
        window = self.context.facts.window
        return window is not None and window.is_past

    def _slow(self, room: int) -> list[Piece]:
        """Return that this machine is too slow to measure latencies and timeouts; nothing while it is not."""
        slow_ms = self.context.store.slow_ms
        if slow_ms is None or self.context.paused:
            return []
        lag = format_ms(slow_ms)
        machine = "this machine is" if self.context.replay is None else "the recording machine was"
        wordings = [
            f"! {words}   " for words in (f"{machine} too slow: lag {lag}", f"slow machine {lag}", f"slow {lag}")
        ]
        fitting = (words for words in wordings if len(words) <= room)
        return [(next(fitting, "! slow   "), Tone.WARN)]

    def _signals(self, room: int) -> list[Piece]:
        """Return the state of the sources, or of the worst of them; a source's group only where there is room."""
        replay = self.context.replay
        if replay is not None:
            return _replay_pieces(replay, ascii_only=self.context.preferences.ascii)
        if self.context.paused:
            sign = "||" if self.context.preferences.ascii else "⏸"
            return [(f"{sign} display paused", Tone.WARN)]
        statuses = list(self.context.store.sources.values())
        if not statuses:
            return [("… starting", Tone.RUNNING)]
        bad = [status for status in statuses if status.phase in _PROBLEM_PHASES]
        if bad:
            state = SOURCE_STATES[bad[0].phase]
            more = f" +{len(bad) - 1}" if len(bad) > 1 else ""
            names = (bad[0].source, bad[0].source.partition(":")[0])
            wordings = [f"{self.context.glyph(state)} {name} {state.word}{more}" for name in names]
            return [(next((words for words in wordings if len(words) <= room), wordings[-1]), state.tone)]
        if self._is_past:
            done = all(status.phase is SourcePhase.IDLE for status in statuses)
            return [("window read", Tone.ACCENT) if done else ("… reading the window", Tone.RUNNING)]
        starting = sum(status.phase is SourcePhase.STARTING for status in statuses)
        state = SOURCE_STATES[SourcePhase.STARTING if starting == len(statuses) else SourcePhase.LIVE]
        return [(f"{self.context.glyph(state)} {state.word}", state.tone)]
