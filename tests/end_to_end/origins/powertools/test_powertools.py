"""The logger, metrics and tracer assertions of the Powertools suite, and their messages when it is broken."""

from __future__ import annotations

from typing import Any

import pytest

PAGE = "powertools"

BREAKS: dict[str, dict[str, Any]] = {
    "everything arrives an hour later": {"late": True},
    "nothing is written": {"silent": True},
    "the second invocation writes nothing": {"second_is_lost": True},
    "the second invocation is recorded twice": {"twice": True},
    "both starts are cold": {"always_cold": True},
    "the lines lack the context": {"bare": True},
    "the lines go to another group": {"elsewhere": True},
    "the function raises": {"raises": True},
    "times are written without their zone": {"local": True},
    "one of three values is lost": {"bare": True},
    "the values are recorded twice": {"twice": True},
    "the values are recorded under another service": {"elsewhere": True},
    "the annotations are missing": {"bare": True},
    "segments are never closed": {"open": True},
    "functions are captured without their module": {"renamed": True},
}


@pytest.mark.parametrize(
    ("selected", "cases"),
    [("write two lines", 1), ("time is written", 12), ("three values", 1), ("counted once", 1), ("tracer/", 3)],
)
def test_what_is_right_passes(selected: str, cases: int, suite: Any, prodwatch: Any) -> None:
    outcome = prodwatch.check(selected)
    assert outcome.code == 0, outcome.document["verdict"]
    assert list(outcome.statuses.values()) == ["pass"] * cases


@pytest.mark.slow  # a run and a deployment per row
def test_what_goes_wrong_is_said(row: Any, suite: Any, prodwatch: Any) -> None:
    for name, value in BREAKS[row.mode].items():
        setattr(suite.habits, name, value)
    row.judge(prodwatch.check(row.check))
