"""Reads a time window of a log group, and reports when it was not read completely."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import loads
from typing import Any

from prodwatch.assertions.errors import UndecidableError
from prodwatch.aws.interface import AwsError
from prodwatch.clock import AWS_CLOCK_TOLERANCE_S
from prodwatch.formats.embedded_object import find_object
from prodwatch.formats.lambda_record import LineParser
from prodwatch.formats.lambda_text import normalise_newlines
from prodwatch.model.signal import Level, LogRecord
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, moment, refuse, seconds, too_young
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.decode import unambiguous
from prodwatch.probes.logs.pattern import Keeps, keeper
from prodwatch.probes.logs.spec import is_version
from prodwatch.sources.logs.discovery import is_of_unreadable_class, unreadable_class

MAX_LINES = 10_000
"""Largest number of lines read; with more, `complete` is false."""
_PARSER = LineParser()
_MISSING = object()
_BEFORE_JSON = "\ufeff \t\r\n"
"""Characters that may precede a JSON document in a line."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Return the lines of `params["group"]` in the window that match every filter of the check."""
    return await ask(params, context, "logs", _read)


INGESTION_LAG_S = 10.0
"""Usual delay in seconds before CloudWatch shows a line."""


@dataclass(slots=True)
class _Wanted:
    """Conditions on lines that CloudWatch does not apply."""

    keeps: Keeps
    version: str | None
    function: str | None
    fields: Mapping[str, Any]
    """Name → value; with `_MISSING` as value the field must exist."""
    unseen: set[str]
    """Fields with a required value that no line read so far has."""
    read: int = 0
    """Lines read so far that match the filter, with or without these fields."""
    uncertain: str | None = None
    """Why it is not known whether a line has the fields; None while it is."""
    versions: set[str | None] = field(default_factory=set)
    """Versions of the lines read so far that match filter and fields; None for a line without one."""
    functions: set[str] = field(default_factory=set)
    """Functions of the lines of the wanted version, as far as the names of their streams name one."""

    def is_from(self, record: LogRecord) -> bool:
        """Return whether a line of this function and version is wanted, and remember that one was read."""
        if self.function is not None and record.function != self.function:
            return False
        if self.version is None:
            return True
        self.versions.add(record.version)
        if record.version == self.version and record.function is not None:
            self.functions.add(record.function)
        return record.version == self.version


