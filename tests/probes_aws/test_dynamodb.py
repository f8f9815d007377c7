"""DynamoDB items: every operation, exact numbers, all pages, one request per write."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.demo.aws.faults import Fault
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.dynamodb.values import from_attribute, to_attribute


async def table(bench: Any, *items: dict[str, Any]) -> str:
    definition = {
        "TableName": bench.name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    await bench.call("dynamodb", "CreateTable", definition)
    for item in items:
        found = await bench.run("dynamodb", {"table": bench.name, "operation": "put", "item": item})
        assert found.failure is None
    return str(bench.name)


ORDER = {
    "id": "o-1",
    "sk": 1,
    "total": Decimal("99.990"),
    "name": "Ada",
    "lines": [{"n": 2}],
    "paid": True,
    "note": None,
}


async def test_an_item_comes_back_as_it_went_in(bench: Any) -> None:
    name = await table(bench, ORDER)
    found = await bench.run("dynamodb", {"table": name, "key": {"id": "o-1", "sk": 1}, "consistent": True})
    assert found.failure is None
    assert found.document["item"] == ORDER
    assert found.document["count"] == 1
    assert isinstance(found.document["item"]["total"], Decimal)
    assert isinstance(found.document["item"]["sk"], int)
    assert isinstance(found.document["latency"], Duration)
    assert found.exchange.request["operation"] == "GetItem"
    assert found.exchange.aws_cli.startswith(f"aws dynamodb get-item --table-name {name} --key ")
    assert found.correlation.request_ids


async def test_an_absent_item_is_absent_and_no_failure(bench: Any) -> None:
    name = await table(bench)
    found = await bench.run("dynamodb", {"table": name, "operation": "get", "key": {"id": "x", "sk": 1}})
    assert found.failure is None
    assert "item" not in found.document
    assert found.document["count"] == 0


async def test_typed_keys_are_taken_as_they_are(bench: Any) -> None:
    name = await table(bench, ORDER)
    found = await bench.run("dynamodb", {"table": name, "key": {"id": {"S": "o-1"}, "sk": {"N": "1"}}})
    assert found.document["item"]["name"] == "Ada"


async def test_a_query_reads_every_page(bench: Any) -> None:
    name = await table(bench)
    for start in range(0, 120, 20):
        writes = [
            {"PutRequest": {"Item": {"id": {"S": "big"}, "sk": {"N": str(n)}, "pad": {"S": "x" * 20_000}}}}
            for n in range(start, start + 20)
        ]
        await bench.call("dynamodb", "BatchWriteItem", {"RequestItems": {name: writes}})
    bench.world.call_counts.clear()
    found = await bench.run("dynamodb", {"table": name, "operation": "query", "key": {"id": "big"}})
    assert [item["sk"] for item in found.document["items"]] == list(range(120))
    assert bench.world.call_counts["dynamodb:Query"] > 1
    counted = await bench.run("dynamodb", {"table": name, "operation": "count", "key": {"id": "big"}})
    assert counted.document["count"] == 120


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"operation": "query", "key": {"id": "a"}}, ["a1", "a2"]),
        ({"operation": "query", "key": {"id": "a", "sk": 2}}, ["a2"]),
        ({"operation": "query", "key": {"id": "a"}, "condition": {"status": "new"}}, ["a1"]),
        ({"operation": "query", "key": {"id": "a"}, "condition": "attribute_not_exists(extra)"}, ["a1"]),
        ({"operation": "scan"}, ["a1", "a2", "b1"]),
        ({"operation": "scan", "condition": {"status": "new"}}, ["a1", "b1"]),
        ({"operation": "get", "key": {"id": "a", "sk": 1}, "condition": {"status": "new"}}, ["a1"]),
        ({"operation": "get", "key": {"id": "a", "sk": 1}, "condition": {"status": "old"}}, []),
    ],
    ids=str,
)
async def test_reads(bench: Any, params: dict[str, Any], ids: list[str]) -> None:
    name = await table(
        bench,
        {"id": "a", "sk": 1, "tag": "a1", "status": "new"},
        {"id": "a", "sk": 2, "tag": "a2", "status": "old", "extra": 1},
        {"id": "b", "sk": 1, "tag": "b1", "status": "new"},
    )
    found = await bench.run("dynamodb", {"table": name} | params)
    assert found.failure is None
    assert sorted(item["tag"] for item in found.document["items"]) == ids
    assert found.document["count"] == len(ids)


async def test_an_update_sets_attributes_with_reserved_names(bench: Any) -> None:
    name = await table(bench, ORDER)
    change = {
        "operation": "update",
        "key": {"id": "o-1", "sk": 1},
        "item": {"status": "paid", "total": Decimal("1.10")},
    }
    found = await bench.run("dynamodb", {"table": name} | change)
    assert found.document["item"] == ORDER | {"status": "paid", "total": Decimal("1.10")}


@pytest.mark.parametrize(("key", "deleted"), [({"id": "o-1", "sk": 1}, True), ({"id": "nope", "sk": 1}, False)])
async def test_a_delete_says_whether_there_was_something(bench: Any, key: dict[str, Any], deleted: bool) -> None:
    name = await table(bench, ORDER)
    found = await bench.run("dynamodb", {"table": name, "operation": "delete", "key": key})
    assert found.failure is None
    assert found.document["deleted"] is deleted
    assert ("item" in found.document) is deleted


async def test_a_condition_that_does_not_hold_is_the_targets_answer(bench: Any) -> None:
    name = await table(bench, ORDER)
    again = {"table": name, "operation": "put", "item": ORDER, "condition": "attribute_not_exists(id)"}
    found = await bench.run("dynamodb", again)
    assert found.failure.status is Status.FAIL
    assert found.failure.reason is Reason.API_ERROR
    assert found.failure.answered_by == ("error",)
    assert found.document["error"]["code"] == "ConditionalCheckFailedException"


async def test_a_write_is_sent_once_even_when_the_answer_is_lost(bench: Any) -> None:
    name = await table(bench)
    bench.world.faults.add(Fault(operation="dynamodb:PutItem", kind="drop_after"))
    bench.world.call_counts.clear()
    found = await bench.run("dynamodb", {"table": name, "operation": "put", "item": ORDER})
    assert found.failure.status is Status.ERROR
    assert found.failure.transient
    assert bench.world.call_counts["dynamodb:PutItem"] == 1


async def test_a_missing_table_is_told(bench: Any) -> None:
    found = await bench.run("dynamodb", {"table": "no-such-table", "key": {"id": "x"}})
    assert found.failure.status is Status.FAIL
    assert 'table "no-such-table"' in found.failure.message
    assert found.document["error"]["code"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"operation": "get"}, "operation get needs `key`"),
        ({"operation": "put", "item": {"id": "x", "n": float("inf")}}, "cannot store the number inf"),
        ({"operation": "scan", "condition": 5}, "`condition` must be"),
        ({"operation": "put", "item": {"id": object()}}, "cannot store a value of type object"),
    ],
)
async def test_unusable_values_are_not_sent(bench: Any, params: dict[str, Any], sentence: str) -> None:
    found = await bench.run("dynamodb", {"table": "t"} | params)
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert sentence in found.failure.message
    assert not bench.world.call_counts


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("x", {"S": "x"}),
        (1, {"N": "1"}),
        (1.5, {"N": "1.5"}),
        (Decimal("1.50"), {"N": "1.50"}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (b"x", {"B": b"x"}),
        ({"S": "typed"}, {"S": "typed"}),
        ({"N": 5}, {"N": "5"}),
        ({"N": "no number"}, {"M": {"N": {"S": "no number"}}}),
        ({"S": 5}, {"M": {"S": {"N": "5"}}}),
        ({"S": "x", "T": "y"}, {"M": {"S": {"S": "x"}, "T": {"S": "y"}}}),
        ({"L": [{"S": "x"}]}, {"L": [{"S": "x"}]}),
        ({"L": ["x"]}, {"M": {"L": {"L": [{"S": "x"}]}}}),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"N": "1"}}}),
        ({"SS": ["b", "a"]}, {"SS": ["b", "a"]}),
        ({"SS": []}, {"M": {"SS": {"L": []}}}),
        ({"NS": [1, "2"]}, {"NS": ["1", "2"]}),
        ({"B": "aGk="}, {"B": b"hi"}),
        ({}, {"M": {}}),
        ([], {"L": []}),
    ],
)
def test_values_become_attributes(value: Any, attribute: dict[str, Any]) -> None:
    assert to_attribute(value) == attribute


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ({"N": "1"}, 1),
        ({"N": "1.0"}, 1),
        ({"N": "99.99"}, Decimal("99.99")),
        ({"SS": ["b", "a"]}, ["a", "b"]),
        ({"NS": ["10", "9.5"]}, [Decimal("9.5"), 10]),
        ({"B": b"hi"}, "aGk="),
        ({"BS": [b"hi"]}, ["aGk="]),
        ({"NULL": True}, None),
    ],
)
def test_attributes_become_values(attribute: dict[str, Any], value: Any) -> None:
    assert from_attribute(attribute) == value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-1000000, max_value=1000000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_no_value_is_changed_by_the_round_trip(value: Any) -> None:
    assert from_attribute(to_attribute(value)) == value


async def remaining(bench: Any, name: str, id_: str) -> int:
    found = await bench.run("dynamodb", {"table": name, "operation": "count", "key": {"id": id_}, "consistent": True})
    return int(found.document["count"])


async def test_D_delete_all_removes_its_own_partition_and_no_other(bench: Any) -> None:
    name = await table(bench, *({"id": id_, "sk": n} for id_ in ("TEST-uid123", "o-1") for n in range(3)))
    asked = {"table": name, "operation": "delete_all", "key": {"id": "TEST-uid123"}}
    found = await bench.run("dynamodb", asked, mutates=True)
    assert (found.failure, found.document["deleted"], found.document["count"]) == (None, True, 3)
    assert [await remaining(bench, name, id_) for id_ in ("TEST-uid123", "o-1")] == [0, 3]
    again = await bench.run("dynamodb", asked, mutates=True)
    assert (again.failure, again.document["deleted"], again.document["count"]) == (None, False, 0)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"id": "o-1"}, "must hold ${uid}"),
        ({"id": "TEST-uid123", "sk": 1}, "takes the partition key alone"),
        ({"sk": "uid123"}, "the partition key of the table is id"),
    ],
    ids=["other data", "a whole key", "the sort key"],
)
async def test_D_delete_all_refuses_what_is_not_a_partition_of_this_execution(
    bench: Any, key: dict[str, Any], words: str
) -> None:
    name = await table(bench, {"id": "o-1", "sk": 1})
    found = await bench.run("dynamodb", {"table": name, "operation": "delete_all", "key": key}, mutates=True)
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert words in found.failure.message
    assert await remaining(bench, name, "o-1") == 1


async def test_D_delete_all_deletes_nothing_of_more_than_a_check_creates(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.probes.dynamodb.probe.MOST_DELETED", 2)
    name = await table(bench, *({"id": "TEST-uid123", "sk": n} for n in range(3)))
    asked = {"table": name, "operation": "delete_all", "key": {"id": "TEST-uid123"}}
    found = await bench.run("dynamodb", asked, mutates=True)
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.LIMIT)
    assert await remaining(bench, name, "TEST-uid123") == 3
