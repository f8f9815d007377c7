"""Reads the recent Lambda deployments of a CodeDeploy application, and again only what can still change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.model.status import Reason
from prodwatch.sources.release.release_state import OVER, DeploymentNow, Lifecycle

RECENT_PER_GROUP = 4
"""Newest deployments looked at in each group: the current one, its rollback, and what was before."""
MAX_LISTED = 25
"""Ids read per group when it is listed; AWS gives the newest first, but does not promise to."""
PER_CALL = 25
"""Deployments one BatchGetDeployments may name."""
GROUPS_EVERY_S = 60.0
LIST_EVERY_S = 30.0
"""How often a group is asked for deployments nobody knows yet; a shift of the alias asks at once."""
CHANGES_FOR = timedelta(minutes=2)
"""A deployment that is over may still learn of its rollback for so long."""
TIMEOUT_S = 10.0
"""A CodeDeploy that hangs must not make the alias's weights old."""

Document = dict[str, Any]


async def recent_deployments(
    aws: AwsApi, application: str, *, clean: Callable[[str], str], per_group: int = RECENT_PER_GROUP
) -> list[DeploymentNow]:
    """Return the recent deployments of all groups, newest first; raises AwsError."""
    return await Deployments(aws, application, clean=clean, per_group=per_group).read(0.0, None)


class Deployments:
    """The recent deployments of one application; those that are over are kept and not asked for again."""

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
        self._known: dict[str, list[DeploymentNow]] = {}
        """Deployment id → one value per function in it."""
        self._target_ids: dict[str, list[str]] = {}
        self._configs: dict[str, Document] = {}
        self.note: str | None = None
        """What could not be read although deployments could."""

    def look_now(self) -> None:
        """Ask for new deployments with the next reading: something has moved."""
        self._list_due_s = float("-inf")

    async def read(self, now_s: float, now: datetime | None) -> list[DeploymentNow]:
        """Return the recent deployments of all groups, newest first; raises AwsError.

        `now` None reads everything again, whatever may still change.
        """
        self.note = None
        if now_s >= self._groups_due_s:
            answer = await self._call("ListDeploymentGroups", {"applicationName": self._application})
            self._groups = list(answer.get("deploymentGroups") or ())
            self._groups_due_s = now_s + GROUPS_EVERY_S
        if now_s >= self._list_due_s:
            await self._list()
            self._list_due_s = now_s + LIST_EVERY_S
        changing = [id_ for id_, info in self._infos.items() if id_ in self._known and _may_change(info, now)]
        await self._describe(changing)
        for id_ in (*changing, *(id_ for id_ in self._infos if id_ not in self._known)):
            self._known[id_] = await self._targets(self._infos[id_])
        found = [each for several in self._known.values() for each in several]
        return sorted(found, key=lambda each: each.created_at, reverse=True)

    async def _list(self) -> None:
        recent: set[str] = set()
        for group in self._groups:
            ids: list[str] = []
            asked = {"applicationName": self._application, "deploymentGroupName": group}
            async for page in self._aws.pages("codedeploy", "ListDeployments", asked, timeout_s=TIMEOUT_S):
                ids += page.get("deployments") or ()
                if len(ids) >= MAX_LISTED:
                    break
            ids = ids[:MAX_LISTED]
            await self._describe(id_ for id_ in ids if id_ not in self._created)
            dated = sorted((id_ for id_ in ids if id_ in self._created), key=self._created.__getitem__, reverse=True)
            recent.update(dated[: self._per_group])
        self._infos = {id_: info for id_, info in self._infos.items() if id_ in recent}
        self._known = {id_: known for id_, known in self._known.items() if id_ in recent}

    async def _describe(self, ids: Iterable[str]) -> None:
        wanted = list(ids)
        for start in range(0, len(wanted), PER_CALL):
            asked = {"deploymentIds": wanted[start : start + PER_CALL]}
            answer = await self._call("BatchGetDeployments", asked)
            for info in answer.get("deploymentsInfo") or ():
                self._infos[info["deploymentId"]] = info
                self._created[info["deploymentId"]] = info["createTime"]

    async def _targets(self, info: Document) -> list[DeploymentNow]:
        id_ = info["deploymentId"]
        if not self._target_ids.get(id_):
            # A deployment just created has none yet.
            listed = await self._call("ListDeploymentTargets", {"deploymentId": id_})
            self._target_ids[id_] = list(listed.get("targetIds") or ())
        config = await self._config(info.get("deploymentConfigName"))
        found = []
        for target_id in self._target_ids[id_]:
            answer = await self._call("GetDeploymentTarget", {"deploymentId": id_, "targetId": target_id})
            target = (answer.get("deploymentTarget") or {}).get("lambdaTarget")
            if target:
                found.append(deployment_of(info, target, config, self._clean))
        return found

    async def _config(self, name: str | None) -> Document:
        if not name:
            return {}
        if name not in self._configs:
            try:
                answer = await self._call("GetDeploymentConfig", {"deploymentConfigName": name})
            except AwsError as caught:
                if caught.reason in {Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS}:
                    raise
                # Only the time of the next shift is lost.
                self.note = f"when traffic shifts next is not known: {caught.message}"
                return {}
            self._configs[name] = answer.get("deploymentConfigInfo") or {}
        return self._configs[name]

    async def _call(self, operation: str, params: Document) -> Document:
        return await self._aws.call("codedeploy", operation, params, timeout_s=TIMEOUT_S)


def _may_change(info: Document, now: datetime | None) -> bool:
    if now is None or info.get("status") not in OVER:
        return True
    ended = info.get("completeTime") or info["createTime"]
    return bool(now - ended < CHANGES_FOR)


def deployment_of(info: Document, target: Document, config: Document, clean: Callable[[str], str]) -> DeploymentNow:
    """Return one function's part of a deployment from AWS's own documents."""
    function = target.get("lambdaFunctionInfo") or {}
    rollback = info.get("rollbackInfo") or {}
    error = info.get("errorInformation") or {}
    routing = config.get("trafficRoutingConfig") or {}
    told = ": ".join(filter(None, (error.get("code"), error.get("message"))))
    weight, said = function.get("targetVersionWeight"), rollback.get("rollbackMessage")
    return DeploymentNow(
        id=info["deploymentId"],
        status=info.get("status", "Created"),
        function=function.get("functionName", ""),
        alias=function.get("functionAlias", ""),
        current=function.get("currentVersion", ""),
        target=function.get("targetVersion", ""),
        created_at=info["createTime"],
        ended_at=info.get("completeTime"),
        creator=info.get("creator", "user"),
        error=clean(told) if told else None,
        rolled_back_by=rollback.get("rollbackDeploymentId"),
        rollback_of=rollback.get("rollbackTriggeringDeploymentId"),
        rollback_message=clean(said) if said else None,
        lifecycle=tuple(_stage(each, clean) for each in target.get("lifecycleEvents", ())),
        canary_s=_minutes(routing.get("timeBasedCanary"), "canaryInterval"),
        linear_s=_minutes(routing.get("timeBasedLinear"), "linearInterval"),
        step_share=_step(routing),
        told_weight=None if weight is None else float(weight),
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


def _stage(event: Document, clean: Callable[[str], str]) -> Lifecycle:
    message = (event.get("diagnostics") or {}).get("message")
    return Lifecycle(
        name=event.get("lifecycleEventName", ""),
        status=event.get("status", ""),
        started_at=event.get("startTime"),
        ended_at=event.get("endTime"),
        diagnostics=clean(message) if message else None,
    )
