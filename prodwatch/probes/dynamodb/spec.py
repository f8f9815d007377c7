"""Keys and document of a `dynamodb` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_delete, is_open, operation_mutation

_WRITES = {
    "put": "a put writes an item",
    "update": "an update changes an item",
    "delete": "a delete removes an item",
    "delete_all": "delete_all removes the items of a partition",
}
_NEEDS = {"get": "key", "query": "key", "delete": "key", "delete_all": "key", "update": "key", "put": "item"}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="get")


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    operation = params.get("operation", "get")
    if is_open(operation):
        return ()
    needed = _NEEDS.get(operation)
    if needed and needed not in params:
        return (f'operation "{operation}" needs `{needed}`',)
    return ()


SPECS = (
    ProbeSpec(
        type="dynamodb",
        title="DynamoDB item",
        doc=(
            "Reads or writes items. Values are written as plain TOML and returned as plain JSON with exact decimals."
            ' Binary is written as `{ B = "<base64>" }` and returned as base64 text.'
        ),
        keys=(
            Key(name="table", kind="text", required=True, doc="Name or ARN of the table."),
            Key(
                name="operation",
                kind="text",
                choices=("get", "query", "scan", "count", "put", "delete", "delete_all", "update"),
                default="get",
                doc=(
                    "Operation. `count` counts the items of a query if `key` is given, else of a scan. `delete_all`"
                    " deletes the items of one partition, at most 100, whose key holds `${uid}`: only own data."
                ),
            ),
            Key(
                name="key",
                kind="table",
                doc="Primary key; for `query` and `count` the partition key is enough; for `delete_all` it is all.",
            ),
            Key(name="item", kind="table", doc="`put`: the item. `update`: the attributes to set."),
            Key(
                name="condition",
                kind="any",
                doc=(
                    "A table of attribute = value that must all be equal, or a condition expression such as"
                    ' `"attribute_not_exists(id)"`. Reads are filtered by it; writes happen only if it is true.'
                ),
            ),
            Key(name="index", kind="text", doc="Secondary index to query or scan."),
            Key(
                name="consistent",
                kind="boolean",
                default=False,
                doc="`true` makes strongly consistent reads, for twice the price.",
            ),
        ),
        problems=_problems,
        fields=(
            Field(
                name="item",
                kind="table",
                doc=(
                    "The item; absent without an item. Of several items, a part that differs between them is"
                    " inconclusive: use `items`."
                ),
            ),
            Field(name="items", kind="list", doc="All items of a query or scan, from all pages."),
            Field(name="count", kind="integer", behind="items", doc="Number of items."),
            Field(name="deleted", kind="boolean", doc="Whether a `delete` or `delete_all` removed an item."),
            Field(name="latency", kind="duration", doc="Duration of the call, including all pages."),
        ),
        example="""\
[[check]]
name = "the price list is there"
type = "dynamodb"
table = "shop-prices"
operation = "get"
key = { id = "current" }
expect = ["item exists", "item.currency == 'EUR'"]
""",
        mutation=_mutation,
        deletes=is_delete,
        service="dynamodb",
    ),
)
