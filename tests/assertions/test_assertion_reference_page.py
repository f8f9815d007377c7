"""Every example of docs/reference/assertions.md is judged as the page says."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomli

from prodwatch.assertions import AssertionSyntaxError, evaluate, parse
from prodwatch.assertions.incomplete_data import OF_THE_REQUEST
from prodwatch.assertions.jmespath_functions import TABLE
from prodwatch.assertions.literals_and_templates import UNITS
from prodwatch.assertions.operators import JSON_TYPES, OPERATORS
from prodwatch.model.quantity import Headers
from prodwatch.text.units import parse_duration

PAGE = (Path(__file__).parents[2] / "docs/reference/assertions.md").read_text(encoding="utf-8")
NOW = datetime(2026, 1, 15, 12, 0, 0, tzinfo=UTC)
SCHEMA = json.dumps(
    {
        "type": "object",
        "required": ["id", "name", "price"],
        "properties": {"id": {"type": "integer"}, "price": {"type": "number", "multipleOf": 0.01}},
    }
)
REFERENCES = {
    "${vars.code}": 200,
    "${vars.wanted}": "ok",
    "${vars.id}": 5,
    "${vars.limit}": 300,
    "${vars.key}": "status",
    "${vars.pattern}": "^o.$",
}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str, table: int = 0) -> list[list[str]]:
    """The cells of a table, header apart."""
    tables = re.findall(r"(?:^\|.*\n)+", section(title), re.MULTILINE)
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in tables[table].splitlines()[2:]
    ]


def code(cell: str) -> str:
    found = re.fullmatch(r"(`+) ?(.*?) ?\1", cell)
    assert found, f"no code in {cell!r}"
    return found[2]


def document() -> dict[str, Any]:
    toml = re.search(r"```toml\n(.*?)```", section("The response used on this page"), re.DOTALL)
    assert toml
    found = tomli.loads(toml[1], parse_float=Decimal)
    found["latency"] = parse_duration(found["latency"])
    found["phases"] = {name: parse_duration(text) for name, text in found["phases"].items()}
    pairs = [
        (name, each)
        for name, value in found["headers"].items()
        for each in ([value] if isinstance(value, str) else value)
    ]
    found["headers"] = Headers(tuple(pairs))
    return found


def verdict(source: str) -> bool | None:
    parsed = parse(source)
    holes = [REFERENCES[each] for each in parsed.holes]
    return evaluate(parsed, document(), holes=holes, now=NOW, load_schema=lambda _name: json.loads(SCHEMA)).ok


@pytest.mark.parametrize("row", rows("Operators"), ids=lambda row: row[0])
def test_operator_holds_and_fails_as_the_page_says(row: list[str]) -> None:
    name, _, holds, fails = row
    assert parse(code(holds)).operator == parse(code(fails)).operator == code(name)
    assert verdict(code(holds)) is True
    assert verdict(code(fails)) is False


@pytest.mark.parametrize(
    "example",
    [row[2] for title in ("Values", "Paths", "Functions", "Lists: `all`, `any`, `none`") for row in rows(title)],
)
def test_example_holds(example: str) -> None:
    assert verdict(code(example)) is True


@pytest.mark.parametrize("row", rows("References"), ids=lambda row: row[0])
def test_reference_is_a_hole(row: list[str]) -> None:
    assert parse(code(row[0])).holes
    if "json.name" not in row[0] and "items" not in row[0]:
        assert verdict(code(row[0])) is True


@pytest.mark.parametrize("row", rows("What a result says"), ids=lambda row: row[0])
def test_result_says_what_the_page_says(row: list[str]) -> None:
    result = evaluate(parse(code(row[0])), document(), now=NOW)
    assert {False: "false", None: "inconclusive"}[result.ok] == row[1]
    assert result.message == row[2]


@pytest.mark.parametrize("row", rows("Lists: `all`, `any`, `none`", 1), ids=lambda row: row[0])
def test_a_field_that_no_element_has_proves_what_the_page_says(row: list[str]) -> None:
    assert {True: "true", False: "false", None: "inconclusive"}[verdict(code(row[0]))] == row[1]


@pytest.mark.parametrize("row", rows("Lists: `all`, `any`, `none`", 2), ids=lambda row: row[0])
def test_a_field_that_may_be_missing_is_claimed_so(row: list[str]) -> None:
    assert verdict(code(row[1].split(", or")[0])) is True


@pytest.mark.parametrize("row", rows("Mistakes"), ids=lambda row: row[0])
def test_mistake_is_reported_as_on_the_page(row: list[str]) -> None:
    with pytest.raises(AssertionSyntaxError) as caught:
        parse(code(row[0]))
    assert (str(caught.value.column), caught.value.message) == (row[1], row[2])


@pytest.mark.parametrize(
    "source", re.findall(r"\"([^\"]+)\"", " ".join(re.findall(r"(?:expect|warn)\s*= \[(.*)\]", PAGE)))
)
def test_first_example_holds(source: str) -> None:
    assert verdict(source) is True


def test_claims_in_running_text_do_what_the_text_says() -> None:
    assert verdict("all json.items[*].price > 0") is False
    assert verdict("none json.items[*].error exists") is True
    assert verdict("(json.count == json.items[2].id) == true") is True
    assert verdict("length(json.items[?price > `1`]) >= 1") is True
    assert evaluate(parse("exists == true"), {"exists": True}).ok is True
    assert evaluate(parse("all == 3"), {"all": 3}).ok is True
    assert evaluate(parse("a == '$${'"), {"a": "${"}).ok is True


def test_the_page_is_complete() -> None:
    assert [code(row[0]) for row in rows("Operators")] == list(OPERATORS)
    assert [code(row[0]).split("(")[0] for row in rows("Functions")] == sorted(TABLE)
    values = section("Values")
    assert not [unit for unit in UNITS if unit != "%" and f"`{unit}`" not in values]
    kinds = rows("Operators")[list(OPERATORS).index("is")][1]
    assert not [name for name in JSON_TYPES if f"`{name}`" not in kinds]
    partial = rows("What a result says", 1)[-1][0]
    assert set(re.findall(r"`(\w+)`", partial)) == OF_THE_REQUEST
