from __future__ import annotations

import pytest

from prodwatch.demo.aws.server import EmbeddedAws
from prodwatch.demo.shop import resource_names
from prodwatch.demo.shop.functions import ORDERS
from prodwatch.demo.shop.release_staging import ReleaseStaging
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.scenario import load
from prodwatch.demo.shop.signal_history import ShopHistory

NOW = 1_795_183_440  # a whole minute


class Wall:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Staged:
    def __init__(self, at: str | None, *, name: str = "bad", opened_s: float = NOW, speed: float = 1.0) -> None:
        self.wall = Wall(opened_s)
        self.timeline = Timeline(load(name), opened_s=opened_s, at=at, speed=speed)
        history = ShopHistory(self.timeline, seed=42)
        self.aws = EmbeddedAws(history=history, wall=self.wall)
        self.staging = ReleaseStaging(self.timeline, tuple(history.traffic.services.values()), 42)
        self.staging.write(self.aws)

    def alias(self) -> tuple[str, dict[str, float]]:
        state = self.aws.functions.alias(ORDERS, "live")
        assert state is not None
        return state.version, dict(state.weights)

    def deployments(self) -> list[tuple[str, str, str]]:
        created = self.aws.deployments.created(self.wall())
        return [(item.target, self.aws.deployments.state(item, self.wall()).status, item.creator) for item in created]

    def stack(self) -> str:
        status = self.aws.stack_events.status(resource_names.STACK, self.wall())
        assert status is not None
        return status.status

    def alarms(self) -> dict[str, str]:
        return {item.definition.name: item.state for item in self.aws.alarms.records()}


FIRST = ("41", "Succeeded", "user")


@pytest.mark.parametrize(
    ("name", "at", "alias", "deployments", "stack"),
    [
        ("bad", "before", ("41", {}), [FIRST], "UPDATE_COMPLETE"),
        ("bad", "during", ("41", {"42": 0.1}), [("42", "InProgress", "user"), FIRST], "UPDATE_IN_PROGRESS"),
        (
            "bad",
            "after",
            ("41", {}),
            [("41", "Succeeded", "codeDeployRollback"), ("42", "Stopped", "user"), FIRST],
            "UPDATE_ROLLBACK_COMPLETE",
        ),
        ("good", "during", ("41", {"42": 0.1}), [("42", "InProgress", "user"), FIRST], "UPDATE_IN_PROGRESS"),
        ("no-traffic", "during", ("41", {"42": 0.1}), [("42", "InProgress", "user"), FIRST], "UPDATE_IN_PROGRESS"),
        ("no-traffic", "after", ("42", {}), [("42", "Succeeded", "user"), FIRST], "UPDATE_COMPLETE"),
        *(
            (name, "during", ("41", {"42": 0.1}), [("42", "InProgress", "user"), FIRST], "UPDATE_IN_PROGRESS")
            for name in ("slow-burn", "outage", "config-only")
        ),
        *(
            (
                name,
                "after",
                ("41", {}),
                [("41", "Succeeded", "codeDeployRollback"), ("42", "Stopped", "user"), FIRST],
                "UPDATE_ROLLBACK_COMPLETE",
            )
            for name in ("slow-burn", "outage", "config-only")
        ),
        ("good", "after", ("42", {}), [("42", "Succeeded", "user"), FIRST], "UPDATE_COMPLETE"),
    ],
)
@pytest.mark.parametrize("later_s", [0, 900])
def test_each_moment_and_a_quarter_of_an_hour_later(
    name: str,
    at: str,
    alias: tuple[str, dict[str, float]],
    deployments: list[tuple[str, str, str]],
    stack: str,
    later_s: int,
) -> None:
    staged = Staged(at, name=name)
    staged.wall.now_s += later_s
    assert staged.alias() == alias
    assert staged.deployments() == deployments
    assert staged.stack() == stack


