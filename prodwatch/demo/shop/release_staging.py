"""Writes the staged release into the embedded AWS: versions, alias, deployments, stack events, alarms."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator

from prodwatch.demo.aws.alarms.model import AlarmState, CompositeAlarm, MetricAlarm
from prodwatch.demo.aws.appconfig.model import ConfigurationDeployment
from prodwatch.demo.aws.codedeploy.model import LAMBDA_EVENTS, Deployment, DeploymentStep, EventStatus
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.aws.stacks.model import StackEvent
from prodwatch.demo.aws.stacks.store import STACK_TYPE
from prodwatch.demo.shop import resource_names
from prodwatch.demo.shop.functions import ORDERS, Service
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.scenario import Step
from prodwatch.demo.shop.seeded_random import SeededRandom

DAY_S = 86400
FASTEST_EVALUATED = 1.5
"""Speed above which CloudWatch's minutes would come too late for the scenario, so the script sets the alarm."""


class ReleaseStaging:
    """One release in the embedded AWS; everything except the alarms depends on the time alone."""

    def __init__(self, timeline: Timeline, services: tuple[Service, ...], seed: int) -> None:
        self._timeline = timeline
        self._services = services
        self._release = timeline.scenario.release
        self._random = SeededRandom(seed, "staging")
        self._steps = timeline.steps
        self.scripted_alarm = math.isinf(timeline.hold_s) and timeline.speed > FASTEST_EVALUATED

    def write(self, aws: EmbeddedAws) -> None:
        """Write the whole release."""
        for service in self._services:
            aws.functions.put(self._function(service))
        opened_s = self._timeline.opened_s
        aws.functions.put_alias(ORDERS, self._release.alias, self._release.last_week)
        for deployment in self._deployments():
            aws.deployments.put(deployment)
        for configuration in self._configurations():
            aws.configurations.put(configuration)
        aws.stack_events.put(resource_names.STACK, self._stack_events())
        # Alarms are evaluated from here on; before it their history is empty.
        created_s = min(opened_s - 600, self._timeline.origin_s - 300)
        for alarm in self._alarms():
            aws.alarms.put(alarm, created_s=created_s, state="OK")

    async def follow(
        self, aws: EmbeddedAws, wall: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Set the alarm at the script's times, until the script's end; without scripted alarms, do nothing."""
        for at_s, step in self._steps:
            if step.do != "alarm" or not self.scripted_alarm:
                continue
            await sleep(max(0.0, at_s - wall()))
            states: dict[str, AlarmState] = {"ALARM": "ALARM", "OK": "OK"}
            aws.alarms.set_state(step.subject, states[step.status], step.reason)

    def _function(self, service: Service) -> Function:
        oldest_s = float(self._timeline.opened_s - 30 * DAY_S)
        if service.name == ORDERS:
            published = [
                (self._release.last_week, self._timeline.opened_s - 9 * DAY_S),
                (self._release.previous, self._timeline.opened_s - 2 * DAY_S),
                *((self._release.version, at_s) for at_s, step in self._steps if step.do == "publish"),
            ]
        else:
            published = [(service.version, oldest_s)]
        return Function(
            name=service.name,
            versions=[
                FunctionVersion(
                    version=version,
                    published_s=at_s,
                    code_sha256=self._digest(service.name, self._code_of(service, version)),
                    environment=self._timeline.scenario.of(version).environment if service.name == ORDERS else {},
                )
                for version, at_s in published
            ],
            handler=f"{service.name.removeprefix('shop-')}.handler",
            memory_mb=service.memory_mb,
            timeout_s=10,
            log_format="JSON" if service.logs == "json" else "Text",
        )

    def _code_of(self, service: Service, version: str) -> str:
        """Return the version whose code this version has."""
        release = self._release
        shared = release.same_code and service.name == ORDERS and version == release.version
        return release.previous if shared else version

    def _digest(self, *parts: str) -> str:
        import base64

        return base64.b64encode(self._random.digest("/".join(parts))).decode()

    def _id(self, name: str) -> str:
        return f"d-{self._random.digest(name).hex()[:9].upper()}"

    def _deployments(self) -> Iterator[Deployment]:
        release = self._release
        yield self._deployment(
            release.previous,
            created_s=self._timeline.opened_s - 2 * DAY_S,
            current=release.last_week,
            events=_successful(301.0, 300.0),
        )
        started_s = next((at_s for at_s, step in self._steps if step.do == "deploy"), None)
        if started_s is None:
            return
        rolled_back_s = next((at_s for at_s, step in self._steps if step.do == "roll back"), None)
        rollback_id = self._id("rollback") if rolled_back_s is not None else None
        events = [DeploymentStep(after_s=0.0, status="InProgress")]
        for at_s, step in self._steps:
            events += _deployment_steps(step, at_s - started_s, rollback_id)
        yield self._deployment(release.version, created_s=started_s, current=release.previous, events=events)
        if rolled_back_s is not None:
            yield self._deployment(
                release.previous,
                created_s=rolled_back_s,
                current=release.version,
                events=_successful(6.0, 0.0),
                rolled_back=True,
            )

    def _deployment(
        self, target: str, *, created_s: float, current: str, events: list[DeploymentStep], rolled_back: bool = False
    ) -> Deployment:
        release = self._release
        return Deployment(
            id=self._id("rollback" if rolled_back else f"deploy {target}"),
            application=resource_names.APPLICATION,
            group=resource_names.DEPLOYMENT_GROUP,
            function=release.function,
            alias=release.alias,
            current=current,
            target=target,
            created_s=float(created_s),
            events=events,
            config_name="CodeDeployDefault.LambdaAllAtOnce" if rolled_back else release.deployment_config,
            creator="codeDeployRollback" if rolled_back else "user",
            rolled_back_from=self._id(f"deploy {release.version}") if rolled_back else None,
            alarms=(resource_names.ERROR_ALARM, resource_names.SLOW_ALARM),
        )

    def _configurations(self) -> Iterator[ConfigurationDeployment]:
        """Yield the feature flags of yesterday and a change of them, which is harmless, with the release."""
        for number, started_s in ((1, self._timeline.opened_s - 86_400), (2, self._timeline.wall_s(0.0))):
            if started_s < math.inf:
                yield ConfigurationDeployment(
                    application=resource_names.APPLICATION,
                    environment=resource_names.CONFIGURATION_ENVIRONMENT,
                    profile=resource_names.CONFIGURATION_PROFILE,
                    number=number,
                    version=str(number),
                    started_s=started_s,
                    alarms=(resource_names.ERROR_ALARM,),
                )

    def _stack_events(self) -> Iterator[StackEvent]:
        def event(at_s: float, status: str, reason: str = "", resource: str = resource_names.STACK) -> StackEvent:
            kind = {resource_names.STACK: STACK_TYPE, "OrdersAliaslive": "AWS::Lambda::Alias"}.get(
                resource, "AWS::Lambda::Version"
            )
            physical = {"OrdersAliaslive": f"{ORDERS}:{self._release.alias}"}.get(resource, "")
            return StackEvent(
                at_s=at_s, logical_id=resource, type=kind, status=status, physical_id=physical, reason=reason or None
            )

        yield event(self._timeline.opened_s - 30.0 * DAY_S, "CREATE_COMPLETE")
        yield event(self._timeline.opened_s - 2.0 * DAY_S, "UPDATE_COMPLETE")
        version = f"OrdersVersion{self._release.version}"
        for at_s, step in self._steps:
            match step.do:
                case "stack":
                    yield event(at_s, step.status, step.reason)
                case "publish":
                    yield event(at_s, "CREATE_COMPLETE", resource=version)
                case "deploy":
                    yield event(at_s, "UPDATE_IN_PROGRESS", resource="OrdersAliaslive")
                case "stop":
                    yield event(at_s, "UPDATE_FAILED", step.reason, resource="OrdersAliaslive")
                case "finish":
                    yield event(at_s, "UPDATE_COMPLETE", resource="OrdersAliaslive")

    def _alarms(self) -> Iterator[MetricAlarm | CompositeAlarm]:
        alias = {"FunctionName": ORDERS, "Resource": f"{ORDERS}:{self._release.alias}"}
        # Lambda's minutes arrive up to a minute late: one breaching minute among the last three is enough.
        yield MetricAlarm(
            name=resource_names.ERROR_ALARM,
            description="Errors of the orders function, per minute",
            namespace="Shop" if self.scripted_alarm else "AWS/Lambda",
            metric="ScriptedErrors" if self.scripted_alarm else "Errors",
            dimensions=alias,
            stat="Sum",
            threshold=8.0,
            evaluation_periods=3,
            datapoints_to_alarm=1,
            missing="ignore" if self.scripted_alarm else "notBreaching",
        )
        yield MetricAlarm(
            name=resource_names.SLOW_ALARM,
            description="95th percentile of the orders function's duration",
            namespace="AWS/Lambda",
            metric="Duration",
            dimensions=alias,
            stat="p95",
            threshold=900.0,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            missing="notBreaching",
        )
        yield MetricAlarm(
            name=resource_names.QUEUE_ALARM,
            description="Messages that could not be processed",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": resource_names.OUTBOX_DLQ},
            stat="Maximum",
            evaluation_periods=3,
            datapoints_to_alarm=1,
            missing="notBreaching",
        )
        yield CompositeAlarm(
            name=resource_names.RELEASE_ALARM,
            rule=f'ALARM("{resource_names.ERROR_ALARM}") OR ALARM("{resource_names.SLOW_ALARM}")',
            description="Something is wrong with the release",
        )


def _successful(ended_after_s: float, shifted_after_s: float) -> list[DeploymentStep]:
    """Return the steps of a successful deployment."""
    hooks = [
        DeploymentStep(after_s=ended_after_s, lifecycle=name, lifecycle_status="Succeeded") for name in LAMBDA_EVENTS
    ]
    return [
        DeploymentStep(after_s=0.0, status="InProgress"),
        DeploymentStep(after_s=shifted_after_s, weight=1.0),
        *hooks,
        DeploymentStep(after_s=ended_after_s, status="Succeeded"),
    ]


def _deployment_steps(step: Step, after_s: float, rollback_id: str | None) -> Iterator[DeploymentStep]:
    """Yield the changes of the new version's deployment in a step of the script."""
    match step.do:
        case "hook":
            status: EventStatus = "InProgress" if step.status == "InProgress" else "Succeeded"
            yield DeploymentStep(after_s=after_s, lifecycle=step.subject, lifecycle_status=status)
        case "shift":
            allowed: EventStatus = "Succeeded" if step.weight == 1 else "InProgress"
            yield DeploymentStep(
                after_s=after_s, weight=step.weight, lifecycle="AllowTraffic", lifecycle_status=allowed
            )
        case "stop":
            yield DeploymentStep(after_s=after_s, lifecycle="AllowTraffic", lifecycle_status="Failed")
            yield DeploymentStep(
                after_s=after_s,
                status="Stopped",
                weight=0.0,
                error_code="ALARM_ACTIVE",
                message=step.reason,
                rollback_id=rollback_id,
            )
        case "finish":
            yield DeploymentStep(after_s=after_s, status="Succeeded")
