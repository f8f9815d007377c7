from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import AssertionResult

NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "status": 200,
        "latency": Duration.from_ms(212),
        "size": 11_000,
        "headers": Headers((("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"))),
        "body": '{"ok": true, "price": 12.10}',
        "raw": b"\x00\x01",
        "at": datetime(2026, 1, 15, 11, 55, 0, tzinfo=UTC),
        "fault_ratio": Decimal("0.034"),
        "json": {
            "status": "ok",
            "price": Decimal("12.10"),
            "count": 3,
            "none": None,
            "yes": True,
            "empty": [],
            "tags": ["a", "b", "c"],
            "items": [
                {"id": 1, "name": "tea", "price": Decimal("2.50")},
                {"id": 2, "name": "milk", "price": 1},
                {"id": 3, "name": "bread"},
            ],
        },
    }


@pytest.fixture
def judged(document: dict[str, Any]) -> Callable[..., AssertionResult]:
    def judge(source: str, **options: Any) -> AssertionResult:
        return evaluate(parse(source), options.pop("document", document), now=NOW, **options)

    return judge
