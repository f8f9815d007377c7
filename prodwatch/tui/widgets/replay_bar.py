"""The time line of a replay: its moments as symbols, the position as a pointer that the mouse drags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import MouseDown, MouseMove, MouseUp

from prodwatch.session.moments import Moment
from prodwatch.session.replay_session import ReplaySession
from prodwatch.tui.styled_line import Line, Piece, clip_line, pad
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.status_style import Tone
from prodwatch.views.timeline import LANE_NAMES, describe, tone_of

_SIGNS = {Tone.BAD: ("✘", "x"), Tone.WARN: ("!", "!")}
"""Tone → (symbol, ASCII symbol) of a moment; other tones have the default symbol."""
_WEIGHT = {Tone.BAD: 3, Tone.WARN: 2, Tone.ACCENT: 1}
_TIME = len(" 13:04:05 ")
LOW_ROWS = 32
"""Screens with fewer rows show the time line without the latest moment."""


class ReplayBar(StaticLines, can_focus=True):
    """A line with both ends and every moment of the recording; on higher screens the latest moment in words."""

    FRAMES = 1
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "app.seek_edge(0)", "beginning", show=False, id="replay.bar-beginning"),
        Binding("end", "app.seek_edge(1)", "end", show=False, id="replay.bar-end"),
    ]
    DEFAULT_CSS = """
    ReplayBar { height: auto; background: $panel; }
    ReplayBar:focus { background: $cursor-blurred; }
    """

    def __init__(self, context: WidgetContext, replay: ReplaySession, *, id: str | None = None) -> None:  # noqa: A002 -- Textual's own name
        super().__init__(context, id=id)
        self._replay = replay
        self._dragged = False
        self._found: dict[int, Piece] = {}
        self._signs_of: tuple[int, int, int, int] | None = None
        self._moments: Sequence[Moment] = ()
        """Kept, so that no other moments can have their identity."""

    def lines(self, width: int) -> Sequence[Line]:
        """Return the time line, and the latest moment where there is room."""
        line = self._time_line(width)
        return (line,) if self.app.size.height < LOW_ROWS else (line, self._latest(width))

    def _time_line(self, width: int) -> Line:
        replay, plain = self._replay, self.context.preferences.ascii
        room = self._room(width)
        played = self._cell_of(replay.position_us, room)
        cells_: list[Piece] = [
            (("=" if plain else "━"), Tone.ACCENT) if index < played else (("-" if plain else "─"), Tone.BAND)
            for index in range(room)
        ]
        for cell, sign in self._signs(room).items():
            cells_[cell] = sign
        cells_[played] = ("#" if plain else "█", Tone.STRONG)
        first, last = (self.context.time(replay.at(each)) for each in (replay.from_us, replay.to_us))
        return ((f" {first} ", Tone.DIM), *cells_, (f" {last} ", Tone.DIM))

    def _signs(self, room: int) -> dict[int, Piece]:
        """Return the symbols by their cell, the worst of each; found again only when something has changed."""
        replay, plain = self._replay, self.context.preferences.ascii
        of = (id(replay.moments), replay.from_us, replay.to_us, room)
        if of != self._signs_of:
            self._signs_of, self._moments = of, replay.moments
            self._found = {}
            shown = [each for each in replay.moments if replay.from_us <= each.elapsed_us <= replay.to_us]
            for each in sorted(shown, key=_weight):
                tone = tone_of(each.event)
                self._found[self._cell_of(each.elapsed_us, room)] = (_SIGNS.get(tone, ("◆", "o"))[plain], tone)
        return self._found

    def _latest(self, width: int) -> Line:
        replay = self._replay
        pieces: list[Piece] = []
        moment = replay.latest_moment()
        if moment is not None:
            pieces += [*self._moment_pieces(moment), ("   ", Tone.PLAIN)]
        if replay.is_at_end:
            pieces.insert(0, (f"{self._end_text()}   ", Tone.WARN))
        elif not replay.all_moments_known:
            pieces.append(("reading the events of the recording …", Tone.RUNNING))
        elif moment is None:
            pieces.append(("no event so far", Tone.DIM))
        return clip_line([(pad("", _TIME), Tone.PLAIN), *pieces], width)

    def _end_text(self) -> str:
        if self._replay.is_cut:
            return "the file ends here, before the recording was ended"
        return "end of the recording" if self._replay.is_whole else "end of the part chosen by --to"

    def _moment_pieces(self, moment: Moment) -> list[Piece]:
        event = moment.event
        lane = LANE_NAMES[event.source]
        subject = "" if event.subject == event.source else f"{event.subject} "
        pieces: list[Piece] = [
            (f"{self.context.time(self._replay.at(moment.elapsed_us))} {lane} ", Tone.DIM),
            (subject, Tone.PLAIN),
            (describe(event), tone_of(event)),
        ]
        return [*pieces, (f"  {event.detail}", Tone.DIM)] if event.detail else pieces

    def _room(self, width: int) -> int:
        return max(1, width - 2 * _TIME)

    def _cell_of(self, position_us: int, room: int) -> int:
        """Return the cell of a position."""
        span_us = max(1, self._replay.to_us - self._replay.from_us)
        return max(0, min(room - 1, round((position_us - self._replay.from_us) / span_us * (room - 1))))

    # Mouse

    def on_mouse_down(self, event: MouseDown) -> None:
        """Move to the cell, and follow the mouse from there."""
        event.stop()
        self._dragged = True
        self.capture_mouse()
        self._seek(event.x)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Follow the mouse while its button is held."""
        if self._dragged:
            event.stop()
            self._seek(event.x)

    def on_mouse_up(self, event: MouseUp) -> None:
        """Stay where the mouse was released."""
        if self._dragged:
            event.stop()
            self._dragged = False
            self.release_mouse()

    def _seek(self, x: int) -> None:
        room = self._room(self.size.width)
        share = max(0, min(room - 1, x - _TIME)) / max(1, room - 1)
        replay = self._replay
        replay.seek(replay.from_us + round(share * (replay.to_us - replay.from_us)))
        self.show_now()


def _weight(moment: Moment) -> tuple[int, int]:
    return _WEIGHT.get(tone_of(moment.event), 0), moment.elapsed_us
