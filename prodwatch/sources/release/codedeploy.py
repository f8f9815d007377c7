"""Reads the recent Lambda deployments of a CodeDeploy application, once for all that ask and finished ones once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from prodwatch.aws.call_time_limits import shared_reading
from prodwatch.aws.default_account_and_region import ScopedAws
from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.status import Reason
from prodwatch.sources.release.release_state import OVER, Deployment, LifecycleEvent, with_rollbacks

RECENT_PER_GROUP = 4
"""Newest deployments read per group: the current one, its rollback, and those before."""
PER_GROUP = 2
"""Deployments read per group where only the state counts: the newest, and the one it may roll back."""
MAX_LISTED = 25
"""Ids listed per group; AWS returns the newest first but does not guarantee it."""
PER_CALL = 25
"""Most deployments in one BatchGetDeployments request."""
GROUPS_EVERY_S = 60.0
"""Pause between reads of the list of deployment groups."""
SHARED_S = 1.0
"""A result is shared with readers that come up to this many seconds after its reading began."""
LIST_EVERY_S = 30.0
"""Pause between searches for new deployments; a change of the alias triggers one at once."""
CHANGES_FOR = timedelta(minutes=2)
"""Time after its end during which a deployment may still receive its rollback's id."""
TIMEOUT_S = 10.0
"""Time limit of a request, so that a hanging CodeDeploy does not delay the alias weights."""

Document = dict[str, Any]


_Part = tuple[Document, Document, Document]
"""A deployment's own document, that of one of its targets, and that of its configuration."""


