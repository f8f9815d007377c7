"""What an unfinished reading of a source can prove: only what further data cannot overturn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.assertions.compare import kind
from prodwatch.assertions.syntax import Assertion

OF_THE_REQUEST = frozenset(
    {
        "status",
        "status_code",
        "latency",
        "phases",
        "connect",
        "headers",
        "url",
        "redirects",
        "http_version",
        "tls",
        "error",
    }
)
"""Fields that speak of the answer itself, not of what it lists: known even when the rest was cut off."""
COUNTS = frozenset({"count"})
"""Fields that can only grow with more data."""
_FOUND = frozenset({"exists", "contains", "includes"})
_NOT_FOUND = frozenset({"absent", "not contains"})
_AT_LEAST = frozenset({">", ">="})
_AT_MOST = frozenset({"<", "<="})


def stands(assertion: Assertion, ok: bool, actual: Any) -> bool:  # noqa: FBT001 -- the judgement itself
    """Tell whether a judgement made on part of the data would survive the rest of it."""
    if assertion.fields and assertion.fields <= OF_THE_REQUEST:
        return True
    if assertion.quantifier:
        return ok is (assertion.quantifier == "any")
    operator = assertion.operator
    if operator in _FOUND:
        return ok
    if operator in _NOT_FOUND:
        return not ok
    if kind(actual) in {"number", "duration"}:
        if operator not in _AT_LEAST | _AT_MOST or not _grows(assertion):
            return False
        return ok is (operator in _AT_LEAST)
    if kind(actual) == "array" or actual is None:
        return False
    return not isinstance(actual, str) or ok


def _grows(assertion: Assertion) -> bool:
    node: Mapping[str, Any] = assertion.path.tree
    if node["type"] == "function_expression":
        return bool(node["value"] == "length")
    return node["type"] == "field" and assertion.fields <= COUNTS
