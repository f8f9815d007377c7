"""The release under test: read from the weights of aliases, and from CodeDeploy where it is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.release import main_release
from prodwatch.model.result import ReleaseInfo
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.runner.options import ReleaseOverride
from prodwatch.sources.release.alias_weights import AliasState
from prodwatch.sources.release.codedeploy import PER_GROUP, deployment_reader
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
    states = await asyncio.gather(*(_state(aws, target) for target in targets))
    application = environment.release.codedeploy
    if application is None or not states:
        return states
    reader = deployment_reader(aws, application, clock)
    deployments = await reader.read(clean=sanitize_line, per_group=PER_GROUP, listed_within_s=0)
    return [_with_deployments(state, deployments) for state in states]


async def _state(aws: AwsApi, target: FunctionTarget) -> ReleaseState:
    account, region = target.account, target.region
    name = target.name
    try:
        alias = await aws.call(
            "lambda", "GetAlias", {"FunctionName": name, "Name": target.alias}, account=account, region=region
        )
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            raise LookupError(f"function {name} has no alias {target.alias}") from error
        raise
    primary = str(alias["FunctionVersion"])
    extra = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    version, previous, weights = versions(primary, {str(name): float(share) for name, share in extra.items()})
    published = await aws.call(
        "lambda",
        "GetFunctionConfiguration",
        {"FunctionName": name, "Qualifier": version},
        account=account,
        region=region,
    )
    return ReleaseState(
        function=name,
        alias=target.alias,
        phase=ReleasePhase.SHIFTING if weights else ReleasePhase.NONE,
        version=version,
        previous=previous,
        weights=weights,
        started_at=_moment(published.get("LastModified")),
    )


def versions(primary: str, extra: Mapping[str, float]) -> tuple[str, str | None, dict[str, float]]:
    """Return the version under test, the one before it, and every version's share of traffic.

    Of several versions that get traffic the newest is under test; one alone is, with nothing before it.
    """
    if not extra:
        return primary, None, {}
    newest = max((*extra, primary), key=_age)
    previous = primary if newest != primary else max(extra, key=_age)
    return newest, previous, {primary: round(1 - sum(extra.values()), 6), **extra}


def _age(version: str) -> int:
    return int(version) if version.isdecimal() else -1


def _with_deployments(state: ReleaseState, deployments: Sequence[Deployment]) -> ReleaseState:
    """Return the state, with CodeDeploy's deployments of this function and alias taken into account."""
    own = [
        deployment
        for deployment in deployments
        if (deployment.function, deployment.alias) == (state.function, state.alias)
    ]
    if not own:
        return state
    primary = next(iter(state.weights), state.version or "")
    now = AliasState(primary, {version: share for version, share in state.weights.items() if version != primary})
    deployed = release_state(state.function, state.alias, now, own, at=own[0].created_at)
    if deployed.deployment is None:
        return state  # the alias has moved on without CodeDeploy
    return replace(
        state,
        phase=deployed.phase,
        started_at=deployed.started_at or state.started_at,
        cause=deployed.cause,
        deployment=deployed.deployment,
        deployment_status=deployed.deployment_status,
    )


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def release_info(states: Sequence[ReleaseState], *, attested: bool | None) -> ReleaseInfo | None:
    """Return the release for the result document; None when no function is under release."""
    state = main_release(states)
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
