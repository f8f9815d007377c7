"""The operators: each compares an actual and an expected value, and explains a result that is false."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from prodwatch.assertions.operator_includes import includes
from prodwatch.assertions.operator_satisfies_json_schema import LoadSchema, violation
from prodwatch.assertions.patterns import LIMIT_S, Pattern, as_shown, search, share_s
from prodwatch.assertions.value_equality_and_order import MISSING, a_kind, equal, exact, freeze, is_nan, kind
from prodwatch.assertions.value_format import short

JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
ORDERED = ("number", "duration", "time")
_PLACES = {"starts with": str.startswith, "ends with": str.endswith}


class OperatorResult(msgspec.Struct, frozen=True):
    """Result of an operator: true, or false with a phrase that follows the path, such as `is 503, not 200`."""

    ok: bool
    phrase: str = ""
    comparable: bool = True
    """False when the values could not be compared at all: then the opposite claim is false too."""


class OperatorContext(msgspec.Struct, frozen=True):
    """Inputs of operators other than the two values."""

    load_schema: LoadSchema | None = None
    search_limit_s: float = LIMIT_S


TRUE = OperatorResult(True)


def _false(phrase: str) -> OperatorResult:
    return OperatorResult(False, phrase)


def _mismatch(phrase: str) -> OperatorResult:
    return OperatorResult(False, phrase, comparable=False)


def _unlike(actual: Any, expected: Any) -> OperatorResult:
    """Return the mismatch of two kinds, with the hint that usually helps."""
    kinds = {kind(actual), kind(expected)}
    hint = ""
    if kinds == {"duration", "number"}:
        hint = "; a duration needs a unit, such as 300ms or 2s"
    elif kinds == {"duration", "string"}:
        hint = "; write a duration without quotes, such as 300ms"
    elif kinds == {"time", "string"}:
        hint = "; write a time without quotes, and convert text with parse_time()"
    elif kinds == {"number", "string"}:
        hint = "; convert text with to_number()"
    other = f"{a_kind(expected)}, {short(expected)}"
    return _mismatch(f"is {short(actual)}, {a_kind(actual)}, which cannot be compared with {other}{hint}")


def _equals(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if equal(actual, expected):
        return TRUE
    if kind(actual) == kind(expected) or actual is None or expected is None:
        return _false(f"is {short(actual)}, not {short(expected)}")
    return _unlike(actual, expected)


def _differs(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if expected is None:
        return _false("is null") if actual is None else TRUE
    if kind(actual) != kind(expected):
        return _unlike(actual, expected)
    if is_nan(actual) or is_nan(expected):
        return _mismatch("is NaN or compared with NaN, which neither equals nor differs")
    return _false(f"is {short(actual)}") if equal(actual, expected) else TRUE


def _pair(actual: Any, expected: Any) -> tuple[Any, Any] | OperatorResult:
    """Return two values that have an order, or why they have none."""
    common = kind(actual)
    if common != kind(expected):
        return _unlike(actual, expected)
    if common not in ORDERED:
        noun = {"string": "strings have", "boolean": "booleans have", "array": "arrays have", "object": "objects have"}
        return _mismatch(f"is {short(actual)}, and {noun.get(common, f'{common} has')} no order here")
    if is_nan(actual) or is_nan(expected):
        return _mismatch("is NaN or compared with NaN, which has no order")
    if common == "number":
        return exact(actual), exact(expected)
    if common == "time" and (actual.tzinfo is None) != (expected.tzinfo is None):
        return _mismatch("is a time without a zone, which cannot be compared with one that has it")
    return actual, expected


def _ordering(symbol: str, compare: Callable[[Any, Any], bool]) -> Operator:
    def judge(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
        pair = _pair(actual, expected)
        if isinstance(pair, OperatorResult):
            return pair
        return TRUE if compare(*pair) else _false(f"is {short(actual)}, not {symbol} {short(expected)}")

    return judge


def _between(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    low, high = expected
    below, above = _pair(actual, low), _pair(actual, high)
    if isinstance(below, OperatorResult):
        return below
    if isinstance(above, OperatorResult):
        return above
    if below[0] >= below[1] and above[0] <= above[1]:
        return TRUE
    return _false(f"is {short(actual)}, not between {short(low)} and {short(high)}")


def _in(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if kind(expected) != "array":
        return _mismatch(f"is compared with {a_kind(expected)}, and `in` needs a list")
    if any(equal(actual, option) for option in expected):
        return TRUE
    if actual is not None and expected and all(kind(option) != kind(actual) for option in expected):
        return _unlike(actual, expected[0])
    return _false(f"is {short(actual)}, not one of {short(expected)}")


def _not_in(actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    if kind(expected) == "array" and not expected:
        return _mismatch("is compared with an empty list, which proves nothing")
    result = _in(actual, expected, context)
    if result.ok:
        return _false(f"is {short(actual)}, one of {short(expected)}")
    if actual is None:
        return _mismatch("is null, which a list without null neither contains nor excludes")
    return TRUE if result.comparable else result


def _contains(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if kind(actual) == "string":
        unfit = _text_operand(actual, expected)
        if unfit:
            return unfit
        return TRUE if expected in actual else _false(f"is {short(actual)}, which does not contain {short(expected)}")
    if kind(actual) == "array":
        if any(equal(element, expected) for element in actual):
            return TRUE
        if actual and expected is not None and all(kind(element) != kind(expected) for element in actual):
            return _mismatch(
                f"is {short(actual)}, none of whose elements can be compared with {a_kind(expected)}, {short(expected)}"
            )
        return _false(f"is {short(actual)}, which does not contain {short(expected)}")
    hint = "; for the keys of an object use `includes` or `exists`" if kind(actual) == "object" else ""
    return _mismatch(f"is {a_kind(actual)}, and only strings and arrays contain something{hint}")


def _not_contains(actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    result = _contains(actual, expected, context)
    if result.ok:
        return _false(f"is {short(actual)}, which contains {short(expected)}")
    return TRUE if result.comparable else result


def _text_operand(actual: Any, expected: Any) -> OperatorResult | None:
    """Return why two values are not both non-empty texts, or None when they are."""
    for side, value in (("", actual), ("compared with ", expected)):
        if kind(value) != "string":
            return _mismatch(f"is {side}{a_kind(value)}, and a string is needed")
    return _mismatch("is searched for an empty text, which every text contains") if not expected else None


def _placed(name: str) -> Operator:
    test, verb = _PLACES[name], name.replace("s with", " with")

    def judge(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
        unfit = _text_operand(actual, expected)
        if unfit:
            return unfit
        return (
            TRUE if test(actual, expected) else _false(f"is {short(actual)}, which does not {verb} {short(expected)}")
        )

    return judge


def _matches(actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    pattern, shown = (expected.text, expected.shown) if isinstance(expected, Pattern) else (expected, expected)
    unfit = _text_operand(actual, pattern)
    if unfit:
        return unfit
    if search(pattern, actual, context.search_limit_s):
        return TRUE
    return _false(f"is {short(actual)}, which does not match {short(shown)}")


def _matches_in_order(actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    """Find each pattern in an element behind the one in which the pattern before it was found."""
    if kind(actual) != "array":
        return _mismatch(f"is {a_kind(actual)}, and `matches in order` needs an array of strings")
    if kind(expected) != "array" or not expected:
        return _mismatch("is compared with no list of patterns, which proves nothing")
    wrong = next((each for each in (*actual, *map(_pattern_text, expected)) if kind(each) != "string"), MISSING)
    if wrong is not MISSING:
        return _mismatch(f"has {a_kind(wrong)}, {short(wrong)}, and `matches in order` needs strings")
    limit_s = min(context.search_limit_s, share_s(len(actual) + len(expected)))
    position = 0
    for number, pattern in enumerate(expected, 1):
        text = _pattern_text(pattern)
        found = next((n for n in range(position, len(actual)) if search(text, actual[n], limit_s)), None)
        if found is None:
            before = short(as_shown(expected[number - 2]))
            behind = f" behind element {position - 1}, which matches {before}" if position else ""
            which = f"pattern {number} of {len(expected)}"
            return _false(f"has no element that matches {short(as_shown(pattern))}{behind} ({which})")
        position = found + 1
    return TRUE


def _pattern_text(pattern: Any) -> Any:
    return pattern.text if isinstance(pattern, Pattern) else pattern


def is_integral(value: Any) -> bool:
    """Return whether a number is whole: `5.0` is."""
    number = exact(value)
    return isinstance(number, int) or (number.is_finite() and number == number.to_integral_value())


def _is(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    actual_kind = kind(actual)
    if actual_kind == expected or (expected == "integer" and actual_kind == "number" and is_integral(actual)):
        return TRUE
    names = {"integer": "an integer", "array": "an array", "object": "an object", "null": "null"}
    return _false(f"is {a_kind(actual)}, not {names.get(expected, f'a {expected}')}")


def _exists(actual: Any, _expected: Any, _context: OperatorContext) -> OperatorResult:
    return _false("is missing") if actual is MISSING else TRUE


def _absent(actual: Any, _expected: Any, _context: OperatorContext) -> OperatorResult:
    return TRUE if actual is MISSING else _false(f"is there: {short(actual)}")


def _includes(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if kind(actual) != kind(expected) or kind(actual) not in {"array", "object"}:
        return _mismatch(f"is {a_kind(actual)}, and `includes` needs two objects or two arrays")
    if not expected:
        return _mismatch("is compared with an empty subset, which proves nothing")
    return TRUE if includes(actual, expected) else _false(f"does not include {short(expected)}")


def _unordered(actual: Any, expected: Any, _context: OperatorContext) -> OperatorResult:
    if kind(actual) != "array" or kind(expected) != "array":
        wrong = actual if kind(actual) != "array" else expected
        return _mismatch(
            f"is {'compared with ' if wrong is expected else ''}{a_kind(wrong)}, and two arrays are needed"
        )
    if Counter(map(freeze, actual)) == Counter(map(freeze, expected)):
        return TRUE
    return _false(f"is {short(actual)}, which does not have the elements of {short(expected)}")


def _satisfies(actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    if not isinstance(expected, str):
        return _mismatch(f"is compared with {a_kind(expected)}, and `satisfies` needs the name of a schema file")
    broken = violation(actual, expected, context.load_schema)
    return TRUE if broken is None else _false(f'does not satisfy "{expected}": {broken}')


Operator = Callable[[Any, Any, OperatorContext], OperatorResult]
OPERATORS: dict[str, Operator] = {
    "==": _equals,
    "!=": _differs,
    "<": _ordering("<", operator.lt),
    "<=": _ordering("<=", operator.le),
    ">": _ordering(">", operator.gt),
    ">=": _ordering(">=", operator.ge),
    "in": _in,
    "not in": _not_in,
    "between": _between,
    "contains": _contains,
    "not contains": _not_contains,
    "starts with": _placed("starts with"),
    "ends with": _placed("ends with"),
    "matches": _matches,
    "matches in order": _matches_in_order,
    "is": _is,
    "exists": _exists,
    "absent": _absent,
    "includes": _includes,
    "equals unordered": _unordered,
    "satisfies": _satisfies,
}
"""Every operator by name."""


def judge(name: str, actual: Any, expected: Any, context: OperatorContext) -> OperatorResult:
    """Judge one value; a missing one fails every operator but `absent`."""
    if actual is MISSING and name != "absent":
        return _mismatch("is missing")
    return OPERATORS[name](actual, expected, context)