@dataclass(slots=True)
class _Found:
    lines: list[dict[str, Any]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    cold_starts: int = 0


async def _read(calls: AwsCalls) -> Observation:
    params = calls.params
    quiet_for = params.get("quiet_for")
    since = params.get("since") or ("5m" if quiet_for is None else "start")
    start = moment(since, "since", calls)
    end = moment(params["until"], "until", calls) if params.get("until") is not None else None
    fields = _fields(params.get("fields"))
    unseen = {name for name, value in fields.items() if value is not _MISSING}
    wanted = _Wanted(await _keeper(calls), _version(params), params.get("function"), fields, unseen)
    groups = await _groups(calls, str(params["group"]))
    found = _Found()
    missing = [group for group in groups if not await _group(calls, group, start, end, wanted, found)]
    if wanted.function is None and len(wanted.functions) > 1:
        several = ", ".join(sorted(wanted.functions))
        message = f"version {wanted.version} exists of several functions in this log group ({several}): add `function`"
        raise refuse(Status.ERROR, Reason.INVALID, message)
    found.lines.sort(key=lambda line: line["timestamp"])
    if quiet_for is not None:
        _demand_the_end(calls, seconds(quiet_for, 0.0))
    elif end is None and too_young(since, start, calls, lag_s=INGESTION_LAG_S):
        calls.incomplete(
            f"a window shorter than {INGESTION_LAG_S:.0f} s ends before CloudWatch shows what was written in it"
        )
    if end is not None and end > calls.now():
        calls.incomplete("`until` is in the future: the window is not over")
    if wanted.uncertain is not None:
        calls.incomplete(f"a line was left out, because {wanted.uncertain}")
    whole = calls.complete and not missing
    document = {
        "count": len(found.lines),
        "lines": found.lines,
        "cold_starts": found.cold_starts,
        "complete": whole,
    }
    failure = None
    if len(missing) == len(groups):
        what = f'log group "{params["group"]}" does not exist (yet): Lambda makes it at the first invocation'
        failure = Failure(status=Status.INCONCLUSIVE, reason=Reason.NO_DATA, message=what)
    return calls.answer(document, failure=failure, complete=whole, doubt=_doubt(wanted))


def _demand_the_end(calls: AwsCalls, quiet_s: float) -> None:
    """Mark the last look of `quiet_for` as incomplete while AWS's clock has not reached its end."""
    end = calls.first_now() + timedelta(seconds=quiet_s - AWS_CLOCK_TOLERANCE_S)
    if not calls.context.wait_left_s and calls.now() < end:
        calls.incomplete(f"by AWS's clock, `quiet_for` is not over before {end.isoformat(timespec='seconds')}")


async def _keeper(calls: AwsCalls) -> Keeps:
    pattern = calls.params.get("filter")
    # Whatever AWS returned for a pattern matches it; an emulator may ignore parts of the pattern.
    return keeper(None if pattern and await calls.reaches_aws() else pattern)


def _doubt(wanted: _Wanted) -> str | None:
    """Return why the absence of lines is not evidence: no line has the version, or the field, that was asked for."""
    if wanted.version is not None and wanted.versions and wanted.version not in wanted.versions:
        seen = ", ".join(
            sorted(f"version {version}" if version else "lines without a version" for version in wanted.versions)
        )
        return f"no line of version {wanted.version} was read, only {seen}: that proves nothing"
    if not wanted.unseen or not wanted.read:
        return None
    lines = "the only line" if wanted.read == 1 else f"none of the {wanted.read:,} lines"
    has = "read lacks" if wanted.read == 1 else "read has"
    return f"{lines} {has} the field `{min(wanted.unseen)}`, so that none has its value proves nothing"


def _version(params: Mapping[str, Any]) -> str | None:
    if params.get("version") is None:
        return None
    version = str(params["version"])
    if not is_version(version):
        message = f'`version` must be digits or $LATEST, as Lambda writes it into the log stream, not "{version}"'
        raise refuse(Status.ERROR, Reason.INVALID, message)
    return version


def _fields(fields: Any) -> Mapping[str, Any]:
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    return dict.fromkeys([fields] if isinstance(fields, str) else [str(name) for name in fields], _MISSING)


async def _groups(calls: AwsCalls, group: str) -> list[str]:
    if not group.endswith("*"):
        return [group]
    return [
        each["logGroupName"]
        async for page in calls.pages("DescribeLogGroups", {"logGroupNamePrefix": group[:-1]})
        for each in page.get("logGroups") or ()
    ]


async def _group(
    calls: AwsCalls, group: str, start: datetime, end: datetime | None, wanted: _Wanted, found: _Found
) -> bool:
    """Read one group into `found`; return False when it does not exist."""
    request: dict[str, Any] = {"logGroupName": group, "startTime": max(0, int(start.timestamp() * 1000))}
    if end is not None:
        request["endTime"] = int(end.timestamp() * 1000)
    if calls.params.get("filter"):
        request["filterPattern"] = calls.params["filter"]
    calls.show("FilterLogEvents", request)
    try:
        # Only a missing token ends the reading, not an empty page.
        async for page in calls.pages("FilterLogEvents", request):
            if not _page(page.get("events") or (), group, wanted, found):
                calls.incomplete(f"more than {MAX_LINES} lines were found; the rest was not read")
                break
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            calls.met(error)
            return False
        if is_of_unreadable_class(error):
            calls.incomplete(f'log group "{group}" was not read: {unreadable_class(error)}')
            return True
        raise
    return True


def _page(events: Any, group: str, wanted: _Wanted, found: _Found) -> bool:
    """Add the lines of one page; return False at `MAX_LINES`."""
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
    json = _object(message.lstrip(_BEFORE_JSON))
    try:
        if not wanted.keeps(message, json):
            return None
        if json is None and (found := find_object(normalise_newlines(message))) is not None:
            json = _object(message[found.start : found.end]) or found.fields
        if not _has_fields(json, wanted):
            return None
    except UndecidableError as error:
        wanted.uncertain = str(error)
        return None
    record = _PARSER.parse(
        message, group=group, timestamp_ms=event["timestamp"], stream=event.get("logStreamName") or ""
    )
    if not wanted.is_from(record):
        return None
    item: dict[str, Any] = {
        "message": message,
        "stream": record.stream,
        "group": group,
        "timestamp": datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
        "_cold": record.report is not None and record.report.init_ms is not None,
    }
    if record.level is not Level.UNKNOWN:
        item["level"] = str(record.level)
    for name in ("version", "request_id", "trace_id"):
        value = getattr(record, name)
        if value is not None:
            item[name] = value
    if json is not None:
        item["json"] = json
    return item


def _has_fields(json: Any, wanted: _Wanted) -> bool:
    """Return whether a line that matches the filter has the fields; UndecidableError for one that it has twice."""
    wanted.read += 1
    if wanted.unseen:
        wanted.unseen -= {name for name in wanted.unseen if _field(json, name) is not _MISSING}
    return all(_field_is(json, name, value) for name, value in wanted.fields.items())


def _object(text: str) -> Any:
    """Return the JSON object that `text` is, with exact decimals; None for anything else.

    A member that it has twice has no certain value.
    """
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            return loads(text, object_pairs_hook=unambiguous, parse_float=Decimal)
    return None


def _field(json: Any, name: str) -> Any:
    """Return a line's value under a name or a dotted path; `_MISSING` without one."""
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
