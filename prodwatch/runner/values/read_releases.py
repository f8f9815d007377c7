"""The release under test: read from the weights of aliases, and from CodeDeploy where it is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, FunctionTarget, place_of
from prodwatch.model.identity import Place, PlaceNames
from prodwatch.model.release import first_release, present_releases
from prodwatch.model.result import ReleaseInfo
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason
from prodwatch.runner.options import ReleaseOverride
from prodwatch.sources.release.alias_weights import AliasState, alias_state_of
from prodwatch.sources.release.codedeploy import PER_GROUP, deployment_reader, read_places
from prodwatch.sources.release.release_state import Deployment, release_state
from prodwatch.text.sanitize import sanitize_line


class ReleaseReading(msgspec.Struct, frozen=True):
    """Releases of the functions as far as they could be read."""

    states: tuple[ReleaseState, ...] = ()
    unread: tuple[str, ...] = ()
    """One sentence per function whose release could not be read."""
    reason: Reason | None = None
    """Why the first of them could not be read; None when all were read."""

    @property
    def problem(self) -> str | None:
        """Return which functions could not be read and why, None when all were read."""
        return "; ".join(self.unread) or None

    @property
    def certain(self) -> tuple[ReleaseState, ...]:
        """Return the states when all were read, else nothing: the main release may be one of those that were not."""
        return () if self.unread else self.states


async def read_releases(
    environment: Environment, aws: AwsApi, override: ReleaseOverride | None, clock: Clock
) -> ReleaseReading:
    """Return the release state of every `[[function]]` with an alias; one that cannot be read silences no other.

    Raises AwsError or LookupError when none could be read, and CannotVerifyError when a function's or the
    application's name has no value: that one may be under release.
    """
    for unfilled in environment.unfilled_of("function", "release"):
        raise CannotVerifyError(unfilled.sentence, unfilled.reason)
    if override is not None:
        function = environment.functions[0] if environment.functions else FunctionTarget(name="")
        state = ReleaseState(
            function=function.name, alias=function.alias, version=override.version, previous=override.previous
        )
        return ReleaseReading((state,))
    targets = [function for function in environment.functions if function.alias is not None]
    aliases = await asyncio.gather(*(_alias(aws, target) for target in targets), return_exceptions=True)
    deployments = await _deployments(aws, environment, clock) if targets else {}
    reading = _Reading(aws, environment.function_names, deployments, clock.now())
    outcomes = await asyncio.gather(*map(reading.state, targets, aliases), return_exceptions=True)
    errors: list[tuple[FunctionTarget, AwsError | LookupError]] = []
    for target, outcome in zip(targets, outcomes, strict=True):
        if isinstance(outcome, AwsError) or type(outcome) is LookupError:
            errors.append((target, outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    for _, error in errors:
        if len(errors) == len(targets) or (isinstance(error, AwsError) and error.reason is Reason.LIMIT):
            raise error
    return ReleaseReading(
        tuple(outcome for outcome in outcomes if isinstance(outcome, ReleaseState)),
        tuple(f"the release of {reading.name(target)} could not be read: {error}" for target, error in errors),
        next((_reason(error) for _, error in errors), None),
    )


class _Reading(NamedTuple):
    """One reading of all functions: what their states are made from."""

    aws: AwsApi
    names: PlaceNames
    deployments: Mapping[Place, Sequence[Deployment] | AwsError]
    now: datetime

    def name(self, target: FunctionTarget) -> str:
        """Return a function as named in messages."""
        return target.id.subject + self.names.suffix(target.name, place_of(target))

    async def state(self, target: FunctionTarget, alias: AliasState | BaseException) -> ReleaseState:
        """Return a function's state; raises what its alias or the deployments of its place ended with, and AwsError."""
        if isinstance(alias, BaseException):
            raise alias
        deployments = self.deployments[place_of(target)]
        if isinstance(deployments, AwsError):
            raise deployments
        own = [each for each in deployments if each.owner == target.id]
        state = release_state(target.name, target.alias, alias, own, at=self.now)
        place = place_of(target)
        state = replace(
            present_releases((state,), self.now)[0],
            place=place,
            suffix=self.names.suffix(target.name, place),
            log_group=target.log_group,
        )
        return await _dated(self.aws, target, state)


def _reason(error: AwsError | LookupError) -> Reason:
    return error.reason if isinstance(error, AwsError) else Reason.UNRESOLVED


async def _deployments(aws: AwsApi, environment: Environment, clock: Clock) -> dict[Place, list[Deployment] | AwsError]:
    """Return the newest deployments in every account and region of the functions, or why they could not be read."""
    readers = {
        (place, application): deployment_reader(aws, application, clock, place)
        for place in environment.deployment_places
        for application in environment.release.codedeploy
    }
    outcomes = await read_places(
        readers, lambda reader: reader.read(clean=sanitize_line, per_group=PER_GROUP, listed_within_s=0)
    )
    deployments: dict[Place, list[Deployment] | AwsError] = {place: [] for place in environment.deployment_places}
    for (place, _), outcome in outcomes.items():
        reading = deployments[place]
        if isinstance(reading, AwsError):
            continue
        if isinstance(outcome, AwsError):
            deployments[place] = outcome
        elif outcome.errors:
            deployments[place] = outcome.errors[0]
        else:
            reading += outcome.deployments
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
        change=state.change,
        attested=attested,
        code_sha256=state.code.get(state.version or ""),
        configuration_sha256=state.configuration.get(state.version or ""),
    )
