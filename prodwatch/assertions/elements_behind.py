"""Elements of a list that are the reason why an assertion does not hold, with their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.jmespath_interpreter import Evaluation
from prodwatch.assertions.operators import OperatorContext, judge
from prodwatch.assertions.patterns import share_s
from prodwatch.assertions.syntax import Assertion
from prodwatch.assertions.value_equality_and_order import MISSING

_UNKNOWN = (PathError, UndecidableError, RecursionError)

Placed = tuple[int, Any]
"""Place in the list, from 0, and element."""


def elements_behind(
    assertion: Assertion,
    document: Mapping[str, Any],
    *,
    holes: Sequence[Any] = (),
    now: datetime | None = None,
    load_schema: Callable[[str], Any] | None = None,
) -> list[Placed]:
    """Return the elements that a claim selects or counts, of `all` and `none` only those that break it.

    Empty for a claim that is not about the elements of a list.
    """
    run = Evaluation(holes, now)
    try:
        elements = assertion.path.elements(document, run)
        if elements is None:
            return []
        placed = list(enumerate(elements))
        if assertion.quantifier not in {"all", "none"}:
            return placed
        values = assertion.path.resolve(document, run, keep_missing=True)
        if len(values) != len(elements):
            return []
        expected = assertion.expected(holes)
        context = OperatorContext(load_schema, share_s(max(1, len(values))))
        breaks = assertion.quantifier == "none"
        return [
            each
            for each, value in zip(placed, values, strict=True)
            if not (breaks and value is MISSING) and judge(assertion.operator, value, expected, context).ok is breaks
        ]
    except _UNKNOWN:
        return []
