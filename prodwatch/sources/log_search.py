"""Searches log groups on demand for lines with given ids, such as those of a failed check."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from msgspec import convert
from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget, place_of
from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.discovery import discover_groups
from prodwatch.sources.logs.events import Occurrences, RawEvent
from prodwatch.text.redact import Redactor

MAX_LINES = 5_000
"""Most lines read per group: an id is rare, so more lines mean that the text is not an id."""
MAX_CALLS = 200
"""Most calls per group. CloudWatch searches a part of the group per call, and most parts hold no line with the ids."""


async def find_lines(
    aws: AwsApi, targets: Sequence[LogTarget], ids: Sequence[str], *, since: datetime, redactor: Redactor
) -> tuple[list[LogRecord], list[str]]:
    """Return the lines that contain any of `ids`, in order of time, and one sentence per group not fully read."""
    if not ids:
        return [], []
    pattern = " ".join(f'?"{id_}"' for id_ in dict.fromkeys(ids) if '"' not in id_)
    results = await asyncio.gather(*(_search_target(aws, target, pattern, since, redactor) for target in targets))
    # Targets may overlap.
    records = {(record.group_id, record.event_id): record for records, _ in results for record in records}
    problems = [problem for _, problems_ in results for problem in problems_]
    return sorted(records.values(), key=lambda record: record.timestamp_ms), problems


async def _search_target(
    aws: AwsApi, target: LogTarget, pattern: str, since: datetime, redactor: Redactor
) -> tuple[list[LogRecord], list[str]]:
    try:
        groups = await discover_groups(aws, target) if target.group.endswith("*") else [target.group]
    except AwsError as error:
        return [], [error.message]
    parser = LineParser(redactor)
    records: list[LogRecord] = []
    problems: list[str] = []
    for group in groups:
        try:
            found, problem = await _search_group(aws, target, group, pattern, since)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                problems.append(error.message)
            continue
        problems += [problem] if problem else []
        place = place_of(target)
        records += [replace(record, place=place) for record in parser.parse_all(found, group)]
    return records, problems


async def _search_group(
    aws: AwsApi, target: LogTarget, group: str, pattern: str, since: datetime
) -> tuple[list[RawEvent], str | None]:
    """Return the events of a group that match, and the reason for which not all were read; raises AwsError."""
    query = {"logGroupName": group, "startTime": int(since.timestamp() * 1000), "filterPattern": pattern}
    events: list[RawEvent] = []
    occurrences = Occurrences()
    calls = 0
    async for page in aws.pages("logs", "FilterLogEvents", query, account=target.account, region=target.region):
        calls += 1
        events += occurrences.identified([convert(each, RawEvent) for each in page.get("events", ())])
        if not page.get("nextToken"):
            break
        if len(events) >= MAX_LINES:
            return events, f"{group}: more than {len(events):,} lines have these ids; the rest was not read"
        if calls >= MAX_CALLS:
            lines = f"{len(events):,} lines with these ids"
            return events, f"{group}: {calls} calls found {lines} and did not reach the end; the rest was not read"
    return events, None
