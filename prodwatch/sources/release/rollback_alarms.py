"""Reads which alarms stop the deployments of a CodeDeploy deployment group."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.identity import Place
from prodwatch.model.signal import RollbackAlarms
from prodwatch.model.status import Reason
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.sources.release.codedeploy import TIMEOUT_S
from prodwatch.sources.release.release_state import Deployment

EVERY_S = 60.0
"""Pause between reads of one group."""
_STOPPED_BY_ALARM = "DEPLOYMENT_STOP_ON_ALARM"
_GONE = frozenset({"DeploymentGroupDoesNotExistException", "ApplicationDoesNotExistException"})
"""Error codes for a group that was deleted after its deployment: it has no alarm."""


class _Group(NamedTuple):
    """A deployment group as last read."""

    due_s: float
    """Monotonic second of the next read."""
    alarms: RollbackAlarms
    names: tuple[str, ...] = ()
    """Alarms as AWS knows them, for further requests; empty while the group does not watch them."""


class RollbackAlarmReader:
    """Reads each deployment group once a minute."""

    def __init__(self, aws: AwsApi, clock: Clock, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self._clock = clock
        self._clean = clean
        self._groups: dict[tuple[Place, str, str], _Group] = {}

    async def of(self, deployment: Deployment) -> RollbackAlarms | None:
        """Return the alarms of a deployment's group; None when CodeDeploy does not name one.

        A group that cannot be read keeps the alarms last read. Raises AwsError when the user's limit is exhausted.
        """
        if not deployment.group:
            return None
        key = (deployment.place, deployment.application, deployment.group)
        known = self._groups.get(key)
        now_s = self._clock.monotonic_s()
        if known is not None and now_s < known.due_s:
            return known.alarms
        try:
            group = await self._read(deployment, now_s)
        except AwsError as error:
            if error.reason is Reason.LIMIT:
                raise
            # A source with an unread group proves nothing, so the next poll tries again.
            retry_s = now_s + (DENIED_EVERY_S if error.reason is Reason.ACCESS_DENIED else 0.0)
            if error.code in _GONE:
                gone = RollbackAlarms(group=self._clean(deployment.group), enabled=False, rolls_back=False)
                group = _Group(now_s + EVERY_S, gone)
            else:
                last = known or _Group(retry_s, RollbackAlarms(group=self._clean(deployment.group)))
                group = last._replace(due_s=retry_s, alarms=replace(last.alarms, unread=error.message))
        self._groups[key] = group
        return group.alarms

    def unread(self) -> tuple[str, ...]:
        """Return one sentence per group that could not be read the last time: an alarm that is not known may fire."""
        return tuple(
            f"alarms of deployment group {group.alarms.group}{f' in {place}' if place else ''}: {group.alarms.unread}"
            for (place, _, _), group in self._groups.items()
            if group.alarms.unread is not None
        )

    def targets(self) -> tuple[AlarmTarget, ...]:
        """Return the alarms of the groups read so far, as gate alarms."""
        return tuple(
            AlarmTarget(names=group.names, account=place.account or None, region=place.region or None)
            for (place, _, _), group in self._groups.items()
            if group.names
        )

    async def _read(self, deployment: Deployment, now_s: float) -> _Group:
        response = await self._aws.call(
            "codedeploy",
            "GetDeploymentGroup",
            {"applicationName": deployment.application, "deploymentGroupName": deployment.group},
            account=deployment.place.account or None,
            region=deployment.place.region or None,
            timeout_s=TIMEOUT_S,
        )
        info = response.get("deploymentGroupInfo") or {}
        watched = info.get("alarmConfiguration") or {}
        rollback = info.get("autoRollbackConfiguration") or {}
        names = tuple(name for each in watched.get("alarms") or () if (name := each.get("name")))
        enabled = bool(watched.get("enabled"))
        alarms = RollbackAlarms(
            group=self._clean(deployment.group),
            alarms=tuple(map(self._clean, names)),
            enabled=enabled,
            rolls_back=bool(rollback.get("enabled")) and _STOPPED_BY_ALARM in (rollback.get("events") or ()),
            ignores_unread=bool(watched.get("ignorePollAlarmFailure")),
        )
        return _Group(now_s + EVERY_S, alarms, names if enabled else ())
