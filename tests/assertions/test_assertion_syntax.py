from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from prodwatch.assertions import AssertionSyntaxError, evaluate, parse, parse_path
from prodwatch.model.quantity import Duration


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("status==200", "status == 200"),
        ("  a . b [ 0 ]\t==  'x' ", "a.b[0] == 'x'"),
        ("a not   in ['x' ,'y']", "a not in ['x', 'y']"),
        ("a starts\twith 'x'", "a starts with 'x'"),
        ('a == "x"', "a == 'x'"),
        ('a == "it\'s"', 'a == "it\'s"'),
        (r"a == 'it\'s'", 'a == "it\'s"'),
        (r"a matches '\d+'", r'a matches "\\d+"'),
        ("a == {'k':[1,2] , \"l\" : null}", "a == {'k': [1, 2], 'l': null}"),
        ('a == `{"k": 1}`', "a == {'k': 1}"),
        ("a[?b==`1`&&c=='x'].d == []", "a[?b == `1` && c == 'x'].d == []"),
        ('a[?b==`"x"`] exists', "a[?b == 'x'] exists"),
        ("a.{x:b,y:c} exists", "a.{x: b, y: c} exists"),
        ("a[1:2] exists", "a[1:2] exists"),
        ("join(',',a)=='x'", "join(',', a) == 'x'"),
        ('a."b c"."d" exists', 'a."b c"."d" exists'),
        ("sort_by(a,&b)[0] exists", "sort_by(a, &b)[0] exists"),
        ("a|b||c exists", "a | b || c exists"),
        ("all a.b between 1 and 2", "all a.b between 1 and 2"),
        ("a between  1ms  and  ${x}s", "a between 1ms and ${x}s"),
        ("a == '$${x}'", "a == '$${x}'"),
        ("a == 'b ${x | default('}')} c'", "a == 'b ${x | default('}')} c'"),
        ("a ==  10kB", "a == 10kB"),
        ("a > 2026-01-15t12:00:00z", "a > 2026-01-15T12:00:00Z"),
        ("a is string", "a is string"),
        ("a[?b > `300ms`] exists", "a[?b > `300ms`] exists"),
    ],
)
def test_canonical_print(source: str, printed: str) -> None:
    assert str(parse(source)) == printed
    assert str(parse(printed)) == printed


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("0", 0),
        ("-5", -5),
        ("1.50", Decimal("1.50")),
        ("1e3", Decimal(1000)),
        ("'a\\'b'", "a'b"),
        ("'a\\nb'", "a\\nb"),
        ('"a\\nb"', "a\nb"),
        ("'a\nb'", "a\nb"),
        ("'é ☃'", "é ☃"),
        ("'$${x}'", "${x}"),
        ("'$$x'", "$$x"),
        ("'100%'", "100%"),
        ("[]", []),
        ("{}", {}),
        ("[ 1 , [ 'a' ] ]", [1, ["a"]]),
        ("`5`", 5),
        ("5ns", Duration(5)),
        ("5us", Duration(5_000)),
        ("5µs", Duration(5_000)),
        ("1.5ms", Duration(1_500_000)),
        ("2m", Duration(120 * 10**9)),
        ("1h30m", Duration(5400 * 10**9)),
        ("-1h30m", Duration(-5400 * 10**9)),
        ("3d", Duration(3 * 86400 * 10**9)),
        ("512B", 512),
        ("1.5kB", 1500),
        ("2MB", 2 * 10**6),
        ("2GB", 2 * 10**9),
        ("2TB", 2 * 10**12),
        ("2KiB", 2 * 2**10),
        ("2MiB", 2 * 2**20),
        ("2GiB", 2 * 2**30),
        ("2TiB", 2 * 2**40),
        ("5%", Decimal("0.05")),
        ("0.1%", Decimal("0.001")),
        ("100%", 1),
        ("2026-01-15T12:00:00Z", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("2026-01-15T13:00:00.5+01:00", datetime(2026, 1, 15, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-01-15T12:00:00.123456000Z", datetime(2026, 1, 15, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_literal(literal: str, value: Any) -> None:
    found = parse(f"a == {literal}").expected(())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "holes", "values", "expected"),
    [
        ("a == ${x}", ("${x}",), [5], 5),
        ("a == '${x}'", ("${x}",), [5], "5"),
        ("a == '${x} ${y}'", ("${x}", "${y}"), [None, [1, "b"]], 'null [1,"b"]'),
        ("a == '${x}'", ("${x}",), [Duration.from_ms(5)], "5ms"),
        ("a == '${x}'", ("${x}",), [Decimal("1.50")], "1.50"),
        ("a == '${x}'", ("${x}",), [True], "true"),
        ("a == '${x}'", ("${x}",), [datetime(2026, 1, 15, tzinfo=UTC)], "2026-01-15T00:00:00Z"),
        ("a == ${x}ms", ("${x}",), [5], Duration.from_ms(5)),
        ("a == ${x}ms", ("${x}",), [0.5], Duration(500_000)),
        ("a == ${x}%", ("${x}",), [5], Decimal("0.05")),
        ("a == [${x}, {'${y}': ${z}}]", ("${x}", "${y}", "${z}"), [1, "k", None], [1, {"k": None}]),
        ("a == ${x | replace('{id}', \"}\")}", ("${x | replace('{id}', \"}\")}",), ["v"], "v"),
        ("b[?c == '${x}'].d == ${y}", ("${x}", "${y}"), ["1", 2], 2),
        ("a between ${x} and ${y}", ("${x}", "${y}"), [1, 2], [1, 2]),
        ('a == "\\u00e9${x}\\n"', ("${x}",), ["'"], "é'\n"),
    ],
)
def test_holes(source: str, holes: tuple[str, ...], values: list[Any], expected: Any) -> None:
    parsed = parse(source)
    assert parsed.holes == holes
    assert parsed.expected(values) == expected


@pytest.mark.parametrize(
    ("source", "fields", "operator"),
    [
        ("status == 200", {"status"}, "=="),
        ("json.status == 200", {"json"}, "=="),
        ("header('x') exists", {"headers"}, "exists"),
        ("any headers('x') contains 'y'", {"headers"}, "contains"),
        ("steps.post.header('x') exists", {"steps"}, "exists"),
        ("length(json.status) > 1", {"json"}, ">"),
        ("json[?status == `1`] exists", {"json"}, "exists"),
        ("sort_by(items, &status)[0] exists", {"items"}, "exists"),
        ("(status || code) not in [1]", {"status", "code"}, "not in"),
        ("[status, json.id] == [1, 2]", {"status", "json"}, "=="),
        ("{a: status} includes {'a': 1}", {"status"}, "includes"),
        ("@.status == 1", {"status"}, "=="),
        ("@ | status == 1", {"status"}, "=="),
        ("status | @ == 1", {"status"}, "=="),
        ('"status" == 1', {"status"}, "=="),
        ("phases.* contains 1ms", {"phases"}, "contains"),
        ("parse_json(body).id == 1", {"body"}, "=="),
        ("!function_error == true", {"function_error"}, "=="),
        ("function_error absent", {"function_error"}, "absent"),
        ("all exists exists", {"exists"}, "exists"),
        ("exists == true", {"exists"}, "=="),
        ("all == 1", {"all"}, "=="),
        ("in in ['x']", {"in"}, "in"),
        ("is is string", {"is"}, "is"),
    ],
)
def test_fields_and_operator(source: str, fields: set[str], operator: str) -> None:
    parsed = parse(source)
    assert parsed.fields == fields
    assert parsed.operator == operator
    assert parsed.source == source


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("", 1, "begins with a path"),
        ("   ", 1, "begins with a path"),
        ("== 5", 1, "begins with a path"),
        ("status ==", 10, "a value is missing"),
        ("status == ", 11, "a value is missing"),
        ("status == 200 201", 15, "`201` follows the end"),
        ("status == 200 and latency < 1s", 15, "one assertion per claim"),
        ("status exists 5", 15, "follows the end"),
        ("status == True", 11, "write `true` instead of `True`"),
        ("a == None", 6, "write `null`"),
        ("a == 'x", 6, "the text that begins with ' is never closed"),
        ('a == "x\\q"', 6, "follows JSON"),
        ("a == [1, 2", 6, "the `[` here is never closed; add `]`"),
        ("a == [1 2]", 9, "`,` or `]` is expected"),
        ("a == [,]", 7, "is not a value"),
        ("a == {'a' 1}", 11, "`:` is expected"),
        ("a == {a: 1}", 7, "a key in quotes"),
        ("a == {'a': 1, 'a': 2}", 6, "a key appears twice"),
        ("a == 007", 6, "is not a number"),
        ("a == 1.", 6, "is not a number"),
        ("a == .5", 6, "is not a number"),
        ("a == +5", 6, "is not a number"),
        ("a == 5seconds", 6, "unknown unit"),
        ("a == 5 s", 8, "follows the end"),
        ("a == 0.5ns", 6, "finer than a nanosecond"),
        ("a == 2026-01-15", 6, "not a complete time; write one like 2026-01-15T12:00:00Z"),
        ("a == 2026-01-15T12:00:00", 6, "not a complete time"),
        ("a == 2026-02-30T12:00:00Z", 6, "not a valid time"),
        ("a == 2026-01-15T12:00:00.1234567Z", 6, "six digits"),
        ("a == ${}", 6, "names nothing"),
        ("a == ${x", 6, "never closed"),
        ("a == '${x'", 7, "never closed"),
        ("a == ${x | default('y)}", 6, "never closed"),
        ("a between 1", 12, "`between` needs two values"),
        ("a between 1 and", 16, "a value is missing"),
        ("a between 1 and 2s", 11, "must be of one kind"),
        ("a between 'x' and 'y'", 11, "not a string"),
        ("a in []", 6, "needs a non-empty"),
        ("a contains ''", 12, "needs a non-empty"),
        ("a includes {}", 12, "needs a non-empty"),
        ("a includes 5", 12, "an object or a list, not a number"),
        ("a equals unordered 5", 20, "needs a list"),
        ("a starts with 5", 15, "needs a text in quotes, not a number"),
        ("a in {'a': ${x}}", 6, "needs a list"),
        ("a < [${x}]", 5, "not an array"),
        ("a is", 5, "`is` needs a type"),
        ("a is number 5", 13, "follows the end"),
        ("a is not null", 6, "write `!= null`"),
        ("a not matches 'x'", 3, "`not` goes with `in` and `contains`"),
        ("a ~= 'x'", 3, "`matches '…'`"),
        ("a === 1", 3 + 2, "`===` is not an operator"),
        ("a foo 1", 3, "operators are"),
        ("a.b. == 1", 6, "the path is not finished before `==`"),
        ("a | exists", 11, "an operator is missing"),
        ("(a exists", 1, "never closed"),
        ("a..b == 1", 3, "is not expected here"),
        ("a 'x' == 1", 3, "is not expected here"),
        ("a[ ] == 1", 4, "is not expected here"),
        ("a) == 1", 2, "has no opening bracket"),
        ("a[0) == 1", 4, "does not close the `[` of column 2; `]` does"),
        ("a[::0] == 1", 1, "cannot step by 0"),
        ("&a == 1", 1, "is allowed only in functions"),
        ("zzz(a) == 1", 1, "there is no function zzz(); there are abs"),
        ("floot(a) == 1", 1, "did you mean floor()?"),
        ("join(a) == 1", 1, "join() takes 2 arguments, not 1"),
        ("not_null() == 1", 1, "takes at least 1 argument, not 0"),
        ("length(&a) == 1", 1, "takes no expression as argument 1"),
        ("sort_by(a, b) == 1", 1, "needs an expression as argument 2"),
        ("a[?b == `x y z!`] exists", 10, "is not a value"),
        ("a[?b == `1] exists", 9, "never closed"),
        ("a == %5", 6, "is not a value"),
    ],
)
def test_mistakes_are_reported_with_their_column(source: str, column: int, words: str) -> None:
    with pytest.raises(AssertionSyntaxError) as caught:
        parse(source)
    assert words in caught.value.message
    assert caught.value.column == column
    assert str(caught.value) == caught.value.message


