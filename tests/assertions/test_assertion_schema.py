from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from prodwatch.assertions import evaluate, parse
from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import AssertionResult

FILES: dict[str, Any] = {
    "schemas/order.json": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"$ref": "common.json#/$defs/id"},
            "price": {"type": "number", "multipleOf": 0.01, "minimum": 0.1},
            "code": {"pattern": "^(a|aa)+$"},
        },
        "patternProperties": {"^x-": {"type": "string"}},
        "additionalProperties": False,
    },
    "schemas/common.json": {"$defs": {"id": {"type": "integer"}}},
    "remote.json": {"$ref": "https://example.com/schema.json"},
    "lost.json": {"$ref": "nowhere.json"},
    "loop.json": {"$ref": "#"},
    "wrong.json": {"type": "nonsense"},
    "number.json": 5,
    "false.json": False,
    "draft7.json": {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]},
    "names.json": {"patternProperties": {"^(a|aa)+$": {"type": "string"}}, "additionalProperties": False},
    "unevaluated.json": {
        "allOf": [{"patternProperties": {"^x-": {"type": "string"}, "-n$": {"type": "integer"}}}],
        "unevaluatedProperties": False,
    },
    "unevaluated names.json": {"patternProperties": {"^(a|aa)+$": True}, "unevaluatedProperties": False},
    "draft2019.json": {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "patternProperties": {"^(a|aa)+$": True},
        "unevaluatedProperties": False,
    },
    "same names.json": {"patternProperties": {"^a": {"minimum": 1}, "a$": {"maximum": 5}}},
    "a property called so.json": {
        "properties": {"patternProperties": {"type": "object"}},
        "const": {"patternProperties": {"^(": 1}},
    },
    "no pattern.json": {"patternProperties": {"(": True}},
    "no pattern of a text.json": {"pattern": "("},
    "texts.json": {"additionalProperties": {"type": "string"}},
}


def load(name: str) -> Any:
    if name not in FILES:
        raise FileNotFoundError(f"no file {name}")
    return FILES[name]


def judge(value: Any, name: str) -> AssertionResult:
    return evaluate(parse(f"a satisfies '{name}'"), {"a": value}, load_schema=load)


@pytest.mark.parametrize(
    ("value", "name", "ok"),
    [
        ({"id": 1}, "schemas/order.json", True),
        ({"id": Decimal("1.0")}, "schemas/order.json", True),
        ({"id": 1.0}, "schemas/order.json", True),
        ({"id": 1.5}, "schemas/order.json", False),
        ({"id": True}, "schemas/order.json", False),
        ({"id": 1, "price": Decimal("19.99")}, "schemas/order.json", True),
        ({"id": 1, "price": 19.99}, "schemas/order.json", True),
        ({"id": 1, "price": Decimal("19.999")}, "schemas/order.json", False),
        ({"id": 1, "price": Decimal("0.1")}, "schemas/order.json", True),
        ({"id": 1, "x-a": "b"}, "schemas/order.json", True),
        ({"id": 1, "x-a": 5}, "schemas/order.json", False),
        ({}, "schemas/order.json", False),
        (["a", 1], "draft7.json", True),
        ([1], "draft7.json", False),
        (1, "false.json", False),
        (Headers((("A", "1"),)), "texts.json", True),
        ({"latency": Duration(5)}, "texts.json", True),
        ({"id": 1, "code": "a" * 80 + "b"}, "schemas/order.json", None),
        ({"a" * 60 + "!": 1}, "names.json", None),
        ({"a" * 40: "x"}, "names.json", True),
        ({"b": "x"}, "names.json", False),
        ({"x-a": "b", "c-n": 5}, "unevaluated.json", True),
        ({"x-a": 5}, "unevaluated.json", False),
        ({"other": 5}, "unevaluated.json", False),
        ({"a" * 60 + "!": 1}, "unevaluated names.json", None),
        ({"aaa": 1}, "unevaluated names.json", True),
        ({"a" * 40: 1}, "draft2019.json", True),
        ({"b": 1}, "draft2019.json", False),
        ({"a": 3}, "same names.json", True),
        ({"a": 0}, "same names.json", False),
        ({"a": 6}, "same names.json", False),
        ({"patternProperties": {"^(": 1}}, "a property called so.json", True),
        ({"a": 1}, "no pattern.json", None),
        ("a", "no pattern of a text.json", None),
        (1, "remote.json", None),
        (1, "lost.json", None),
        (1, "loop.json", None),
        (1, "wrong.json", None),
        (1, "number.json", None),
        (1, "none.json", None),
    ],
    ids=str,
)
def test_schema(value: Any, name: str, ok: bool | None) -> None:
    result = judge(value, name)
    assert result.ok is ok
    assert (result.message is None) is (ok is True)
    assert "bug in prodwatch" not in (result.message or "")


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        ({"id": "x"}, "schemas/order.json", '`id` is "x", which breaks `type: "integer"`'),
        ({}, "schemas/order.json", "the value: 'id' is a required property"),
        ({"id": 1, "z": 1}, "schemas/order.json", "'z' does not match any of the regexes"),
        ({"z": 1}, "names.json", "'z' does not match any of the regexes: '^(a|aa)+$'"),
        ({"a": 1}, "no pattern.json", "is not a valid JSON Schema"),
        (1, "remote.json", "only files of the project can be used"),
        (1, "lost.json", 'the schema "nowhere.json" cannot be read: no file nowhere.json'),
        (1, "wrong.json", "not a valid JSON Schema"),
    ],
)
def test_the_sentence(value: Any, name: str, words: str) -> None:
    assert words in (judge(value, name).message or "")


def test_without_files_nothing_is_decided() -> None:
    result = evaluate(parse("a satisfies 'x.json'"), {"a": 1})
    assert (result.ok, result.message) == (None, "`satisfies` needs the project's files, and none can be read here")


SCHEMAS: tuple[dict[str, Any], ...] = (
    {"patternProperties": {"^a": {"type": "integer"}, "b$": {"minimum": 3}}, "additionalProperties": False},
    {"allOf": [{"patternProperties": {"^a": True}}], "unevaluatedProperties": False},
    {"if": {"patternProperties": {"a": {"type": "string"}}}, "then": {"required": ["b"]}, "else": {"maxProperties": 1}},
    {"properties": {"a": True}, "patternProperties": {"[^a]": False}},
    {"$defs": {"p": {"patternProperties": {"b|c": {"const": 1}}}}, "$ref": "#/$defs/p", "unevaluatedProperties": False},
)


@given(
    schema=st.sampled_from(SCHEMAS),
    value=st.dictionaries(st.text("abc", max_size=3), st.sampled_from([1, 5, "x"]), max_size=4),
)
def test_a_pattern_with_a_time_limit_means_the_same_as_in_the_schema_itself(
    schema: dict[str, Any], value: dict[str, Any]
) -> None:
    result = evaluate(parse("a satisfies 'it'"), {"a": value}, load_schema=lambda _name: schema)
    assert result.ok is Draft202012Validator(schema).is_valid(value)
