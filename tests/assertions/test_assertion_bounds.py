"""Where the limits of formatted values, differences and quantities begin: the last value within and the first beyond.

The limits are written out here, so that a changed one fails.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.assertions import diff
from prodwatch.assertions.literals_and_templates import UNITS
from prodwatch.assertions.quantities import NoQuantityError, read_quantity, unit_behind
from prodwatch.assertions.value_format import (
    canonical_text,
    json_text,
    literal_text,
    number_text,
    short,
    text_of,
    to_json,
)
from prodwatch.model.quantity import Duration


def nested(levels: int, innermost: Any = 1) -> Any:
    """Return a value within `levels` arrays."""
    for _ in range(levels):
        innermost = [innermost]
    return innermost


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (1 - 2**63, 1 - 2**63),
        (-(2**63), "-9223372036854775808"),
        ([2**63 - 1, 2**63, -(2**63)], [2**63 - 1, "9223372036854775808", "-9223372036854775808"]),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (Decimal(999999999999999999), 999_999_999_999_999_999),
        (Decimal(1000000000000000001), "1000000000000000001"),
        (Decimal("1E+18"), 1e18),
        (Decimal("12.10"), 12.1),
        (Decimal("0.1000000000000000000001"), "0.1000000000000000000001"),
        (Decimal("1E+300"), 1e300),
        (Decimal("1E+301"), "1E+301"),
        (Decimal("1E-300"), 1e-300),
        (Decimal("1E-301"), "1E-301"),
        (Decimal("Infinity"), "Infinity"),
        (Duration.from_ms(5), "5ms"),
        (b"\xff", "\ufffd"),
        ({1: None}, {"1": None}),
    ],
)
def test_numbers_that_a_reader_of_json_would_round_become_text(value: Any, data: Any) -> None:
    found = to_json(value)
    assert found == data
    assert type(found) is type(data)


def test_a_result_holds_500_values_and_counts_the_rest() -> None:
    assert to_json([0] * 499) == [0] * 499
    assert to_json([0] * 500) == [*[0] * 499, "… 1 more"]
    assert to_json([0] * 2_000) == [*[0] * 499, "… 1,501 more"]
    assert to_json(dict.fromkeys(range(499))) == {str(n): None for n in range(499)}
    assert to_json(dict.fromkeys(range(2_000))) == {str(n): None for n in range(499)} | {"…": "1,501 more"}
    assert to_json([[1, 2], *[0] * 497]) == [[1, 2], *[0] * 496, "… 1 more"]


def test_a_result_holds_40_levels_and_describes_the_next() -> None:
    assert to_json(nested(40)) == nested(40)
    assert to_json(nested(41)) == nested(40, "… (an array of 1 element)")
    objects: Any = {"k": 1}
    expected: Any = "… (an object of 1 key)"
    for _ in range(40):
        objects, expected = {"k": objects}, {"k": expected}
    assert to_json(objects) == expected
    assert to_json(objects["k"]) == objects["k"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 72, f'"{"x" * 72}"'),
        ("x" * 73, "a string of 73 characters"),
        ("x" * 1_000, "a string of 1,000 characters"),
        ([], "[]"),
        (["x" * 70], f"['{'x' * 70}']"),
        (["x" * 71], "an array of 1 element"),
        ([1] * 18, f"[{', '.join('1' * 18)}]"),
        ([1] * 19, "an array of 19 elements"),
        ([0] * 1_000, "an array of 1,000 elements"),
        ({"x" * 34: "y" * 32}, f"{{'{'x' * 34}': '{'y' * 32}'}}"),
        ({"x" * 34: "y" * 33}, "an object of 1 key"),
        ({"x" * 40: 1, "y" * 40: 1}, "an object of 2 keys"),
        (["x" * 71, "y"], "an array of 2 elements"),
        (10**80, "1" + "0" * 80),
        (nested(35), "[" * 35 + "1" + "]" * 35),
        (nested(36), "an array of 1 element"),
        (None, "null"),
        ("ä", '"ä"'),
    ],
)
def test_a_message_quotes_up_to_72_characters_and_describes_more(value: Any, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+39"), "1" + "0" * 39),
        (Decimal("1E+40"), "1E+40"),
        (Decimal("1E-39"), "0." + "0" * 38 + "1"),
        (Decimal("1E-40"), "1E-40"),
        (Decimal("NaN"), "NaN"),
        (2**9_999 - 1, str(2**9_999 - 1)),
        (2**9_999, hex(2**9_999)),
        (0.1, "0.1"),
    ],
)
def test_numbers_have_plain_digits_up_to_a_size(value: Any, text: str) -> None:
    assert number_text(value) == text


def test_texts_are_quoted_as_they_read_back() -> None:
    assert [canonical_text(each) for each in ("a${b}", "it's ${b}", "a\\b", "a\nb", "ä")] == [
        "'a$${b}'",
        '"it\'s $${b}"',
        '"a\\\\b"',
        '"a\\nb"',
        "'ä'",
    ]
    assert literal_text({"a": [b"x" * 1_000, "it's", True, None]}) == "{'a': [(1,000 bytes), \"it's\", true, null]}"
    assert json_text({"ä": ["é", False, Decimal("1.10"), b"x"]}) == '{"ä":["é",false,1.10,"x"]}'
    zone = timezone(timedelta(hours=1))
    assert text_of(datetime(2026, 1, 15, 12, tzinfo=UTC)) == "2026-01-15T12:00:00Z"
    assert text_of(datetime(2026, 1, 15, 12, tzinfo=zone)) == "2026-01-15T12:00:00+01:00"
    assert [text_of(each) for each in (True, False, None, "x")] == ["true", "false", "null", "x"]


LINES = [f"line {n}" for n in range(1, 13)]


def changed(lines: list[str], *numbers: int) -> str:
    """Return the text with these lines (from 1) changed."""
    return "\n".join("X" if n in numbers else line for n, line in enumerate(lines, 1))


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((1,), ["@@ line 1 @@", "- line 1", "+ X", "  line 2", "  line 3"]),
        ((2,), ["@@ line 2 @@", "  line 1", "- line 2", "+ X", "  line 3", "  line 4"]),
        ((6,), ["@@ line 6 @@", "  line 4", "  line 5", "- line 6", "+ X", "  line 7", "  line 8"]),
        ((11,), ["@@ line 11 @@", "  line 9", "  line 10", "- line 11", "+ X", "  line 12"]),
        ((12,), ["@@ line 12 @@", "  line 10", "  line 11", "- line 12", "+ X"]),
        (
            (8, 12),
            [
                *("@@ line 8 @@", "  line 6", "  line 7", "- line 8", "+ X"),
                *("  line 9", "  line 10", "  line 11", "- line 12", "+ X"),
            ],
        ),
        (
            (3, 8),
            [
                *("@@ line 3 @@", "  line 1", "  line 2", "- line 3", "+ X"),
                *(f"  line {n}" for n in range(4, 8)),
                *("- line 8", "+ X", "  line 9", "  line 10"),
            ],
        ),
        (
            (3, 9),
            [
                *("@@ line 3 @@", "  line 1", "  line 2", "- line 3", "+ X"),
                *(f"  line {n}" for n in range(4, 9)),
                *("- line 9", "+ X", "  line 10", "  line 11"),
            ],
        ),
        (
            (2, 9),
            [
                *("@@ line 2 @@", "  line 1", "- line 2", "+ X", "  line 3", "  line 4", "… 2 equal lines"),
                *("  line 7", "  line 8", "- line 9", "+ X", "  line 10", "  line 11"),
            ],
        ),
    ],
)
def test_a_difference_shows_two_equal_lines_before_and_after(numbers: tuple[int, ...], shown: list[str]) -> None:
    assert diff.difference("\n".join(LINES), changed(LINES, *numbers)) == "\n".join(shown)


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        ("a\na", "a", "@@ line 2 @@\n  a\n- a"),
        ("a\nb\na", "a", "@@ line 2 @@\n  a\n- b\n- a"),
        ("b\na\na", "c\na", "@@ line 1 @@\n- b\n+ c\n  a\n- a"),
        ("a", "a\n", "@@ line 2 @@\n  a\n+ "),
        ("a", "b", "- a\n+ b"),
        ("a\nb", "c", "@@ line 1 @@\n- a\n- b\n+ c"),
        ("a", "a", None),
    ],
)
def test_a_difference_of_repeated_and_missing_lines(expected: str, actual: str, shown: str | None) -> None:
    assert diff.text_difference(expected, actual) == shown


def test_1000_differing_lines_are_aligned_and_more_are_counted() -> None:
    before, after = ([f"{mark} {n}" for n in range(1_001)] for mark in "ab")
    aligned = diff.text_difference("\n".join(before[:-1]), "\n".join(after[:-1]))
    assert aligned is not None
    assert len(aligned.split("\n")) == 2_001
    assert diff.text_difference("\n".join(before), "\n".join(after)) == (
        "@@ line 1 @@\n- a 0\n+ b 0\n… and up to 999 further lines"
    )
    further = "… and up to 1,001 further lines"
    start = "same\nsame\nsame"
    longer = f"{start}\n" + "\n".join(before)
    assert diff.text_difference(start, longer) == f"@@ line 4 @@\n- (the text ends here)\n+ a 0\n{further}"
    assert diff.text_difference(longer, start) == f"@@ line 4 @@\n- a 0\n+ (the text ends here)\n{further}"


def test_40_entries_are_shown_and_more_end_in_a_note() -> None:
    shown = [line for n in range(20) for line in (f"- [{n}]: 0", f"+ [{n}]: 1")]
    assert diff.difference([0] * 20, [1] * 20) == "\n".join(shown)
    assert diff.difference([0] * 20, [1] * 21) == "\n".join([*shown, "… and further differences"])


@pytest.mark.parametrize(
    ("expected", "actual", "shown"),
    [
        ([1], {"a": 1}, None),
        ([1], 1, None),
        (1, "1", None),
        ({"a": 1}, {"b": 1}, "- a: 1\n+ b: 1"),
        ({"a": {"b c": 1}}, {"a": {"b c": 2}}, '- a."b c": 1\n+ a."b c": 2'),
        ({"é": 1}, {"é": 2}, '- "é": 1\n+ "é": 2'),
        ({"a": [1, 2]}, {"a": [1]}, "- a[1]: 2"),
        ([], [None], "+ [0]: null"),
        ([1], [1.0], None),
        ({"a": {"b": 1}}, {"a": 1}, '- a: {"b":1}\n+ a: 1'),
        ({"a": [1]}, {"a": 1}, "- a: [1]\n+ a: 1"),
        ([{"a": 1}], [{"a": 1, "b": 2}], "+ [0].b: 2"),
    ],
)
def test_a_difference_of_json_names_the_path(expected: Any, actual: Any, shown: str | None) -> None:
    assert diff.difference(expected, actual) == shown


def test_an_unordered_difference_counts_repeated_elements() -> None:
    assert diff.unordered_difference([1, 1, 1, 2], [1, 3]) == "- 1\n- 1\n- 2\n+ 3"
    assert diff.unordered_difference([1, 2], [2, 1]) is None


def test_a_partial_difference_names_lacking_elements_only() -> None:
    assert diff.subset_difference({"a": [1, 2], "b": {"c": 1}}, {"a": [2, 3], "b": {"c": 1, "d": 2}}) == "- a[]: 1"
    assert diff.subset_difference([1], [2, 1]) is None


@pytest.mark.parametrize(
    ("source", "value", "end"),
    [
        ("12.5 x", Decimal("12.5"), 4),
        ("-3", -3, 2),
        ("1e10000", Decimal("1e10000"), 7),
        ("1e-10000", Decimal("1e-10000"), 8),
        ("9" * 1_000, int("9" * 1_000), 1_000),
        ("1m30s", Duration(90 * 10**9), 5),
        ("-1m30s", Duration(-90 * 10**9), 6),
        ("0.5ns1000ms", None, "`0.5ns` is finer than a nanosecond"),
        (f"{'1' * 20}%", None, 21),
        (f"{'1' * 21}%", None, "a number with a unit has at most 20 digits"),
        ("0.1ns", None, "`0.1ns` is finer than a nanosecond"),
        ("9" * 1_001, None, "a number has at most 1,000 digits"),
        ("1e10001", None, "`1e10001` is out of range: exponents go up to 10,000"),
        ("1e-10001", None, "`1e-10001` is out of range: exponents go up to 10,000"),
        (f"1.{'0' * 32}e99999", None, f"`1.{'0' * 32}e99999` is out of range: exponents go up to 10,000"),
        (f"1.{'0' * 33}e99999", None, f"`1.{'0' * 33}e999…` is out of range: exponents go up to 10,000"),
        (f"1.{'0' * 31}e99999", None, f"`1.{'0' * 31}e99999` is out of range: exponents go up to 10,000"),
        ("2026-01-15T12:00:00.1234561Z", None, "a time has at most six digits after the seconds"),
        ("2026-01-15T12:00:00.123456000Z", None, 30),
        ("2026-01", None, "`2026-01` is not a complete time; write one like 2026-01-15T12:00:00Z"),
        ("5-3", None, "`5-3` is not a number; numbers look like 5, -3, 0.25, 1e6, 300ms, 10kB or 5%"),
        ("5xy", None, f"`5xy` has an unknown unit; units are {', '.join(UNITS)}"),
        ("?", None, "`?` is not a number; numbers look like 5, -3, 0.25, 1e6, 300ms, 10kB or 5%"),
        ("007", None, "`007` is not a number; numbers look like 5, -3, 0.25, 1e6, 300ms, 10kB or 5%"),
    ],
)
def test_quantities_end_and_fail_where_they_say(source: str, value: Any, end: int | str) -> None:
    if isinstance(end, str):
        with pytest.raises(NoQuantityError) as caught:
            read_quantity(source, 0)
        assert str(caught.value) == end
        return
    constant, position = read_quantity(source, 0)
    assert position == end
    assert constant.text == source[:position]
    if value is not None:
        assert constant.value == value


def test_a_unit_is_read_behind_a_hole() -> None:
    assert (unit_behind("${x}ms", 4), unit_behind("${x}msx", 4), unit_behind("${x}", 4)) == ("ms", "", "")
