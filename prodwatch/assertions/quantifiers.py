"""`all`, `any` and `none` over a list: an empty one decides nothing, and neither does one without the field."""

from __future__ import annotations

from typing import Any

from prodwatch.assertions.errors import UndecidableError
from prodwatch.assertions.operators import OperatorContext, judge
from prodwatch.assertions.patterns import as_shown, share_s
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, kind
from prodwatch.assertions.value_format import short

_ABOUT_PRESENCE = frozenset({"exists", "absent"})


def judge_each(
    quantifier: str, operator: str, name: str, items: Any, expected: Any, context: OperatorContext
) -> str | None:
    """Return None when the claim holds, otherwise one sentence; `name` is the path as displayed.

    Elements that lack the path are MISSING in `items`. UndecidableError when there is nothing to judge.
    """
    if kind(items) != "array":
        return f"`{name}` is {a_kind(items)}, and `{quantifier}` needs an array"
    if not items:
        raise UndecidableError(f"`{name}` is an empty list, so `{quantifier}` has nothing to judge")
    if operator not in _ABOUT_PRESENCE and quantifier != "all" and all(item is MISSING for item in items):
        raise UndecidableError(f"no element of the list has `{name}`, so `{quantifier}` has nothing to judge")
    # All searches together stay near the limit of one.
    context = OperatorContext(context.load_schema, share_s(len(items)))
    return _JUDGES[quantifier](operator, name, items, expected, context)


def _all(operator: str, name: str, items: Any, expected: Any, context: OperatorContext) -> str | None:
    for position, item in enumerate(items):
        outcome = judge(operator, item, expected, context)
        if not outcome.ok:
            return f"`{name}`: element {position} {outcome.phrase}"
    return None


def _any(operator: str, name: str, items: Any, expected: Any, context: OperatorContext) -> str | None:
    if any(judge(operator, item, expected, context).ok for item in items):
        return None
    return f"`{name}`: {_claim(operator, expected)} holds for none of {_count(items)}"


def _none(operator: str, name: str, items: Any, expected: Any, context: OperatorContext) -> str | None:
    for position, item in enumerate(items):
        outcome = judge(operator, item, expected, context)
        if outcome.ok:
            return f"`{name}`: element {position} is {short(item)}, and {_claim(operator, expected)} must hold for none"
        # What cannot be compared proves nothing; an element without the field does not count.
        if not outcome.comparable and item is not MISSING:
            return f"`{name}`: element {position} {outcome.phrase}"
    return None


_JUDGES = {"all": _all, "any": _any, "none": _none}


def _count(items: Any) -> str:
    return f"{len(items):,} element{'' if len(items) == 1 else 's'}"


def _claim(operator: str, expected: Any) -> str:
    """Return the claim about each element, as a check writes it."""
    if operator in _ABOUT_PRESENCE:
        return f"`{operator}`"
    if operator == "between":
        return f"`between {short(expected[0])} and {short(expected[1])}`"
    if operator == "is":
        return f"`is {expected}`"
    return f"`{operator} {short(as_shown(expected))}`"
