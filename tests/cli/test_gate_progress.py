"""The block of a gate is drawn over itself: once on the screen, in windows of any size, also after a resize."""

from __future__ import annotations

import io
import os
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.cli import stderr
from prodwatch.cli.gate_progress import GateProgress
from prodwatch.cli.result_outputs import Outputs
from prodwatch.judge.decide import decide
from prodwatch.model.status import Status
from prodwatch.session.gate import GatePhase, GateState
from prodwatch.testing.clock import START
from prodwatch.text.cell_width import width
from tests.support.gate_world import MOVING
from tests.support.verdict_facts import check, comparison, facts, signature


class Screen(io.StringIO):
    """The bottom of a terminal: logical lines, which wrap anew when the window is resized."""

    def __init__(self, columns: int, rows: int = 24) -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self.lines: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for up, line in re.findall(r"\r\x1b\[(\d+)A\x1b\[J|([^\n\x1b]*)\x1b\[K\n", text):
            if up:
                self._erase(int(up))
            else:
                self.lines.append(line)
        assert re.sub(r"\r\x1b\[\d+A\x1b\[J|[^\n\x1b]*\x1b\[K\n", "", text) == ""
        return len(text)

    def _erase(self, rows: int) -> None:
        while rows > 0:
            rows -= max(1, -(-width(self.lines.pop()) // self.size.columns))
        assert rows == 0, "a part of a line was erased"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    here = Screen(80)
    monkeypatch.setenv("TERM", "xterm")
    # Pytest replaces `sys.stderr` itself between this fixture and the test.
    monkeypatch.setattr(stderr, "sys", SimpleNamespace(stderr=here))
    monkeypatch.setattr(stderr, "size", lambda: here.size)
    here.lines.append("$ prodwatch gate")
    return here


def look(phase: GatePhase = GatePhase.BAKE, seconds: float = 60, **changes: Any) -> GateState:
    given = replace(
        facts(check("a"), check("b", Status.FAIL), mode="gate"),
        comparisons=(comparison(Status.PASS), comparison(Status.INCONCLUSIVE, "client_errors", gate=False)),
        signatures=(signature(Status.FAIL),) * 5,
        releases=(replace(MOVING, next_shift_at=START + timedelta(minutes=5)),),
    )
    given = replace(given, **changes)
    at = START + timedelta(seconds=seconds)
    return GateState(phase=phase, at=at, ends_at=START + timedelta(minutes=10), facts=given, decision=decide(given))


def test_the_block_states_phase_clock_evidence_and_next_shift(screen: Screen) -> None:
    GateProgress(Outputs())(look())
    assert screen.lines[1] == "gate: bake, 9m left"
    assert screen.lines[2].startswith("  now: ")
    assert "  ok    errors 5.1 % against 0.1 %" in screen.lines
    assert sum("  FAIL  KeyError" in line for line in screen.lines) == 3
    assert screen.lines[-2:] == ["  checks: 1 of 2 green in their latest round", "  next shift of pay in 4m"]
    assert not any("client_errors" in line for line in screen.lines)


@pytest.mark.parametrize("columns", [200, 80, 30, 8, 2])
def test_the_block_is_on_the_screen_once_and_never_wraps(screen: Screen, columns: int) -> None:
    screen.size = os.terminal_size((columns, 24))
    progress = GateProgress(Outputs())
    for second in range(60, 65):
        progress(look(seconds=second))
        assert all(width(line) < columns for line in screen.lines[1:])
    assert len(screen.lines) == 9
    progress.clear()
    assert screen.lines == ["$ prodwatch gate"]
    progress.clear()
    assert screen.lines == ["$ prodwatch gate"]


def test_a_low_window_shows_what_fits(screen: Screen) -> None:
    screen.size = os.terminal_size((80, 4))
    progress = GateProgress(Outputs())
    progress(look())
    progress(look(seconds=61))
    assert len(screen.lines) == 4
    progress.clear()
    assert screen.lines == ["$ prodwatch gate"]


@pytest.mark.parametrize("sizes", [(80, 20, 80), (20, 200, 10)])
def test_a_resize_leaves_nothing_of_the_old_block(screen: Screen, sizes: tuple[int, ...]) -> None:
    progress = GateProgress(Outputs())
    for columns in sizes:
        screen.size = os.terminal_size((columns, 24))
        progress(look())
        assert sum(line.startswith("gate") for line in screen.lines) == 1
    progress.clear()
    assert screen.lines == ["$ prodwatch gate"]


def test_remote_text_cannot_move_the_cursor(screen: Screen) -> None:
    hostile = comparison(Status.FAIL, message="x\x1b[2J\r\n\x1b]0;title\x07y")
    GateProgress(Outputs())(look(comparisons=(hostile,)))
    assert len([line for line in screen.lines if "FAIL" in line]) >= 1
    assert not any("\x1b" in line or "\x07" in line or "\r" in line for line in screen.lines)


@pytest.mark.parametrize("term", ["dumb", ""])
def test_without_a_terminal_there_is_a_line_per_phase(
    term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    progress = GateProgress(Outputs())
    for phase in (GatePhase.SETTLE, GatePhase.SETTLE, GatePhase.BAKE, GatePhase.BAKE):
        progress(look(phase))
    progress.clear()
    assert capsys.readouterr().err == "gate: settle, 9m left\ngate: bake, 9m left\n"