@pytest.mark.parametrize("source", ["", "a ==", "a b", "a[", "a == 1 ==", "foo(a)"])
def test_a_path_alone_is_held_to_the_same_rules(source: str) -> None:
    with pytest.raises(AssertionSyntaxError):
        parse_path(source)


@pytest.mark.parametrize(
    ("source", "holes", "document", "shown"),
    [
        ("a[?b == ${x}] | [0].b == 5", [5], {"a": [{"b": 5}]}, "a[?b == `5`] | [0].b == 5"),
        ("a[?b < ${x}ms] | [0] exists", [6], {"a": [{"b": Duration(5)}]}, "a[?b < `6ms`] | [0] exists"),
        ("a[?b == `['${x}']`] | [0] exists", ["`"], {"a": [{"b": ["`"]}]}, "a[?b == `['`']`] | [0] exists"),
        ('a."${x}".c == 1', ["x.y"], {"a": {"x.y": {"c": 1}}}, 'a."x.y".c == 1'),
        ("a.{'${x}': b} == {'z': 1}".replace("'", '"'), ["z"], {"a": {"b": 1}}, "a.{\"z\": b} == {'z': 1}"),
        ("${x}[0].id == 1", [[{"id": 1}]], {}, "`[{'id': 1}]`[0].id == 1"),
        ("contains(['a', '${x}'], b) == true", ["q"], {"b": "q"}, "contains(['a', 'q'], b) == true"),
    ],
)
def test_holes_in_paths(source: str, holes: list[Any], document: Any, shown: str) -> None:
    parsed = parse(source)
    assert parse(str(parsed)) == parsed
    result = evaluate(parsed, document, holes=holes)
    assert (result.ok, result.expression) == (True, shown)


def test_a_path_may_hold_comparisons_and_holes() -> None:
    path = parse_path("items[?id == '${x}'] | [0].name")
    assert path.holes == ("${x}",)
    assert path.fields == {"items"}
    assert path.read({"items": [{"id": "7", "name": "tea"}]}, holes=["7"]) == "tea"
    assert parse_path("status == `200`").read({"status": 200}) is True


def test_equal_texts_are_parsed_once() -> None:
    assert parse("status == 200") is parse("status == 200")
    assert parse("status==200") == parse("status == 200")
    assert hash(parse("status==200")) == hash(parse("status == 200"))
    assert parse("status == 200") != parse("status == 201")
    assert parse("status == 200") != "status == 200"
    assert parse_path("a . b") == parse_path("a.b")


@pytest.mark.parametrize(("length", "shown"), [(40, "x" * 40), (41, "x" * 39 + "…")])
def test_a_text_that_is_not_a_value_is_shown_in_40_characters(length: int, shown: str) -> None:
    with pytest.raises(AssertionSyntaxError) as caught:
        parse(f"a == {'x' * length}")
    assert shown in str(caught.value)
    assert "x" * 41 not in str(caught.value)
