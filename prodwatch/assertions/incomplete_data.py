"""What an unfinished reading of a source can prove: only what further data cannot overturn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prodwatch.assertions.comparison import kind
from prodwatch.assertions.missing_value import MISSING
from prodwatch.assertions.syntax import Assertion

OF_THE_REQUEST = frozenset(
    {
        *("status", "status_code", "exit_code", "error"),
        *("latency", "duration", "phases", "connect"),
        *("headers", "url", "redirects", "http_version"),
    }
)
"""Fields that speak of the answer itself, not of what it lists: known even when the rest was cut off."""
COUNTS = frozenset({"count"})
"""Fields that can only grow with more data."""
CUT_TEXTS = frozenset({"body", "stdout", "stderr"})
"""Texts of which only the beginning was kept: even their own last word may be half a word."""
_READS = frozenset({"field", "subexpression", "index_expression", "index"})
"""Nodes that only walk to a value; everything else computes one, and with more data another one."""
_LOOKS_AHEAD = re.compile(r"\$|\\[bBmMzZG]|\(\?")
"""What in a pattern may ask for the end of the text, or for what follows."""
_ONCE_TRUE = frozenset({"exists", "contains", "includes"})
"""Operators that stay true whatever is added."""
_ONCE_FALSE = frozenset({"absent", "not contains"})
"""Operators that stay false whatever is added."""


def survives_more_data(assertion: Assertion, actual: Any, *, ok: bool) -> bool:
    """Tell whether the judgement `ok`, made on part of the data, would survive the rest of it."""
    if assertion.fields and assertion.fields <= OF_THE_REQUEST:
        return True
    if assertion.fields & CUT_TEXTS:
        return _prefix_survives(assertion, ok=ok)
    if assertion.quantifier:
        return ok is (assertion.quantifier == "any") and actual is not MISSING
    if assertion.operator in _ONCE_TRUE | _ONCE_FALSE:
        return ok is (assertion.operator in _ONCE_TRUE)
    if actual is MISSING:
        return False
    return _value_survives(assertion, actual, ok=ok)


def _prefix_survives(assertion: Assertion, *, ok: bool) -> bool:
    """Tell whether a claim about the beginning of a text holds for all of it."""
    if assertion.path.tree["type"] != "field":
        return ok and _grows(assertion) and assertion.operator in {">", ">="}
    if assertion.operator in {"exists", "absent", "is"}:
        return True
    if assertion.operator == "matches":
        return ok and _LOOKS_AHEAD.search(_text_of(assertion)) is None
    return ok if assertion.operator in {"contains", "starts with"} else assertion.operator == "not contains" and not ok


def _text_of(assertion: Assertion) -> str:
    """Return the pattern as written: what a hole adds to it matches itself and nothing more."""
    return assertion.operand.render(None) if assertion.operand is not None else ""


def _value_survives(assertion: Assertion, actual: Any, *, ok: bool) -> bool:
    name = kind(actual)
    if assertion.operator == "is":
        return True
    if name in {"number", "duration"}:
        # A total, a share or a percentile moves with every further value; a count only grows.
        if not _grows(assertion):
            return False
        return ok if assertion.operator in {">", ">="} else assertion.operator in {"<", "<="} and not ok
    if not _only_reads(assertion.path.tree):
        return False
    if name == "string":
        return ok
    return name in {"boolean", "object", "time"}


def _only_reads(node: Mapping[str, Any]) -> bool:
    return node["type"] in _READS and all(map(_only_reads, node["children"]))


def _grows(assertion: Assertion) -> bool:
    node = assertion.path.tree
    if node["type"] == "function_expression":
        return bool(node["value"] == "length")
    return node["type"] == "field" and assertion.fields <= COUNTS