class DeploymentReader:
    """Reads the recent deployments of one application for all parts of a session; what is final is read once.

    Readers that come while another one reads wait for it and share its result.
    """

    def __init__(self, aws: AwsApi, application: str, clock: Clock) -> None:
        self._aws = aws
        self._application = application
        self._clock = clock
        self._lock = asyncio.Lock()
        self._groups: list[str] = []
        self._groups_read_s = float("-inf")
        self._listed_s = float("-inf")
        self._recent_ids: dict[str, list[str]] = {}
        """Group → ids of its deployments, newest first."""
        self._infos: dict[str, Document] = {}
        self._targets: dict[str, list[Document]] = {}
        """Deployment id → its targets, one per function."""
        self._target_ids: dict[str, list[str]] = {}
        self._configs: dict[str, Document] = {}
        self._look_s = float("-inf")
        self._look_per_group = 0
        self._outcome: list[_Part] | AwsError = []
        self.note: str | None = None
        """Message about details that could not be read although the deployments could."""

    def request_listing(self) -> None:
        """Search for new deployments in the next read, because the alias has changed."""
        self._listed_s = float("-inf")

    async def read(
        self, *, clean: Callable[[str], str], per_group: int = RECENT_PER_GROUP, listed_within_s: float = LIST_EVERY_S
    ) -> list[Deployment]:
        """Return the recent deployments of all groups, newest first; raises AwsError.

        New deployments are searched for when the last search is older than `listed_within_s`.
        """
        arrived_s = self._clock.monotonic_s()
        with shared_reading():
            outcome = await self._shared(arrived_s, per_group, listed_within_s)
        if isinstance(outcome, AwsError):
            raise outcome
        deployments = [deployment_of(info, target, config, clean) for info, target, config in outcome]
        return with_rollbacks(deployments)

    async def _shared(self, arrived_s: float, per_group: int, listed_within_s: float) -> list[_Part] | AwsError:
        """Return the outcome of a look that began recently enough, in progress or made now."""
        async with self._lock:
            listed_since_s = arrived_s - max(listed_within_s, SHARED_S)
            refused = isinstance(self._outcome, AwsError)
            fresh = self._look_s >= arrived_s - SHARED_S and (refused or self._listed_s >= listed_since_s)
            if not fresh or self._look_per_group < per_group:
                self._look_s, self._look_per_group = self._clock.monotonic_s(), per_group
                try:
                    self._outcome = await self._look(per_group, listed_since_s)
                except AwsError as error:
                    self._outcome = error
                except BaseException:
                    self._look_s = float("-inf")  # an interrupted look has no result to share
                    raise
            return self._outcome

    async def _look(self, per_group: int, listed_since_s: float) -> list[_Part]:
        self.note = None
        now_s = self._look_s
        if now_s - self._groups_read_s >= GROUPS_EVERY_S:
            self._groups = await self._pages("ListDeploymentGroups", "deploymentGroups")
            self._groups_read_s = now_s
        if self._listed_s < listed_since_s:
            await self._list()
            self._listed_s = now_s
        recent_ids = [id_ for ids in self._recent_ids.values() for id_ in ids[:per_group]]
        now = self._clock.now()
        changing = [id_ for id_ in recent_ids if id_ in self._targets and _may_change(self._infos[id_], now)]
        await self._describe(changing)
        parts: list[_Part] = []
        for id_ in recent_ids:
            info = self._infos[id_]
            if id_ in changing or id_ not in self._targets:
                self._targets[id_] = await self._read_targets(id_)
            config = await self._config(info.get("deploymentConfigName"))
            parts += [(info, target, config) for target in self._targets[id_]]
        return parts

    async def _list(self) -> None:
        listed: dict[str, list[str]] = {}
        for group in self._groups:
            listed[group] = await self._pages("ListDeployments", "deployments", group=group, limit=MAX_LISTED)
        ids = {id_ for ids in listed.values() for id_ in ids}
        self._infos = {id_: info for id_, info in self._infos.items() if id_ in ids}
        self._targets = {id_: targets for id_, targets in self._targets.items() if id_ in ids}
        await self._describe(id_ for id_ in ids if id_ not in self._infos)
        self._recent_ids = {
            group: sorted(
                (id_ for id_ in ids if id_ in self._infos),
                key=lambda id_: self._infos[id_]["createTime"],
                reverse=True,
            )
            for group, ids in listed.items()
        }

    async def _describe(self, ids: Iterable[str]) -> None:
        wanted_ids = sorted(ids)
        for start in range(0, len(wanted_ids), PER_CALL):
            params = {"deploymentIds": wanted_ids[start : start + PER_CALL]}
            response = await self._call("BatchGetDeployments", params)
            for info in response.get("deploymentsInfo") or ():
                self._infos[info["deploymentId"]] = info

    async def _read_targets(self, id_: str) -> list[Document]:
        if not self._target_ids.get(id_):
            # A new deployment has no targets yet.
            listed = await self._call("ListDeploymentTargets", {"deploymentId": id_})
            self._target_ids[id_] = list(listed.get("targetIds") or ())
        targets = []
        for target_id in self._target_ids[id_]:
            response = await self._call("GetDeploymentTarget", {"deploymentId": id_, "targetId": target_id})
            target = (response.get("deploymentTarget") or {}).get("lambdaTarget")
            if target:
                targets.append(target)
        return targets

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

    async def _pages(
        self, operation: str, member: str, *, group: str | None = None, limit: int | None = None
    ) -> list[str]:
        params = {"applicationName": self._application} | ({} if group is None else {"deploymentGroupName": group})
        names: list[str] = []
        async for page in self._aws.pages("codedeploy", operation, params, timeout_s=TIMEOUT_S):
            names += page.get(member) or ()
            if limit is not None and len(names) >= limit:
                break
        return names[:limit]

    async def _call(self, operation: str, params: Document) -> Document:
        return await self._aws.call("codedeploy", operation, params, timeout_s=TIMEOUT_S)


_READERS: WeakKeyDictionary[AwsApi, dict[tuple[str, str | None, str | None], DeploymentReader]] = WeakKeyDictionary()
"""Session → its readers by application, account and region: the checks, the panels and the gate share each."""


def deployment_reader(
    aws: AwsApi, application: str, clock: Clock, *, account: str | None = None, region: str | None = None
) -> DeploymentReader:
    """Return the session's reader of an application in an account and region."""
    readers, key = _READERS.setdefault(aws, {}), (application, account, region)
    if key not in readers:
        readers[key] = DeploymentReader(ScopedAws(aws, account, region), application, clock)
    return readers[key]


def _may_change(info: Document, now: datetime) -> bool:
    if info.get("status") not in OVER:
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
