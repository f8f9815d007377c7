"""CodeDeploy operations that describe Lambda deployments."""

from __future__ import annotations

import re
import uuid
from typing import Any

from prodwatch.demo.aws.api_call import ApiCall, Document, Forward, Routes, ServiceError
from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentState
from prodwatch.demo.aws.codedeploy.store import DeploymentStore
from prodwatch.demo.aws.paging import Pager

_PAGE = Pager(cursor="nextToken", limit="", default=100, refusal="InvalidNextTokenException")
_CONFIG = re.compile(r"CodeDeployDefault\.Lambda(?:(Canary|Linear)(\d+)Percent(?:Every)?(\d+)Minutes?|AllAtOnce)")
_BATCH_MAX = 25


class DeploymentHandlers:
    """CodeDeploy over one store; unknown applications and deployments are left to moto."""

    def __init__(self, store: DeploymentStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """Return the operations implemented or completed here."""
        return Routes(
            "codedeploy",
            sync={
                "GetDeployment": self.get_deployment,
                "BatchGetDeployments": self.batch_get_deployments,
                "ListDeployments": self.list_deployments,
                "ListDeploymentTargets": self.list_deployment_targets,
                "GetDeploymentTarget": self.get_deployment_target,
                "BatchGetDeploymentTargets": self.batch_get_deployment_targets,
                "GetDeploymentConfig": self.get_deployment_config,
                "GetDeploymentGroup": self.get_deployment_group,
                "StopDeployment": self.stop_deployment,
                "ListDeploymentGroups": self.list_deployment_groups,
            },
            patches={"ListApplications": self.complete_applications},
        )

    def get_deployment(self, call: ApiCall) -> Document | Forward:
        """GetDeployment."""
        found = self._store.get(call.params["deploymentId"], call.now_s)
        return Forward.TO_MOTO if found is None else {"deploymentInfo": self._info(found, call.now_s)}

    def batch_get_deployments(self, call: ApiCall) -> Document | Forward:
        """BatchGetDeployments, of at most 25; unknown ids are left out."""
        ids = call.params["deploymentIds"]
        if len(ids) > _BATCH_MAX:
            raise ServiceError("BatchLimitExceededException", f"At most {_BATCH_MAX} deployments can be asked for.")
        found = [one for key in ids if (one := self._store.get(key, call.now_s)) is not None]
        if not found:
            return Forward.TO_MOTO
        return {"deploymentsInfo": [self._info(one, call.now_s) for one in found]}

    def list_deployments(self, call: ApiCall) -> Document | Forward:
        """ListDeployments, newest first, by application, group, status and time of creation."""
        application, group = call.params.get("applicationName"), call.params.get("deploymentGroupName")
        if application and not self._store.knows_application(application):
            return Forward.TO_MOTO
        statuses = set(call.params.get("includeOnlyStatuses", []))
        window = call.params.get("createTimeRange", {})
        found = [
            one.id
            for one in self._store.created(call.now_s)
            if application in {None, one.application}
            and group in {None, one.group}
            and window.get("start", 0.0) <= one.created_s <= window.get("end", call.now_s)
            and (not statuses or self._store.state(one, call.now_s).status in statuses)
        ]
        return _PAGE.page(call, found, "deployments")

    def list_deployment_targets(self, call: ApiCall) -> Document:
        """ListDeploymentTargets: the one Lambda target."""
        found = self._deployment(call)
        return {"targetIds": [_target_id(found)]}

    def get_deployment_target(self, call: ApiCall) -> Document:
        """GetDeploymentTarget with weight and lifecycle events."""
        found = self._deployment(call)
        self._check_target(found, call.params["targetId"])
        return {"deploymentTarget": self._target(found, call)}

    def batch_get_deployment_targets(self, call: ApiCall) -> Document:
        """BatchGetDeploymentTargets."""
        found = self._deployment(call)
        for target in call.params["targetIds"]:
            self._check_target(found, target)
        return {"deploymentTargets": [self._target(found, call) for _ in call.params["targetIds"]]}

    def get_deployment_config(self, call: ApiCall) -> Document | Forward:
        """GetDeploymentConfig of the predefined Lambda configurations."""
        name = call.params["deploymentConfigName"]
        match = _CONFIG.fullmatch(name)
        if match is None:
            return Forward.TO_MOTO
        kind, percent, minutes = match.groups()
        routing: Document = {"type": "AllAtOnce"}
        if kind == "Canary":
            canary = {"canaryPercentage": int(percent), "canaryInterval": int(minutes)}
            routing = {"type": "TimeBasedCanary", "timeBasedCanary": canary}
        elif kind == "Linear":
            linear = {"linearPercentage": int(percent), "linearInterval": int(minutes)}
            routing = {"type": "TimeBasedLinear", "timeBasedLinear": linear}
        info = {
            "deploymentConfigId": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "deploymentConfigName": name,
            "createTime": 0.0,
            "computePlatform": "Lambda",
            "trafficRoutingConfig": routing,
        }
        return {"deploymentConfigInfo": info}

    def get_deployment_group(self, call: ApiCall) -> Document | Forward:
        """GetDeploymentGroup with its alarms and the last deployments."""
        application, group = call.params["applicationName"], call.params["deploymentGroupName"]
        scripts = [one for one in self._store.scripts() if (one.application, one.group) == (application, group)]
        if not scripts:
            if self._store.knows_application(application):
                raise ServiceError(
                    "DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {group}"
                )
            return Forward.TO_MOTO
        created = [one for one in self._store.created(call.now_s) if one in scripts]
        info: Document = {
            "applicationName": application,
            "deploymentGroupId": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{application}/{group}")),
            "deploymentGroupName": group,
            "deploymentConfigName": scripts[-1].config_name,
            "serviceRoleArn": f"arn:aws:iam::{call.account}:role/codedeploy",
            "alarmConfiguration": {
                "enabled": bool(scripts[-1].alarms),
                "ignorePollAlarmFailure": False,
                "alarms": [{"name": name} for name in scripts[-1].alarms],
            },
            "autoRollbackConfiguration": {
                "enabled": True,
                "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
            },
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "computePlatform": "Lambda",
        }
        if created:
            info["lastAttemptedDeployment"] = self._last(created[0], call.now_s)
        good = [one for one in created if self._store.state(one, call.now_s).status == "Succeeded"]
        if good:
            info["lastSuccessfulDeployment"] = self._last(good[0], call.now_s)
        return {"deploymentGroupInfo": info}

    def list_deployment_groups(self, call: ApiCall) -> Document | Forward:
        """ListDeploymentGroups of an application."""
        application = call.params["applicationName"]
        groups = sorted({one.group for one in self._store.scripts() if one.application == application})
        if not groups:
            return Forward.TO_MOTO
        return {"applicationName": application, "deploymentGroups": groups}

    def complete_applications(self, _call: ApiCall, document: Document) -> Document:
        """Add the scripted applications to moto's."""
        names = {*document.get("applications", []), *(one.application for one in self._store.scripts())}
        return document | {"applications": sorted(names)}

    def stop_deployment(self, call: ApiCall) -> Document:
        """StopDeployment: the script does not continue."""
        found = self._deployment(call)
        if not self._store.stop(found, call.now_s):
            raise ServiceError(
                "DeploymentAlreadyCompletedException", f"The deployment {found.id} has already completed."
            )
        return {"status": "Succeeded", "statusMessage": "No more lifecycle events will be scheduled."}

    def _deployment(self, call: ApiCall) -> Deployment:
        found = self._store.get(call.params["deploymentId"], call.now_s)
        if found is None:
            raise ServiceError(
                "DeploymentDoesNotExistException",
                f"The deployment {call.params['deploymentId']} could not be found",
            )
        return found

    @staticmethod
    def _check_target(found: Deployment, target: str) -> None:
        if target != _target_id(found):
            raise ServiceError("DeploymentTargetDoesNotExistException", f"No target {target} belongs to {found.id}.")

    def _last(self, found: Deployment, now_s: float) -> Document:
        state = self._store.state(found, now_s)
        document: Document = {"deploymentId": found.id, "status": state.status, "createTime": found.created_s}
        return document | ({"endTime": state.completed_s} if state.completed_s is not None else {})

    def _info(self, found: Deployment, now_s: float) -> Document:
        state = self._store.state(found, now_s)
        document: Document = {
            "applicationName": found.application,
            "deploymentGroupName": found.group,
            "deploymentConfigName": found.config_name,
            "deploymentId": found.id,
            "status": state.status,
            "createTime": found.created_s,
            "startTime": state.started_s,
            "completeTime": state.completed_s,
            "deploymentOverview": _overview(state),
            "description": found.description,
            "creator": found.creator,
            "ignoreApplicationStopFailures": False,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": _app_spec(found)}},
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "computePlatform": "Lambda",
        }
        if state.error_code:
            document["errorInformation"] = {"code": state.error_code, "message": state.error_message or ""}
        rollback: dict[str, Any] = {}
        if state.rollback_id:
            rollback["rollbackDeploymentId"] = state.rollback_id
            rollback["rollbackMessage"] = f"{found.id} was rolled back by {state.rollback_id}."
        if found.rolled_back_from:
            rollback["rollbackTriggeringDeploymentId"] = found.rolled_back_from
        return document | ({"rollbackInfo": rollback} if rollback else {})

    def _target(self, found: Deployment, call: ApiCall) -> Document:
        state = self._store.state(found, call.now_s)
        info = {
            "functionName": found.function,
            "functionAlias": found.alias,
            "currentVersion": found.current,
            "targetVersion": found.target,
            "targetVersionWeight": state.weight,
        }
        target = {
            "deploymentId": found.id,
            "targetId": _target_id(found),
            "targetArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{found.function}:{found.alias}",
            "status": _target_status(state),
            "lastUpdatedAt": state.updated_s,
            "lifecycleEvents": [_event(one) for one in state.lifecycle.values()],
            "lambdaFunctionInfo": info,
        }
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": target}


def _target_id(found: Deployment) -> str:
    return f"{found.function}:{found.alias}"


def _target_status(state: DeploymentState) -> str:
    return {
        "Created": "Pending",
        "Queued": "Pending",
        "Ready": "InProgress",
        "Baking": "InProgress",
        "Stopped": "Failed",
    }.get(state.status, state.status)


def _overview(state: DeploymentState) -> dict[str, int]:
    return {
        name: int(_target_status(state) == name)
        for name in ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")
    }


def _event(one: Any) -> Document:
    document: Document = {"lifecycleEventName": one.name, "status": one.status}
    document |= {key: value for key, value in (("startTime", one.started_s), ("endTime", one.ended_s)) if value}
    if one.message is not None:
        code = "ScriptFailed" if one.status == "Failed" else "Success"
        document["diagnostics"] = {"errorCode": code, "scriptName": one.name, "message": one.message, "logTail": ""}
    return document


def _app_spec(found: Deployment) -> str:
    return (
        f'{{"version":0.0,"Resources":[{{"{found.function}":{{"Type":"AWS::Lambda::Function","Properties":'
        f'{{"Name":"{found.function}","Alias":"{found.alias}","CurrentVersion":"{found.current}",'
        f'"TargetVersion":"{found.target}"}}}}}}]}}'
    )
