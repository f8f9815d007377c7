"""Releases by CodeDeploy, by hand and by stacks, observed from before, from the middle and afterwards."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, FunctionTarget, ReleaseTarget, StackReference
from prodwatch.model.identity import HOME, Place
from prodwatch.model.signal import Batch, ReleaseEvent, ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.release.function_code import hex_of
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock

SINCE = START - timedelta(hours=1)
ORDERS = FunctionTarget(name="shop-orders", alias="live")
PRICES = FunctionTarget(name="shop-prices", alias="live")
PLAIN = FunctionTarget(name="shop-inbox")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Account:
    """State of the three services, changed by each test in steps."""

    clock: FakeClock
    aws: ScriptedAws = field(default_factory=ScriptedAws)
    aliases: dict[str, tuple[str, dict[str, float]]] = field(default_factory=dict)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    code: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    stack_events: list[dict[str, Any]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    """Function names that are denied."""

    def __post_init__(self) -> None:
        answers = self.aws.answers
        answers["lambda:GetAlias"] = self.alias
        answers["lambda:GetFunctionConfiguration"] = self.configuration
        answers["codedeploy:ListDeploymentGroups"] = lambda _: {"deploymentGroups": ["blue"]}
        answers["codedeploy:ListDeployments"] = lambda _: {"deployments": list(self.deployments)}
        answers["codedeploy:BatchGetDeployments"] = lambda params: {
            "deploymentsInfo": [self.deployments[id_] for id_ in params["deploymentIds"]]
        }
        answers["codedeploy:ListDeploymentTargets"] = lambda params: {
            "targetIds": [each["targetId"] for each in self.targets.get(params["deploymentId"], ())]
        }
        answers["codedeploy:GetDeploymentTarget"] = lambda params: {
            "deploymentTarget": {
                "lambdaTarget": next(
                    each for each in self.targets[params["deploymentId"]] if each["targetId"] == params["targetId"]
                )
            }
        }
        answers["codedeploy:GetDeploymentConfig"] = lambda _: {
            "deploymentConfigInfo": {
                "trafficRoutingConfig": {
                    "type": "TimeBasedCanary",
                    "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 5},
                }
            }
        }
        answers["cloudformation:DescribeStackEvents"] = lambda _: {"StackEvents": self.stack_events[::-1]}

    def alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["FunctionName"]
        if name in self.denied:
            raise AwsError(
                f"GetAlias on {name} was denied",
                code="AccessDeniedException",
                reason=Reason.ACCESS_DENIED,
                service="lambda",
                operation="GetAlias",
            )
        primary, weights = self.aliases[name]
        return {"FunctionVersion": primary, "RoutingConfig": {"AdditionalVersionWeights": dict(weights)}}

    def configuration(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return self.code.get((params["FunctionName"], params.get("Qualifier", "$LATEST")), {})

    def deploy(self, id_: str, *functions: str, status: str = "InProgress", weight: float = 0.1, **more: Any) -> None:
        """Put a deployment of 41 → 42 that began ten seconds after START, or replace it."""
        swap = "rollbackInfo" in more and "rollbackTriggeringDeploymentId" in more["rollbackInfo"]
        stages = more.pop("stages", [("AllowTraffic", "InProgress", at(10), None)])
        self.deployments[id_] = {
            "deploymentId": id_,
            "status": status,
            "createTime": at(0),
            "deploymentConfigName": "canary",
            **more,
        }
        self.targets[id_] = [
            {
                "targetId": f"{function}:live",
                "lifecycleEvents": [
                    {"lifecycleEventName": name, "status": told, "startTime": begun, "endTime": ended}
                    for name, told, begun, ended in stages
                ],
                "lambdaFunctionInfo": {
                    "functionName": function,
                    "functionAlias": "live",
                    "currentVersion": "42" if swap else "41",
                    "targetVersion": "41" if swap else "42",
                    "targetVersionWeight": weight,
                },
            }
            for function in functions
        ]


@dataclass
class Watch:
    """A running source and its records."""

    source: ReleaseSource
    clock: FakeClock
    told: list[Batch] = field(default_factory=list)

    def state(self, name: str = "shop-orders") -> ReleaseState:
        states: list[ReleaseState] = self.records(ReleaseState)
        return [each for each in states if each.function == name][-1]

    def events(self, source: str | None = None) -> list[ReleaseEvent]:
        return [each for each in self.records(ReleaseEvent) if source in {None, each.source}]

    def records(self, kind: type[Any]) -> list[Any]:
        return [record for batch in self.told for record in batch.records if isinstance(record, kind)]

    @property
    def note(self) -> str | None:
        return [batch.status for batch in self.told if batch.status][-1].message

    @property
    def unread(self) -> tuple[str, ...]:
        return [batch.status for batch in self.told if batch.status][-1].unread

    @property
    def phase(self) -> SourcePhase:
        return [batch.status for batch in self.told if batch.status][-1].phase


@pytest.fixture
def account() -> Account:
    results = Account(FakeClock())
    results.aliases = {"shop-orders": ("41", {}), "shop-prices": ("8", {})}
    return results


def watch(account: Account, *functions: FunctionTarget, codedeploy: str | None = None, stack: bool = False) -> Watch:
    environment = Environment(
        name="prod",
        title="Prod",
        source=SourcePosition("config/prod.toml"),
        functions=functions or (ORDERS,),
        stacks={"shop": StackReference(name="shop")} if stack else {},
        release=ReleaseTarget(codedeploy=() if codedeploy is None else (codedeploy,)),
    )
    source = ReleaseSource(
        account.aws,
        environment,
        clock=account.clock,
        since=SINCE,
        clean=lambda text: text,
        backoff=lambda: Backoff(uniform=lambda _, high: high),
    )
    return Watch(source, account.clock)


async def run(watched: Watch, seconds: float, *changes: tuple[float, Any]) -> None:
    """Run the source for some virtual time; each change is a time and a function to call then."""

    async def read() -> None:
        async with aclosing(watched.source.batches()) as batches:  # type: ignore[type-var]
            async for batch in batches:
                watched.told.append(batch)

    task = asyncio.create_task(read())
    now_s = 0.0
    for moment_s, change in (*changes, (seconds, lambda: None)):
        await watched.clock.advance(moment_s - now_s)
        change()
        now_s = moment_s
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def sets(account: Account, primary: str, name: str = "shop-orders", **weights: float) -> Any:
    split = {version.removeprefix("v"): share for version, share in weights.items()}
    return lambda: account.aliases.update({name: (primary, split)})


async def test_weights_moved_by_hand_are_a_release_from_beginning_to_end(account: Account) -> None:
    watched = watch(account)
    moves = [(12, sets(account, "41", v42=0.1)), (32, sets(account, "41", v42=0.5)), (52, sets(account, "42"))]
    await run(watched, 72, *moves)
    phases = list(dict.fromkeys(each.phase for each in watched.records(ReleaseState)))
    assert phases == [ReleasePhase.NONE, ReleasePhase.SHIFTING, ReleasePhase.SUCCEEDED]
    state = watched.state()
    assert (state.version, state.previous, state.started_at, state.weights) == ("42", "41", at(15), {"42": 1.0})
    told = [(each.what, each.from_, each.to, each.weight) for each in watched.events("lambda")]
    assert told == [
        ("weights changed", "41", "42", 0.1),
        ("weights changed", "41", "42", 0.5),
        ("alias moved", "41", "42", 1.0),
    ]


async def test_a_split_that_is_taken_back_by_hand_is_a_rollback(account: Account) -> None:
    watched = watch(account)
    await run(watched, 50, (12, sets(account, "41", v42=0.1)), (32, sets(account, "41")))
    state = watched.state()
    assert (state.phase, state.version, state.previous) == (ReleasePhase.ROLLED_BACK, "42", "41")
    assert state.cause == "the alias was moved back to version 41"
    last = watched.events("lambda")[-1]
    assert (last.what, last.from_, last.to, last.weight) == ("weights changed", "42", "41", 1.0)


@pytest.mark.parametrize(
    ("to", "phase", "version", "previous"),
    [("42", ReleasePhase.SUCCEEDED, "42", "41"), ("40", ReleasePhase.ROLLED_BACK, "41", "40")],
    ids=["forward", "back"],
)
async def test_an_alias_moved_at_once_has_a_direction(
    account: Account, to: str, phase: ReleasePhase, version: str, previous: str
) -> None:
    watched = watch(account)
    await run(watched, 30, (12, sets(account, to)))
    state = watched.state()
    assert (state.phase, state.version, state.previous, state.started_at) == (phase, version, previous, at(15))


async def test_met_in_the_middle_a_split_has_no_known_beginning(account: Account) -> None:
    account.aliases["shop-orders"] = ("41", {"42": 0.25})
    watched = watch(account)
    await run(watched, 20)
    state = watched.state()
    assert (state.phase, state.started_at, state.weights) == (ReleasePhase.SHIFTING, None, {"41": 0.75, "42": 0.25})


async def test_a_release_that_ended_before_the_watch_is_reported_with_its_events(account: Account) -> None:
    account.aliases["shop-orders"] = ("41", {})
    account.deploy(
        "d-1",
        "shop-orders",
        status="Stopped",
        completeTime=at(-100),
        errorInformation={"code": "ALARM_ACTIVE", "message": "shop-errors"},
        rollbackInfo={"rollbackDeploymentId": "d-2"},
        stages=[("AllowTraffic", "Failed", at(-290), at(-100))],
    )
    account.deploy(
        "d-2",
        "shop-orders",
        status="Succeeded",
        completeTime=at(-90),
        rollbackInfo={"rollbackTriggeringDeploymentId": "d-1"},
        stages=[("AllowTraffic", "Succeeded", at(-95), at(-90))],
    )
    for id_, created_s in (("d-1", -300), ("d-2", -99)):
        account.deployments[id_]["createTime"] = at(created_s)
    watched = watch(account, codedeploy="shop")
    await run(watched, 10)
    state = watched.state()
    assert (state.phase, state.version, state.previous) == (ReleasePhase.ROLLED_BACK, "42", "41")
    assert state.cause == "ALARM_ACTIVE: shop-errors"
    story = [each.what for each in watched.events("codedeploy")]
    assert story.index("deployment created") < story.index("AllowTraffic started") < story.index("rollback created")
    shifted = next(each for each in watched.events() if each.what == "AllowTraffic started")
    assert shifted.weight == 0.1


async def test_a_rollback_that_fails_has_not_brought_the_old_version_back(account: Account) -> None:
    account.aliases["shop-orders"] = ("41", {"42": 0.1})
    account.deploy("d-1", "shop-orders", status="Stopped", completeTime=at(1))
    account.deploy(
        "d-2",
        "shop-orders",
        status="Failed",
        completeTime=at(2),
        rollbackInfo={"rollbackTriggeringDeploymentId": "d-1"},
        errorInformation={"code": "IAM_ROLE_MISSING", "message": "gone"},
    )
    account.deployments["d-2"]["createTime"] = at(1)
    watched = watch(account, codedeploy="shop")
    await run(watched, 10)
    state = watched.state()
    assert state.phase is ReleasePhase.FAILED
    assert state.cause == "its rollback d-2 failed: IAM_ROLE_MISSING: gone"


async def test_a_failed_hook_is_named_with_its_message(account: Account) -> None:
    account.deploy("d-1", "shop-orders", stages=[("BeforeAllowTraffic", "Failed", at(1), at(3))])
    account.targets["d-1"][0]["lifecycleEvents"][0]["diagnostics"] = {"message": "smoke test: 3 of 5 red"}
    watched = watch(account, codedeploy="shop")
    await run(watched, 10)
    state = watched.state()
    assert (state.phase, state.cause) == (ReleasePhase.FAILED, "BeforeAllowTraffic failed: smoke test: 3 of 5 red")


async def test_one_deployment_of_several_functions_tells_of_each(account: Account) -> None:
    account.aliases = {"shop-orders": ("41", {"42": 0.1}), "shop-prices": ("41", {})}
    account.deploy("d-1", "shop-orders", "shop-prices")
    watched = watch(account, ORDERS, PRICES, codedeploy="shop")
    await run(watched, 10)
    assert watched.state("shop-orders").deployment == watched.state("shop-prices").deployment == "d-1"
    created = [each.what for each in watched.events("codedeploy") if each.what.endswith("deployment created")]
    assert sorted(created) == ["shop-orders:live deployment created", "shop-prices:live deployment created"]


async def test_after_codedeploy_is_done_the_alias_has_the_last_word(account: Account) -> None:
    stages = [("AllowTraffic", "Succeeded", at(-600), at(-300))]
    account.deploy("d-1", "shop-orders", status="Succeeded", completeTime=at(-290), stages=stages)
    account.aliases["shop-orders"] = ("42", {})
    watched = watch(account, codedeploy="shop")
    await run(watched, 60, (22, sets(account, "42", v43=0.2)), (42, sets(account, "43")))
    states = watched.records(ReleaseState)
    phases = list(dict.fromkeys((each.phase, each.version) for each in states))
    assert phases == [
        (ReleasePhase.SUCCEEDED, "42"),
        (ReleasePhase.SHIFTING, "43"),
        (ReleasePhase.SUCCEEDED, "43"),
    ]


async def test_a_denied_alias_is_still_reported_by_codedeploy(account: Account) -> None:
    account.deploy("d-1", "shop-orders", weight=10.0)
    account.denied = {"shop-orders"}
    watched = watch(account, codedeploy="shop")
    await run(watched, 10)
    assert watched.phase is SourcePhase.LIVE
    assert watched.note == "GetAlias on shop-orders was denied"
    state = watched.state()
    assert (state.phase, state.weights) == (ReleasePhase.SHIFTING, {"41": 0.9, "42": 0.1})


async def test_one_denied_function_hides_no_other(account: Account) -> None:
    account.denied = {"shop-orders"}
    watched = watch(account, ORDERS, PRICES)
    await run(watched, 10)
    assert {each.function for each in watched.records(ReleaseState)} == {"shop-prices"}
    assert watched.note == "GetAlias on shop-orders was denied"
    assert watched.unread == ("GetAlias on shop-orders was denied",)
    account.denied = {"shop-orders", "shop-prices"}
    watched = watch(account, ORDERS, PRICES)
    await run(watched, 10)
    assert watched.phase is SourcePhase.DENIED


async def test_the_last_deployments_remain_while_codedeploy_cannot_be_read(account: Account) -> None:
    account.deploy("d-1", "shop-orders", status="Failed", completeTime=at(1), stages=[])
    watched = watch(account, codedeploy="shop")
    broken = lambda: account.aws.fail("codedeploy:BatchGetDeployments", Reason.SERVICE)  # noqa: E731 -- a change
    await run(watched, 40, (12, broken))
    assert watched.state().phase is ReleasePhase.FAILED
    assert "CodeDeploy:" in (watched.note or "")
    assert [each.partition(":")[0] for each in watched.unread] == ["CodeDeploy"]


async def test_an_event_is_not_lost_when_another_part_of_its_poll_fails(account: Account) -> None:
    watched = watch(account, stack=True)

    def both() -> None:
        account.aliases["shop-orders"] = ("42", {})
        account.aws.fail("cloudformation:DescribeStackEvents", Reason.THROTTLED)

    await run(watched, 130, (57, both), (80, account.aws.failing.clear))
    notes = {batch.status.message for batch in watched.told if batch.status}
    assert "stack shop: cloudformation:DescribeStackEvents failed" in notes
    assert [each.what for each in watched.events("lambda")] == ["alias moved"]


async def test_what_is_over_is_not_asked_for_again(account: Account) -> None:
    for number in range(6):
        account.deploy(f"d-{number}", "shop-orders", status="Succeeded", completeTime=at(-3600), stages=[])
        account.deployments[f"d-{number}"]["createTime"] = at(-4000 + number)
    watched = watch(account, codedeploy="shop")
    await run(watched, 300)
    assert account.aws.count("codedeploy:GetDeploymentTarget") == 4
    assert account.aws.count("codedeploy:BatchGetDeployments") == 1
    assert account.aws.count("codedeploy:ListDeployments") <= 12
    assert account.aws.count("codedeploy:GetDeploymentConfig") == 1


async def test_a_shift_of_the_alias_brings_its_deployment_at_once(account: Account) -> None:
    watched = watch(account, codedeploy="shop")

    def begin() -> None:
        account.aliases["shop-orders"] = ("41", {"42": 0.1})
        account.deploy("d-1", "shop-orders")

    await run(watched, 47, (36, begin))
    assert watched.state().deployment == "d-1"


ZIP = base64.b64encode(bytes(range(32))).decode()
IMAGE = "ab" * 32


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ZIP, bytes(range(32)).hex()),
        (IMAGE, IMAGE),
        (f"sha256:{IMAGE}", IMAGE),
        (None, None),
        ("", None),
        ("not a hash", None),
    ],
    ids=["zip", "image", "digest", "none", "empty", "nonsense"],
)
def test_the_hash_of_a_package_and_of_an_image_compare(told: str | None, expected: str | None) -> None:
    assert hex_of(told) == expected


async def test_versions_tell_their_code_once(account: Account) -> None:
    account.aliases["shop-orders"] = ("41", {"42": 0.1})
    for version, sha in (("41", IMAGE), ("42", IMAGE)):
        account.code[("shop-orders", version)] = {
            "CodeSha256": sha,
            "PackageType": "Image",
            "Timeout": 300,
            "LastModified": f"2026-01-15T11:5{version[-1]}:00.000+0000",
        }
    watched = watch(account)
    await run(watched, 60)
    assert watched.state().code == {"41": IMAGE, "42": IMAGE}
    assert account.aws.count("lambda:GetFunctionConfiguration") == 2
    published = next(each for each in watched.events("lambda") if each.what == "version published")
    assert (published.subject, published.detail) == ("shop-orders:42", "image abababababab, the same as version 41")
    assert watched.source.versions_of(ORDERS).timeout_s == 300


async def test_a_role_that_may_not_read_code_still_sees_the_release(account: Account) -> None:
    account.aws.fail("lambda:GetFunctionConfiguration", Reason.ACCESS_DENIED)
    watched = watch(account)
    await run(watched, 60)
    assert watched.phase is SourcePhase.LIVE
    assert account.aws.count("lambda:GetFunctionConfiguration") == 1


async def test_a_function_without_an_alias_is_released_by_its_code(account: Account) -> None:
    def uploaded(sha: str, **more: str) -> Any:
        answer = {"CodeSha256": sha, "LastUpdateStatus": "Successful", **more}
        return lambda: account.code.update({("shop-inbox", "$LATEST"): answer})

    uploaded(ZIP)()
    watched = watch(account, PLAIN)
    failing = uploaded(IMAGE, LastUpdateStatus="Failed", LastUpdateStatusReason="no such image")
    changes = [(16, uploaded(IMAGE, LastUpdateStatus="InProgress")), (46, uploaded(IMAGE)), (76, failing)]
    await run(watched, 110, *changes)
    phases = list(dict.fromkeys(each.phase for each in watched.records(ReleaseState)))
    assert phases == [ReleasePhase.NONE, ReleasePhase.SHIFTING, ReleasePhase.SUCCEEDED, ReleasePhase.FAILED]
    assert watched.state("shop-inbox").cause == "no such image"
    changed = watched.events("lambda")
    assert [(each.what, each.to) for each in changed] == [("code changed", IMAGE[:12])]


OLD_SETTINGS, NEW_SETTINGS = "c" * 64, "d" * 64


@pytest.mark.parametrize(
    ("codes", "settings", "change"),
    [
        ((IMAGE, IMAGE), (OLD_SETTINGS, NEW_SETTINGS), "configuration"),
        ((IMAGE, ZIP), (OLD_SETTINGS, NEW_SETTINGS), "code"),
        ((IMAGE, ZIP), (OLD_SETTINGS, OLD_SETTINGS), "code"),
        ((IMAGE, IMAGE), (OLD_SETTINGS, OLD_SETTINGS), None),
        ((IMAGE, IMAGE), (None, NEW_SETTINGS), None),
        ((None, IMAGE), (OLD_SETTINGS, NEW_SETTINGS), None),
    ],
    ids=["settings", "both", "code", "neither", "settings not reported", "code not reported"],
)
async def test_a_version_whose_code_is_the_old_one_is_a_release_of_its_configuration(
    account: Account, codes: tuple[str | None, ...], settings: tuple[str | None, ...], change: str | None
) -> None:
    account.aliases["shop-orders"] = ("41", {"42": 0.1})
    for version, code, setting in zip(("41", "42"), codes, settings, strict=True):
        account.code[("shop-orders", version)] = {
            "CodeSha256": code,
            "ConfigSha256": setting,
            "LastModified": f"2026-01-15T11:5{version[-1]}:00.000+0000",
        }
    watched = watch(account)
    await run(watched, 60)
    assert watched.state().change == change
    published = next(each for each in watched.events("lambda") if each.what == "version published")
    assert (published.detail or "").endswith(": configuration only") is (change == "configuration")


async def test_the_change_is_not_known_to_a_role_that_may_not_read_versions(account: Account) -> None:
    account.aliases["shop-orders"] = ("41", {"42": 0.1})
    account.aws.fail("lambda:GetFunctionConfiguration", Reason.ACCESS_DENIED)
    watched = watch(account)
    await run(watched, 60)
    assert watched.state().change is None


async def test_a_function_without_an_alias_is_released_by_its_configuration_too(account: Account) -> None:
    def configured(settings: str) -> Any:
        answer = {"CodeSha256": ZIP, "ConfigSha256": settings, "LastUpdateStatus": "Successful"}
        return lambda: account.code.update({("shop-inbox", "$LATEST"): answer})

    configured(OLD_SETTINGS)()
    watched = watch(account, PLAIN)
    await run(watched, 110, (16, configured(NEW_SETTINGS)))
    state = watched.state("shop-inbox")
    assert state.phase is ReleasePhase.SUCCEEDED
    (changed,) = watched.events("lambda")
    assert (changed.what, changed.from_, changed.to) == ("configuration changed", "c" * 12, "d" * 12)


def stack_event(name: str, status: str, seconds: float, *, own: bool = False) -> dict[str, Any]:
    arn = "arn:aws:cloudformation:eu-west-1:1:stack/shop/1"
    return {
        "EventId": f"{name} {status} {seconds}",
        "StackId": arn,
        "PhysicalResourceId": arn if own else name,
        "LogicalResourceId": name,
        "ResourceStatus": status,
        "Timestamp": at(seconds),
    }


async def test_a_stack_is_followed_closely_while_it_changes_and_says_how_far_it_is(account: Account) -> None:
    account.stack_events = [stack_event("shop", "UPDATE_COMPLETE", -99_999, own=True)]
    watched = watch(account, stack=True)

    def begins() -> None:
        account.stack_events.append(stack_event("shop", "UPDATE_IN_PROGRESS", 50, own=True))
        account.stack_events.append(stack_event("Orders", "UPDATE_IN_PROGRESS", 51))
        account.stack_events.append(stack_event("Prices", "UPDATE_IN_PROGRESS", 52))

    notes: list[str | None] = []

    def goes_on() -> None:
        notes.append(watched.note)
        account.stack_events.append(stack_event("Orders", "UPDATE_COMPLETE", 71))

    def ends() -> None:
        notes.append(watched.note)
        account.stack_events.append(stack_event("shop", "UPDATE_COMPLETE", 90, own=True))

    await run(watched, 140, (53, begins), (70, goes_on), (89, ends))
    assert notes == [
        "stack shop: UPDATE_IN_PROGRESS, 0 of 2 resources done",
        "stack shop: UPDATE_IN_PROGRESS, 1 of 2 resources done",
    ]
    assert watched.note is None
    told = [(each.subject, each.what) for each in watched.events("cloudformation")]
    assert told == [
        ("shop/shop", "UPDATE_IN_PROGRESS"),
        ("shop/Orders", "UPDATE_IN_PROGRESS"),
        ("shop/Prices", "UPDATE_IN_PROGRESS"),
        ("shop/Orders", "UPDATE_COMPLETE"),
        ("shop/shop", "UPDATE_COMPLETE"),
    ]
    assert account.aws.count("cloudformation:DescribeStackEvents") < 15


async def test_a_missing_stack_is_reported_until_it_exists(account: Account) -> None:
    account.aws.fail("cloudformation:DescribeStackEvents", Reason.API_ERROR)
    watched = watch(account, stack=True)
    notes: list[str | None] = []
    await run(watched, 140, (30, lambda: notes.append(watched.note)), (31, account.aws.failing.clear))
    assert notes == ["stack shop: cloudformation:DescribeStackEvents failed"]
    assert watched.note is None


async def test_the_same_name_in_two_regions_is_two_functions(account: Account) -> None:
    there = FunctionTarget(name="shop-orders", alias="live", region="us-east-1")
    watched = watch(account, ORDERS, there)
    await run(watched, 20, (7, sets(account, "41", v42=0.1)))
    assert watched.source.versions_of(ORDERS).versions == ("41", "42")
    assert watched.source.versions_of(there).versions == ("41", "42")
    assert len(watched.events("lambda")) == 2
    assert {each.place for each in watched.records(ReleaseState)} == {HOME, Place(region="us-east-1")}
    assert watched.source.versions_of(PRICES) == FunctionVersions()
