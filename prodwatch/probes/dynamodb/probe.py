"""Reads and writes DynamoDB items: every page, exact numbers, and one request per write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import Talk, ask, refuse
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.dynamodb.values import from_item, to_attribute, to_item


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Carry out `params["operation"]`; `item` is absent when there is none."""
    return await ask(params, context, "dynamodb", _operate)


async def _operate(talk: Talk) -> Observation:
    try:
        return await _OPERATIONS[talk.params.get("operation") or "get"](talk)
    except ValueError as error:
        raise refuse(Status.ERROR, Reason.INVALID, f'table "{talk.params["table"]}": {error}') from error


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
        """Return the request parameters that explain the placeholders."""
        told: dict[str, Any] = {}
        if self.names:
            told["ExpressionAttributeNames"] = self.names
        if self.values:
            told["ExpressionAttributeValues"] = self.values
        return told


def _base(talk: Talk, *keys: str) -> dict[str, Any]:
    request: dict[str, Any] = {"TableName": talk.params["table"]}
    if "key" in keys:
        request["Key"] = to_item(_needed(talk, "key"))
    if "consistent" in keys and talk.params.get("consistent"):
        request["ConsistentRead"] = True
    return request


def _needed(talk: Talk, key: str) -> Mapping[str, Any]:
    value = talk.params.get(key)
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"operation {talk.params.get('operation') or 'get'} needs `{key}`")
    return value


def _condition(talk: Talk, expressions: _Expressions) -> str | None:
    condition = talk.params.get("condition")
    if condition is None or isinstance(condition, str):
        return condition or None
    if not isinstance(condition, Mapping):
        raise ValueError("`condition` must be a table of attribute = value, or an expression")  # noqa: TRY004 -- told to the user, as every unusable value is
    return expressions.equal(condition, " AND ") or None


def _conditional(talk: Talk, request: dict[str, Any], expressions: _Expressions) -> dict[str, Any]:
    condition = _condition(talk, expressions)
    if condition:
        request["ConditionExpression"] = condition
    return request | expressions.parameters()


async def _get(talk: Talk) -> Observation:
    expressions = _Expressions()
    answer = await talk.call("GetItem", _base(talk, "key", "consistent") | {"ReturnConsumedCapacity": "TOTAL"})
    item = from_item(answer["Item"]) if answer.get("Item") else None
    wanted = _condition(talk, expressions)
    if item is not None and wanted is not None:
        condition = talk.params["condition"]
        if isinstance(condition, str):
            raise ValueError("a read by `get` takes a condition as a table of attribute = value, not as an expression")
        plain = {name: from_item({"it": to_attribute(value)})["it"] for name, value in condition.items()}
        if any(name not in item or item[name] != value for name, value in plain.items()):
            item = None
    return _found(talk, [] if item is None else [item])


def _reading(talk: Talk) -> tuple[str, dict[str, Any]]:
    """Return Query or Scan with its parameters: a key is queried, everything else scanned."""
    expressions = _Expressions()
    request = _base(talk, "consistent") | {"ReturnConsumedCapacity": "TOTAL"}
    if talk.params.get("index"):
        request["IndexName"] = talk.params["index"]
    operation = "Scan"
    if talk.params.get("operation") == "query" or talk.params.get("key"):
        operation = "Query"
        request["KeyConditionExpression"] = expressions.equal(_needed(talk, "key"), " AND ")
    condition = _condition(talk, expressions)
    if condition:
        request["FilterExpression"] = condition
    return operation, request | expressions.parameters()


async def _read(talk: Talk) -> Observation:
    operation, request = _reading(talk)
    items = [from_item(item) async for page in talk.pages(operation, request) for item in page.get("Items") or ()]
    return _found(talk, items)


async def _count(talk: Talk) -> Observation:
    operation, request = _reading(talk)
    count = 0
    async for page in talk.pages(operation, request | {"Select": "COUNT"}):
        count += page.get("Count") or 0
    return talk.answer({"count": count, "latency": talk.latency()})


async def _put(talk: Talk) -> Observation:
    item = _needed(talk, "item")
    request = _conditional(talk, _base(talk) | {"Item": to_item(item)}, _Expressions())
    await talk.call("PutItem", request, retries=False)
    return talk.answer({"item": from_item(to_item(item)), "count": 1, "latency": talk.latency()})


async def _update(talk: Talk) -> Observation:
    expressions = _Expressions()
    setting = expressions.equal(_needed(talk, "item"), ", ")
    request = _base(talk, "key") | {"UpdateExpression": f"SET {setting}", "ReturnValues": "ALL_NEW"}
    answer = await talk.call("UpdateItem", _conditional(talk, request, expressions), retries=False)
    return _found(talk, [from_item(answer["Attributes"])] if answer.get("Attributes") else [])


async def _delete(talk: Talk) -> Observation:
    request = _conditional(talk, _base(talk, "key") | {"ReturnValues": "ALL_OLD"}, _Expressions())
    answer = await talk.call("DeleteItem", request, retries=False)
    gone = [from_item(answer["Attributes"])] if answer.get("Attributes") else []
    document = {"deleted": bool(gone), "count": len(gone), "latency": talk.latency()}
    return talk.answer(document | ({"item": gone[0]} if gone else {}))


def _found(talk: Talk, items: list[dict[str, Any]]) -> Observation:
    document: dict[str, Any] = {"items": items, "count": len(items), "latency": talk.latency()}
    if items:
        document["item"] = items[0]
    return talk.answer(document)


_OPERATIONS: dict[str, Callable[[Talk], Awaitable[Observation]]] = {
    "get": _get,
    "query": _read,
    "scan": _read,
    "count": _count,
    "put": _put,
    "update": _update,
    "delete": _delete,
}
