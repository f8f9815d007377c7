"""Lines that carry an id, looked for on demand: what a red check wrote, although nobody tails its group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import LogRecord
from prodwatch.sources.logs.discovery import discover
from prodwatch.text.redact import Redactor

MAX_PAGES = 5
"""Pages read per group; an id is rare, so more means that it is none."""


async def lines_with(
    aws: AwsApi, targets: Sequence[LogTarget], ids: Sequence[str], *, since: datetime, redactor: Redactor
) -> tuple[list[LogRecord], list[str]]:
    """Return the lines with any of `ids` as written, and a sentence for each group that could not be read."""
    if not ids:
        return [], []
    pattern = " ".join(f'?"{id_}"' for id_ in dict.fromkeys(ids) if '"' not in id_)
    answers = await asyncio.gather(*(_target(aws, target, pattern, since, redactor) for target in targets))
    found = {record.event_id: record for records, _ in answers for record in records}
    problems = [problem for _, told in answers for problem in told]
    return sorted(found.values(), key=lambda record: record.timestamp_ms), problems


async def _target(
    aws: AwsApi, target: LogTarget, pattern: str, since: datetime, redactor: Redactor
) -> tuple[list[LogRecord], list[str]]:
    try:
        groups = await discover(aws, target) if target.group.endswith("*") else [target.group]
    except AwsError as caught:
        return [], [caught.message]
    parser = LineParser(redactor)
    found: list[LogRecord] = []
    problems: list[str] = []
    for group in groups:
        query = {"logGroupName": group, "startTime": int(since.timestamp() * 1000), "filterPattern": pattern}
        pages = 0
        try:
            async for page in aws.pages("logs", "FilterLogEvents", query, account=target.account, region=target.region):
                pages += 1
                found += [
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
        except AwsError as caught:
            if caught.code != "ResourceNotFoundException":
                problems.append(caught.message)
    return found, problems
