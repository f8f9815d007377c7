"""Reads the recent Lambda deployments of a CodeDeploy application; finished ones are read only once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.model.status import Reason
from prodwatch.sources.release.release_state import OVER, Deployment, LifecycleEvent

RECENT_PER_GROUP = 4
"""Newest deployments read per group: the current one, its rollback, and those before."""
MAX_LISTED = 25
"""Ids listed per group; AWS returns the newest first but does not guarantee it."""
PER_CALL = 25
"""Most deployments in one BatchGetDeployments request."""
GROUPS_EVERY_S = 60.0
"""Pause between reads of the list of deployment groups."""
LIST_EVERY_S = 30.0
"""Pause between searches for new deployments; a change of the alias triggers one at once."""
CHANGES_FOR = timedelta(minutes=2)
"""Time after its end during which a deployment may still receive its rollback's id."""
TIMEOUT_S = 10.0
"""Time limit of a request, so that a hanging CodeDeploy does not delay the alias weights."""

Document = dict[str, Any]


async def recent_deployments(
    aws: AwsApi, application: str, *, clean: Callable[[str], str], per_group: int = RECENT_PER_GROUP
) -> list[Deployment]:
    """Return the recent deployments of all groups, newest first; raises AwsError."""
    return await DeploymentReader(aws, application, clean=clean, per_group=per_group).read(0.0, None)


class DeploymentReader:
    """Reads the recent deployments of one application; finished ones are cached."""

    def __init__(
        self, aws: AwsApi, application: str, *, clean: Callable[[str], str], per_group: int = RECENT_PER_GROUP
    ) -> None:
        self._aws = aws
        self._per_group = per_group
        self._application = application
        self._clean = clean
        self._groups: list[str] = []
        self._groups_due_s = float("-inf")
        self._list_due_s = float("-inf")
        self._created: dict[str, datetime] = {}
        self._infos: dict[str, Document] = {}
        self._deployments: dict[str, list[Deployment]] = {}
        """Deployment id → one value per function."""
        self._target_ids: dict[str, list[str]] = {}
        self._configs: dict[str, Document] = {}
        self.note: str | None = None
        """Message about details that could not be read although the deployments could."""

    def request_listing(self) -> None:
        """Search for new deployments in the next read, because the alias has changed."""
        self._list_due_s = float("-inf")

    async def read(self, now_s: float, now: datetime | None) -> list[Deployment]:
        """Return the recent deployments of all groups, newest first; raises AwsError.

        With `now` None, all deployments are read again, finished ones included.
        """
        self.note = None
        if now_s >= self._groups_due_s:
            response = await self._call("ListDeploymentGroups", {"applicationName": self._application})
            self._groups = list(response.get("deploymentGroups") or ())
            self._groups_due_s = now_s + GROUPS_EVERY_S
        if now_s >= self._list_due_s:
            await self._list()
            self._list_due_s = now_s + LIST_EVERY_S
        changing = [id_ for id_, info in self._infos.items() if id_ in self._deployments and _may_change(info, now)]
        await self._describe(changing)
        for id_ in (*changing, *(id_ for id_ in self._infos if id_ not in self._deployments)):
            self._deployments[id_] = await self._targets(self._infos[id_])
        deployments = [deployment for parts in self._deployments.values() for deployment in parts]
        return sorted(deployments, key=lambda deployment: deployment.created_at, reverse=True)

    async def _list(self) -> None:
        recent: set[str] = set()
        for group in self._groups:
            ids: list[str] = []
            params = {"applicationName": self._application, "deploymentGroupName": group}
            async for page in self._aws.pages("codedeploy", "ListDeployments", params, timeout_s=TIMEOUT_S):
                ids += page.get("deployments") or ()
                if len(ids) >= MAX_LISTED:
                    break
            ids = ids[:MAX_LISTED]
            await self._describe(id_ for id_ in ids if id_ not in self._created)
            dated = sorted((id_ for id_ in ids if id_ in self._created), key=self._created.__getitem__, reverse=True)
            recent.update(dated[: self._per_group])
        self._infos = {id_: info for id_, info in self._infos.items() if id_ in recent}
        self._deployments = {id_: parts for id_, parts in self._deployments.items() if id_ in recent}

    async def _describe(self, ids: Iterable[str]) -> None:
        wanted_ids = list(ids)
        for start in range(0, len(wanted_ids), PER_CALL):
            params = {"deploymentIds": wanted_ids[start : start + PER_CALL]}
            response = await self._call("BatchGetDeployments", params)
            for info in response.get("deploymentsInfo") or ():
                self._infos[info["deploymentId"]] = info
                self._created[info["deploymentId"]] = info["createTime"]

    async def _targets(self, info: Document) -> list[Deployment]:
        id_ = info["deploymentId"]
        if not self._target_ids.get(id_):
            # A new deployment has no targets yet.
            listed = await self._call("ListDeploymentTargets", {"deploymentId": id_})
            self._target_ids[id_] = list(listed.get("targetIds") or ())
        config = await self._config(info.get("deploymentConfigName"))
        deployments = []
        for target_id in self._target_ids[id_]:
            response = await self._call("GetDeploymentTarget", {"deploymentId": id_, "targetId": target_id})
            target = (response.get("deploymentTarget") or {}).get("lambdaTarget")
            if target:
                deployments.append(deployment_of(info, target, config, self._clean))
        return deployments

    async def _config(self, name: str | None) -> Document:
        if not name:
            return {}
        if name not in self._configs:
            try:
                response = await self._call("GetDeploymentConfig", {"deploymentConfigName": name})
            except AwsError as error_:
                if error_.reason in {Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS}:
                    raise
                # Only the time of the next shift is lost.
                self.note = f"time of the next traffic shift unknown: {error_.message}"
                return {}
            self._configs[name] = response.get("deploymentConfigInfo") or {}
        return self._configs[name]

    async def _call(self, operation: str, params: Document) -> Document:
        return await self._aws.call("codedeploy", operation, params, timeout_s=TIMEOUT_S)


