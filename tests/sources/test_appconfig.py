"""AppConfig deployments as releases: phases, shares, causes, events, and what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.demo.aws import ConfigurationDeployment
from prodwatch.demo.aws.api_call import ApiCall
from prodwatch.demo.aws.appconfig.handlers import ConfigurationHandlers
from prodwatch.model.environment import AlarmTarget
from prodwatch.model.signal import ReleasePhase, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.sources.release.appconfig import LIST_EVERY_S, ConfigurationReader
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

_TIMES = frozenset(("StartedAt", "CompletedAt", "OccurredAt"))


def with_dates(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: with_dates(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [with_dates(each) for each in value]
    return datetime.fromtimestamp(value, UTC) if name in _TIMES else value


class AppConfig(ScriptedAws):
    """The embedded AWS's operations without HTTP."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.handlers = ConfigurationHandlers("eu-west-1", "123456789012")
        self.gone = False

    def put(self, number: int, version: str, minutes: float, **more: Any) -> None:
        """Script a deployment that starts this many minutes from the start."""
        if (back_min := more.pop("back_min", None)) is not None:
            more["back_s"] = (START + timedelta(minutes=back_min)).timestamp()
        values = {"application": "shop", "environment": "prod", "profile": "flags", "alarms": ("shop errors",)}
        started_s = (START + timedelta(minutes=minutes)).timestamp()
        self.handlers.put(
            ConfigurationDeployment(**{**values, "number": number, "version": version, "started_s": started_s, **more})
        )

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        await super().call(service, operation, params, **options)
        call = ApiCall(
            service=service,
            operation=operation,
            params=dict(params or {}),
            region="eu-west-1",
            account="123456789012",
            now_s=self._clock.now().timestamp(),
        )
        document: dict[str, Any] = with_dates(self.handlers.routes().sync[operation](call))
        return document


class World:
    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.aws = AppConfig(self.clock)
        self.aws.put(1, "6", -6000)
        self.reader = ConfigurationReader(
            self.aws, names or ("shop/prod",), clock=self.clock, since=START - timedelta(hours=1), clean=str
        )

    async def state(self) -> ReleaseState:
        (state,), _ = await self.reader.read()
        return state


async def test_a_configuration_that_was_deployed_long_ago_is_a_release_of_the_past() -> None:
    state = await World().state()
    assert (state.kind, state.function, state.phase) == ("configuration", "shop/prod/flags", ReleasePhase.SUCCEEDED)
    assert (state.version, state.previous, state.weights) == ("6", None, {"6": 1.0})
    assert state.ended_at == START - timedelta(minutes=5980)


@pytest.mark.parametrize(
    ("minutes", "phase", "weights"),
    [
        pytest.param(0, ReleasePhase.SHIFTING, {"6": 1.0}, id="started"),
        pytest.param(5, ReleasePhase.SHIFTING, {"6": 0.6, "7": 0.4}, id="deploying"),
        pytest.param(12, ReleasePhase.BAKING, {"7": 1.0}, id="baking"),
        pytest.param(20, ReleasePhase.SUCCEEDED, {"7": 1.0}, id="complete"),
    ],
)
async def test_the_state_and_percentage_of_a_deployment(
    minutes: float, phase: ReleasePhase, weights: Mapping[str, float]
) -> None:
    world = World()
    world.aws.put(2, "7", 0)
    await world.clock.advance(minutes * 60)
    state = await world.state()
    assert (state.phase, state.weights, state.previous, state.started_at) == (phase, weights, "6", START)


@pytest.mark.parametrize(
    ("back_min", "back_by", "cause"),
    [
        pytest.param(5, "CLOUDWATCH_ALARM", "rolled back by a CloudWatch alarm: Rollback started", id="alarm"),
        pytest.param(12, "USER", "rolled back by a user: Rollback started", id="stopped while it bakes"),
        pytest.param(25, "USER", "reverted by a user: Revert completed", id="reverted after its completion"),
    ],
)
async def test_a_deployment_that_goes_back_is_rolled_back_with_its_cause(
    back_min: float, back_by: str, cause: str
) -> None:
    world = World()
    world.aws.put(2, "7", 0, back_min=back_min, back_by=back_by)
    await world.clock.advance(30 * 60)
    state = await world.state()
    assert (state.phase, state.weights, state.cause) == (ReleasePhase.ROLLED_BACK, {"6": 1.0}, cause)
    assert state.ended_at == START + timedelta(minutes=back_min)


async def test_the_version_before_is_the_last_one_that_was_deployed_completely() -> None:
    world = World()
    world.aws.put(2, "7", 0, back_min=3)
    world.aws.put(3, "8", 10)
    await world.clock.advance(15 * 60)
    state = await world.state()
    assert (state.version, state.previous, state.deployment) == ("8", "6", "3")


async def test_the_event_log_of_the_session_is_reported() -> None:
    world = World()
    world.aws.put(2, "7", 0, back_min=3)
    await world.clock.advance(5 * 60)
    _, events = await world.reader.read()
    assert [(each.what, each.from_, each.to, each.at) for each in sorted(events, key=lambda each: each.at)] == [
        ("deployment started", "6", "7", START),
        ("percentage updated", "6", "7", START + timedelta(minutes=2)),
        ("rollback started", "6", "7", START + timedelta(minutes=3)),
        ("rollback completed", "6", "7", START + timedelta(minutes=3)),
    ]
    assert {each.subject for each in events} == {"shop/prod/flags#2"}
    assert events[0].detail == "Rollback started by a CloudWatch alarm"


async def test_the_alarms_of_an_environment_roll_it_back_and_gate() -> None:
    world = World()
    state = await world.state()
    assert state.rollback is not None
    assert (state.rollback.group, state.rollback.alarms) == ("shop/prod", ("shop errors",))
    assert world.reader.targets() == (AlarmTarget(names=("shop errors",)),)


async def test_a_final_deployment_is_read_once() -> None:
    world = World()
    for _ in range(3):
        await world.reader.read()
        await world.clock.advance(LIST_EVERY_S)
    assert [name for name, _ in world.aws.calls].count("appconfig:GetDeployment") == 1


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        pytest.param("shop", ["shop/prod/flags", "shop/staging/flags"], id="every environment of an application"),
        pytest.param("shop/staging", ["shop/staging/flags"], id="one environment"),
    ],
)
async def test_an_application_or_one_environment_of_it_is_watched(name: str, functions: list[str]) -> None:
    world = World(name)
    world.aws.put(1, "3", -600, environment="staging")
    states, _ = await world.reader.read()
    assert [each.function for each in states] == functions
    assert world.reader.unread() == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("shopp", "AppConfig has no application shopp"),
        ("shop/production", "AppConfig has no environment shop/production"),
    ],
)
async def test_a_name_that_does_not_exist_is_reported(name: str, sentence: str) -> None:
    world = World(name)
    assert await world.reader.read() == ([], [])
    assert world.reader.unread() == (sentence,)


@pytest.mark.parametrize("operation", ["ListApplications", "ListDeployments", "GetDeployment"])
async def test_what_was_read_remains_while_appconfig_cannot_be_read(operation: str) -> None:
    world = World()
    world.aws.put(2, "7", 0)
    before = await world.state()
    world.aws.fail(f"appconfig:{operation}", Reason.ACCESS_DENIED)
    await world.clock.advance(60)
    assert await world.state() == before
    assert world.reader.unread() == (f"AppConfig: appconfig:{operation} failed",)
