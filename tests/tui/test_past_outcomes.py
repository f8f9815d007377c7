"""Outcomes of earlier runs in the check grid: signs before a separator, never more than the column holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import HERE, plain
from prodwatch.tui.widgets.check_grid_panel import check_cells
from prodwatch.views.checks import OUTCOMES, check_grid

PASS, FAIL = Status.PASS, Status.FAIL


@pytest.mark.parametrize(
    ("past", "rounds", "shown"),
    [
        ((), 2, "xx"),
        ((PASS, FAIL), 0, "+x|"),
        ((PASS, FAIL), 2, "+x|xx"),
        ((PASS,) * 12, 10, "+|xxxxxxxxxx"),
        ((PASS,) * 12, 11, "xxxxxxxxxxx"),
        ((PASS,) * 12, 12, "xxxxxxxxxxxx"),
    ],
)
def test_earlier_outcomes_come_before_the_separator(past: tuple[Status, ...], rounds: int, shown: str) -> None:
    store = Store(FakeClock())
    store.define((plain("a"),))
    store.set_past_outcomes({"a": past, "gone": (FAIL,)})
    for number in range(rounds):
        at = START + timedelta(seconds=number)
        failed = CheckResult(
            id="a", name="a", title="a", kind="smoke", type="http", source=HERE, status=FAIL, started_at=at
        )
        store.apply_event(CheckFinished(result=failed))
    (row,) = check_grid(store, START).rows
    cells = check_cells(row, lambda state: state.ascii)["outcomes"]
    assert "".join(piece[0] for piece in cells) == shown
    assert len(shown) <= OUTCOMES
