from __future__ import annotations

from typing import Any

import pytest

from prodwatch.model.signal import LogRecord
from prodwatch.views.log_fields import MAX_COLUMNS, MAX_WIDTH, columns_of, field_names, lookup
from prodwatch.views.log_filter import FilterError, parse_filter, parse_find, quoted, toggled


def line(**fields: Any) -> LogRecord:
    return LogRecord(timestamp_ms=0, message="m", group="/aws/lambda/orders", fields=fields or None)


LINES = [
    line(level="INFO", message="m", id="o-1", total=19.9, user={"id": 7, "tags": ["a"]}),
    line(level="INFO", message="m", id="o-2222", total=5),
    line(),
    line(id="o-3", note="x" * 90),
]


def test_fields_are_named_by_path_the_most_frequent_first() -> None:
    names = field_names(LINES)
    assert names[0] == "id"
    assert set(names) == {"id", "level", "message", "total", "user.id", "note"}


def test_columns_leave_out_what_the_line_says_anyway_and_numbers_stand_right() -> None:
    columns = {each.name: each for each in columns_of(LINES)}
    assert set(columns) == {"id", "total", "user.id", "note"}
    assert (columns["id"].width, columns["id"].right) == (6, False)
    assert (columns["total"].width, columns["total"].right) == (5, True)
    assert columns["note"].width == MAX_WIDTH


def test_what_aws_wrote_has_no_say_in_columns() -> None:
    report = LogRecord(timestamp_ms=0, message="m", group="g", kind="report", fields={"type": "platform.report"})
    assert [each.name for each in columns_of([report, report, line(id="o-1")])] == ["id"]


def test_chosen_columns_come_in_the_order_chosen_even_when_no_line_has_them() -> None:
    assert [each.name for each in columns_of(LINES, ("total", "nope"))] == ["total", "nope"]


def test_there_are_only_so_many_columns() -> None:
    assert len(columns_of([line(**{f"f{n}": n for n in range(20)})])) == MAX_COLUMNS


@pytest.mark.parametrize(("path", "value"), [("a.b", 1), ("c.d", 2), ("c.x", None), ("a", {"b": 0}), ("nope", None)])
def test_lookup(path: str, value: object) -> None:
    assert lookup({"a.b": 1, "a": {"b": 0}, "c": {"d": 2}}, path) == value


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("group:=orders", True),
        ("group:=/aws/lambda/orders", True),
        ("group:=order", False),
        ("group:order", True),
        ("group:inbox|orders", True),
        ("!group:=inbox|orders", False),
        ("level:warn|-", True),
        ("id:o-1", True),
        ("id:o-9|o-1", True),
    ],
)
def test_alternatives_and_whole_values(text: str, matches: bool) -> None:
    record = LogRecord(timestamp_ms=0, message="placing o-1", group="/aws/lambda/orders")
    assert parse_filter(text).matches(record) is matches


@pytest.mark.parametrize("field", ["request_id", "trace_id"])
def test_an_id_is_looked_for_wherever_a_line_can_carry_it(field: str) -> None:
    record = LogRecord(timestamp_ms=0, message="m", group="g", **{field: "abc-1"})  # type: ignore[arg-type] # one of two texts
    assert parse_filter("id:abc-1|xyz").matches(record)
    assert not parse_filter("id:abc-2").matches(record)


@pytest.mark.parametrize(
    ("text", "term", "after"),
    [
        ("", "group:=a", "group:=a"),
        ("group:=a", "group:=a", ""),
        ("group:=ab x", "group:=a", "group:=ab x group:=a"),
        ('x "two words" group:=a', "group:=a", 'x "two words"'),
    ],
)
def test_a_term_is_added_or_taken_out_whole(text: str, term: str, after: str) -> None:
    assert toggled(text, term) == after


def test_a_value_with_spaces_is_quoted() -> None:
    record = LogRecord(timestamp_ms=0, message="m", group="my group")
    assert parse_filter(f"group:{quoted('=my group')}").matches(record)


@pytest.mark.parametrize(
    ("text", "message", "hits"),
    [("keyerror", "a KeyError", True), ("/k.y/", "a KEY", True), ("a.c", "abc", False), ("/a.c/", "abc", True)],
)
def test_finding(text: str, message: str, hits: bool) -> None:
    find = parse_find(text)
    assert find is not None
    assert find.hits(message) is hits
    assert find.expression.search(message) is hits


def test_nothing_is_no_search_and_a_broken_one_is_said() -> None:
    assert parse_find("") is None
    with pytest.raises(FilterError, match="is not a regular expression"):
        parse_find("/(/")
