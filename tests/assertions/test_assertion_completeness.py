"""Of a source that was read in part, only what the rest cannot overturn is decided."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.model.quantity import Duration

PART: dict[str, Any] = {
    "status": 200,
    "latency": Duration.from_ms(20),
    "headers": {"x": "1"},
    "count": 3,
    "fault_ratio": 0.02,
    "p95": Duration.from_ms(80),
    "lines": [{"message": "ok"}, {"message": "done"}],
    "body": "all is well",
    "item": {"id": 5},
    "deleted": True,
}


@pytest.mark.parametrize(
    ("source", "ok"),
    [
        ("count == 0", False),
        ("count != 0", True),
        ("count == 3", None),
        ("count != 3", None),
        ("count == 4", None),
        ("count != 4", None),
        ("count == 'none'", None),
        ("length(lines) == 0", False),
        ("length(lines) == 2", None),
        ("count >= 1", True),
        ("count > 5", None),
        ("count < 5", None),
        ("count <= 2", False),
        ("count between 1 and 5", None),
        ("count is integer", True),
        ("length(lines) >= 2", True),
        ("length(lines) < 2", False),
        ("fault_ratio < 5%", None),
        ("fault_ratio > 5%", None),
        ("p95 < 100ms", None),
        ("nothing absent", None),
        ("item absent", False),
        ("nothing exists", None),
        ("item exists", True),
        ("nothing == 1", None),
        ("lines[9].message == 'x'", None),
        ("lines[0].message == 'ok'", True),
        ("lines[0].message == 'x'", None),
        ("none lines[*].message contains 'error'", None),
        ("none lines[*].message contains 'ok'", False),
        ("all lines[*].message is string", None),
        ("all lines[*].message == 'ok'", False),
        ("any lines[*].message == 'ok'", True),
        ("any lines[*].message == 'x'", None),
        ("all nothing == 1", None),
        ("lines[*].message contains 'ok'", True),
        ("lines[*].message contains 'x'", None),
        ("lines[*].message not contains 'x'", None),
        ("lines[*].message not contains 'ok'", False),
        ("lines includes [{'message': 'ok'}]", True),
        ("lines == [{'message': 'ok'}]", None),
        ("body contains 'well'", True),
        ("body not contains 'error'", None),
        ("body == 'all is well'", None),
        ("body == 'x'", None),
        ("body != 'all is'", None),
        ("body in ['all is well']", None),
        ("body not in ['all is']", None),
        ("body starts with 'all'", True),
        ("body starts with 'all is well!'", None),
        ("body ends with 'well'", None),
        ("body matches 'is w'", True),
        ("body matches 'well$'", None),
        ("body matches 'well\\b'", None),
        ("body matches 'well(?!!)'", None),
        ("body exists", True),
        ("body is string", True),
        ("contains(body, 'error') == false", None),
        ("!contains(body, 'error') == true", None),
        ("(body == 'all is well') == true", None),
        ("{a: body} == {'a': 'all is well'}", None),
        ("last_segment(body) == 'all is well'", None),
        ("length(body) >= 5", True),
        ("length(body) < 50", None),
        ("any split(body, ' ') == 'well'", None),
        ("contains(lines[*].message, 'error') == false", None),
        ("join(' ', lines[*].message) == 'ok done'", None),
        ("(count == `3`) == true", None),
        ("to_string(count) == '3'", None),
        ("body matches 'error'", None),
        ("item == {'id': 5}", None),
        ("item == {'id': 6}", None),
        ("deleted == true", True),
        ("deleted == false", False),
        ("status == 200", True),
        ("status == 500", False),
        ("latency < 1s", True),
        ("latency < 1ms", False),
        ("header('y') absent", True),
        ("header('x') == '1'", True),
    ],
)
def test_judged_on_a_part(source: str, ok: bool | None) -> None:
    result = evaluate(parse(source), PART, complete=False)
    assert result.ok is ok
    assert (result.message is None) is (ok is True)
    if ok is not None:
        assert evaluate(parse(source), PART).ok is ok


def test_the_sentence_says_that_the_source_was_cut_short() -> None:
    result = evaluate(parse("count == 0"), {"count": 0}, complete=False)
    assert result.ok is None
    assert result.message == ("the source could not be read to its end: the unread part could still make this false")
