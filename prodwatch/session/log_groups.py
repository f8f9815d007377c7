"""Log groups to read, by name, ARN, prefix or function; and the log groups of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.model.environment import Environment, LogTarget
from prodwatch.model.identity import LAMBDA_GROUPS, GroupId, Place
from prodwatch.session.engine import Engine
from prodwatch.sources.build_sources import log_targets
from prodwatch.sources.logs.discovery import discover_groups
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
    targets: dict[GroupId, LogTarget] = {}
    for text in groups:
        for target in _named(environment, watched, text):
            targets.setdefault(target.id, target)
    return list(targets.values())


def _named(environment: Environment, watched: Sequence[LogTarget], text: str) -> list[LogTarget]:
    """Return every watched group of this name or function, in all accounts and regions; else the group itself."""
    named = _parsed(text)
    functions = [each for each in environment.functions if each.name == named.function]
    names = {each.group_id.name for each in functions} or {named.group}
    # A group of the file keeps its account and region; its filter is meant for the dashboard.
    known = [
        replace(target, group=name, filter=None)
        for name in sorted(names)
        for target in watched
        if _covers(target.group, name) and _is_in(environment, target, named)
    ]
    return known or [LogTarget(group=each, region=named.region) for each in sorted(names)]


def functions_named(groups: Sequence[str]) -> frozenset[str] | None:
    """Return the names that `groups` may mean as functions; None without any group: all functions are watched."""
    return frozenset(_parsed(text).function for text in groups) if groups else None


class _Named(NamedTuple):
    """A log group as an argument names it."""

    group: str
    function: str
    """Function that the argument may name."""
    region: str | None = None
    account_number: str = ""


def _parsed(text: str) -> _Named:
    """Return what the ARN of a log group or function names; any other text is a name without region."""
    parts = text.split(":", 6)
    if len(parts) == 7 and parts[0] == "arn":
        _, _, service, region, number, kind, rest = parts
        name = rest.split(":")[0]
        if (service, kind) == ("logs", "log-group"):
            return _Named(name, "", region or None, number)
        if (service, kind) == ("lambda", "function"):
            return _Named(f"{LAMBDA_GROUPS}{name}", name, region or None, number)
    return _Named(text, text)


def _is_in(environment: Environment, target: LogTarget, named: _Named) -> bool:
    """Return whether a target can be in the region and account of an ARN; any other name has neither."""
    region = environment.region_of(target)
    number = environment.accounts.get(target.account or "", environment.aws).account
    return (named.region is None or region in {None, named.region}) and (
        not named.account_number or number in {None, named.account_number}
    )


def _covers(known: str, group: str) -> bool:
    return known == group or (known.endswith("*") and group.startswith(known.rstrip("*")))


class Expanded(NamedTuple):
    """Existing groups of the targets."""

    targets: list[LogTarget]
    """Every group by name, and the prefixes, so that groups created later are followed too."""
    unknown: frozenset[str]
    """Source names of the prefixes that could not be looked up."""
    empty: tuple[GroupId, ...]
    """Prefixes without a group."""


async def expand(engine: Engine, targets: Sequence[LogTarget]) -> Expanded:
    """Look up the groups of every prefix; the source of a prefix that fails reports the error."""
    existing: dict[str, LogTarget] = {}
    unknown: set[str] = set()
    empty: list[GroupId] = []
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
            empty.append(target.id)
        for name in names:
            each = replace(target, group=name)
            existing.setdefault(source_key(each), each)
    return Expanded([*existing.values(), *prefixes], frozenset(unknown), tuple(empty))


def source_key(target: LogTarget) -> str:
    """Return the source name of a target in statuses."""
    return f"logs:{target.id.key}"


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
    region: str | None = None

    @property
    def id(self) -> GroupId:
        """Identity of the group."""
        return GroupId(self.group, Place(self.account or "", self.region or ""))


async def list_groups(engine: Engine, groups: Sequence[str]) -> tuple[list[LogGroup], list[AwsError]]:
    """Return the log groups that `groups` name, else those the environment watches, else all of the account.

    Sorted by name, followed by one error per target that could not be read. Raises AwsError when none could be,
    ConfigurationError as `targets_of` does, and CannotVerifyError for a group whose name has no value.
    """
    unfilled = () if groups else engine.environment.unfilled_of(*LOG_TABLES)
    if unfilled:
        raise CannotVerifyError(unfilled[0].sentence, unfilled[0].reason)
    everything = not groups and not log_targets(engine.environment)
    targets = [LogTarget(group="*")] if everything else targets_of(engine.environment, groups)
    log_groups: dict[GroupId, LogGroup] = {}
    errors: list[AwsError] = []
    for target in targets:
        try:
            log_groups |= {each.id: each async for each in _existing(engine, target)}
        except AwsError as error:
            errors.append(error)
    if errors and len(errors) == len(targets):
        raise errors[0]
    return [log_groups[id_] for id_ in sorted(log_groups)], errors


async def _existing(engine: Engine, target: LogTarget) -> AsyncIterator[LogGroup]:
    prefix = target.group.rstrip("*")
    params = {"logGroupNamePrefix": prefix} if prefix else {}
    async for page in engine.aws.pages(
        "logs", "DescribeLogGroups", params, account=target.account, region=target.region
    ):
        for group in page.get("logGroups") or ():
            if target.group.endswith("*") or group["logGroupName"] == target.group:
                yield _log_group(group, target)


def _log_group(group: dict[str, Any], target: LogTarget) -> LogGroup:
    created_ms = group.get("creationTime")
    created = None if created_ms is None else datetime.fromtimestamp(created_ms / 1000, UTC)
    return LogGroup(
        group=sanitize_line(str(group["logGroupName"])),
        stored_bytes=group.get("storedBytes"),
        retention_days=group.get("retentionInDays"),
        created_at=None if created is None else f"{created:%Y-%m-%dT%H:%M:%SZ}",
        account=target.account,
        region=target.region,
    )
