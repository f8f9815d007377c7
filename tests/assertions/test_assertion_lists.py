from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prodwatch.model.result import AssertionResult

Judged = Callable[..., AssertionResult]


@pytest.mark.parametrize(
    ("source", "document", "ok"),
    [
        ("all a > 0", {"a": [1, 2]}, True),
        ("all a > 0", {"a": [1, 0]}, False),
        ("all a > 0", {"a": [1, "2"]}, False),
        ("all a == 1", {"a": [1, None]}, False),
        ("any a == 2", {"a": [1, 2]}, True),
        ("any a == 'x'", {"a": [1, "x"]}, True),
        ("any a == 3", {"a": [1, 2]}, False),
        ("none a == 3", {"a": [1, 2]}, True),
        ("none a == 2", {"a": [1, 2]}, False),
        ("none a == 'x'", {"a": [1, "y"]}, False),
        ("none a == 5", {"a": [1, None]}, True),
        ("none a == null", {"a": [1, None]}, False),
        ("all a == 1", {"a": []}, None),
        ("any a == 1", {"a": []}, None),
        ("none a == 1", {"a": []}, None),
        ("all a exists", {"a": []}, None),
        ("all a == 1", {}, False),
        ("none a == 1", {}, False),
        ("none a absent", {}, False),
        ("all a == 1", {"a": 1}, False),
        ("none a == 1", {"a": {"x": 2}}, False),
        ("none a == 1", {"a": None}, False),
        ("all a[*].x == 1", {"a": [{"x": 1}, {}]}, False),
        ("all a[*].x == 1", {"a": [{"x": 1}, {"x": None}]}, False),
        ("all a[*].x exists", {"a": [{"x": 1}, {}]}, False),
        ("all a[*].x exists", {"a": [{"x": 1}, {"x": None}]}, True),
        ("none a[*].x exists", {"a": [{}, {}]}, True),
        ("none a[*].x exists", {"a": [{}, {"x": None}]}, False),
        ("all a[*].x absent", {"a": [{}, {}]}, True),
        ("any a[*].x absent", {"a": [{"x": 1}, {}]}, True),
        ("none a[*].x == 1", {"a": [{}, {"x": 2}]}, True),
        ("none a[*].x == null", {"a": [{"x": None}]}, False),
        ("none a[*].typo == 1", {"a": [{"x": 1}, {"x": 2}]}, None),
        ("any a[*].typo == 1", {"a": [{"x": 1}, {"x": 2}]}, None),
        ("all a[].b[].x == 1", {"a": [{"b": [{"x": 1}]}, {}]}, False),
        ("all a[].b[].x == 1", {"a": [{"b": [{"x": 1}]}, {"b": [{"x": 1}]}]}, True),
        ("all a[?x > `1`].x > 1", {"a": [{"x": 1}, {"x": 2}]}, True),
        ("all a[?x > `5`].x > 1", {"a": [{"x": 1}, {"x": 2}]}, None),
        ("all a[1:].x == 2", {"a": [{"x": 1}, {"x": 2}]}, True),
        ("all a.* == 1", {"a": {"x": 1, "y": 1}}, True),
        ("all [a, b] == 1", {"a": 1, "b": 1}, True),
        ("all [a, b] == 1", {"a": 1}, False),
        ("all a == 3", {"all": 3, "a": [3, 3]}, True),
        ("all == 3", {"all": 3}, True),
        ("none exists", {"none": 1}, True),
        ("any contains 'x'", {"any": "xyz"}, True),
        ("all exists == true", {"exists": [True]}, True),
        ("none a matches '^E'", {"a": ["ok", "Error"]}, False),
        ("all a between 1 and 3", {"a": [1, 2, 3]}, True),
        ("none a is null", {"a": [1, 2]}, True),
    ],
)
def test_quantified_claim(judged: Judged, source: str, document: Any, ok: bool | None) -> None:
    result = judged(source, document=document)
    assert result.ok is ok
    assert (result.message is None) is (ok is True)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("none json.items[*].id == 2", "element 1 is 2, and `== 2` must hold for none"),
        ("none json.items[*].name matches '^t'", 'element 0 is "tea", and `matches "^t"` must hold for none'),
        ("none json.items[*].id between 2 and 3", "`between 2 and 3` must hold for none"),
        ("none json.items[*].price exists", "element 0 is 2.50, and `exists` must hold for none"),
        ("none json.items[*].id is integer", "`is integer` must hold for none"),
        ("any json.items[*].id > 9", "`> 9` holds for none of 3 elements"),
        ("all json.status == 'ok'", "`json.status` is a string, and `all` needs an array"),
    ],
)
def test_the_sentence_names_the_element(judged: Judged, source: str, words: str) -> None:
    result = judged(source)
    assert result.ok is False
    assert words in (result.message or "")
