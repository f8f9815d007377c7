"""Reads a window of a log group to its very end, and says so when it could not."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prodwatch.aws.api import AwsError
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import Level
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import Talk, ask, from_json, moment, too_young
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.logs.pattern import Keeps, keeper

MAX_LINES = 10_000
"""Lines kept for judging; what lies beyond is not read, and `complete` is then false."""
_PARSER = LineParser()
_MISSING = object()


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Report the lines of `params["group"]` in the window that match every filter of the check."""
    return await ask(params, context, "logs", _read)


INGESTION_LAG_S = 10.0
"""What CloudWatch usually needs to show a line."""


@dataclass(slots=True)
class _Wanted:
    """What a line must be like, beyond what CloudWatch was told."""

    keeps: Keeps
    version: str | None
    fields: Mapping[str, Any]
    """Name → value; `_MISSING` as value asks only that the field is there."""
    unseen: set[str]
    """Fields asked for by value that no line read so far has."""
    read: int = 0
    """Lines read so far that the filter keeps, with these fields or without."""


@dataclass(slots=True)
class _Found:
    lines: list[dict[str, Any]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    cold_starts: int = 0
    complete: bool = True


async def _read(talk: Talk) -> Observation:
    params, context = talk.params, talk.context
    start = moment(params.get("since") or "5m", "since", context)
    end = moment(params["until"], "until", context) if params.get("until") is not None else None
    fields = _fields(params.get("fields"))
    unseen = {name for name, value in fields.items() if value is not _MISSING}
    wanted = _Wanted(keeper(params.get("filter")), _version(params), fields, unseen)
    groups = await _groups(talk, str(params["group"]))
    found = _Found()
    missing = [group for group in groups if not await _group(talk, group, start, end, wanted, found)]
    found.lines.sort(key=lambda line: line["timestamp"])
    if end is None and too_young(params.get("since") or "5m", start, context, lag_s=INGESTION_LAG_S):
        found.complete = False
        talk.notice(
            f"a window shorter than {INGESTION_LAG_S:.0f} s ends before CloudWatch shows what was written in it"
        )
    document = {
        "count": len(found.lines),
        "lines": found.lines,
        "cold_starts": found.cold_starts,
        "complete": found.complete and not missing,
    }
    failure = None
    if len(missing) == len(groups):
        what = f'log group "{params["group"]}" does not exist (yet): Lambda makes it at the first invocation'
        failure = Failure(status=Status.INCONCLUSIVE, reason=Reason.NO_DATA, message=what)
    return talk.answer(document, failure=failure, complete=found.complete and not missing, doubt=_doubt(wanted))


def _doubt(wanted: _Wanted) -> str | None:
    """Return why the absence of lines proves nothing: a field that no line has is most likely misspelt."""
    if not wanted.unseen or not wanted.read:
        return None
    lines = "the only line" if wanted.read == 1 else f"none of the {wanted.read:,} lines"
    has = "read lacks" if wanted.read == 1 else "read has"
    return f"{lines} {has} the field `{min(wanted.unseen)}`, so that none has its value proves nothing"


def _version(params: Mapping[str, Any]) -> str | None:
    return None if params.get("version") is None else str(params["version"])


def _fields(fields: Any) -> Mapping[str, Any]:
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    return dict.fromkeys([fields] if isinstance(fields, str) else [str(name) for name in fields], _MISSING)


async def _groups(talk: Talk, group: str) -> list[str]:
    if not group.endswith("*"):
        return [group]
    return [
        each["logGroupName"]
        async for page in talk.pages("DescribeLogGroups", {"logGroupNamePrefix": group[:-1]})
        for each in page.get("logGroups") or ()
    ]


async def _group(talk: Talk, group: str, start: datetime, end: datetime | None, wanted: _Wanted, found: _Found) -> bool:
    """Read one group into `found`; False when it does not exist."""
    request: dict[str, Any] = {"logGroupName": group, "startTime": max(0, int(start.timestamp() * 1000))}
    if end is not None:
        request["endTime"] = int(end.timestamp() * 1000)
    if talk.params.get("filter"):
        request["filterPattern"] = talk.params["filter"]
    talk.show("FilterLogEvents", request)
    pages = 0
    try:
        # An empty page with a token is no end: only the missing token is.
        async for page in talk.pages("FilterLogEvents", request):
            pages += 1
            if not _page(page.get("events") or (), group, wanted, found):
                talk.notice(f"more than {MAX_LINES} lines were found; the rest was not read")
                found.complete = False
                return True
            if talk.elapsed_s() >= talk.context.timeout_s:
                return _cut_short(talk, found, pages)
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            talk.met(error)
            return False
        if pages and error.reason in {Reason.TIMEOUT, Reason.THROTTLED, Reason.SERVICE, Reason.NETWORK}:
            return _cut_short(talk, found, pages)
        raise
    return True


def _cut_short(talk: Talk, found: _Found, pages: int) -> bool:
    talk.notice(f"the window was not read to its end: {pages} pages in {talk.elapsed_s():.1f} s; raise `timeout`")
    found.complete = False
    return True


def _page(events: Any, group: str, wanted: _Wanted, found: _Found) -> bool:
    """Take the lines of one page; False when there is no room for more."""
    for event in events:
        id_ = event.get("eventId") or ""
        if id_ in found.seen and id_:
            continue
        line = _line(event, group, wanted)
        if line is None:
            continue
        if len(found.lines) >= MAX_LINES:
            return False
        found.seen.add(id_)
        found.cold_starts += line.pop("_cold")
        found.lines.append(line)
    return True


def _line(event: Mapping[str, Any], group: str, wanted: _Wanted) -> dict[str, Any] | None:
    message = event.get("message") or ""
    json = None
    if message.startswith("{"):
        with contextlib.suppress(ValueError):
            json = from_json(message)
    if not wanted.keeps(message, json):
        return None
    wanted.read += 1
    if wanted.unseen:
        wanted.unseen -= {name for name in wanted.unseen if _field(json, name) is not _MISSING}
    if not all(_field_is(json, name, value) for name, value in wanted.fields.items()):
        return None
    record = _PARSER.parse(
        message, group=group, timestamp_ms=event["timestamp"], stream=event.get("logStreamName") or ""
    )
    if wanted.version is not None and record.version != wanted.version:
        return None
    told: dict[str, Any] = {
        "message": message,
        "stream": record.stream,
        "group": group,
        "timestamp": datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
        "_cold": record.report is not None and record.report.init_ms is not None,
    }
    if record.level is not Level.UNKNOWN:
        told["level"] = str(record.level)
    for name in ("version", "request_id", "trace_id"):
        value = getattr(record, name)
        if value is not None:
            told[name] = value
    if json is not None:
        told["json"] = json
    return told


def _field(json: Any, name: str) -> Any:
    """Return what a line holds under a name or a dotted path, `_MISSING` for nothing."""
    if isinstance(json, Mapping) and name in json:
        return json[name]
    for part in name.split("."):
        if not isinstance(json, Mapping) or part not in json:
            return _MISSING
        json = json[part]
    return json


def _field_is(json: Any, name: str, wanted: Any) -> bool:
    value = _field(json, name)
    if value is _MISSING or wanted is _MISSING:
        return value is not _MISSING
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)
