"""Results that hold on incomplete data: only those that further data cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.assertions.path import Path
from prodwatch.assertions.patterns import LOOKS_AHEAD
from prodwatch.assertions.syntax import Assertion
from prodwatch.assertions.value_equality_and_order import MISSING, kind

OF_THE_REQUEST = frozenset(
    {
        *("status", "status_code", "exit_code", "error"),
        *("latency", "duration", "phases", "connect"),
        *("headers", "url", "redirects", "http_version"),
    }
)
"""Fields that describe the response itself, not its content: known even when the rest was cut off."""
COUNTS = frozenset({"count"})
"""Fields that can only grow with more data."""
CUT_TEXTS = frozenset({"body", "stdout", "stderr"})
"""Texts of which only the beginning was kept; their last word may be cut off."""
OF_THE_READING = frozenset({"complete"})
"""Fields that tell whether everything was read: another reading may change them."""
_READS = frozenset({"field", "subexpression", "index_expression", "index"})
"""Nodes that only read a value; all others compute one, which more data could change."""
_SELECTS = _READS | {"identity", "current", "projection", "value_projection", "filter_projection", "flatten"}
"""Nodes that only select values: more data adds to them and takes none away."""
_ONCE_TRUE = frozenset({"exists", "contains", "includes", "matches in order"})
"""Operators that stay true when data is added."""
_ONCE_FALSE = frozenset({"absent", "not contains"})
"""Operators that stay false when data is added."""
_SETTLED = frozenset({"string", "boolean", "time"})
"""Kinds of a value that is read whole; a number may be a total, and a list or an object may grow."""


def survives_more_data(assertion: Assertion, actual: Any, expected: Any, *, ok: bool) -> bool:
    """Return whether the result `ok` of comparing with `expected`, judged on part of the data, holds for all of it."""
    if assertion.fields and assertion.fields <= OF_THE_REQUEST:
        return True
    if assertion.fields & CUT_TEXTS:
        return _prefix_survives(assertion, ok=ok)
    if actual is MISSING or assertion.fields & OF_THE_READING:
        return False
    if assertion.quantifier:
        return ok is (assertion.quantifier == "any") and _only_selects(assertion.path.tree)
    if assertion.operator in _ONCE_TRUE | _ONCE_FALSE:
        return ok is (assertion.operator in _ONCE_TRUE) and _only_selects(assertion.path.tree)
    return _value_survives(assertion, actual, expected, ok=ok)


def value_survives_more_data(path: Path, value: Any, *, part: bool) -> bool:
    """Return whether the `value` that a path reads from part of the data is the one that it reads from all of it.

    With `part`, a pattern takes a part of the value: the beginning of a text is enough for it.
    """
    if path.fields and path.fields <= OF_THE_REQUEST:
        return True
    if path.fields & CUT_TEXTS:
        return part and path.tree["type"] == "field"
    if path.fields & OF_THE_READING:
        return False
    return _only_reads(path.tree) and kind(value) in _SETTLED


def _prefix_survives(assertion: Assertion, *, ok: bool) -> bool:
    """Return whether a claim about the beginning of a text holds for all of it."""
    if assertion.path.tree["type"] != "field":
        return ok and _grows(assertion) and assertion.operator in {">", ">="}
    if assertion.operator in {"exists", "absent", "is"}:
        return True
    if assertion.operator == "matches":
        return ok and LOOKS_AHEAD.search(_text_of(assertion)) is None
    return ok if assertion.operator in {"contains", "starts with"} else assertion.operator == "not contains" and not ok


def _text_of(assertion: Assertion) -> str:
    """Return the pattern as written: the value of a `${…}` matches only itself."""
    return assertion.operand.render(None) if assertion.operand is not None else ""


def _value_survives(assertion: Assertion, actual: Any, expected: Any, *, ok: bool) -> bool:
    name = kind(actual)
    if assertion.operator == "is":
        return _only_reads(assertion.path.tree) or _grows(assertion)
    if name in {"number", "duration"}:
        return _grows(assertion) and _growth_survives(assertion.operator, actual, expected, ok=ok)
    if not _only_reads(assertion.path.tree):
        return False
    if name == "string":
        return ok
    return name in {"boolean", "time"}


def _growth_survives(operator: str, actual: Any, expected: Any, *, ok: bool) -> bool:
    """Return whether a result holds for every greater count; a total, a share or a percentile may move either way."""
    if operator in {"==", "!="}:
        return ok is (operator == "!=") and kind(expected) == kind(actual) and bool(actual > expected)
    return ok if operator in {">", ">="} else operator in {"<", "<="} and not ok


def _only_reads(node: Mapping[str, Any]) -> bool:
    return node["type"] in _READS and not _counts_from_the_end(node) and all(map(_only_reads, node["children"]))


def _only_selects(node: Mapping[str, Any]) -> bool:
    if node["type"] not in _SELECTS or _counts_from_the_end(node):
        return False
    # The condition of a filter is about one element, which more data does not change.
    parts = node["children"][:2] if node["type"] == "filter_projection" else node["children"]
    return all(map(_only_selects, parts))


def _counts_from_the_end(node: Mapping[str, Any]) -> bool:
    return node["type"] == "index" and isinstance(node["value"], int) and node["value"] < 0


def _grows(assertion: Assertion) -> bool:
    node = assertion.path.tree
    if node["type"] == "function_expression":
        return node["value"] == "length" and all(map(_only_selects, node["children"]))
    return node["type"] == "field" and assertion.fields <= COUNTS
