"""Values that the journal keeps for a later cleanup: only those that are read back as they were."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodwatch.runner.step.journal import journalable


@pytest.mark.parametrize(
    "value", [None, "x", True, 3, Decimal("1.10"), 0.5, -1e300, [1, "a"], (1, 2), {"a": {"b": [None]}}, [], {}]
)
def test_a_value_that_json_can_hold_is_kept(value: Any) -> None:
    assert journalable(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        b"x",
        {1, 2},
        Path("x"),
        {1: "x"},
        {"a": b"x"},
        {"a": 1, 2: "b"},
        [1, float("nan")],
        pytest.param((object(),), id="an object in a tuple"),
        {"a": [{"b": float("inf")}]},
    ],
    ids=str,
)
def test_a_value_that_json_cannot_hold_or_gives_back_as_another_is_not(value: Any) -> None:
    assert not journalable(value)
