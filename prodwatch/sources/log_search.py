"""Searches log groups on demand for lines with given ids, such as those of a failed check."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.discovery import discover_groups
from prodwatch.text.redact import Redactor

MAX_PAGES = 5
"""Most pages read per group: an id is rare, so more pages mean that the text is not an id."""


async def find_lines(
    aws: AwsApi, targets: Sequence[LogTarget], ids: Sequence[str], *, since: datetime, redactor: Redactor
) -> tuple[list[LogRecord], list[str]]:
    """Return the lines that contain any of `ids`, in order of time, and one sentence per group not fully read."""
    if not ids:
        return [], []
    pattern = " ".join(f'?"{id_}"' for id_ in dict.fromkeys(ids) if '"' not in id_)
    results = await asyncio.gather(*(_search_target(aws, target, pattern, since, redactor) for target in targets))
    records = {record.event_id: record for records, _ in results for record in records}
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
        query = {"logGroupName": group, "startTime": int(since.timestamp() * 1000), "filterPattern": pattern}
        pages = 0
        try:
            async for page in aws.pages("logs", "FilterLogEvents", query, account=target.account, region=target.region):
                pages += 1
                records += [
                    parser.parse(
                        event.get("message", ""),
                        group=group,
                        timestamp_ms=event.get("timestamp", 0),
                        stream=event.get("logStreamName", ""),
                        event_id=event.get("eventId", ""),
                        ingested_ms=event.get("ingestionTime", 0),
                    )
                    for event in page.get("events", ())
                ]
                if pages >= MAX_PAGES and page.get("nextToken"):
                    problems.append(
                        f"{group}: more than {MAX_PAGES} pages of lines with these ids; the rest was not read"
                    )
                    break
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                problems.append(error.message)
    return records, problems
