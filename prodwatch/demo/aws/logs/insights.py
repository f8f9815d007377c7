"""Logs Insights: StartQuery and GetQueryResults over the stored events, for queries that filter and count."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.demo.aws.api_call import ApiCall, Document, ServiceError
from prodwatch.demo.aws.expression_parser import Cursor, ExpressionError, Grammar, Predicate, Token
from prodwatch.demo.aws.logs.identifiers import group_name, missing_group
from prodwatch.demo.aws.logs.store import LogStore
from prodwatch.demo.aws.logs.stored_event import StoredEvent

RUNS_S = 2.0
"""Time that a query takes by the wall clock: half of it is `Running` with no rows."""
_MAX_ROWS = 10_000
_DEFAULT_ROWS = 1000
_LEXER = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<regex>/(?:[^/\\]|\\.)*/)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<word>@?[A-Za-z_][\w.@]*)"
    r"|(?P<operator>!=|=|\(|\)|\*|,|\||\[|\])"
)

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A parsed query."""

    fields: tuple[str, ...]
    is_selected: Predicate[Row]
    count_as: str | None = None
    """Name of `stats count(*)`, None for a query that lists events."""
    by: tuple[str, ...] = ()
    sort: tuple[str, bool] | None = None
    """Field and whether it is descending."""
    limit: int = _DEFAULT_ROWS


@dataclass(frozen=True, slots=True)
class _Query:
    """A query that was started."""

    plan: _Plan
    group: str
    start_s: int
    end_s: int
    started_s: float
    stopped: bool = False


class Insights:
    """The queries of one region."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._queries: dict[str, _Query] = {}
        self._numbers = itertools.count(1)

    def start(self, call: ApiCall) -> Document:
        """StartQuery over one group, in Logs Insights' own language."""
        params = call.params
        names = [group_name(each) for each in _groups_of(params)]
        if len(names) != 1:
            raise ServiceError("InvalidParameterException", "The embedded AWS queries one log group at a time.")
        if self._store.group(names[0]) is None:
            raise missing_group()
        if params["startTime"] > params["endTime"]:
            raise ServiceError("InvalidParameterException", "End time should not be less than start time.")
        try:
            plan = parse_query(params["queryString"], int(params.get("limit") or _DEFAULT_ROWS))
        except ExpressionError as error:
            raise ServiceError("MalformedQueryException", str(error)) from error
        query_id = f"00000000-0000-4000-8000-{next(self._numbers):012x}"
        self._queries[query_id] = _Query(plan, names[0], params["startTime"], params["endTime"], call.now_s)
        return {"queryId": query_id}

    def results(self, call: ApiCall) -> Document:
        """GetQueryResults: `Running` first, then all rows with the statistics that AWS bills."""
        query = self._of(call)
        if query.stopped:
            return {"status": "Cancelled", "results": [], "statistics": {}}
        if call.now_s < query.started_s + RUNS_S / 2:
            return {"status": "Running", "results": [], "statistics": {}}
        events = list(self._store.read(query.group, query.start_s * 1000, query.end_s * 1000 + 999))
        rows = [row for event in events if query.plan.is_selected(row := _row(event))]
        statistics = {
            "recordsScanned": float(len(events)),
            "recordsMatched": float(len(rows)),
            "bytesScanned": float(sum(len(each.message.encode()) for each in events)),
        }
        output = [_fields(each) for each in _selected(query.plan, rows)]
        return {"queryLanguage": "CWLI", "status": "Complete", "results": output, "statistics": statistics}

    def stop(self, call: ApiCall) -> Document:
        """StopQuery."""
        query = self._of(call)
        if call.now_s >= query.started_s + RUNS_S:
            raise ServiceError("InvalidParameterException", "The query has already ended.")
        self._queries[call.params["queryId"]] = _Query(**{**_values(query), "stopped": True})
        return {"success": True}

    def _of(self, call: ApiCall) -> _Query:
        query = self._queries.get(call.params["queryId"])
        if query is None:
            raise ServiceError("ResourceNotFoundException", "The specified query does not exist.")
        return query


def _values(query: _Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__slots__}


def _groups_of(params: Document) -> list[str]:
    if params.get("logGroupName"):
        return [params["logGroupName"]]
    return list(params.get("logGroupNames") or params.get("logGroupIdentifiers") or ())


def _row(event: StoredEvent) -> Row:
    row = {"@timestamp": str(event.timestamp_ms), "@message": event.message, "@logStream": event.stream}
    if event.message.startswith("{"):
        try:
            row |= dict(_discovered(json.loads(event.message), ""))
        except ValueError:
            return row
    return row


