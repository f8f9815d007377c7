"""The release line: traffic weights as bars, phase, elapsed time and next shift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from prodwatch.model.release import WENT_WRONG
from prodwatch.model.signal import ReleasePhase
from prodwatch.tui.styled_line import Line, Piece, cells, clip_line, width_of
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.evidence import clock_text
from prodwatch.views.release import ReleaseHeader, release_header, version_label, without_release
from prodwatch.views.status_style import Tone
from prodwatch.views.time_window import Window


class ReleaseLine(StaticLines):
    """One line: the release, or the window in triage. Versions differ by label and line style, not only by colour."""

    def lines(self, width: int) -> Sequence[Line]:
        """Return the line."""
        window = self.context.facts.window
        if window is not None and window.is_past:
            return (clip_line(self._window_line("past window: data does not change, checks do not run"), width),)
        now = self.context.now()
        header = release_header(self.context.store, now)
        if header is not None and window is not None and _is_over(header, window, now):
            return (clip_line(self._window_line("no release is under way"), width),)
        if header is None:
            text = without_release(self.context.store)
            if window is not None:
                return (clip_line(self._window_line(text), width),)
            return (((f" {text}", Tone.DIM),),)
        right = self._right(header)
        left: list[Piece] = [(f" {header.function}  ", Tone.STRONG)]
        room = (
            width - width_of(left) - width_of(right) - sum(_label_cells(s.version, s.weight) for s in header.shares) - 2
        )
        return (clip_line([*left, *self._bars(header, room), *right], width),)

    def _window_line(self, text: str) -> list[Piece]:
        named = f" {self.context.window_text()} {self.context.zone_name} "
        return [(" showing", Tone.DIM), (named, Tone.STRONG), (f" {text.strip()}", Tone.DIM)]

    def _bars(self, header: ReleaseHeader, room: int) -> list[Piece]:
        pieces: list[Piece] = []
        plain = self.context.preferences.ascii
        space = max(0, room)
        for share in header.shares:
            tone = Tone.STRONG if share.new else Tone.PLAIN
            sign = ("=" if share.new else "-") if plain else ("━" if share.new else "─")
            count = min(space, max(1, round(share.weight * space))) if share.weight and space else 0
            label = f"{version_label(share.version)} {share.weight * 100:.0f} % "
            pieces += [(label, tone), (sign * count, tone), ("  ", Tone.PLAIN)]
        return pieces

    def _right(self, header: ReleaseHeader) -> list[Piece]:
        tone = Tone.BAD if header.phase in WENT_WRONG else Tone.STRONG
        pieces: list[Piece] = [(f"{header.phase}", tone)]
        if header.note:
            pieces.insert(0, (f"{version_label(header.version)}: {header.note}  ", Tone.STRONG))
        if header.cause:
            pieces.append((f": {header.cause}", Tone.PLAIN))
        if header.elapsed_s is not None and header.phase is not ReleasePhase.NONE:
            pieces.append((f"  T+{clock_text(header.elapsed_s)}", Tone.PLAIN))
        if header.next_shift_s is not None:
            text = f"shift in {clock_text(header.next_shift_s)}" if header.next_shift_s > 0 else "shift is due"
            pieces.append((f"  {text}", Tone.PLAIN))
        if header.others > 0:
            pieces.append((f"  +{header.others} more", Tone.DIM))
        return [*pieces, (" ", Tone.PLAIN)]


def _is_over(header: ReleaseHeader, window: Window, now: datetime) -> bool:
    """Return whether a release succeeded before the window started and is therefore left out."""
    began = now - timedelta(seconds=header.elapsed_s) if header.elapsed_s is not None else None
    return header.phase is ReleasePhase.SUCCEEDED and (began is None or began < window.start)


def _label_cells(version: str, weight: float) -> int:
    return cells(f"{version_label(version)} {weight * 100:.0f} % ") + 2
