"""Deployments of one application in several accounts, regions and groups: what fails hides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, FunctionTarget, ReleaseTarget
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.model.status import Reason
from prodwatch.runner.values.read_releases import read_releases
from prodwatch.sources.release.codedeploy import (
    LIST_EVERY_S,
    MAX_LISTED,
    MAX_SINCE,
    NO_APPLICATION,
    NO_GROUP,
    PER_GROUP,
    RECENT_PER_GROUP,
    SHARED_S,
    DeploymentReader,
    Reading,
    deployment_reader,
    read_places,
)
from prodwatch.sources.release.source import EVERY_S, ReleaseSource
from prodwatch.testing.clock import START, FakeClock
from tests.support.placed_aws import EAST, PAY, PLACES, PlacedAws

SINCE = START - timedelta(hours=3)


class CodeDeploy(PlacedAws):
    """`groups[place][group]` are its deployments, newest first; each deploys pay:live from 41 to 42."""

    def __init__(self, *places: Place) -> None:
        super().__init__()
        self.groups: dict[Place, dict[str, list[str]]] = {place: {"pay": ["d-1"]} for place in places or (HOME,)}
        self.failed_ids: set[str] = set()
        self.minutes_ago: dict[str, float] = {}
        self.listed: dict[Place, list[str]] = {}
        """What ListDeploymentGroups returns, where that differs from the groups."""
        self.page_size = 100
        self.weights: dict[Place, dict[str, float]] = {}
        self.placed = {
            "codedeploy:ListDeploymentGroups": self.list_groups,
            "codedeploy:ListDeployments": self.list_deployments,
            "codedeploy:BatchGetDeployments": self.describe,
            "codedeploy:ListDeploymentTargets": lambda _, params: self.paged(
                "targetIds", [f"{params['deploymentId']}:{n}" for n in range(3)]
            ),
            "codedeploy:GetDeploymentTarget": self.target,
            "codedeploy:GetDeploymentConfig": lambda *_: {"deploymentConfigInfo": {}},
            "lambda:GetAlias": lambda place, _: {
                "FunctionVersion": "41",
                "RoutingConfig": {"AdditionalVersionWeights": self.weights.get(place, {})},
            },
            "lambda:GetFunctionConfiguration": lambda *_: {"LastModified": "2026-01-01T00:00:00Z"},
        }

    def paged(self, member: str, items: list[str]) -> dict[str, Any]:
        starts = range(0, max(1, len(items)), self.page_size)
        return {"pages": [{member: items[start : start + self.page_size]} for start in starts]}

    def list_groups(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del params
        if place not in self.groups:
            raise problem("ListDeploymentGroups", NO_APPLICATION)
        return self.paged("deploymentGroups", self.listed.get(place, list(self.groups[place])))

    def list_deployments(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        group = params["deploymentGroupName"]
        if group not in self.groups[place]:
            raise problem("ListDeployments", NO_GROUP)
        return self.paged("deployments", self.groups[place][group])

    def describe(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del place
        assert len(params["deploymentIds"]) <= 25
        return {"deploymentsInfo": [self.info(each) for each in params["deploymentIds"]]}

    def info(self, id_: str) -> dict[str, Any]:
        created = START - timedelta(minutes=self.minutes_ago.get(id_, 10.0 * int(id_.rpartition("-")[2])))
        failed = {"errorInformation": {"code": "HOOK", "message": "hook said no"}} if id_ in self.failed_ids else {}
        status = "Failed" if id_ in self.failed_ids else "Succeeded"
        ended = created + timedelta(minutes=1)
        return {"deploymentId": id_, "createTime": created, "status": status, "completeTime": ended, **failed}

    def target(self, place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del place
        number = params["targetId"].rpartition(":")[2]
        name = {"0": "pay", "1": "orders"}.get(number, "mail")
        info = {"functionName": name, "functionAlias": "live", "currentVersion": "40", "targetVersion": "41"}
        return {"deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": info}}}


def problem(operation: str, code: str, reason: Reason = Reason.API_ERROR) -> AwsError:
    return AwsError(f"{operation}: {code}", code=code, reason=reason, service="codedeploy", operation=operation)


async def read(aws: CodeDeploy, clock: FakeClock, place: Place = HOME, **more: Any) -> Reading:
    known: dict[str, Any] = {"clean": str, "per_group": PER_GROUP, "listed_within_s": 0}
    return await deployment_reader(aws, "shop", clock, place).read(**(known | more))


def ids(reading: Reading) -> list[str]:
    return list(dict.fromkeys(each.id for each in reading.deployments))


def environment(*places: Place) -> Environment:
    return Environment(
        name="t",
        title="T",
        source=SourcePosition("config/t.toml"),
        functions=tuple(
            FunctionTarget(name="pay", alias="live", account=place.account or None, region=place.region or None)
            for place in places
        ),
        release=ReleaseTarget(codedeploy=("shop",)),
    )


def source(aws: CodeDeploy, clock: FakeClock, *places: Place) -> ReleaseSource:
    return ReleaseSource(aws, environment(*places), clock=clock, since=SINCE, clean=str)


# K9


@pytest.mark.parametrize("page_size", [1, 2, 100])
async def test_K9_every_page_of_groups_deployments_and_targets_is_read(page_size: int) -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.page_size = page_size
    aws.groups[HOME] = {"a": ["a-3", "a-4"], "b": ["b-2"], "c": ["c-1"]}
    reading = await read(aws, clock)
    assert ids(reading) == ["c-1", "b-2", "a-3", "a-4"]
    assert {each.function for each in reading.deployments} == {"pay", "orders", "mail"}
    assert reading.unread == ()


@pytest.mark.parametrize("page_size", [1, 7, 100])
async def test_K9_a_failure_in_the_last_group_decides(page_size: int) -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.page_size, aws.failed_ids = page_size, {"z-1"}
    aws.groups[HOME] = {f"g{n:02}": [] for n in range(20)} | {"z": ["z-1"]}
    (state,) = (await read_releases(environment(HOME), aws, None, clock)).states
    assert (state.phase, state.cause) == (ReleasePhase.FAILED, "HOOK: hook said no")


# K10


async def test_K10_all_deployments_of_the_window_are_reported() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"pay": [f"d-{n}" for n in range(1, 13)]}
    records = await source(aws, clock, HOME).poll()
    created = {each.subject for each in records if isinstance(each, ReleaseEvent) and "created" in each.what}
    assert created == {f"d-{n}" for n in range(1, 13)}


@pytest.mark.parametrize("page_size", [10, 100])
async def test_K10_a_window_is_listed_to_its_start_whatever_the_page(page_size: int) -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.page_size = page_size
    aws.groups[HOME] = {"pay": [f"d-{n}" for n in range(1, 200)]}
    aws.minutes_ago = {f"d-{n}": float(n) for n in range(1, 200)}
    reading = await read(aws, clock, since=START - timedelta(minutes=120))
    assert ids(reading) == [f"d-{n}" for n in range(1, 121)]
    assert reading.unread == ()
    assert len(ids(await read(aws, clock))) == 120, "shared with the one before"
    await clock.advance(SHARED_S + 1)
    assert len(ids(await read(aws, clock, per_group=RECENT_PER_GROUP))) == RECENT_PER_GROUP


async def test_K10_a_window_with_more_deployments_than_are_read_says_so() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"pay": [f"d-{n}" for n in range(1, MAX_SINCE + 50)]}
    aws.minutes_ago = dict.fromkeys(aws.groups[HOME]["pay"], 5.0)
    reading = await read(aws, clock, since=SINCE)
    assert len(ids(reading)) == MAX_SINCE
    assert reading.unread == (f"CodeDeploy group pay has more than {MAX_SINCE} deployments; older ones were not read",)


async def test_K10_without_a_window_few_are_listed() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"pay": [f"d-{n}" for n in range(1, 200)]}
    await read(aws, clock)
    described = [params for name, params in aws.calls if name == "codedeploy:BatchGetDeployments"]
    assert [len(each["deploymentIds"]) for each in described] == [MAX_LISTED]


# K13


async def test_K13_a_rollback_at_home_is_none_elsewhere() -> None:
    aws, clock = CodeDeploy(*PLACES), FakeClock()
    aws.groups = {HOME: {"pay": ["h-1"]}, EAST: {"pay": ["e-1"]}, PAY: {"pay": []}}
    aws.failed_ids = {"h-1"}
    aws.weights = {EAST: {"42": 0.0}}
    records = await source(aws, clock, *PLACES).poll()
    states = {each.place: each.deployment for each in records if isinstance(each, ReleaseState)}
    assert states == {HOME: "h-1", EAST: "e-1", PAY: None}
    phases = {each.place: each.phase for each in records if isinstance(each, ReleaseState)}
    assert phases == {HOME: ReleasePhase.FAILED, EAST: ReleasePhase.SUCCEEDED, PAY: ReleasePhase.NONE}
    events = {(each.subject, each.place) for each in records if isinstance(each, ReleaseEvent)}
    assert {("h-1", HOME), ("e-1", EAST)} <= events
    headless = (await read_releases(environment(*PLACES), aws, None, clock)).states
    assert {each.place: each.deployment for each in headless} == states


@pytest.mark.parametrize("missing", PLACES)
async def test_K13_an_application_that_one_place_lacks_has_no_deployments_there(missing: Place) -> None:
    aws, clock = CodeDeploy(*PLACES), FakeClock()
    del aws.groups[missing]
    reader = source(aws, clock, *PLACES)
    states = {each.place: each.deployment for each in await reader.poll() if isinstance(each, ReleaseState)}
    assert states == {place: None if place == missing else "d-1" for place in PLACES}
    assert reader.unread() == ()
    assert NO_APPLICATION in (reader.note() or "")
    headless = (await read_releases(environment(*PLACES), aws, None, clock)).states
    assert [each.deployment for each in headless if each.place == missing] == [None]


async def test_K13_an_application_that_exists_nowhere_is_unread() -> None:
    aws, clock = CodeDeploy(*PLACES), FakeClock()
    aws.groups = {}
    reader = source(aws, clock, *PLACES)
    await reader.poll()
    assert len(reader.unread()) == len(PLACES)
    with pytest.raises(AwsError):
        await read_releases(environment(*PLACES), aws, None, clock)


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS])
@pytest.mark.parametrize("broken", PLACES)
async def test_K13_one_place_that_cannot_be_read_silences_itself(broken: Place, reason: Reason) -> None:
    aws, clock = CodeDeploy(*PLACES), FakeClock()
    aws.fail_in(broken, "codedeploy:ListDeploymentGroups", reason)
    reader = source(aws, clock, *PLACES)
    states = {each.place: each.deployment for each in await reader.poll() if isinstance(each, ReleaseState)}
    assert states == {place: None if place == broken else "d-1" for place in PLACES}
    (sentence,) = reader.unread()
    assert sentence.startswith("CodeDeploy")
    assert str(broken) in sentence
    headless = await read_releases(environment(*PLACES), aws, None, clock)
    assert {each.place: each.deployment for each in headless.states} == dict.fromkeys(set(PLACES) - {broken}, "d-1")
    assert ([str(broken) in each for each in headless.unread], headless.reason) == ([True], reason)


@pytest.mark.parametrize("reason", [Reason.ACCESS_DENIED, Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS])
@pytest.mark.parametrize("broken", PLACES)
async def test_K13_one_place_whose_aliases_cannot_be_read_silences_itself(broken: Place, reason: Reason) -> None:
    aws, clock = CodeDeploy(*PLACES), FakeClock()
    aws.fail_in(broken, "lambda:GetAlias", reason)
    reader = source(aws, clock, *PLACES)
    states = {each.place for each in await reader.poll() if isinstance(each, ReleaseState)}
    assert set(PLACES) - {broken} <= states
    assert len(reader.unread()) == 1
    headless = await read_releases(environment(*PLACES), aws, None, clock)
    assert {each.place for each in headless.states} == set(PLACES) - {broken}
    assert ([str(broken) in each for each in headless.unread], headless.reason) == ([True], reason)
    assert headless.certain == ()


# K18


@pytest.mark.parametrize("after_s", [0.0, 5.0, 30.0, 55.0])
async def test_K18_a_group_that_is_gone_hides_only_itself_and_its_successor_is_found(after_s: float) -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"old": ["o-9"], "pay": ["d-2"]}
    assert ids(await read(aws, clock)) == ["d-2", "o-9"]
    aws.groups[HOME] = {"new": ["n-1"], "pay": ["d-2"]}
    await clock.advance(after_s + SHARED_S + 1)
    reading = await read(aws, clock)
    assert ids(reading) == ["n-1", "d-2"]
    assert reading.unread == ()


async def test_K18_a_list_that_still_names_a_group_that_is_gone_is_read_again_next_time() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.listed[HOME] = ["gone", "pay"]
    reading = await read(aws, clock)
    assert (ids(reading), reading.unread) == (["d-1"], ())
    del aws.listed[HOME]
    aws.groups[HOME]["new"] = ["n-1"]
    await clock.advance(SHARED_S + 1)
    assert set(ids(await read(aws, clock))) == {"d-1", "n-1"}


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("ListDeployments", Reason.ACCESS_DENIED),
        ("ListDeployments", Reason.SERVICE),
        ("ListDeploymentTargets", Reason.API_ERROR),
        ("GetDeploymentTarget", Reason.ACCESS_DENIED),
    ],
)
@pytest.mark.parametrize("broken", ["a", "b"])
async def test_K18_one_group_that_cannot_be_read_hides_no_other_and_is_named(
    operation: str, reason: Reason, broken: str
) -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"a": ["a-1"], "b": ["b-2"]}
    answer = aws.placed[f"codedeploy:{operation}"]

    def partly(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if str(params.get("deploymentGroupName", params.get("deploymentId"))).startswith(broken):
            raise problem(operation, "Broken", reason)
        return answer(place, params)

    # The first of several groups that fails with the service's own error may be the service as a whole.
    whole = (operation, reason, broken) == ("ListDeployments", Reason.SERVICE, "a")
    aws.placed[f"codedeploy:{operation}"] = partly
    reader = source(aws, clock, HOME)
    for _ in range(3):
        states = [each for each in await reader.poll() if isinstance(each, ReleaseState)]
        other = {"a": "b-2", "b": "a-1"}[broken]
        assert [each.deployment for each in states] == [None if whole else other]
        assert [operation in each for each in reader.unread()] == [True]
        await clock.advance(EVERY_S)
    if not whole:
        assert (await read(aws, clock)).unread == (f"CodeDeploy: {operation}: Broken",)
    with pytest.raises(AwsError):
        await read_releases(environment(HOME), aws, None, clock)


async def test_K18_a_group_that_was_read_before_remains_while_it_cannot_be_read() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"a": ["a-1"], "b": ["b-2"]}
    await read(aws, clock)
    listing = aws.placed["codedeploy:ListDeployments"]

    def partly(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        if params["deploymentGroupName"] == "a":
            raise problem("ListDeployments", "AccessDeniedException", Reason.ACCESS_DENIED)
        return listing(place, params)

    aws.placed["codedeploy:ListDeployments"] = partly
    await clock.advance(LIST_EVERY_S)
    reading = await read(aws, clock)
    assert set(ids(reading)) == {"a-1", "b-2"}
    assert len(reading.unread) == 1


async def test_K18_a_deployment_that_is_not_described_is_named_and_one_without_a_time_is_the_newest() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"pay": ["d-1", "d-2", "d-3"]}

    def describe(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        del place
        undated = {key: value for key, value in aws.info("d-3").items() if key != "createTime"}
        known = {"d-2": aws.info("d-2"), "d-3": undated}
        return {"deploymentsInfo": [known[each] for each in params["deploymentIds"] if each in known]}

    aws.placed["codedeploy:BatchGetDeployments"] = describe
    reading = await read(aws, clock)
    assert ids(reading) == ["d-3", "d-2"]
    assert reading.unread == ("CodeDeploy: codedeploy BatchGetDeployments left out d-1",)


async def test_D_one_application_that_cannot_be_read_hides_nothing_of_another_and_is_said() -> None:
    aws, clock = CodeDeploy(), FakeClock()
    aws.groups[HOME] = {"pay": ["d-1"]}
    refused = AwsError(
        "no such application",
        code=NO_APPLICATION,
        reason=Reason.API_ERROR,
        service="codedeploy",
        operation="ListDeploymentGroups",
    )

    async def read_one(reader: DeploymentReader) -> Reading:
        if reader is absent:
            raise refused
        return await reader.read(clean=str)

    present, absent = deployment_reader(aws, "shop", clock), deployment_reader(aws, "prices", clock)
    outcomes = await read_places({(HOME, "shop"): present, (HOME, "prices"): absent}, read_one)
    found = outcomes[HOME, "shop"]
    assert isinstance(found, Reading)
    assert ids(found) == ["d-1"]
    assert outcomes[HOME, "prices"] is refused
