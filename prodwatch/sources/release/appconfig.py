"""Reads AppConfig deployments: each configuration's newest one as the state of a release, and their event logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState, RollbackAlarms
from prodwatch.model.status import Reason
from prodwatch.sources.error_status import DENIED_EVERY_S

LIST_EVERY_S = 30.0
"""Pause between searches for new deployments."""
ENVIRONMENTS_EVERY_S = 60.0
"""Pause between reads of the environments and their alarms."""
LISTED = 50
"""Newest deployments read per environment."""
TIMEOUT_S = 10.0
"""Time limit of a request, so that a hanging AppConfig does not delay the alias weights."""

Document = dict[str, Any]

_PHASES = {
    "VALIDATING": ReleasePhase.NOT_STARTED,
    "DEPLOYING": ReleasePhase.SHIFTING,
    "BAKING": ReleasePhase.BAKING,
    "COMPLETE": ReleasePhase.SUCCEEDED,
    "ROLLING_BACK": ReleasePhase.ROLLED_BACK,
    "ROLLED_BACK": ReleasePhase.ROLLED_BACK,
    "REVERTED": ReleasePhase.ROLLED_BACK,
}
_FINAL = frozenset(("COMPLETE", "ROLLED_BACK", "REVERTED"))
_BACK = frozenset(("ROLLBACK_STARTED", "ROLLBACK_COMPLETED", "REVERT_COMPLETED"))
"""Events of a deployment that goes back."""
_CAUSES = {
    "USER": "by a user",
    "CLOUDWATCH_ALARM": "by a CloudWatch alarm",
    "INTERNAL_ERROR": "because of an internal error of AppConfig",
}


class _Environment:
    """One environment of an application, and its deployments as last read."""

    def __init__(self, application: Document, environment: Document) -> None:
        self.ids = {"ApplicationId": application["Id"], "EnvironmentId": environment["Id"]}
        self.title = f"{application.get('Name', application['Id'])}/{environment.get('Name', environment['Id'])}"
        self.alarms: tuple[str, ...] = ()
        self.deployments: dict[int, Document] = {}
        """By number; the newest of each configuration and those of the session with their event log."""


class ConfigurationReader:
    """Reads the AppConfig environments that `[release] appconfig` names, `application` or `application/environment`."""

    def __init__(
        self, aws: AwsApi, names: Sequence[str], *, clock: Clock, since: datetime, clean: Callable[[str], str]
    ) -> None:
        self._aws = aws
        self._names = names
        self._clock = clock
        self._since = since
        self._clean = clean
        self._environments: dict[str, _Environment] = {}
        self._environments_due_s = self._listed_due_s = float("-inf")
        self._unread: tuple[str, ...] = ()

    def unread(self) -> tuple[str, ...]:
        """Return one sentence per application that could not be read the last time."""
        return self._unread

    def targets(self) -> tuple[AlarmTarget, ...]:
        """Return the alarms that roll a configuration back, as gate alarms."""
        return tuple(AlarmTarget(names=each.alarms) for each in self._environments.values() if each.alarms)

    async def read(self) -> tuple[list[ReleaseState], list[ReleaseEvent]]:
        """Return the state of each configuration, and all events since the start; as last read where AWS fails.

        Raises AwsError when the user's limit is exhausted.
        """
        if not self._names:
            return [], []
        now_s = self._clock.monotonic_s()
        try:
            if now_s >= self._environments_due_s:
                self._unread = await self._find_environments()
                self._environments_due_s = now_s + ENVIRONMENTS_EVERY_S
            await self._read_deployments(now_s)
        except AwsError as error:
            if error.reason is Reason.LIMIT:
                raise
            self._unread = (f"AppConfig: {error.message}",)
            if error.reason is Reason.ACCESS_DENIED:
                self._environments_due_s = self._listed_due_s = now_s + DENIED_EVERY_S
        states: list[ReleaseState] = []
        events: list[ReleaseEvent] = []
        for environment in self._environments.values():
            states += self._states(environment)
            events += self._events(environment)
        return states, events

    async def _find_environments(self) -> tuple[str, ...]:
        """Find the named environments; return one sentence per name that does not exist."""
        missing = []
        applications = [each async for each in self._items("ListApplications")]
        found: dict[str, _Environment] = {}
        for name in self._names:
            wanted, _, part = name.partition("/")
            matching = [each for each in applications if wanted in {each["Id"], each.get("Name")}]
            count = len(found)
            for application in matching:
                async for each in self._items("ListEnvironments", ApplicationId=application["Id"]):
                    if not part or part in {each["Id"], each.get("Name")}:
                        key = f"{application['Id']}/{each['Id']}"
                        found[key] = self._environments.get(key) or _Environment(application, each)
                        found[key].alarms = tuple(_alarm_names(each))
            if len(found) == count:
                missing.append(f"AppConfig has no {'environment' if matching else 'application'} {name}")
        self._environments = found
        return tuple(missing)

    async def _read_deployments(self, now_s: float) -> None:
        is_due = now_s >= self._listed_due_s
        for environment in self._environments.values():
            if is_due:
                await self._list(environment)
            for number, known in list(environment.deployments.items()):
                if known.get("State") not in _FINAL or "EventLog" not in known:
                    environment.deployments[number] |= await self._aws.call(
                        "appconfig",
                        "GetDeployment",
                        {**environment.ids, "DeploymentNumber": number},
                        timeout_s=TIMEOUT_S,
                    )
        if is_due:
            self._listed_due_s = now_s + LIST_EVERY_S

    async def _list(self, environment: _Environment) -> None:
        """Keep the deployments of the session, and of each configuration the newest one and the one before."""
        response = await self._aws.call(
            "appconfig", "ListDeployments", {**environment.ids, "MaxResults": LISTED}, timeout_s=TIMEOUT_S
        )
        listed = sorted(response.get("Items") or (), key=lambda each: each.get("DeploymentNumber", 0), reverse=True)
        before = environment.deployments
        kept: dict[int, Document] = {}
        newest: set[str] = set()
        served: dict[str, int] = {}
        for each in listed:
            number, profile = each["DeploymentNumber"], each.get("ConfigurationProfileId", "")
            started_at = each.get("StartedAt")
            is_new = profile not in newest
            newest.add(profile)
            if is_new or (started_at is not None and started_at >= self._since):
                kept[number] = before.get(number, {}) | each
            elif each.get("State") == "COMPLETE" and profile not in served:
                served[profile] = number
                # Only its version is needed.
                kept[number] = {**each, "EventLog": ()}
        environment.deployments = kept

    async def _items(self, operation: str, **params: str) -> AsyncIterator[Document]:
        async for page in self._aws.pages("appconfig", operation, params, timeout_s=TIMEOUT_S):
            for item in page.get("Items") or ():
                yield item

    def _states(self, environment: _Environment) -> Iterable[ReleaseState]:
        seen: set[str] = set()
        for number in sorted(environment.deployments, reverse=True):
            deployment = environment.deployments[number]
            profile = deployment.get("ConfigurationProfileId", "")
            if profile not in seen:
                seen.add(profile)
                yield self._state(environment, deployment)

    def _state(self, environment: _Environment, deployment: Document) -> ReleaseState:
        phase = _PHASES.get(deployment.get("State", ""), ReleasePhase.NOT_STARTED)
        version, previous = self._version(deployment), self._previous(environment, deployment)
        share = float(deployment.get("PercentageComplete") or 0) / 100
        if phase in {ReleasePhase.BAKING, ReleasePhase.SUCCEEDED}:
            share = 1.0
        elif deployment.get("State") in _FINAL:
            share = 0.0
        weights = {version: round(share, 6)} if previous is None else {previous: round(1 - share, 6), version: share}
        went_back = [each for each in deployment.get("EventLog") or () if each.get("EventType") in _BACK]
        return ReleaseState(
            kind="configuration",
            function=self._subject(environment, deployment),
            phase=phase,
            version=version,
            previous=previous,
            weights={each: weight for each, weight in weights.items() if weight},
            started_at=deployment.get("StartedAt"),
            ended_at=deployment.get("CompletedAt") or max((each["OccurredAt"] for each in went_back), default=None)
            if deployment.get("State") in _FINAL
            else None,
            cause=self._cause(deployment, went_back) if phase is ReleasePhase.ROLLED_BACK else None,
            deployment=str(deployment["DeploymentNumber"]),
            deployment_status=deployment.get("State"),
            rollback=RollbackAlarms(
                group=self._clean(environment.title), alarms=tuple(map(self._clean, environment.alarms))
            ),
        )

    def _cause(self, deployment: Document, went_back: Sequence[Document]) -> str:
        first = min(went_back, key=lambda each: each["OccurredAt"], default={})
        word = "reverted" if deployment.get("State") == "REVERTED" else "rolled back"
        by = " ".join(filter(None, (word, _CAUSES.get(first.get("TriggeredBy", "")))))
        return ": ".join(filter(None, (by, self._clean(first.get("Description") or ""))))

    def _previous(self, environment: _Environment, deployment: Document) -> str | None:
        """Return the version that was deployed completely before; None without one, or when it is the same."""
        number, profile = deployment["DeploymentNumber"], deployment.get("ConfigurationProfileId")
        before = [
            each
            for each in environment.deployments.values()
            if each["DeploymentNumber"] < number
            and each.get("ConfigurationProfileId") == profile
            and each.get("State") == "COMPLETE"
        ]
        newest = max(before, key=lambda each: int(each["DeploymentNumber"]), default=None)
        version = self._version(newest) if newest is not None else None
        return None if version == self._version(deployment) else version

    def _version(self, deployment: Document) -> str:
        return self._clean(str(deployment.get("VersionLabel") or deployment.get("ConfigurationVersion") or "unnamed"))

    def _subject(self, environment: _Environment, deployment: Document) -> str:
        name = deployment.get("ConfigurationName") or deployment.get("ConfigurationProfileId", "")
        return self._clean(f"{environment.title}/{name}")

    def _events(self, environment: _Environment) -> Iterable[ReleaseEvent]:
        for deployment in environment.deployments.values():
            subject = f"{self._subject(environment, deployment)}#{deployment['DeploymentNumber']}"
            for each in deployment.get("EventLog") or ():
                cause = _CAUSES.get(each.get("TriggeredBy", ""))
                parts = (each.get("Description"), cause if each.get("EventType") in _BACK else None)
                yield ReleaseEvent(
                    at=each["OccurredAt"],
                    source="appconfig",
                    subject=subject,
                    what=each.get("EventType", "changed").replace("_", " ").lower(),
                    from_=self._previous(environment, deployment),
                    to=self._version(deployment),
                    detail=self._clean(" ".join(filter(None, parts))) or None,
                )


def _alarm_names(environment: Document) -> Iterable[str]:
    for each in environment.get("Monitors") or ():
        _, separator, name = str(each.get("AlarmArn", "")).partition(":alarm:")
        if separator:
            yield name
