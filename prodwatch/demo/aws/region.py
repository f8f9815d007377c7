"""Stores of one region of the embedded AWS, and the operations implemented over them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prodwatch.demo.aws.alarms.handlers import AlarmHandlers
from prodwatch.demo.aws.alarms.store import AlarmStore
from prodwatch.demo.aws.api_call import AsyncHandler, Handler, Patch, Routes
from prodwatch.demo.aws.appconfig.handlers import ConfigurationHandlers
from prodwatch.demo.aws.codedeploy.handlers import DeploymentHandlers
from prodwatch.demo.aws.codedeploy.store import DeploymentStore
from prodwatch.demo.aws.faults import FaultPlan
from prodwatch.demo.aws.functions.handlers import FunctionHandlers
from prodwatch.demo.aws.functions.store import FunctionStore
from prodwatch.demo.aws.logs.handlers import LogHandlers
from prodwatch.demo.aws.logs.live_tail import LiveTail
from prodwatch.demo.aws.logs.store import LogStore
from prodwatch.demo.aws.metrics.handlers import MetricHandlers
from prodwatch.demo.aws.metrics.store import MetricStore
from prodwatch.demo.aws.stacks.handlers import StackHandlers
from prodwatch.demo.aws.stacks.store import StackEventStore
from prodwatch.demo.aws.xray.handlers import TraceHandlers
from prodwatch.demo.aws.xray.store import TraceStore
from prodwatch.demo.workload import History


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDependencies:
    """Dependencies shared by all regions."""

    account: str
    faults: FaultPlan
    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class Region:
    """The stores of one region and the routing table over them."""

    def __init__(self, name: str, dependencies: RegionDependencies, history: History | None) -> None:
        faults = dependencies.faults
        self.logs = LogStore(wall=dependencies.wall, faults=faults, history=history)
        self.traces = TraceStore(wall=dependencies.wall, faults=faults, history=history)
        self.metrics = MetricStore(wall=dependencies.wall, faults=faults, history=history)
        self.alarms = AlarmStore(
            region=name, account=dependencies.account, metrics=self.metrics, wall=dependencies.wall
        )
        self.deployments = DeploymentStore()
        self.functions = FunctionStore(
            region=name, account=dependencies.account, wall=dependencies.wall, deployments=self.deployments
        )
        self.configurations = ConfigurationHandlers(name, dependencies.account)
        self.stack_events = StackEventStore()
        self.live_tail = LiveTail(self.logs, faults=faults, wall=dependencies.wall, sleep=dependencies.sleep)
        self.sync: dict[tuple[str, str], Handler] = {}
        self.on_loop: dict[tuple[str, str], AsyncHandler] = {}
        self.patches: dict[tuple[str, str], Patch] = {}
        for routes in (
            LogHandlers(self.logs).routes(),
            TraceHandlers(self.traces).routes(),
            MetricHandlers(self.metrics).routes(),
            AlarmHandlers(self.alarms).routes(),
            DeploymentHandlers(self.deployments).routes(),
            self.configurations.routes(),
            FunctionHandlers(self.functions).routes(),
            StackHandlers(self.stack_events).routes(),
        ):
            self._add(routes)

    def _add(self, routes: Routes) -> None:
        service = routes.service
        self.sync.update({(service, operation): handler for operation, handler in routes.sync.items()})
        self.on_loop.update({(service, operation): handler for operation, handler in routes.on_loop.items()})
        self.patches.update({(service, operation): patch for operation, patch in routes.patches.items()})

    def implements(self, service: str, operation: str) -> bool:
        """Return whether the operation is implemented or completed here rather than by moto alone."""
        key = (service, operation)
        return key in self.sync or key in self.on_loop or key in self.patches
