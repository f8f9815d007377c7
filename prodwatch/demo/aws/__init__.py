"""The embedded AWS: one local port, with the real service's delays, limits and errors."""

from prodwatch.demo.aws.alarms.model import CompositeAlarm, MetricAlarm, MetricQuery
from prodwatch.demo.aws.appconfig.model import ConfigurationDeployment
from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentStep
from prodwatch.demo.aws.faults import Fault, FaultPlan
from prodwatch.demo.aws.functions.model import AliasState, Function, FunctionVersion
from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.aws.stacks.model import StackEvent

__all__ = [
    "AliasState",
    "CompositeAlarm",
    "ConfigurationDeployment",
    "Deployment",
    "DeploymentStep",
    "EmbeddedAws",
    "Fault",
    "FaultPlan",
    "Function",
    "FunctionVersion",
    "MetricAlarm",
    "MetricQuery",
    "StackEvent",
]
