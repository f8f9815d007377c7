"""Which log groups a command reads: those somebody names, else those the environment watches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.aws.api import AwsError
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import Environment, LogTarget
from prodwatch.session.engine import Engine
from prodwatch.sources.build_sources import log_targets
from prodwatch.sources.logs.discovery import discover_groups
from prodwatch.sources.logs.source import group_key
from prodwatch.text.sanitize import sanitize_line


def targets_of(environment: Environment, groups: Sequence[str]) -> list[LogTarget]:
    """Return what to read: `groups` by name, prefix or function; without any, what the environment watches.

    ConfigurationError when that is nothing.
    """
    watched = log_targets(environment)
    if not groups:
        if not watched:
            raise ConfigurationError(
                f"environment {environment.name} watches no log group; name one with --group, "
                "or write [[function]] or [[logs]] into its file"
            )
        return watched
    functions = {each.name: each.log_group or f"/aws/lambda/{each.name}" for each in environment.functions}
    found = []
    for told in groups:
        name, region = _of_arn(told)
        group = functions.get(name, name)
        # A group the file knows keeps its account and region; its filter was written for the dashboard.
        known = next((each for each in watched if _covers(each.group, group)), None)
        found.append(replace(known, group=group, filter=None) if known else LogTarget(group=group, region=region))
    return found


def _of_arn(text: str) -> tuple[str, str | None]:
    """Return name and region of a log group's or function's ARN, as consoles copy them; anything else is a name."""
    parts = text.split(":", 6)
    if len(parts) < 7 or parts[0] != "arn":
        return text, None
    _, _, service, region, _, kind, rest = parts
    name = rest.split(":")[0]
    if (service, kind) == ("logs", "log-group"):
        return name, region or None
    if (service, kind) == ("lambda", "function"):
        return f"/aws/lambda/{name}", region or None
    return text, None


def _covers(known: str, group: str) -> bool:
    return known == group or (known.endswith("*") and group.startswith(known.rstrip("*")))


class Expanded(NamedTuple):
    """Which groups there are now."""

    targets: list[LogTarget]
    """Every group by name, and the prefixes, so that groups which appear later are followed too."""
    unknown: frozenset[str]
    """Sources of the prefixes that nobody could look up."""
    empty: tuple[str, ...]
    """Prefixes that no group begins with."""


async def expand(engine: Engine, targets: Sequence[LogTarget]) -> Expanded:
    """Look up every prefix; what stands in the way of one is told by its source."""
    found: dict[str, LogTarget] = {}
    unknown: set[str] = set()
    empty: list[str] = []
    prefixes = []
    for target in targets:
        if not target.group.endswith("*"):
            found.setdefault(source_key(target), target)
            continue
        prefixes.append(target)
        try:
            names = await discover_groups(engine.aws, target)
        except AwsError:
            unknown.add(source_key(target))  # the source asks again, and says why
            continue
        if not names:
            empty.append(target.group)
        for name in names:
            each = replace(target, group=name)
            found.setdefault(source_key(each), each)
    return Expanded([*found.values(), *prefixes], frozenset(unknown), tuple(empty))


def source_key(target: LogTarget) -> str:
    """Return the name under which the log source reports a target."""
    return f"logs:{group_key(target.group, target)}"


class LogGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One log group as NDJSON."""

    group: str
    stored_bytes: int | None = None
    """As CloudWatch last counted, which may be a day ago."""
    retention_days: int | None = None
    """None: kept for ever."""
    created_at: str | None = None
    account: str | None = None


async def list_groups(engine: Engine, groups: Sequence[str]) -> list[LogGroup]:
    """Return the log groups that `groups` name, else those the environment watches, else all of the account.

    Sorted by name; raises AwsError, and ConfigurationError as `targets_of` does.
    """
    everything = not groups and not log_targets(engine.environment)
    targets = [LogTarget(group="*")] if everything else targets_of(engine.environment, groups)
    found: dict[tuple[str | None, str], LogGroup] = {}
    for target in targets:
        prefix = target.group.rstrip("*")
        asked = {"logGroupNamePrefix": prefix} if prefix else {}
        pages = engine.aws.pages("logs", "DescribeLogGroups", asked, account=target.account, region=target.region)
        async for page in pages:
            for group in page.get("logGroups") or ():
                if target.group.endswith("*") or group["logGroupName"] == target.group:
                    line = _log_group(group, target.account)
                    found[(target.account, line.group)] = line
    return sorted(found.values(), key=lambda each: (each.group, each.account or ""))


def _log_group(group: dict[str, Any], account: str | None) -> LogGroup:
    created_ms = group.get("creationTime")
    created = None if created_ms is None else datetime.fromtimestamp(created_ms / 1000, UTC)
    return LogGroup(
        group=sanitize_line(str(group["logGroupName"])),
        stored_bytes=group.get("storedBytes"),
        retention_days=group.get("retentionInDays"),
        created_at=None if created is None else f"{created:%Y-%m-%dT%H:%M:%SZ}",
        account=account,
    )
