"""AppConfig operations that describe deployments, over the scripted ones."""

from __future__ import annotations

from prodwatch.demo.aws.api_call import ApiCall, Document, Routes, ServiceError
from prodwatch.demo.aws.appconfig.model import ConfigurationDeployment, short_id
from prodwatch.demo.aws.paging import Pager

_PAGE = Pager(cursor="NextToken", limit="MaxResults", default=50, maximum=50, refusal="BadRequestException")


class ConfigurationHandlers:
    """AppConfig of one region; `put` adds a scripted deployment."""

    def __init__(self, region: str, account: str) -> None:
        self._region = region
        self._account = account
        self._scripts: list[ConfigurationDeployment] = []

    def put(self, deployment: ConfigurationDeployment) -> None:
        """Add a deployment; its application, environment and profile exist from then on."""
        self._scripts.append(deployment)

    def routes(self) -> Routes:
        """Return the operations implemented here."""
        return Routes(
            "appconfig",
            sync={
                "ListApplications": self.list_applications,
                "ListEnvironments": self.list_environments,
                "ListDeployments": self.list_deployments,
                "GetDeployment": self.get_deployment,
            },
        )

    def list_applications(self, call: ApiCall) -> Document:
        """ListApplications."""
        names = sorted({each.application for each in self._scripts})
        return _PAGE.page(call, [{"Id": short_id(name), "Name": name} for name in names], "Items")

    def list_environments(self, call: ApiCall) -> Document:
        """ListEnvironments with the alarms of each."""
        application = call.params["ApplicationId"]
        found = {each.environment: each for each in self._scripts if short_id(each.application) == application}
        if not found:
            raise _missing("Application")
        environments = [
            {
                "ApplicationId": application,
                "Id": short_id(each.application, name),
                "Name": name,
                "State": "DEPLOYING" if each.state(call.now_s) in {"DEPLOYING", "BAKING"} else "READY_FOR_DEPLOYMENT",
                "Monitors": [
                    {"AlarmArn": f"arn:aws:cloudwatch:{self._region}:{self._account}:alarm:{alarm}"}
                    for alarm in each.alarms
                ],
            }
            for name, each in sorted(found.items())
        ]
        return _PAGE.page(call, environments, "Items")

    def list_deployments(self, call: ApiCall) -> Document:
        """ListDeployments, newest first."""
        deployments = sorted(self._started(call), key=lambda each: each.number, reverse=True)
        return _PAGE.page(call, [_summary(each, call.now_s) for each in deployments], "Items")

    def get_deployment(self, call: ApiCall) -> Document:
        """GetDeployment with its event log."""
        number = int(call.params["DeploymentNumber"])
        deployment = next((each for each in self._started(call) if each.number == number), None)
        if deployment is None:
            raise _missing("Deployment")
        ids = {name: call.params[name] for name in ("ApplicationId", "EnvironmentId")}
        log = deployment.event_log(call.now_s)
        return {**ids, **_summary(deployment, call.now_s), "EventLog": log}

    def _started(self, call: ApiCall) -> list[ConfigurationDeployment]:
        wanted = (call.params["ApplicationId"], call.params["EnvironmentId"])
        found = [
            each
            for each in self._scripts
            if (short_id(each.application), short_id(each.application, each.environment)) == wanted
        ]
        if not found:
            raise _missing("Environment")
        return [each for each in found if each.started_s <= call.now_s]


def _summary(deployment: ConfigurationDeployment, now_s: float) -> Document:
    state = deployment.state(now_s)
    document: Document = {
        "DeploymentNumber": deployment.number,
        "ConfigurationProfileId": short_id(deployment.application, "profile", deployment.profile),
        "ConfigurationName": deployment.profile,
        "ConfigurationVersion": deployment.version,
        "DeploymentDurationInMinutes": deployment.duration_min,
        "GrowthType": "LINEAR",
        "GrowthFactor": deployment.growth_percent,
        "FinalBakeTimeInMinutes": deployment.bake_min,
        "State": state,
        "PercentageComplete": deployment.percentage(now_s),
        "StartedAt": deployment.started_s,
    }
    if state == "COMPLETE":
        document["CompletedAt"] = deployment.completed_s
    return document


def _missing(what: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"{what} could not be found.", status=404)