def _discovered(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the fields that Insights finds in a JSON line, nested ones by dots."""
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _discovered(each, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", each if isinstance(each, str) else json.dumps(each)


def _selected(plan: _Plan, rows: list[Row]) -> list[Row]:
    output: list[Row] = [{name: row[name] for name in plan.fields if name in row} for row in rows]
    if plan.count_as is not None:
        counts = Counter(tuple(row.get(name, "") for name in plan.by) for row in rows)
        output = [{**dict(zip(plan.by, key, strict=True)), plan.count_as: str(n)} for key, n in counts.items()]
    if plan.sort is not None:
        name, descending = plan.sort
        output.sort(key=lambda row: _order(row.get(name, "")), reverse=descending)
    return output[: plan.limit]


def _order(text: str) -> tuple[float, str]:
    return (float(text), "") if text.isdecimal() else (float("inf"), text)


def _fields(row: Row) -> list[Document]:
    return [{"field": name, "value": value} for name, value in row.items()]


def parse_query(text: str, limit: int = _DEFAULT_ROWS) -> _Plan:
    """Return the plan of a query: `fields`, `filter`, `stats count(*) as n by …`, `sort`, `limit`.

    Raises ExpressionError for anything else.
    """
    cursor = Cursor(text, _LEXER, "the query")
    plan = _Plan(("@timestamp", "@message"), lambda _: True, limit=limit)
    filters: list[Predicate[Row]] = []
    while True:
        command = cursor.take()
        values = {name: getattr(plan, name) for name in plan.__slots__}
        match command.text.lower():
            case "fields":
                values["fields"] = tuple(_names(cursor))
            case "filter":
                filters.append(_CONDITIONS.parse(cursor))
            case "stats":
                values |= _count(cursor)
            case "sort":
                name = cursor.take().text
                values["sort"] = (name, cursor.accept("DESC", "ASC") != "ASC")
            case "limit":
                values["limit"] = int(cursor.take().text)
            case _:
                raise cursor.unexpected(command, "fields, filter, stats, sort or limit")
        plan = _Plan(**values)
        if not cursor.accept("|"):
            break
    cursor.end()
    if not 1 <= plan.limit <= _MAX_ROWS:
        raise cursor.error(f"has a limit that is not between 1 and {_MAX_ROWS}")
    is_selected = filters[0] if len(filters) == 1 else lambda row: all(each(row) for each in filters)
    return _Plan(**{**{name: getattr(plan, name) for name in plan.__slots__}, "is_selected": is_selected})


def _count(cursor: Cursor) -> dict[str, Any]:
    function = cursor.take()
    if function.text.lower() != "count":
        raise cursor.unexpected(function, "count(*)")
    for operator in ("(", "*", ")"):
        cursor.expect(operator)
    name = cursor.take().text if cursor.accept("AS") else "count(*)"
    return {"count_as": name, "by": tuple(_names(cursor)) if cursor.accept("BY") else ()}


def _names(cursor: Cursor) -> Iterator[str]:
    yield _name(cursor)
    while cursor.accept(","):
        yield _name(cursor)


def _name(cursor: Cursor) -> str:
    token = cursor.take()
    if token.kind != "word":
        raise cursor.unexpected(token, "a field")
    return token.text


def _condition(cursor: Cursor) -> Predicate[Row]:
    if cursor.accept("("):
        inner = _CONDITIONS.parse(cursor)
        cursor.expect(")")
        return inner
    if cursor.accept("NOT"):
        wrong = _condition(cursor)
        return lambda row: not wrong(row)
    name, operator = _name(cursor), cursor.take()
    match operator.text.lower():
        case "like":
            return _with(name, _like(cursor.take(), cursor))
        case "in":
            cursor.expect("[")
            texts = {cursor.take().text}
            while cursor.accept(","):
                texts.add(cursor.take().text)
            cursor.expect("]")
            return _with(name, texts.__contains__)
        case "=":
            text = cursor.take().text
            return _with(name, lambda value: value == text)
        case "!=":
            text = cursor.take().text
            return lambda row: row.get(name) != text
        case _:
            raise cursor.unexpected(operator, "like, in, = or !=")


def _like(token: Token, cursor: Cursor) -> Callable[[str], bool]:
    if token.kind == "string":
        return lambda value: token.text in value
    if token.kind != "regex":
        raise cursor.unexpected(token, "a text or /a regular expression/")
    try:
        pattern = re.compile(token.text)
    except re.error as error:
        raise cursor.error(f"has an invalid regular expression: {error}") from error
    return lambda value: pattern.search(value) is not None


def _with(name: str, holds: Callable[[str], bool]) -> Predicate[Row]:
    return lambda row: name in row and holds(row[name])


_CONDITIONS: Grammar[Row] = Grammar(_condition, either="OR", both="AND")
