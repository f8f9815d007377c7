"""Every size has a design, every state a sentence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.testing.clock import START
from prodwatch.tui.preferences import Preferences
from tests.support.examples import slow_but

SCREENS = ("1", "2", "3", "4", "5")


@pytest.mark.parametrize("size", [(40, 10), (59, 40), (120, 15)], ids=["tiny", "narrow", "low"])
async def test_a_terminal_that_is_too_small_gets_one_clear_sentence(run: Any, size: tuple[int, int]) -> None:
    async with run(size) as bench:
        words = " ".join(bench.text.split())
        assert f"This terminal has {size[0]}×{size[1]} characters; the dashboard needs at least 60×16." in words
        assert "press q to quit" in words
        assert "FAIL" not in words
        await bench.pilot.press("q")
        assert bench.app._exit


@pytest.mark.parametrize(
    "size", slow_but(((60, 16),), [(60, 16), (80, 24), (120, 40), (200, 60)]), ids=lambda size: f"{size[0]}x{size[1]}"
)
async def test_every_screen_fits_every_size(run: Any, size: tuple[int, int]) -> None:
    async with run(size) as bench:
        for key in SCREENS:
            await bench.press(key)
            lines = bench.painted()
            assert len(lines) == size[1]
            assert "? help" in lines[-1]
            assert "q quit" in lines[-1]
        await bench.press("1", "enter")
        await bench.sees("order in euros")


async def test_resizing_at_any_moment_keeps_the_cursor(run: Any) -> None:
    async with run(keys=["j", "j"]) as bench:
        grid = bench.app.screen.query_one("#checks")
        before = grid.cursor_key
        for size in ((80, 24), (40, 10), (200, 60), (120, 40)):
            await bench.pilot.resize_terminal(*size)
            await bench.frames()
        assert grid.cursor_key == before
        await bench.sees("order in euros")


async def test_ascii_means_ascii(run: Any) -> None:
    async with run(preferences=Preferences(fps=0, ascii=True)) as bench:
        for key in (*SCREENS, "1", "enter"):
            await bench.press(key)
            drawn = [
                character
                for line in bench.painted()
                for character in line
                if not character.isascii() and character not in _WORDS
            ]
            assert not drawn, (key, set(drawn))


_WORDS = "…·→×−–⏎"
"""What remains when pictures are drawn with ASCII: punctuation within texts."""


@pytest.mark.parametrize(
    ("phase", "more", "words"),
    [
        (SourcePhase.STARTING, {}, "loading"),
        (
            SourcePhase.DENIED,
            {"action": "xray:GetTraceSummaries", "message": "AWS refused"},
            "Allow xray:GetTraceSummaries",
        ),
        (SourcePhase.THROTTLED, {"retry_at": START + timedelta(seconds=8)}, "throttled, next try in 8s"),
        (SourcePhase.FAILED, {"message": "no route", "retry_at": START + timedelta(seconds=30)}, "Next try in 30s"),
        (SourcePhase.EXPIRED, {"message": "run: aws sso login"}, "run: aws sso login"),
        (SourcePhase.LIVE, {"fresh_at": START}, "switch on active tracing"),
        (SourcePhase.LIVE, {"fresh_at": START - timedelta(minutes=9)}, "stale, last read 9m ago"),
    ],
    ids=["loading", "denied", "throttled", "failed", "expired", "empty", "stale"],
)
async def test_a_panel_says_what_its_source_is_doing(run: Any, phase: SourcePhase, more: Any, words: str) -> None:
    async with run(quiet=True, keys=["3"]) as bench:
        bench.store.apply(Batch(source="traces", status=SourceStatus(source="traces", phase=phase, **more)))
        await bench.frames()
        await bench.sees(words)


async def test_before_the_first_answer_nothing_looks_good_or_bad(run: Any) -> None:
    async with run(quiet=True) as bench:
        await bench.sees("the checks have not been read yet")
        await bench.sees("WAITING")
        for word in ("PASS", "FAIL", "healthy"):
            await bench.misses(word)


async def test_without_a_release_the_screen_answers_for_production(run: Any) -> None:
    async with run(moment="before") as bench:
        await bench.sees("no release is under way")
        await bench.sees("PASS · production is healthy")
        await bench.misses("roll back")


async def test_after_the_rollback_it_says_who_answers_now(run: Any) -> None:
    async with run(moment="after") as bench:
        await bench.sees("ROLLED BACK · v42 withdrawn")
        await bench.sees("production answers on v41")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a13_green_over_a_shifting_release_says_that_versions_are_not_compared(
    run: Any, size: tuple[int, int]
) -> None:
    shifting = ReleaseState(
        function="orders",
        phase=ReleasePhase.SHIFTING,
        version="42",
        previous="41",
        weights={"41": 0.9, "42": 0.1},
        started_at=START,
    )
    async with run(size=size, moment="before") as bench:
        await bench.sees("PASS · production is healthy")
        bench.store.apply(Batch(source="release", records=(shifting,)))
        await bench.sees("PASS · so far")
        await bench.sees("versions are not compared")