# Whether the new version's first minute has enough errors depends on the second in which it began.
@pytest.mark.parametrize(
    ("name", "at", "firing", "phase_s"),
    [
        ("bad", "before", set(), 0),
        *(
            pytest.param(
                "bad",
                "during",
                {resource_names.ERROR_ALARM, resource_names.RELEASE_ALARM},
                phase_s,
                marks=() if phase_s in {0, 45} else pytest.mark.slow,
            )
            for phase_s in (0, 12, 36, 45, 59)
        ),
        ("bad", "after", set(), 30),
        *(
            pytest.param(
                name,
                "during",
                {resource_names.ERROR_ALARM, resource_names.RELEASE_ALARM},
                30,
                marks=() if name == "outage" else pytest.mark.slow,
            )
            for name in ("outage", "config-only")
        ),
        *(
            pytest.param(name, "after", set(), 30, marks=pytest.mark.slow)
            for name in ("outage", "config-only", "slow-burn", "no-traffic")
        ),
        ("slow-burn", "during", set(), 30),
        pytest.param("no-traffic", "during", set(), 30, marks=pytest.mark.slow),
        pytest.param("good", "during", set(), 30, marks=pytest.mark.slow),
        ("good", "after", set(), 30),
    ],
)
def test_alarms_are_the_same_in_every_second_of_a_minute(name: str, at: str, firing: set[str], phase_s: int) -> None:
    staged = Staged(at, name=name, opened_s=NOW + phase_s)
    for later_s in (0, 45, 130):
        staged.wall.now_s = NOW + phase_s + later_s
        alarms = staged.alarms()
        assert set(alarms) == {
            resource_names.ERROR_ALARM,
            resource_names.SLOW_ALARM,
            resource_names.QUEUE_ALARM,
            resource_names.RELEASE_ALARM,
        }
        assert {alarm for alarm, state in alarms.items() if state == "ALARM"} == firing


def test_the_alarm_has_been_firing_since_the_release_went_bad() -> None:
    staged = Staged("after")
    moves = [
        item
        for item in staged.aws.alarms.history()
        if item.item == "StateUpdate" and item.name == resource_names.ERROR_ALARM
    ]
    after_s = [item.at_s - staged.timeline.origin_s for item in reversed(moves)]
    assert len(after_s) == 2
    assert 60 <= after_s[0] <= 180
    assert 240 <= after_s[1] <= 540


def test_a_played_scenario_depends_on_the_time_alone() -> None:
    staged = Staged(None)
    routing: list[tuple[str, dict[str, float]]] = []
    for at_s in (-30, 1, 200, 242, 250):
        staged.wall.now_s = staged.timeline.origin_s + at_s
        routing.append(staged.alias())
    assert routing == [("41", {}), ("41", {"42": 0.1}), ("41", {"42": 0.1}), ("41", {}), ("41", {})]


def test_the_rolled_back_deployment_and_its_rollback_name_each_other() -> None:
    staged = Staged("after")
    rollback, stopped, _ = staged.aws.deployments.created(NOW)
    state = staged.aws.deployments.state(stopped, NOW)
    assert (state.error_code, state.rollback_id) == ("ALARM_ACTIVE", rollback.id)
    assert rollback.rolled_back_from == stopped.id
    assert resource_names.ERROR_ALARM in (state.error_message or "")


def test_the_new_version_is_published_at_its_scripted_time() -> None:
    def versions(at: str) -> list[str]:
        function = Staged(at).aws.functions.get(ORDERS)
        assert function is not None
        return [item.version for item in function.versions]

    assert versions("before") == ["40", "41"]
    assert versions("during") == ["40", "41", "42"]


@pytest.mark.parametrize(("speed", "scripted"), [(1.0, False), (1.5, False), (8.0, True)])
def test_only_a_scenario_faster_than_cloudwatch_scripts_its_alarm(speed: float, scripted: bool) -> None:
    assert Staged(None, speed=speed).staging.scripted_alarm is scripted
    assert not Staged("during", speed=speed).staging.scripted_alarm


async def test_a_scripted_alarm_fires_before_the_rollback_and_clears_after_it() -> None:
    staged = Staged(None, speed=8.0)
    seen: list[tuple[float, str]] = []

    async def sleep(seconds: float) -> None:
        seen.append((staged.timeline.scenario_s(staged.wall.now_s), staged.alarms()[resource_names.ERROR_ALARM]))
        staged.wall.now_s += seconds

    await staged.staging.follow(staged.aws, staged.wall, sleep)
    seen.append((staged.timeline.scenario_s(staged.wall.now_s), staged.alarms()[resource_names.ERROR_ALARM]))
    assert [state for _, state in seen] == ["OK", "ALARM", "OK"]
    assert seen[-1][0] == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("name", "same_code", "same_configuration"),
    [("bad", False, True), ("good", False, True), ("config-only", True, False)],
)
def test_a_version_differs_from_the_previous_one_in_its_code_or_only_in_its_configuration(
    name: str, same_code: bool, same_configuration: bool
) -> None:
    function = Staged("during", name=name).aws.functions.get(ORDERS)
    assert function is not None
    old, new = function.versions[-2:]
    assert (old.version, new.version) == ("41", "42")
    assert (old.code_sha256 == new.code_sha256) is same_code
    assert (old.environment == new.environment) is same_configuration
