"""`${…}`: what is read, what is filled, what is left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.model.quantity import Duration
from prodwatch.settings.template import (
    Filter,
    Reference,
    TemplateSyntaxError,
    UnresolvedError,
    literal,
    parse_template,
    resolve,
)
from prodwatch.settings.template_filters import FILTERS, TemplateFilterError, as_text, follow_path

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:shop-orders:live"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/outbox"
VALUES: dict[str, Any] = {
    "vars": {
        "api": "https://shop.example/Prod/",
        "n": 5,
        "empty": "",
        "nothing": None,
        "zero": 0,
        "tags": ["a", "b"],
        "body": {"id": "{id}", "n": 1},
        "json": '{"db": {"hosts": ["x", "y"]}}',
        "price": Decimal("1.50"),
        "took": Duration(1_500_000_000),
        "bytes": b"\xff\x00",
    },
    "stack": {"shop": {"Arn": ARN, "Queue": QUEUE, "Literal": "${vars.api} {id}"}},
    "now": NOW,
    "uid": "k7",
}


def lookup(reference: Reference) -> Any:
    try:
        return follow_path(VALUES, (reference.scope, *reference.path))
    except LookupError as error:
        raise UnresolvedError(reference, f"there is no {error}") from error


AGES_AGO = "${now" + " | shift('-36500d')" * 21 + "}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("plain", "plain", id="no reference"),
        pytest.param("{id} $5 $ {", "{id} $5 $ {", id="braces and dollars alone"),
        pytest.param("$${vars.api}", "${vars.api}", id="escaped"),
        pytest.param("$$${vars.n}", "$${vars.n}", id="a dollar before an escaped one"),
        pytest.param("${vars.n}", 5, id="a whole reference keeps its type"),
        pytest.param("${ vars.n }", 5, id="spaces inside"),
        pytest.param("n=${vars.n}", "n=5", id="inside a text"),
        pytest.param("${vars.n}${uid}", "5k7", id="two in a row"),
        pytest.param("${stack.shop.Literal}", "${vars.api} {id}", id="a value is never parsed again"),
        pytest.param("${vars.tags.1}", "b", id="an element"),
        pytest.param("${vars.tags.-1}", "b", id="an element from the end"),
        pytest.param("${vars.tags}!", '["a","b"]!', id="a list inside a text is JSON"),
        pytest.param("${vars.nothing}!", "null!", id="null inside a text"),
        pytest.param("${vars.price}!", "1.50!", id="a decimal inside a text keeps its digits"),
        pytest.param("${vars.took}!", "1.5s!", id="a duration inside a text"),
        pytest.param("${now}!", "2026-11-20T08:00:00Z!", id="a time inside a text"),
        pytest.param("${vars.api | join('health')}", "https://shop.example/Prod/health", id="join: one slash"),
        pytest.param(
            "${vars.api | join('/a/', '/b?x=%20')}", "https://shop.example/Prod/a/b?x=%20", id="join: as it is"
        ),
        pytest.param("${vars.nix | default('x')}", "x", id="default for missing"),
        pytest.param("${vars.empty | default('x')}", "x", id="default for empty"),
        pytest.param("${vars.nothing | default(1.5)}", 1.5, id="default for null, a number"),
        pytest.param("${vars.zero | default(7)}", 0, id="zero is a value"),
        pytest.param("${vars.nix | upper | default('x') | upper}", "X", id="default later in the chain"),
        pytest.param("${vars.nix | default('it\\'s } | here')}", "it's } | here", id="an argument's escapes"),
        pytest.param('${vars.nix | default("x")}', "x", id="an argument in double quotes"),
        pytest.param("${stack.shop.Queue | last_segment}", "outbox", id="last segment of a URL"),
        pytest.param("${vars.api | last_segment}", "Prod", id="last segment, slash at the end"),
        pytest.param("${stack.shop.Arn | last_segment}", "live", id="last segment of an ARN"),
        pytest.param("${stack.shop.Arn | arn('resource')}", "function:shop-orders:live", id="arn resource"),
        pytest.param("${stack.shop.Arn | arn('id')}", "shop-orders:live", id="arn id"),
        pytest.param("${stack.shop.Arn | arn('type')}", "function", id="arn type"),
        pytest.param("${stack.shop.Arn | arn('region')}", "eu-west-1", id="arn region"),
        pytest.param("${vars.body.id | replace('{id}', 'x')}", "x", id="replace"),
        pytest.param("${uid | upper}", "K7", id="upper"),
        pytest.param("${vars.api | lower}", "https://shop.example/prod/", id="lower"),
        pytest.param("${uid | base64}", "azc=", id="base64 of a text"),
        pytest.param("${vars.bytes | base64}", "/wA=", id="base64 of bytes"),
        pytest.param("${vars.body | json}", '{"id":"{id}","n":1}', id="json"),
        pytest.param("${vars.json | parse_json | path('db.hosts.0')}", "x", id="parse_json and path"),
        pytest.param("${vars.json | parse_json | path('db.nix') | default('d')}", "d", id="path to nothing, default"),
        pytest.param("${vars.api | urlencode}", "https%3A%2F%2Fshop.example%2FProd%2F", id="urlencode"),
        pytest.param("${now | shift('-5m')}", datetime(2026, 11, 20, 7, 55, tzinfo=UTC), id="shift"),
        pytest.param("${now | shift('-1d') | format_time('%Y-%m-%d')}", "2026-11-19", id="format_time"),
        pytest.param("${vars.tags | length}", 2, id="length of a list"),
        pytest.param("${uid | length}", 2, id="length of a text"),
        pytest.param({"${uid}": ["${vars.n}", {"a": "x${vars.n}"}]}, {"k7": [5, {"a": "x5"}]}, id="nested, keys too"),
        pytest.param(7, 7, id="a number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_resolve(text: Any, value: Any) -> None:
    found = resolve(text, lookup)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("${", 3, "the closing } is missing"),
        ("a${b", 5, "the closing } is missing"),
        ("${}", 3, "a name such as vars.api is missing"),
        ("${a.}", 5, "a name after the dot is missing"),
        ("${a |}", 6, "the name of a filter is missing"),
        ("${a | fooo}", 7, 'unknown filter "fooo"'),
        ("${a | joyn('x')}", 7, 'unknown filter "joyn" (did you mean "join"?)'),
        ("${a | join}", 7, "filter join: write it as join('path')"),
        ("${a | upper('x')}", 7, "filter upper: write it as upper"),
        ("${a | join('x'}", 15, "the closing ) of the filter is missing"),
        ("${a | join(x)}", 12, "an argument must be a text in single quotes or a number"),
        (
            "${a | arn('nix')}",
            7,
            "filter arn: the part must be one of partition, service, region, account, resource, type, id",
        ),
        ("${a | shift('x')}", 7, 'filter shift: "x" is not a duration; write one like 300ms, 5s, 2m or 1h30m'),
        ("${a | replace(1, 2)}", 7, "filter replace: the argument must be a text in single quotes"),
        ("${a[0]}", 4, "a path consists of dotted names; use .0 for an element, or the filters path and parse_json"),
        ("${a | join('${b}')}", 12, "an argument cannot contain a reference; write one after the other: ${…}/${…}"),
        ("${a b}", 5, '"b" is not expected here; write ${scope.name | filter}, and $${ for a literal ${'),
    ],
)
def test_what_cannot_be_read(text: str, column: int, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(text)
    assert (caught.value.message, caught.value.column) == (message, column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${vars.nix}", "there is no nix"),
        ("${vars.n | arn('id')}", "${vars.n | arn('id')}: filter arn: \"5\" is not an ARN"),
        ("${vars.tags | upper}", "${vars.tags | upper}: filter upper: needs a text, not a list"),
        ("${vars.body | upper}", "${vars.body | upper}: filter upper: needs a text, not a table"),
        ("${vars.nothing | lower}", "${vars.nothing | lower}: filter lower: needs a text, not null"),
        ("${uid | parse_json}", "${uid | parse_json}: filter parse_json: the value is not JSON"),
        ("${vars.body | path('a')}", "${vars.body | path('a')}: filter path: \"a\" of a does not exist"),
        (
            "${vars.n | length}",
            "${vars.n | length}: filter length: needs a text, a list or a table",
        ),
        (
            "${uid | shift('1m')}",
            "${uid | shift('1m')}: filter shift: \"k7\" is not a time such as ${now} or 2026-11-20T08:00:00Z",
        ),
        (AGES_AGO, f"{AGES_AGO}: filter shift: the time is outside the calendar"),
        ("x${vars.bytes}", "${vars.bytes}: the value is not UTF-8 text; use base64"),
        (
            "${vars.n | arn('id') | default('x')}",
            "${vars.n | arn('id') | default('x')}: filter arn: \"5\" is not an ARN",
        ),
    ],
)
def test_what_cannot_be_filled(text: str, message: str) -> None:
    with pytest.raises(UnresolvedError) as caught:
        resolve(text, lookup)
    assert caught.value.message == message
    assert caught.value.reference.source in text


def test_a_template_knows_its_references() -> None:
    template = parse_template("a ${stack.shop.Api | join('x') | default('y')} $${no} ${uid}")
    first, second = template.references
    assert (first.scope, first.path, first.dotted) == ("stack", ("shop", "Api"), "stack.shop.Api")
    assert first.filters == (Filter("join", ("x",)), Filter("default", ("y",)))
    assert first.has_default
    assert not second.has_default
    assert first.source == "${stack.shop.Api | join('x') | default('y')}"
    assert (first.column, second.column) == (3, 55)
    assert not template.is_whole
    assert parse_template("${uid}").is_whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (date(2026, 11, 20), "2026-11-20"),
        (datetime(2026, 11, 20, 8), "2026-11-20T08:00:00"),  # noqa: DTZ001 -- as TOML has local times
        (
            {"t": NOW, "d": Decimal("1.50"), "i": Decimal(3), "s": Duration(2)},
            '{"t":"2026-11-20T08:00:00Z","d":1.50,"i":3,"s":"2ns"}',
        ),
        (b"ok", "ok"),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert as_text(value) == text


@settings(deadline=None)
@given(st.text())
def test_a_literal_means_itself(text: str) -> None:
    assert resolve(literal(text), lookup) == text


@settings(deadline=None)
@given(st.text(st.sampled_from("${}|.'\"\\()ab, \n"), max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        template = parse_template(text)
    except TemplateSyntaxError as error:
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017 -- refusing is one of two right answers
    else:
        written = "".join(part.source if isinstance(part, Reference) else literal(part) for part in template.parts)
        assert parse_template(written).parts == template.parts


@settings(deadline=None)
@given(
    st.sampled_from(sorted(FILTERS)),
    st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.floats(),
        st.binary(),
        st.lists(st.text()),
        st.datetimes(),
        st.booleans(),
    ),
)
def test_no_value_makes_a_filter_crash(name: str, value: Any) -> None:
    known = FILTERS[name]
    arguments = {"arn": ("id",), "shift": ("1h",), "replace": ("a", "b"), "path": ("a.0",)}.get(
        name, ("x",) * known.least
    )
    known.check(*arguments)
    try:
        known.apply(value, *arguments)
    except TemplateFilterError as error:
        assert str(error)  # noqa: PT017 -- refusing is one of two right answers