def _may_change(info: Document, now: datetime | None) -> bool:
    if now is None or info.get("status") not in OVER:
        return True
    ended = info.get("completeTime") or info["createTime"]
    return bool(now - ended < CHANGES_FOR)


def deployment_of(info: Document, target: Document, config: Document, clean: Callable[[str], str]) -> Deployment:
    """Return one function's part of a deployment, from AWS's response documents."""
    function = target.get("lambdaFunctionInfo") or {}
    rollback = info.get("rollbackInfo") or {}
    error = info.get("errorInformation") or {}
    routing = config.get("trafficRoutingConfig") or {}
    error_text = ": ".join(filter(None, (error.get("code"), error.get("message"))))
    weight, rollback_message = function.get("targetVersionWeight"), rollback.get("rollbackMessage")
    return Deployment(
        id=info["deploymentId"],
        status=info.get("status", "Created"),
        function=function.get("functionName", ""),
        alias=function.get("functionAlias", ""),
        current=function.get("currentVersion", ""),
        target=function.get("targetVersion", ""),
        created_at=info["createTime"],
        ended_at=info.get("completeTime"),
        creator=info.get("creator", "user"),
        error=clean(error_text) if error_text else None,
        rolled_back_by=rollback.get("rollbackDeploymentId"),
        rollback_of=rollback.get("rollbackTriggeringDeploymentId"),
        rollback_message=clean(rollback_message) if rollback_message else None,
        lifecycle=tuple(_stage(event, clean) for event in target.get("lifecycleEvents", ())),
        canary_s=_minutes(routing.get("timeBasedCanary"), "canaryInterval"),
        linear_s=_minutes(routing.get("timeBasedLinear"), "linearInterval"),
        step_share=_step(routing),
        reported_weight=None if weight is None else float(weight),
    )


def _step(routing: Document) -> float | None:
    if routing.get("type") == "AllAtOnce":
        return 1.0
    for kind, key in (("timeBasedCanary", "canaryPercentage"), ("timeBasedLinear", "linearPercentage")):
        percent = (routing.get(kind) or {}).get(key)
        if percent:
            return float(percent) / 100.0
    return None


def _minutes(routing: Document | None, key: str) -> float | None:
    return float(routing[key]) * 60 if routing and routing.get(key) else None


def _stage(event: Document, clean: Callable[[str], str]) -> LifecycleEvent:
    message = (event.get("diagnostics") or {}).get("message")
    return LifecycleEvent(
        name=event.get("lifecycleEventName", ""),
        status=event.get("status", ""),
        started_at=event.get("startTime"),
        ended_at=event.get("endTime"),
        diagnostics=clean(message) if message else None,
    )
