"""Reads which versions an alias sends traffic to, and what CodeDeploy is doing about it; changes neither."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.model.identity import Place
from prodwatch.model.signal import ReleasePhase
from prodwatch.probes.aws_support import AwsCalls, ask, exact
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.sources.release.alias_weights import alias_state_of
from prodwatch.sources.release.codedeploy import NO_APPLICATION, PER_GROUP, Reading, deployment_reader, read_places
from prodwatch.sources.release.release_state import Deployment, release_state

_STATES = {
    ReleasePhase.NONE: "stable",
    ReleasePhase.SUCCEEDED: "stable",
    ReleasePhase.NOT_STARTED: "shifting",
    ReleasePhase.HOOK: "shifting",
    ReleasePhase.SHIFTING: "shifting",
    ReleasePhase.BAKING: "shifting",
    ReleasePhase.FAILED: "failed",
    ReleasePhase.STOPPED: "failed",
    ReleasePhase.ROLLED_BACK: "rolled_back",
}


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Report the alias now; without CodeDeploy, which alone knows how a release ended, `state` is left out."""
    return await ask(params, context, "lambda", _look)


async def _look(calls: AwsCalls) -> Observation:
    function, alias = str(calls.params["function"]), str(calls.params["alias"])
    answer = await calls.call("GetAlias", {"FunctionName": function, "Name": alias})
    now = alias_state_of(answer)
    deployments = await _deployments(calls, function.rsplit(":", 1)[-1], alias)
    known = release_state(function, alias, now, deployments or (), at=calls.context.clock.now())
    document: dict[str, Any] = {
        "version": max(known.weights, key=_age_order),
        "weights": exact(known.weights),
    }
    if deployments is not None:
        document["state"] = _STATES[known.phase]
    previous = known.previous if known.previous != document["version"] else known.version
    if previous is None:
        previous = next((version for version in known.weights if version != document["version"]), None)
    if previous is not None:
        document["previous"] = previous
    if known.deployment_status is not None:
        document["deployment"] = {"status": known.deployment_status, "id": known.deployment}
        if known.cause:
            document["deployment"]["cause"] = known.cause
    return calls.answer(document)


async def _deployments(calls: AwsCalls, function: str, alias: str) -> list[Deployment] | None:
    """Return the alias's deployments, newest first; None when CodeDeploy is in charge but could not be read."""
    context = calls.context
    for unfilled in context.environment.unfilled_of("release"):
        calls.incomplete(f"CodeDeploy was not asked: {unfilled.sentence}", reason=unfilled.reason)
        return None
    place = Place(context.account or "", context.region or "")
    try:
        deployments = [each for reading in await _readings(context, place) for each in reading.deployments]
    except AwsError as error:
        calls.met(error)
        message = f"how the release ended is unknown, because CodeDeploy could not be read: {error.message}"
        calls.incomplete(message, reason=error.reason)
        return None
    own = [each for each in deployments if (each.function, each.alias) == (function, alias)]
    return sorted(own, key=lambda each: each.created_at, reverse=True)


async def _readings(context: ProbeContext, place: Place) -> list[Reading]:
    """Return the deployments of all applications in a place; raises AwsError when one could not be read whole."""
    applications = context.environment.release.codedeploy
    places: tuple[Place, ...] = (place,)
    while True:
        readers = {
            (each, application): deployment_reader(context.aws, application, context.clock, each)
            for each in places
            for application in applications
        }
        outcomes = await read_places(
            readers, lambda reader: reader.read(clean=str, per_group=PER_GROUP, listed_within_s=0)
        )
        here = [outcomes[place, application] for application in applications]
        absent = [each for each in here if isinstance(each, AwsError) and each.code == NO_APPLICATION]
        elsewhere = tuple(dict.fromkeys((place, *context.environment.deployment_places)))
        if not absent or len(applications) == 1 or places == elsewhere:
            break
        # One of several applications may belong to another place.
        places = elsewhere
    readings = []
    for outcome in here:
        if isinstance(outcome, AwsError):
            raise outcome
        for error in outcome.errors:
            raise error
        readings.append(outcome)
    return readings


def _age_order(version: str) -> tuple[int, str]:
    return (int(version) if version.isdecimal() else -1, version)
