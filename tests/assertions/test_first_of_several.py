"""The first of several values stands for none of the others: only what is the same in all of them is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.model.result import AssertionResult

Judged = Callable[..., AssertionResult]


@pytest.mark.parametrize(
    ("claim", "ok"),
    [
        ("item exists", True),
        ("item absent", False),
        ("item.id exists", True),
        ("item.id absent", False),
        ("item.note exists", None),
        ("item.note absent", False),
        ("item.kind == 'order'", True),
        ("item.kind == 'refund'", False),
        ("item.id == 1", None),
        ("item.id != 1", None),
    ],
)
def test_a_claim_is_decided_by_what_all_elements_have_in_common(judged: Judged, claim: str, ok: bool | None) -> None:
    elements: list[dict[str, Any]] = [{"id": 1, "kind": "order", "note": "x"}, {"id": 2, "kind": "order"}]
    item = FirstOfSeveral("item", "the first of 2 items", "items[]", elements)
    assert judged(claim, document={"item": item, "items": elements}).ok is ok
