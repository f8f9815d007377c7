"""How it looks, at the sizes it was designed for. Behaviour is tested elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.session.protocol import SessionFacts
from prodwatch.testing.clock import START
from prodwatch.views.time_window import Window
from tests.support.examples import slow_but

SMALL, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
SINCE = SessionFacts(
    environment="prod",
    title="Shop · production",
    region="eu-west-1",
    every_s=15,
    window=Window(start=START - timedelta(minutes=30)),
)

PAST = replace(SINCE, window=Window(start=START - timedelta(minutes=30), end=START))


@pytest.mark.parametrize("size", slow_but((USUAL,), [SMALL, USUAL, LARGE]), ids=lambda size: f"{size[0]}x{size[1]}")
def test_overview(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size)


@pytest.mark.slow
def test_overview_in_light(snap: Any) -> None:
    assert snap(USUAL, theme="prodwatch-light")


def test_overview_in_ascii(snap: Any) -> None:
    assert snap(SMALL, ascii_only=True)


@pytest.mark.slow
def test_overview_after_the_rollback(snap: Any) -> None:
    assert snap(USUAL, moment="after")


def test_overview_before_the_first_answer(snap: Any) -> None:
    assert snap(SMALL, quiet=True)


@pytest.mark.parametrize("size", slow_but((USUAL,), [SMALL, USUAL, LARGE]), ids=lambda size: f"{size[0]}x{size[1]}")
def test_check(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size, "enter")


def test_logs_as_columns_in_light(snap: Any) -> None:
    assert snap(SMALL, "2", "e", "e", theme="prodwatch-light")


def test_logs_with_a_line_opened(snap: Any) -> None:
    assert snap(USUAL, "2", "k", "enter")


def test_trace(snap: Any) -> None:
    assert snap(USUAL, "3", "enter")


@pytest.mark.parametrize("size", slow_but((SMALL,), [SMALL, USUAL, LARGE]), ids=["80x24", "120x40", "200x60"])
def test_service_map(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size, "S", "j", "j", "j")


def test_metrics(snap: Any) -> None:
    assert snap(USUAL, "4", "j", "enter", "left", "left")


@pytest.mark.parametrize("size", slow_but((SMALL,), [SMALL, USUAL, LARGE]), ids=["80x24", "120x40", "200x60"])
def test_release(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size, "C", compared=True)


def test_release_in_light(snap: Any) -> None:
    assert snap(USUAL, "C", compared=True, theme="prodwatch-light")


@pytest.mark.slow
def test_release_in_ascii(snap: Any) -> None:
    assert snap(SMALL, "C", compared=True, ascii_only=True)


@pytest.mark.parametrize("size", [SMALL, USUAL], ids=["80x24", "120x40"])
def test_metrics_with_comparisons(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size, "4", compared=True)


def test_overview_with_comparisons(snap: Any) -> None:
    assert snap(SMALL, compared=True)


def test_timeline(snap: Any) -> None:
    assert snap(USUAL, "5", "j", "j", "j")


@pytest.mark.parametrize("size", slow_but((USUAL,), [SMALL, USUAL, LARGE]), ids=lambda size: f"{size[0]}x{size[1]}")
def test_overview_in_triage(snap: Any, size: tuple[int, int]) -> None:
    assert snap(size, facts=SINCE)


def test_overview_of_a_window_that_has_ended(snap: Any) -> None:
    assert snap(USUAL, facts=PAST)


def test_overview_of_healthy_production(snap: Any) -> None:
    assert snap(USUAL, moment="before", facts=SINCE, theme="prodwatch-light")
