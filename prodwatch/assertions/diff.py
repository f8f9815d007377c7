"""The difference between the expected value (`-`) and the actual value (`+`), by line for texts, by path for JSON.

Texts are handed through `redact` whole before they are cut into lines: a secret of two lines would not be
recognised afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prodwatch.assertions.value_equality_and_order import MISSING, equal, freeze, kind
from prodwatch.assertions.value_format import double_quoted, json_text

MAX_ENTRIES = 40
MAX_LINES = 1_000
"""Beyond this many differing lines no alignment is attempted: its cost grows with the square."""
CONTEXT = 2

Redact = Callable[[str], str]


def difference(expected: Any, actual: Any, redact: Redact | None = None) -> str | None:
    """Return the difference of two unequal values, or None when both values show it as well."""
    if isinstance(expected, str) and isinstance(actual, str):
        return text_difference(expected, actual, redact)
    kinds = {kind(expected), kind(actual)}
    if len(kinds) > 1 or not kinds <= {"array", "object"}:
        return None
    entries: list[str] = []
    _walk(expected, actual, "", entries, partial=False)
    return _joined(entries)


def text_difference(expected: str, actual: str, redact: Redact | None = None) -> str | None:
    """Return a unified difference by line; None for equal texts."""
    if redact is not None:
        expected, actual = redact(expected), redact(actual)
    if expected == actual:
        return None
    before, after = expected.split("\n"), actual.split("\n")
    start = next((n for n, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), None)
    start = min(len(before), len(after)) if start is None else start
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    head = max(0, start - CONTEXT)
    tail = max(0, end - CONTEXT)
    before_part, after_part = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(before_part), len(after_part)) > MAX_LINES:
        further = f"… and up to {max(len(before_part), len(after_part)) - CONTEXT:,} further lines"
        return f"@@ line {start + 1} @@\n- {_at(before, start)}\n+ {_at(after, start)}\n{further}"
    lines = [] if len(before) == len(after) == 1 else [f"@@ line {start + 1} @@"]
    lines.extend(_aligned(before_part, after_part))
    return "\n".join(lines)


def subset_difference(expected: Any, actual: Any) -> str | None:
    """Return the parts of `expected` that `actual` lacks; additional keys and elements of `actual` do not count."""
    entries: list[str] = []
    _walk(expected, actual, "", entries, partial=True)
    return _joined(entries)


def unordered_difference(expected: Sequence[Any], actual: Sequence[Any]) -> str | None:
    """Return the elements one list has and the other lacks, order apart."""
    expected_counts, actual_counts = Counter(map(freeze, expected)), Counter(map(freeze, actual))
    lacking, extra = expected_counts - actual_counts, actual_counts - expected_counts
    entries = [f"- {json_text(element)}" for element in _those(expected, lacking)]
    entries += [f"+ {json_text(element)}" for element in _those(actual, extra)]
    return _joined(entries)


def _those(values: Sequence[Any], counted: Counter[Any]) -> list[Any]:
    left = Counter(counted)
    chosen = []
    for value in values:
        key = freeze(value)
        if left[key] > 0:
            left[key] -= 1
            chosen.append(value)
    return chosen


def _at(lines: list[str], position: int) -> str:
    return lines[position] if position < len(lines) else "(the text ends here)"


def _aligned(before: list[str], after: list[str]) -> list[str]:
    from difflib import SequenceMatcher

    lines: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            lines.extend(_context([f"  {line}" for line in before[i1:i2]]))
            continue
        lines.extend(f"- {line}" for line in before[i1:i2])
        lines.extend(f"+ {line}" for line in after[j1:j2])
    return lines


def _context(same: list[str]) -> list[str]:
    """Return a run of equal lines, its middle left out when it is long."""
    skipped = len(same) - 2 * CONTEXT
    if skipped <= 1:
        return same
    return [*same[:CONTEXT], f"… {skipped:,} equal lines", *same[-CONTEXT:]]


def _walk(expected: Any, actual: Any, path: str, entries: list[str], *, partial: bool) -> None:
    if len(entries) > 4 * MAX_ENTRIES:
        return
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        names = list(expected) if partial else [*expected, *(name for name in actual if name not in expected)]
        for name in names:
            here = f"{path}.{_step(str(name))}" if path else _step(str(name))
            _walk(expected.get(name, MISSING), actual.get(name, MISSING), here, entries, partial=partial)
        return
    both_arrays = kind(expected) == "array" and kind(actual) == "array"
    if both_arrays and not partial:
        for n in range(max(len(expected), len(actual))):
            one = expected[n] if n < len(expected) else MISSING
            two = actual[n] if n < len(actual) else MISSING
            _walk(one, two, f"{path}[{n}]", entries, partial=False)
        return
    if both_arrays:
        from prodwatch.assertions.operator_includes import unmatched

        entries.extend(f"- {path}[]: {json_text(element)}" for element in unmatched(expected, actual))
        return
    if equal(expected, actual):
        return
    label = f"{path}: " if path else ""
    if expected is not MISSING:
        entries.append(f"- {label}{json_text(expected)}")
    if actual is not MISSING:
        entries.append(f"+ {label}{json_text(actual)}")


def _step(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else double_quoted(name)


def _joined(entries: list[str]) -> str | None:
    if len(entries) > MAX_ENTRIES:
        keep_all = entries[:MAX_ENTRIES]
        return "\n".join([*keep_all, "… and further differences"])
    return "\n".join(entries) or None
