from __future__ import annotations

from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.text.redact import Redactor


def diff(actual: Any, claim: str, *holes: Any, **options: Any) -> str | None:
    return evaluate(parse(f"a {claim}"), {"a": actual}, holes=holes, **options).diff


@pytest.mark.parametrize(
    ("actual", "expected", "lines"),
    [
        ("abc", "abd", "- abd\n+ abc"),
        ("a\nb\nc", "a\nX\nc", "@@ line 2 @@\n  a\n- X\n+ b\n  c"),
        ("a\nb", "a\nb\nc", "@@ line 3 @@\n  a\n  b\n- c"),
        ("a\nb\nc", "a\nb", "@@ line 3 @@\n  a\n  b\n+ c"),
        ("a" * 3, "", "- \n+ aaa"),
        ({"a": 1, "b": [1, 2]}, {"a": 2, "b": [1, 3, 4]}, "- a: 2\n+ a: 1\n- b[1]: 3\n+ b[1]: 2\n- b[2]: 4"),
        ({"a": 1, "x y": 2}, {"a": 1}, '+ "x y": 2'),
        ([1, {"k": "v"}], [1, {"k": "w"}], '- [1].k: "w"\n+ [1].k: "v"'),
        ({"a": {"b": 1}}, {"a": [1]}, '- a: [1]\n+ a: {"b":1}'),
        (1, 2, None),
        (None, 2, None),
    ],
)
def test_equality(actual: Any, expected: Any, lines: str | None) -> None:
    assert diff(actual, "== ${x}", expected) == lines


def test_true_claims_and_mismatches_have_no_difference() -> None:
    assert diff("a", "== 'a'") is None
    assert diff("1", "== 1") is None
    assert diff("a", "!= 'a'") is None


def test_equal_lines_between_differences_are_left_out() -> None:
    lines = [f"line {n}" for n in range(30)]
    changed = ["X", *lines[1:-1], "Y"]
    assert diff("\n".join(lines), "== ${x}", "\n".join(changed)) == (
        "@@ line 1 @@\n- X\n+ line 0\n  line 1\n  line 2\n… 24 equal lines\n  line 27\n  line 28\n- Y\n+ line 29"
    )


def test_long_texts_are_not_aligned() -> None:
    one, two = ("\n".join(f"{mark} {n}" for n in range(5_000)) for mark in "ab")
    assert diff(one, "== ${x}", two) == "@@ line 1 @@\n- b 0\n+ a 0\n… and up to 4,998 further lines"


def test_many_differences_end_in_a_note() -> None:
    lines = (diff(list(range(1_000)), "== ${x}", list(range(1, 1_001))) or "").split("\n")
    assert len(lines) == 41
    assert lines[-1] == "… and further differences"


def test_subset_tells_only_what_is_lacking() -> None:
    actual = {"a": 1, "more": 2, "list": [{"id": 1, "x": 1}]}
    assert diff(actual, "includes {'a': 2, 'list': [{'id': 3}], 'gone': 1}") == (
        '- a: 2\n+ a: 1\n- list[]: {"id":3}\n- gone: 1'
    )


def test_unordered_tells_what_each_side_lacks() -> None:
    assert diff([1, 2, 2, 3], "equals unordered [1, 2, 4]") == "- 4\n+ 2\n+ 3"


def test_a_secret_of_several_lines_is_masked_before_lines_are_cut() -> None:
    secret = "first line of key\nsecond line of key"
    found = diff(f"key: {secret}!", "== 'x'", redact=Redactor([secret]).text)
    assert found is not None
    assert "line of key" not in found


def test_a_secret_is_never_shown_in_part() -> None:
    secret = "correct 'horse' battery \\ staple ${x}"
    result = evaluate(
        parse("a == 'before ${secret} after'"),
        {"a": f"text {secret} text"},
        holes=[secret],
        redact=Redactor([secret]).text,
    )
    masked = Redactor([secret])
    for text in (result.expression, result.message, result.diff, result.actual, result.expected):
        assert "horse" not in masked.text(str(text))
