"""Each family of JMESPath expressions, against documents of our own; results are those of the language's specification.

`None` stands for the specification's null where nothing was found: here that is MISSING, and the test says which.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jmespath
import pytest

from prodwatch.assertions import MISSING, AssertionSyntaxError, evaluate, parse, parse_path
from prodwatch.assertions.errors import PathError
from prodwatch.assertions.jmespath_interpreter import Evaluation
from prodwatch.model.quantity import Duration, Headers

SHOP: dict[str, Any] = {
    "name": "shop",
    "open": True,
    "closed": False,
    "owner": None,
    "rating": 4,
    "address": {"city": "Graz", "geo": {"lat": 47, "lon": 15}, "zip code": "8010"},
    "empty": {"list": [], "object": {}, "text": ""},
    "stock": [
        {"sku": "t1", "kind": "tea", "count": 5, "sizes": [1, 2], "tags": {"hot": True}},
        {"sku": "m1", "kind": "milk", "count": 0, "sizes": [1]},
        {"sku": "b1", "kind": "bread", "count": 12, "sizes": [], "tags": {"fresh": True, "hot": False}},
    ],
    "grid": [[1, 2], [3, [4, 5]], 6],
    "words": ["delta", "alpha", "charlie"],
    "mixed": [1, "a", None, True],
    "numbers": [3, -1, 2],
}

IDENTIFIERS = [
    ("name", "shop"),
    ("address.city", "Graz"),
    ("address . geo . lat", 47),
    ('address."zip code"', "8010"),
    ('"address"."geo"."lon"', 15),
    ("name.first", None),
    ("nothing.at.all", None),
    ("owner.name", None),
    ("stock.sku", None),
]
INDICES = [
    ("stock[0].sku", "t1"),
    ("stock[-1].sku", "b1"),
    ("stock[3]", None),
    ("stock[-4]", None),
    ("name[0]", None),
    ("grid[1][1][0]", 4),
    ("address[0]", None),
    ("[0]", None),
]
SLICES = [
    ("numbers[1:]", [-1, 2]),
    ("numbers[:-1]", [3, -1]),
    ("numbers[::2]", [3, 2]),
    ("numbers[::-1]", [2, -1, 3]),
    ("numbers[5:]", []),
    ("numbers[-100:100]", [3, -1, 2]),
    ("stock[1:].sku", ["m1", "b1"]),
    ("name[1:]", None),
    ("stock[:2].sizes[0]", [1, 1]),
]
PROJECTIONS = [
    ("stock[*].sku", ["t1", "m1", "b1"]),
    ("stock[*].tags", [{"hot": True}, {"fresh": True, "hot": False}]),
    ("stock[*].tags.hot", [True, False]),
    ("stock[*].nothing", []),
    ("stock[*].sizes[0]", [1, 1]),
    ("stock[*].sizes[*]", [[1, 2], [1], []]),
    ("empty.list[*].x", []),
    ("name[*]", None),
    ("address.*", ["Graz", {"lat": 47, "lon": 15}, "8010"]),
    ("address.*.lat", [47]),
    ("address.geo.*", [47, 15]),
    ("stock[*].tags.*", [[True], [True, False]]),
    ("name.*", None),
    ("empty.object.*", []),
    ("*.city", ["Graz"]),
]
FLATTEN = [
    ("grid[]", [1, 2, 3, [4, 5], 6]),
    ("grid[][]", [1, 2, 3, 4, 5, 6]),
    ("stock[].sizes[]", [1, 2, 1]),
    ("stock[*].sizes[]", [1, 2, 1]),
    ("name[]", None),
    ("[numbers, words][]", [3, -1, 2, "delta", "alpha", "charlie"]),
]
FILTERS = [
    ("stock[?count > `4`].sku", ["t1", "b1"]),
    ("stock[?kind == 'milk'].sku", ["m1"]),
    ("stock[?kind != 'milk'].sku", ["t1", "b1"]),
    ("stock[?tags.hot].sku", ["t1"]),
    ("stock[?tags].sku", ["t1", "b1"]),
    ("stock[?!tags].sku", ["m1"]),
    ("stock[?tags == `null`].sku", ["m1"]),
    ("stock[?sizes == `[]`].sku", ["b1"]),
    ("stock[?count > `1` && tags.hot].sku", ["t1"]),
    ("stock[?count > `10` || tags.hot].sku", ["t1", "b1"]),
    ("stock[?(count > `10` || tags.hot) && kind == 'tea'].sku", ["t1"]),
    ("stock[?kind < 'milk'].sku", ["b1"]),
    ("stock[?count >= kind].sku", []),
    ("mixed[?@ == `1`]", [1]),
    ("mixed[?@]", [1, "a", True]),
    ("stock[?sizes[?@ > `1`]].sku", ["t1"]),
    ("stock[?contains(sizes, `2`)].sku", ["t1"]),
    ("name[?x]", None),
    ("empty.list[?x]", []),
]
BOOLEANS = [
    ("open && rating", 4),
    ("closed && rating", False),
    ("closed || rating", 4),
    ("nothing || name", "shop"),
    ("empty.text || empty.list || empty.object || name", "shop"),
    ("nothing || owner", None),
    ("!open", False),
    ("!closed", True),
    ("!rating", False),
    ("!empty.list", None),
    ("!(empty.list)", True),
    ("rating == `4`", True),
    ("rating != `4`", False),
    ("rating < `5`", True),
    ("rating >= `5`", False),
    ("name == 'shop' && rating > `3`", True),
    ("rating == '4'", False),
    ("open == `1`", False),
    ("numbers == `[3, -1, 2]`", True),
    ('address.geo == `{"lon": 15, "lat": 47}`', True),
    ("name < `5`", None),
    ("open < closed", None),
]
PIPES = [
    ("stock | [0].sku", "t1"),
    ("stock[*].sizes | [0]", [1, 2]),
    ("stock[*].sizes[0] | [1]", 1),
    ("address | geo | lat", 47),
    ("nothing | name", None),
    ("stock[*].sku | length(@)", 3),
]
MULTISELECT = [
    ("[name, rating]", ["shop", 4]),
    ("address.[city, geo.lat]", ["Graz", 47]),
    ("{n: name, r: rating}", {"n": "shop", "r": 4}),
    ("stock[*].{id: sku, n: count} | [0]", {"id": "t1", "n": 5}),
    ('{"a b": name}', {"a b": "shop"}),
    ("stock[*].[sku, count] | [1]", ["m1", 0]),
    ("nothing.[a]", None),
    ("owner.{a: b}", None),
    ("[name, nothing]", ["shop", None]),
]
LITERALS = [
    ("`1`", 1),
    ("`1.5`", 1.5),
    ('`"text"`', "text"),
    ("`word`", "word"),
    ("'raw'", "raw"),
    (r"'it\'s'", "it's"),
    ('`[1, {"a": null}]`', [1, {"a": None}]),
    ("`true`", True),
    ('`"\\u00e9"`', "é"),
    ('`"a\\`b"`', "a`b"),
    ("@.name", "shop"),
    ('`{"a": {"b": 5}}`.a.b', 5),
]
FUNCTIONS = [
    ("abs(numbers[1])", 1),
    ("avg(numbers[1:])", 0.5),
    ("avg(`[1, 2]`)", 1.5),
    ("avg(empty.list)", None),
    ("ceil(`1.2`)", 2),
    ("floor(`-1.2`)", -2),
    ("contains(words, 'alpha')", True),
    ("contains(name, 'ho')", True),
    ("contains(name, rating)", False),
    ("contains(mixed, `null`)", True),
    ("contains(mixed, `false`)", False),
    ("ends_with(name, 'op')", True),
    ("starts_with(name, 'op')", False),
    ("join('-', words)", "delta-alpha-charlie"),
    ("join('-', empty.list)", ""),
    ("keys(address.geo)", ["lat", "lon"]),
    ("values(address.geo)", [47, 15]),
    ("length(name)", 4),
    ("length(stock)", 3),
    ("length(address)", 3),
    ("map(&count, stock)", [5, 0, 12]),
    ("map(&tags.fresh, stock)", [None, None, True]),
    ("max(numbers)", 3),
    ("max(words)", "delta"),
    ("max(empty.list)", None),
    ("min(numbers)", -1),
    ("max_by(stock, &count).sku", "b1"),
    ("min_by(stock, &sku).sku", "b1"),
    ("max_by(empty.list, &x)", None),
    ('merge(address.geo, `{"lat": 1}`)', {"lat": 1, "lon": 15}),
    ("not_null(nothing, owner, name)", "shop"),
    ("reverse(words)", ["charlie", "alpha", "delta"]),
    ("reverse(name)", "pohs"),
    ("sort(words)", ["alpha", "charlie", "delta"]),
    ("sort(numbers)", [-1, 2, 3]),
    ("sort_by(stock, &count)[*].sku", ["m1", "t1", "b1"]),
    ("sort_by(stock, &kind)[0].sku", "b1"),
    ("sum(numbers)", 4),
    ("sum(empty.list)", 0),
    ("to_array(name)", ["shop"]),
    ("to_array(words)", ["delta", "alpha", "charlie"]),
    ("to_number('1.50')", 1.5),
    ("to_number('1e2')", 100),
    ("to_number('x')", None),
    ("to_number(rating)", 4),
    ("to_string(address.geo)", '{"lat":47,"lon":15}'),
    ("to_string(name)", "shop"),
    ("type(rating)", "number"),
    ("type(open)", "boolean"),
    ("type(owner)", "null"),
    ("type(stock)", "array"),
]
FAMILIES: dict[str, list[tuple[str, Any]]] = {
    "identifiers": IDENTIFIERS,
    "indices": INDICES,
    "slices": SLICES,
    "projections": PROJECTIONS,
    "flatten": FLATTEN,
    "filters": FILTERS,
    "booleans": BOOLEANS,
    "pipes": PIPES,
    "multiselect": MULTISELECT,
    "literals": LITERALS,
    "functions": FUNCTIONS,
}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        pytest.param(query, value, id=f"{family}: {query}")
        for family, cases in FAMILIES.items()
        for query, value in cases
    ],
)
def test_family(query: str, value: Any) -> None:
    path = parse_path(query)
    found = path.read(SHOP)
    if value is None and query != "nothing || owner":
        assert found is MISSING
    else:
        assert found == value
        assert found is not MISSING
    assert parse_path(str(path)).read(SHOP) == found


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("query", [query for cases in FAMILIES.values() for query, _ in cases])
def test_jmespath_agrees(query: str) -> None:
    found = parse_path(query).read(SHOP)
    try:
        theirs = jmespath.search(query, SHOP)
    except TypeError:
        # jmespath breaks where it compares a number with a text; ours has no value there, or says false.
        assert found in (MISSING, False, [])
    else:
        assert (None if found is MISSING else found) == theirs


@pytest.mark.parametrize(
    "query",
    [
        *(
            "a.",
            ".a",
            "a..b",
            "a[",
            "a]",
            "a[b",
            "a[0",
            "a['b']",
            "a.[",
            "[a",
            "{a}",
            "{a: }",
            "{1: a}",
            "(a",
            "a)",
            "a |",
        ),
        *(
            "| a",
            "a ||",
            "&& a",
            "a == ",
            "!",
            "a.'b'",
            "a.`1`",
            "foo(",
            "length(a",
            "length()",
            "length(a, b)",
            "*a",
            "a*",
        ),
        *(
            "a b",
            "a.0",
            "a[*",
            "[?a",
            "a[?]",
            "`1",
            "'a",
            '"a',
            '"\\q"',
            "a[1.5]",
            "a[:::]",
            "unknown(a)",
            "@foo",
            "a-b",
        ),
        *("sort_by(a, b)", "map(a, b)", "&a", "length(&a)", '"f"(a)', "a.b.f(", "a & b", "a = b", "a[0:0:0]"),
    ],
)
def test_no_path(query: str) -> None:
    with pytest.raises(AssertionSyntaxError):
        parse_path(query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("abs(name)", "abs() takes a number or a duration, and its argument is a string"),
        ("avg(words)", "avg() takes an array of numbers or durations, and its argument contains string"),
        ("sum(mixed)", "its argument contains boolean, null, number and string"),
        ("sort(mixed)", "sort() takes an array of numbers, strings, durations or times"),
        (
            "sort_by(stock, &tags)",
            "sort_by() needs numbers, strings, durations or times, all of one kind, and got an object",
        ),
        ("max_by(stock, &nothing)", "and got missing"),
        ("length(rating)", "length() takes a string, an array or an object, and its argument is a number"),
        ("length(nothing)", "its argument is missing: `nothing` is missing: the document has `name`"),
        ("join('-', numbers)", "join() takes an array of strings"),
        ("keys(words)", "keys() takes an object, and its argument is an array"),
        ("map(&x, name)", "map() takes an array"),
        ("split(name, '')", "split() needs a separator"),
        ("parse_json(name)", "parse_json() needs JSON, and this text is not JSON"),
        ("parse_time(name)", "a time is written as in 2026-01-15T12:00:00Z"),
        ("age(name)", "age() needs the time of the measurement"),
        ("header('x')", "header() reads the field `headers`, which is missing here"),
        ("ceil(to_number('1e9999'))", "ceil() cannot compute with 1E+9999"),
    ],
)
def test_a_function_that_meets_a_wrong_type_says_so(query: str, words: str) -> None:
    path = parse_path(query)
    assert path.read(SHOP) is MISSING
    assert words in path.explain(SHOP)


TYPED: dict[str, Any] = {
    "prices": [Decimal("0.10"), Decimal("0.20")],
    "floats": [0.1, 0.2],
    "spans": [Duration.from_ms(30), Duration.from_ms(10)],
    "times": [datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 1, 15, 11, tzinfo=UTC)],
    "big": [10**30, Decimal("1e-30")],
    "lines": [{"took": Duration.from_ms(30), "id": 1}, {"took": Duration.from_ms(10), "id": 2}],
    "headers": Headers((("Date", "Thu, 15 Jan 2026 11:59:00 GMT"), ("X-A", "1"), ("x-a", "2"))),
    "body": '{"n": 0.1, "deep": "{\\"m\\": 2}"}',
    "raw": b'{"n": 1}',
    "arn": "arn:aws:sqs:eu-west-1:123456789012:inbox",
    "function": "arn:aws:lambda:eu-west-1:123456789012:function:orders",
    "url": "https://host:8080/a/b/",
    "created": "2026-01-15T12:30:00+01:00",
    "steps": {"post": {"headers": {"X-Id": "7"}}},
}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("sum(prices)", Decimal("0.30")),
        ("sum(floats)", Decimal("0.3")),
        ("avg(prices)", Decimal("0.15")),
        ("sum(big)", Decimal("1000000000000000000000000000000.000000000000000000000000000001")),
        ("abs(`-1.50`)", Decimal("1.50")),
        ("max(spans)", Duration.from_ms(30)),
        ("avg(spans)", Duration.from_ms(20)),
        ("sum(spans)", Duration.from_ms(40)),
        ("abs(spans[0])", Duration.from_ms(30)),
        ("sort(spans)[0]", Duration.from_ms(10)),
        ("min(times)", datetime(2026, 1, 15, 11, tzinfo=UTC)),
        ("max_by(lines, &took).id", 1),
        ("sort_by(lines, &took)[*].id", [2, 1]),
        ("lines[?took > `20ms`].id", [1]),
        ("times[?@ > `2026-01-15T11:30:00Z`] | length(@)", 1),
        ("type(spans[0])", "duration"),
        ("type(times[0])", "time"),
        ("type(raw)", "binary"),
        ("type(headers)", "object"),
        ("to_string(spans[0])", "30ms"),
        ("to_string(times[0])", "2026-01-15T12:00:00Z"),
        ("header('DATE')", "Thu, 15 Jan 2026 11:59:00 GMT"),
        ("headers('x-a')", ["1", "2"]),
        ("headers('x-b')", MISSING),
        ('headers."X-A"', "1"),
        ("keys(headers)", ["date", "x-a"]),
        ("steps.post.header('x-id')", "7"),
        ("age(header('date'))", Duration(60 * 10**9)),
        ("age(created)", Duration(30 * 60 * 10**9)),
        ("age(times[1])", Duration(3600 * 10**9)),
        ("parse_time(created)", datetime(2026, 1, 15, 11, 30, tzinfo=UTC)),
        ("parse_json(body).n", Decimal("0.1")),
        ("parse_json(parse_json(body).deep).m", 2),
        ("parse_json(raw).n", 1),
        ("last_segment(arn)", "inbox"),
        ("last_segment(function)", "orders"),
        ("last_segment(url)", "b"),
        ("split(arn, ':')[3]", "eu-west-1"),
        ("upper(split(arn, ':')[2])", "SQS"),
        ("`0.1`", Decimal("0.1")),
        ("`12345678901234567890.123456789`", Decimal("12345678901234567890.123456789")),
    ],
)
def test_exact_numbers_durations_times_and_our_functions(query: str, value: Any) -> None:
    found = parse_path(query).read(TYPED, now=datetime(2026, 1, 15, 12, tzinfo=UTC))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["NaN", "[1", "{'a': 1}", "", "\x00", "[" * 100_000, "1e99999999999999999999"])
def test_a_text_that_is_not_json_is_reported_and_not_raised(text: str) -> None:
    path = parse_path("parse_json(body).a")
    assert path.read({"body": text}) is MISSING
    assert path.explain({"body": text})


@pytest.mark.parametrize(
    "text", ["2026-13-01T00:00:00Z", "Thu, 99 Jan 2026 11:59:00 GMT", "Thu, 15 Foo 2026 11:59:00 GMT", "now"]
)
def test_a_text_that_is_not_a_time_is_reported_and_not_raised(text: str) -> None:
    with pytest.raises(PathError, match="time"):
        parse_path("parse_time(t)").resolve({"t": text}, Evaluation())


def test_a_time_without_a_zone_has_no_age() -> None:
    naive = datetime(2026, 1, 15)  # noqa: DTZ001 -- a time without a zone is the case
    assert "has no zone" in parse_path("age(t)").explain({"t": naive}, now=datetime(2026, 1, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("path", "has_value"),
    [
        ("items", True),
        ("nothing", True),
        ("gone", False),
        ("length(items[?id == `7`])", True),
        ("length(items[?typo == `7`])", False),
        ("items[?typo == `7`]", False),
        ("length(gone)", False),
    ],
)
def test_a_path_has_a_value_only_when_it_leads_somewhere_by_fields_that_exist(path: str, has_value: bool) -> None:
    assert parse_path(path).has_value({"items": [{"id": 7}], "nothing": None}) is has_value


INDEXED = {"items": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}]}


@pytest.mark.parametrize(
    ("claim", "index", "ok"),
    [
        ("items[${captured.i}].id == 2", 1, True),
        ("items[${captured.i}].id == 2", -1, True),
        ("items[${captured.i}].id == 2", Decimal("1.0"), True),
        ("items[${captured.i}].id == 1", 1, False),
        ("items[*].tags[${captured.i}] == ['a', 'c']", 0, True),
        ("items | [${captured.i}].id == 2", 1, True),
        ("items[?id == `2`] | [${captured.i}].id == 2", 0, True),
        ("length(items[${captured.i}].tags) == 2", 0, True),
        ("items[ ${captured.i} ].id exists", 0, True),
        ("items[${captured.i}].id exists", 7, False),
        ("[${captured.i}] == [1]", 1, True),
        ("items.[${captured.i}] == [1]", 1, True),
    ],
)
def test_D_a_reference_between_brackets_is_an_index(claim: str, index: object, ok: bool) -> None:
    assertion = parse(claim)
    assert evaluate(assertion, INDEXED, holes=[index]).ok is ok
    assert parse(str(assertion)) == assertion


@pytest.mark.parametrize("index", ["1", 1.5, True, None, [1], float("nan"), float("inf"), Decimal("NaN")])
def test_D_an_index_that_is_not_a_whole_number_holds_for_nothing(index: object) -> None:
    for claim in ("items[${captured.i}].id == 2", "items[${captured.i}].id absent", "items[${captured.i}] != 3"):
        result = evaluate(parse(claim), INDEXED, holes=[index])
        assert result.ok is False
        assert "an index must be a whole number, and ${captured.i} is" in (result.message or "")


def test_D_an_index_from_a_reference_decides_nothing_of_what_was_read_in_part() -> None:
    for claim in ("items[${captured.i}].id == 1", "items[${captured.i}].id != 1", "items[${captured.i}].x absent"):
        assert evaluate(parse(claim), INDEXED, holes=[-1], complete=False).ok is None
