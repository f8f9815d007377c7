"""Log groups to read, by name, ARN, prefix or function; and the log groups of an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.model.environment import Environment, LogTarget
from prodwatch.session.engine import Engine
from prodwatch.sources.build_sources import log_targets
from prodwatch.sources.logs.discovery import discover_groups
from prodwatch.sources.logs.source import group_key
from prodwatch.text.sanitize import sanitize_line

LOG_TABLES = ("function", "logs")
"""Tables of an environment file that name log groups."""


def targets_of(environment: Environment, groups: Sequence[str]) -> list[LogTarget]:
    """Return the targets of `groups` (name, ARN, prefix or function); without any, those the environment watches.

    Raises ConfigurationError when there is no group to read.
    """
    watched = log_targets(environment)
    if not groups:
        if not watched and not environment.unfilled_of(*LOG_TABLES):
            raise ConfigurationError(
                f"environment {environment.name} watches no log groups; name one with --group, "
                "or add a [[function]] or [[logs]] to its file"
            )
        return watched
    functions = {each.name: each.log_group or f"/aws/lambda/{each.name}" for each in environment.functions}
    targets = []
    for text in groups:
        name, region = _of_arn(text)
        group = functions.get(name, name)
        # A group of the file keeps its account and region; its filter is meant for the dashboard.
        known = next((target for target in watched if _covers(target.group, group)), None)
        targets.append(replace(known, group=group, filter=None) if known else LogTarget(group=group, region=region))
    return targets


def _of_arn(text: str) -> tuple[str, str | None]:
    """Return name and region of a log group's or function's ARN; any other text is a name without region."""
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
    """Existing groups of the targets."""

    targets: list[LogTarget]
    """Every group by name, and the prefixes, so that groups created later are followed too."""
    unknown: frozenset[str]
    """Source names of the prefixes that could not be looked up."""
    empty: tuple[str, ...]
    """Prefixes without a group."""


async def expand(engine: Engine, targets: Sequence[LogTarget]) -> Expanded:
    """Look up the groups of every prefix; the source of a prefix that fails reports the error."""
    existing: dict[str, LogTarget] = {}
    unknown: set[str] = set()
    empty: list[str] = []
    prefixes = []
    for target in targets:
        if not target.group.endswith("*"):
            existing.setdefault(source_key(target), target)
            continue
        prefixes.append(target)
        try:
            names = await discover_groups(engine.aws, target)
        except AwsError:
            unknown.add(source_key(target))  # the source retries and reports the error
            continue
        if not names:
            empty.append(target.group)
        for name in names:
            each = replace(target, group=name)
            existing.setdefault(source_key(each), each)
    return Expanded([*existing.values(), *prefixes], frozenset(unknown), tuple(empty))


def source_key(target: LogTarget) -> str:
    """Return the source name of a target in statuses."""
    return f"logs:{group_key(target.group, target)}"


class LogGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One log group as NDJSON."""

    group: str
    stored_bytes: int | None = None
    """Size as last counted by CloudWatch, up to a day ago."""
    retention_days: int | None = None
    """None: kept forever."""
    created_at: str | None = None
    """RFC 3339, UTC."""
    account: str | None = None


async def list_groups(engine: Engine, groups: Sequence[str]) -> list[LogGroup]:
    """Return the log groups that `groups` name, else those the environment watches, else all of the account.

    Sorted by name; raises AwsError, ConfigurationError as `targets_of` does, and CannotVerifyError for a group whose
    name has no value.
    """
    unfilled = () if groups else engine.environment.unfilled_of(*LOG_TABLES)
    if unfilled:
        raise CannotVerifyError(unfilled[0].sentence, unfilled[0].reason)
    everything = not groups and not log_targets(engine.environment)
    targets = [LogTarget(group="*")] if everything else targets_of(engine.environment, groups)
    log_groups: dict[tuple[str | None, str], LogGroup] = {}
    for target in targets:
        prefix = target.group.rstrip("*")
        params = {"logGroupNamePrefix": prefix} if prefix else {}
        pages = engine.aws.pages("logs", "DescribeLogGroups", params, account=target.account, region=target.region)
        async for page in pages:
            for group in page.get("logGroups") or ():
                if target.group.endswith("*") or group["logGroupName"] == target.group:
                    log_group = _log_group(group, target.account)
                    log_groups[(target.account, log_group.group)] = log_group
    return sorted(log_groups.values(), key=lambda each: (each.group, each.account or ""))


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
