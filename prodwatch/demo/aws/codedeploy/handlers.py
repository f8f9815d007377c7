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
        deployment = self._store.get(call.params["deploymentId"], call.now_s)
        return Forward.TO_MOTO if deployment is None else {"deploymentInfo": self._info(deployment, call.now_s)}

    def batch_get_deployments(self, call: ApiCall) -> Document | Forward:
        """BatchGetDeployments, of at most 25; unknown ids are left out."""
        ids = call.params["deploymentIds"]
        if len(ids) > _BATCH_MAX:
            raise ServiceError("BatchLimitExceededException", f"At most {_BATCH_MAX} deployments can be asked for.")
        deployments = [deployment for key in ids if (deployment := self._store.get(key, call.now_s)) is not None]
        if not deployments:
            return Forward.TO_MOTO
        return {"deploymentsInfo": [self._info(deployment, call.now_s) for deployment in deployments]}

    def list_deployments(self, call: ApiCall) -> Document | Forward:
        """ListDeployments, newest first, by application, group, status and time of creation."""
        application, group = call.params.get("applicationName"), call.params.get("deploymentGroupName")
        if application and not self._store.knows_application(application):
            return Forward.TO_MOTO
        statuses = set(call.params.get("includeOnlyStatuses", []))
        window = call.params.get("createTimeRange", {})
        deployment_ids = [
            deployment.id
            for deployment in self._store.created(call.now_s)
            if application in {None, deployment.application}
            and group in {None, deployment.group}
            and window.get("start", 0.0) <= deployment.created_s <= window.get("end", call.now_s)
            and (not statuses or self._store.state(deployment, call.now_s).status in statuses)
        ]
        return _PAGE.page(call, deployment_ids, "deployments")

    def list_deployment_targets(self, call: ApiCall) -> Document:
        """ListDeploymentTargets: the one Lambda target."""
        deployment = self._deployment(call)
        return {"targetIds": [_target_id(deployment)]}

    def get_deployment_target(self, call: ApiCall) -> Document:
        """GetDeploymentTarget with weight and lifecycle events."""
        deployment = self._deployment(call)
        self._check_target(deployment, call.params["targetId"])
        return {"deploymentTarget": self._target(deployment, call)}

    def batch_get_deployment_targets(self, call: ApiCall) -> Document:
        """BatchGetDeploymentTargets."""
        deployment = self._deployment(call)
        for target in call.params["targetIds"]:
            self._check_target(deployment, target)
        return {"deploymentTargets": [self._target(deployment, call) for _ in call.params["targetIds"]]}

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
        scripts = [
            deployment
            for deployment in self._store.scripts()
            if (deployment.application, deployment.group) == (application, group)
        ]
        if not scripts:
            if self._store.knows_application(application):
                raise ServiceError(
                    "DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {group}"
                )
            return Forward.TO_MOTO
        created = [deployment for deployment in self._store.created(call.now_s) if deployment in scripts]
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
        good = [deployment for deployment in created if self._store.state(deployment, call.now_s).status == "Succeeded"]
        if good:
            info["lastSuccessfulDeployment"] = self._last(good[0], call.now_s)
        return {"deploymentGroupInfo": info}

    def list_deployment_groups(self, call: ApiCall) -> Document | Forward:
        """ListDeploymentGroups of an application."""
        application = call.params["applicationName"]
        groups = sorted(
            {deployment.group for deployment in self._store.scripts() if deployment.application == application}
        )
        if not groups:
            return Forward.TO_MOTO
        return {"applicationName": application, "deploymentGroups": groups}

    def complete_applications(self, _call: ApiCall, document: Document) -> Document:
        """Add the scripted applications to moto's."""
        names = {*document.get("applications", []), *(deployment.application for deployment in self._store.scripts())}
        return document | {"applications": sorted(names)}

    def stop_deployment(self, call: ApiCall) -> Document:
        """StopDeployment: the script does not continue."""
        deployment = self._deployment(call)
        if not self._store.stop(deployment, call.now_s):
            raise ServiceError(
                "DeploymentAlreadyCompletedException", f"The deployment {deployment.id} has already completed."
            )
        return {"status": "Succeeded", "statusMessage": "No more lifecycle events will be scheduled."}

    def _deployment(self, call: ApiCall) -> Deployment:
        deployment = self._store.get(call.params["deploymentId"], call.now_s)
        if deployment is None:
            raise ServiceError(
                "DeploymentDoesNotExistException",
                f"The deployment {call.params['deploymentId']} could not be found",
            )
        return deployment

    @staticmethod
    def _check_target(deployment: Deployment, target: str) -> None:
        if target != _target_id(deployment):
            raise ServiceError(
                "DeploymentTargetDoesNotExistException", f"No target {target} belongs to {deployment.id}."
            )

    def _last(self, deployment: Deployment, now_s: float) -> Document:
        state = self._store.state(deployment, now_s)
        document: Document = {"deploymentId": deployment.id, "status": state.status, "createTime": deployment.created_s}
        return document | ({"endTime": state.completed_s} if state.completed_s is not None else {})

    def _info(self, deployment: Deployment, now_s: float) -> Document:
        state = self._store.state(deployment, now_s)
        document: Document = {
            "applicationName": deployment.application,
            "deploymentGroupName": deployment.group,
            "deploymentConfigName": deployment.config_name,
            "deploymentId": deployment.id,
            "status": state.status,
            "createTime": deployment.created_s,
            "startTime": state.started_s,
            "completeTime": state.completed_s,
            "deploymentOverview": _overview(state),
            "description": deployment.description,
            "creator": deployment.creator,
            "ignoreApplicationStopFailures": False,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": _app_spec(deployment)}},
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "computePlatform": "Lambda",
        }
        if state.error_code:
            document["errorInformation"] = {"code": state.error_code, "message": state.error_message or ""}
        rollback: dict[str, Any] = {}
        if state.rollback_id:
            rollback["rollbackDeploymentId"] = state.rollback_id
            rollback["rollbackMessage"] = f"{deployment.id} was rolled back by {state.rollback_id}."
        if deployment.rolled_back_from:
            rollback["rollbackTriggeringDeploymentId"] = deployment.rolled_back_from
        return document | ({"rollbackInfo": rollback} if rollback else {})

    def _target(self, deployment: Deployment, call: ApiCall) -> Document:
        state = self._store.state(deployment, call.now_s)
        info = {
            "functionName": deployment.function,
            "functionAlias": deployment.alias,
            "currentVersion": deployment.current,
            "targetVersion": deployment.target,
            "targetVersionWeight": state.weight,
        }
        target = {
            "deploymentId": deployment.id,
            "targetId": _target_id(deployment),
            "targetArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{_target_id(deployment)}",
            "status": _target_status(state),
            "lastUpdatedAt": state.updated_s,
            "lifecycleEvents": [_event(event) for event in state.lifecycle.values()],
            "lambdaFunctionInfo": info,
        }
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": target}


def _target_id(deployment: Deployment) -> str:
    return f"{deployment.function}:{deployment.alias}"


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


def _event(event: Any) -> Document:
    document: Document = {"lifecycleEventName": event.name, "status": event.status}
    document |= {key: value for key, value in (("startTime", event.started_s), ("endTime", event.ended_s)) if value}
    if event.message is not None:
        code = "ScriptFailed" if event.status == "Failed" else "Success"
        document["diagnostics"] = {"errorCode": code, "scriptName": event.name, "message": event.message, "logTail": ""}
    return document


def _app_spec(deployment: Deployment) -> str:
    return (
        f'{{"version":0.0,"Resources":[{{"{deployment.function}":{{"Type":"AWS::Lambda::Function","Properties":'
        f'{{"Name":"{deployment.function}","Alias":"{deployment.alias}","CurrentVersion":"{deployment.current}",'
        f'"TargetVersion":"{deployment.target}"}}}}}}]}}'
    )
