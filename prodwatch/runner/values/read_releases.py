"""The release under test: read from the weights of aliases, and from CodeDeploy where it is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, FunctionTarget, place_of
from prodwatch.model.release import first_release, present_releases
from prodwatch.model.result import ReleaseInfo
from prodwatch.model.signal import ReleaseState
from prodwatch.runner.options import ReleaseOverride
from prodwatch.sources.release.alias_weights import AliasState, alias_state_of
from prodwatch.sources.release.codedeploy import PER_GROUP, deployment_reader, read_places
from prodwatch.sources.release.release_state import Deployment, release_state
from prodwatch.text.sanitize import sanitize_line


async def read_releases(
    environment: Environment, aws: AwsApi, override: ReleaseOverride | None, clock: Clock
) -> Sequence[ReleaseState]:
    """Return the release state of every `[[function]]` with an alias.

    Raises AwsError, LookupError, and CannotVerifyError when a function's or the application's name has no value: that
    one may be under release.
    """
    for unfilled in environment.unfilled_of("function", "release"):
        raise CannotVerifyError(unfilled.sentence, unfilled.reason)
    if override is not None:
        function = environment.functions[0] if environment.functions else FunctionTarget(name="")
        return (
            ReleaseState(
                function=function.name, alias=function.alias, version=override.version, previous=override.previous
            ),
        )
    targets = [function for function in environment.functions if function.alias is not None]
    aliases = await asyncio.gather(*(_alias(aws, target) for target in targets))
    deployments = await _deployments(aws, environment, clock) if targets else []
    now = clock.now()
    names = environment.function_names
    states = [
        replace(_state(target, alias, deployments, now), suffix=names.suffix(target.name, place_of(target)))
        for target, alias in zip(targets, aliases, strict=True)
    ]
    return await asyncio.gather(*(_dated(aws, target, state) for target, state in zip(targets, states, strict=True)))


async def _deployments(aws: AwsApi, environment: Environment, clock: Clock) -> list[Deployment]:
    """Return the newest deployments in every account and region of the functions; raises AwsError."""
    readers = {
        (place, application): deployment_reader(aws, application, clock, place)
        for place in environment.deployment_places
        for application in environment.release.codedeploy
    }
    outcomes = await read_places(
        readers, lambda reader: reader.read(clean=sanitize_line, per_group=PER_GROUP, listed_within_s=0)
    )
    deployments: list[Deployment] = []
    for outcome in outcomes.values():
        if isinstance(outcome, AwsError):
            raise outcome
        for error in outcome.errors:
            raise error
        deployments += outcome.deployments
    return deployments


async def _alias(aws: AwsApi, target: FunctionTarget) -> AliasState:
    try:
        alias = await aws.call(
            "lambda",
            "GetAlias",
            {"FunctionName": target.name, "Name": target.alias},
            account=target.account,
            region=target.region,
        )
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            raise LookupError(f"function {target.name} has no alias {target.alias}") from error
        raise
    return alias_state_of(alias)


def _state(target: FunctionTarget, alias: AliasState, deployments: Sequence[Deployment], now: datetime) -> ReleaseState:
    own = [each for each in deployments if each.owner == target.id]
    state = release_state(target.name, target.alias, alias, own, at=now)
    return replace(present_releases((state,), now)[0], place=place_of(target))


async def _dated(aws: AwsApi, target: FunctionTarget, state: ReleaseState) -> ReleaseState:
    """Return the state, with the version's publication as its start where no deployment dates it."""
    if state.started_at is not None:
        return state
    published = await aws.call(
        "lambda",
        "GetFunctionConfiguration",
        {"FunctionName": target.name, "Qualifier": state.version},
        account=target.account,
        region=target.region,
    )
    return replace(state, started_at=_moment(published.get("LastModified")))


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def release_info(states: Sequence[ReleaseState], *, attested: bool | None) -> ReleaseInfo | None:
    """Return the release for the result document; None when no function is under release."""
    state = first_release(states)
    if state is None:
        return None
    return ReleaseInfo(
        version=state.version,
        previous=state.previous,
        started_at=state.started_at,
        state=state.phase.value,
        weights=state.weights,
        attested=attested,
    )
