"""The names of log groups, for somebody who has to find the one to read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from prodwatch.aws.api import AwsError
from prodwatch.cli import stdout
from prodwatch.cli.event_loop import demo_target
from prodwatch.cli.live.log_groups import targets_of
from prodwatch.cli.live.stream_runner import refuse_without_credentials
from prodwatch.cli.options import Common
from prodwatch.cli.stderr import error
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import LogTarget
from prodwatch.session.engine import Engine, open_engine
from prodwatch.settings import Project
from prodwatch.sources.build_sources import log_targets
from prodwatch.text.sanitize import sanitize_line


class GroupLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One log group as NDJSON."""

    group: str
    stored_bytes: int | None = None
    """As CloudWatch last counted, which may be a day ago."""
    retention_days: int | None = None
    """None: kept for ever."""
    created_at: str | None = None
    account: str | None = None


def list_groups(project: Project, common: Common, groups: Sequence[str], *, as_json: bool) -> int:
    """Print the groups that `groups` name, or all the environment watches, or all there are; return the exit code.

    CannotVerifyError when AWS does not tell.
    """

    async def ask() -> list[GroupLine]:
        async with open_engine(project, demo=demo_target(project, common)) as engine:
            await refuse_without_credentials(engine)
            try:
                return await _found(engine, groups)
            except AwsError as caught:
                raise CannotVerifyError(caught.message, caught.reason) from caught

    found = asyncio.run(ask())
    if as_json:
        stdout.write(b"".join(msgspec.json.encode(each) + b"\n" for each in found))
    elif not found:
        error("there is no such log group" if groups else "there are no log groups")
    else:
        stdout.text("\n".join(dict.fromkeys(each.group for each in found)))
    return 0


async def _found(engine: Engine, groups: Sequence[str]) -> list[GroupLine]:
    everything = not groups and not log_targets(engine.environment)
    targets = [LogTarget(group="*")] if everything else targets_of(engine.environment, groups)
    found: dict[tuple[str | None, str], GroupLine] = {}
    for target in targets:
        prefix = target.group.rstrip("*")
        asked = {"logGroupNamePrefix": prefix} if prefix else {}
        pages = engine.aws.pages("logs", "DescribeLogGroups", asked, account=target.account, region=target.region)
        async for page in pages:
            for group in page.get("logGroups") or ():
                if target.group.endswith("*") or group["logGroupName"] == target.group:
                    line = _line(group, target.account)
                    found[(target.account, line.group)] = line
    return sorted(found.values(), key=lambda each: (each.group, each.account or ""))


def _line(group: dict[str, Any], account: str | None) -> GroupLine:
    created_ms = group.get("creationTime")
    created = None if created_ms is None else datetime.fromtimestamp(created_ms / 1000, UTC)
    return GroupLine(
        group=sanitize_line(str(group["logGroupName"])),
        stored_bytes=group.get("storedBytes"),
        retention_days=group.get("retentionInDays"),
        created_at=None if created is None else f"{created:%Y-%m-%dT%H:%M:%SZ}",
        account=account,
    )
