"""What references brought, made into what a key asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.model.quantity import Duration
from prodwatch.model.spec import Key, ProbeSpec
from prodwatch.settings import fit_params
from prodwatch.settings.text_conversion import fit

KINDS = ("text", "integer", "number", "boolean", "duration", "size", "list", "table", "any", "texts")


def key(kind: Any, **more: Any) -> Key:
    return Key(name="k", kind=kind, doc="", **more)


@pytest.mark.parametrize(
    ("kind", "value", "convert_filled"),
    [
        ("integer", "5432", 5432),
        ("integer", "-1", -1),
        ("integer", 7, 7),
        ("number", "1.5", 1.5),
        ("number", "3", 3),
        ("number", Decimal("1.5"), Decimal("1.5")),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("text", 5, "5"),
        ("text", Decimal("1.50"), "1.50"),
        ("text", datetime(2026, 11, 20, tzinfo=UTC), "2026-11-20T00:00:00Z"),
        ("duration", "5s", "5s"),
        ("duration", Duration(1_500_000_000), "1.5s"),
        ("size", "5MiB", "5MiB"),
        ("list", ("a",), ["a"]),
        ("texts", "a", "a"),
        ("any", {"a": 1}, {"a": 1}),
    ],
)
def test_what_fits(kind: str, value: Any, convert_filled: Any) -> None:
    found = fit(key(kind), value)
    assert found == convert_filled
    assert type(found) is type(convert_filled)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("integer", "5.5", '"k" must be a whole number, not the text "5.5"; write it without quotes'),
        ("integer", "", '"k" must be a whole number, not the text ""; write it without quotes'),
        ("integer", True, '"k" must be a whole number, not true'),
        ("integer", None, '"k" must be a whole number, not null'),
        ("boolean", "yes", '"k" must be true or false, not the text "yes"; write it without quotes'),
        ("text", True, '"k" must be a text in quotes, not true'),
        ("text", ["a"], '"k" must be a text in quotes, not a list'),
        ("duration", "5", '"k" must be a duration such as "5s", "300ms" or "2m", not the text "5"'),
        ("table", "x", '"k" must be a table in { }, not the text "x"'),
    ],
)
def test_what_does_not(kind: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        fit(key(kind), value)
    assert str(caught.value) == message


def test_params_of_a_type_nested_tables_too() -> None:
    spec = ProbeSpec(
        type="x",
        title="",
        doc="",
        keys=(
            key("integer", minimum=1),
            Key(name="auth", kind="table", doc="", keys=(Key(name="n", kind="integer", doc=""),)),
        ),
    )
    assert fit_params(spec, {"k": "3", "auth": {"n": "4"}, "name": "c"}) == {"k": 3, "auth": {"n": 4}, "name": "c"}
    with pytest.raises(ValueError, match='"k" must be 1 or more, not 0'):
        fit_params(spec, {"k": "0"})


@settings(deadline=None)
@given(
    st.sampled_from(KINDS),
    st.recursive(
        st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans(), st.binary(), st.decimals()),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=4,
    ),
)
def test_anything_fits_or_is_refused_in_a_sentence(kind: str, value: Any) -> None:
    try:
        fit(key(kind), value)
    except ValueError as error:
        assert str(error).startswith('"k" must be')  # noqa: PT017 -- refusing is one of two right answers
