"""Reads and writes DynamoDB items: every page, exact numbers, and one request per write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.assertions.value_equality_and_order import one_for_all
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, refuse
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.dynamodb.values import from_item, to_attribute, to_item

MOST_DELETED = 100
"""Largest number of items that `delete_all` deletes; more are not what one check has created."""
_PROOF = {"ReturnConsumedCapacity": "TOTAL"}
"""Parameters by which even the response for an absent item has a member, without which it would be empty."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Execute `params["operation"]`; `item` is absent without an item."""
    return await ask(params, context, "dynamodb", _operate)


async def _operate(calls: AwsCalls) -> Observation:
    try:
        return await _OPERATIONS[calls.params.get("operation") or "get"](calls)
    except ValueError as error:
        raise refuse(Status.ERROR, Reason.INVALID, f'table "{calls.params["table"]}": {error}') from error


class _Expressions:
    """Attribute names and values behind placeholders, so that no name can be a reserved word."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def equal(self, attributes: Mapping[str, Any], joined_by: str) -> str:
        """Return `#n0 = :v0 AND …` for the attributes."""
        parts = []
        for name, value in attributes.items():
            number = len(self.names)
            self.names[f"#n{number}"] = name
            self.values[f":v{number}"] = to_attribute(value)
            parts.append(f"#n{number} = :v{number}")
        return joined_by.join(parts)

    def parameters(self) -> dict[str, Any]:
        """Return the request parameters that define the placeholders."""
        document: dict[str, Any] = {}
        if self.names:
            document["ExpressionAttributeNames"] = self.names
        if self.values:
            document["ExpressionAttributeValues"] = self.values
        return document


def _base(calls: AwsCalls, *keys: str) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": calls.params["table"]}
    if "key" in keys:
        request["Key"] = to_item(_needed(calls, "key"))
    if "consistent" in keys and calls.params.get("consistent"):
        request["ConsistentRead"] = True
    return request


def _needed(calls: AwsCalls, key: str) -> Mapping[str, Any]:
    value = calls.params.get(key)
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"operation {calls.params.get('operation') or 'get'} needs `{key}`")
    return value


def _condition(calls: AwsCalls, expressions: _Expressions) -> str | None:
    condition = calls.params.get("condition")
    if condition is None or isinstance(condition, str):
        return condition or None
    if not isinstance(condition, Mapping):
        raise ValueError("`condition` must be a table of attribute = value, or an expression")  # noqa: TRY004 -- reported to the user like every invalid value
    return expressions.equal(condition, " AND ") or None


def _conditional(calls: AwsCalls, request: dict[str, Any], expressions: _Expressions) -> dict[str, Any]:
    condition = _condition(calls, expressions)
    if condition:
        request["ConditionExpression"] = condition
    return request | expressions.parameters()


async def _get(calls: AwsCalls) -> Observation:
    expressions = _Expressions()
    answer = await calls.call("GetItem", _base(calls, "key", "consistent") | _PROOF)
    item = from_item(answer["Item"]) if answer.get("Item") else None
    wanted = _condition(calls, expressions)
    if item is not None and wanted is not None:
        condition = calls.params["condition"]
        if isinstance(condition, str):
            raise ValueError("a read by `get` takes a condition as a table of attribute = value, not as an expression")
        plain = {name: from_item({"it": to_attribute(value)})["it"] for name, value in condition.items()}
        if any(name not in item or item[name] != value for name, value in plain.items()):
            item = None
    return _found(calls, [] if item is None else [item])


def _reading(calls: AwsCalls) -> tuple[str, dict[str, Any]]:
    """Return the operation with its parameters: Query with a key, else Scan."""
    expressions = _Expressions()
    request = _base(calls, "consistent") | _PROOF
    if calls.params.get("index"):
        request["IndexName"] = calls.params["index"]
    operation = "Scan"
    if calls.params.get("operation") == "query" or calls.params.get("key"):
        operation = "Query"
        request["KeyConditionExpression"] = expressions.equal(_needed(calls, "key"), " AND ")
    condition = _condition(calls, expressions)
    if condition:
        request["FilterExpression"] = condition
    return operation, request | expressions.parameters()


async def _read(calls: AwsCalls) -> Observation:
    operation, request = _reading(calls)
    items = [from_item(item) async for page in calls.pages(operation, request) for item in page.get("Items") or ()]
    return _found(calls, items)


async def _count(calls: AwsCalls) -> Observation:
    operation, request = _reading(calls)
    count = 0
    async for page in calls.pages(operation, request | {"Select": "COUNT"}):
        count += page.get("Count") or 0
    return calls.answer({"count": count, "latency": calls.latency()})


async def _put(calls: AwsCalls) -> Observation:
    item = _needed(calls, "item")
    request = _conditional(calls, _base(calls) | {"Item": to_item(item)} | _PROOF, _Expressions())
    await calls.call("PutItem", request, retries=False)
    return calls.answer({"item": from_item(to_item(item)), "count": 1, "latency": calls.latency()})


async def _update(calls: AwsCalls) -> Observation:
    expressions = _Expressions()
    setting = expressions.equal(_needed(calls, "item"), ", ")
    request = _base(calls, "key") | {"UpdateExpression": f"SET {setting}", "ReturnValues": "ALL_NEW"}
    answer = await calls.call("UpdateItem", _conditional(calls, request, expressions), retries=False)
    return _found(calls, [from_item(answer["Attributes"])] if answer.get("Attributes") else [])


async def _delete(calls: AwsCalls) -> Observation:
    request = _conditional(calls, _base(calls, "key") | {"ReturnValues": "ALL_OLD"} | _PROOF, _Expressions())
    answer = await calls.call("DeleteItem", request, retries=False)
    gone = [from_item(answer["Attributes"])] if answer.get("Attributes") else []
    document = {"deleted": bool(gone), "count": len(gone), "latency": calls.latency()}
    return calls.answer(document | ({"item": gone[0]} if gone else {}))


async def _delete_all(calls: AwsCalls) -> Observation:
    key = _needed(calls, "key")
    marks = [mark for mark in calls.context.own_marks if mark]
    if len(key) != 1 or not any(mark in str(value) for value in key.values() for mark in marks):
        raise ValueError("`delete_all` takes the partition key alone, and its value must hold ${uid}: only own data")
    table = (await calls.call("DescribeTable", _base(calls)))["Table"]
    names = [each["AttributeName"] for each in table["KeySchema"]]
    if next(iter(key)) != names[0]:
        raise ValueError(f"the partition key of the table is {names[0]}")
    keys = await _keys_of_partition(calls, key, names)
    if len(keys) > MOST_DELETED:
        message = f"more than {MOST_DELETED} items have this key, so none was deleted: one check did not create them"
        raise refuse(Status.ERROR, Reason.LIMIT, message)
    for each in keys:
        await calls.call("DeleteItem", _base(calls) | {"Key": each} | _PROOF, retries=False)
    document = {"deleted": bool(keys), "count": len(keys), "latency": calls.latency()}
    # What was not read was not deleted either.
    return calls.answer(document, failure=calls.unread)


async def _keys_of_partition(calls: AwsCalls, key: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the primary keys of a partition's items, as DynamoDB writes them; one more than `MOST_DELETED` at most."""
    expressions = _Expressions()
    request = _base(calls) | {"ConsistentRead": True} | _PROOF
    request["KeyConditionExpression"] = expressions.equal(key, " AND ")
    keys: list[dict[str, Any]] = []
    async for page in calls.pages("Query", request | expressions.parameters()):
        keys += [{name: item[name] for name in names} for item in page.get("Items") or ()]
        if len(keys) > MOST_DELETED:
            break
    return keys


def _found(calls: AwsCalls, items: list[dict[str, Any]]) -> Observation:
    document: dict[str, Any] = {"items": items, "count": len(items), "latency": calls.latency()}
    if items and calls.complete:
        document["item"] = one_for_all(items, "item", f"the first of {len(items)} items", "items[]")
    elif items:
        what = f"the first of {len(items)} items that were read"
        document["item"] = FirstOfSeveral("item", what, "items[]")
    return calls.answer(document)


_OPERATIONS: dict[str, Callable[[AwsCalls], Awaitable[Observation]]] = {
    "get": _get,
    "query": _read,
    "scan": _read,
    "count": _count,
    "put": _put,
    "update": _update,
    "delete": _delete,
    "delete_all": _delete_all,
}
