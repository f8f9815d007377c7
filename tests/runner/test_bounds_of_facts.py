"""Things shown behind a red assertion are bounded, and what is left out is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from prodwatch.assertions import evaluate
from prodwatch.runner.step.expectations import compile_assertions
from prodwatch.runner.step.facts import with_facts

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
PLACE = "[0] "


def facts_of(claim: str, document: dict[str, Any]) -> tuple[str, ...]:
    (expectation,) = compile_assertions((claim,), "fail")
    judged = evaluate(expectation.assertion, document, now=NOW)
    assert judged.ok is False
    (result,) = with_facts([(expectation, judged)], document, None, values={}, now=NOW, mask=str)
    return result.facts


@pytest.mark.parametrize(
    ("length", "shown"),
    [(300, "x" * 296), (301, "x" * 296 + "… (+1 characters)"), (2300, "x" * 296 + "… (+2,000 characters)")],
)
def test_a_fact_has_300_characters_and_the_others_are_counted(length: int, shown: str) -> None:
    text = "x" * (length - len(PLACE))
    assert facts_of("all texts == 'y'", {"texts": [text]}) == (PLACE + shown,)


@pytest.mark.parametrize(("length", "shown"), [(100, "x" * 100), (101, "x" * 100 + "… (+1 characters)")])
def test_a_field_of_an_element_has_100(length: int, shown: str) -> None:
    (fact,) = facts_of("all items[*].id == 1", {"items": [{"id": 2, "note": "x" * length}]})
    assert fact == f"{PLACE}id 2, note {shown}"


@pytest.mark.parametrize(("count", "more"), [(5, ()), (6, ("… and 1 more",)), (1_005, ("… and 1,000 more",))])
def test_five_elements_are_shown_and_the_others_are_counted(count: int, more: tuple[str, ...]) -> None:
    facts = facts_of("none numbers > 0", {"numbers": list(range(1, count + 1))})
    assert facts == (*(f"[{place}] {place + 1}" for place in range(5)), *more)
