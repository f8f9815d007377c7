"""Fields of JSON lines: names, values and column widths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from prodwatch.model.signal import LogRecord
from prodwatch.views.check_detail import compact

MAX_COLUMNS = 6
MAX_WIDTH = 24
MAX_DEPTH = 3
_SHOWN_ELSEWHERE = frozenset(
    (
        *("level", "severity", "loglevel", "message", "msg", "timestamp", "time", "ts", "datetime", "requesttime"),
        *(
            "requestid",
            "request_id",
            "function_request_id",
            "awsrequestid",
            "integrationrequestid",
            "extendedrequestid",
        ),
        *("xray_trace_id", "xraytraceid", "trace_id", "traceid", "spanid", "span_id", "stacktrace"),
    )
)
"""Last parts of paths, in lower case, that a line shows in its own columns, and ids too long for a column."""


class FieldColumn(NamedTuple):
    """One field as a column."""

    name: str
    """Dotted path into nested objects."""
    width: int
    right: bool
    """Whether values are right-aligned: numbers."""


def lookup(fields: dict[str, Any] | None, path: str) -> Any:
    """Return `a.b` of nested objects, None if it is missing; a key that contains dots has precedence."""
    if not fields:
        return None
    if path in fields:
        return fields[path]
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def field_names(records: Iterable[LogRecord]) -> tuple[str, ...]:
    """Return the paths of all single values, the most frequent first."""
    seen: Counter[str] = Counter()
    for record in records:
        if record.fields:
            seen.update(_paths(record.fields))
    return tuple(name for name, _ in seen.most_common())


def columns_of(records: Sequence[LogRecord], chosen: Sequence[str] = ()) -> tuple[FieldColumn, ...]:
    """Return columns for the fields `wanted`, else for those most of the programs' lines have that say something new.

    What AWS itself wrote has fields of its own kind and no say in this.
    """
    if not chosen:
        written = [record for record in records if record.kind == "app"]
        names = [name for name in field_names(written) if name.rpartition(".")[2].casefold() not in _SHOWN_ELSEWHERE]
        chosen = names[:MAX_COLUMNS]
    return tuple(_column(name, records) for name in chosen)


def _column(name: str, records: Sequence[LogRecord]) -> FieldColumn:
    values = [value for record in records if (value := lookup(record.fields, name)) is not None]
    numbers = bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    longest = max((len(compact(value)) for value in values), default=1)
    return FieldColumn(name, min(MAX_WIDTH, max(len(name), longest)), numbers)


def _paths(fields: dict[str, Any], before: str = "", depth: int = 1) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from _paths(value, f"{before}{name}.", depth + 1)
        elif not isinstance(value, list):
            yield f"{before}{name}"
