"""Log groups of one name in several accounts and regions, and groups from the settings of functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment, FunctionTarget, LogTarget
from prodwatch.model.identity import HOME, GroupId, Place
from prodwatch.model.status import Reason
from prodwatch.session.function_log_groups import find_function_groups
from prodwatch.session.log_groups import functions_named, list_groups, targets_of
from prodwatch.text.redact import Redactor
from tests.support.placed_aws import EAST, PAY, PLACES, PlacedAws

GROUP = "/aws/lambda/pay"


def function(place: Place, **more: Any) -> FunctionTarget:
    return FunctionTarget(name="pay", account=place.account or None, region=place.region or None, **more)


def target(place: Place, group: str = GROUP) -> LogTarget:
    return LogTarget(group=group, account=place.account or None, region=place.region or None)


def environment(**more: Any) -> Environment:
    known: dict[str, Any] = {
        "aws": AwsTarget(region="eu-west-1", account="111111111111"),
        "accounts": {"pay": AwsTarget(region="eu-west-1", account="222222222222")},
        "functions": tuple(map(function, PLACES)),
    }
    return Environment(name="t", title="T", source=SourcePosition("config/t.toml"), **(known | more))


def ids(targets: list[LogTarget]) -> list[GroupId]:
    return [each.id for each in targets]


@pytest.mark.parametrize("named", ["pay", GROUP])
def test_K5_a_name_means_the_group_in_every_place(named: str) -> None:
    everywhere = [GroupId(GROUP, place) for place in PLACES]
    assert ids(targets_of(environment(), [named])) == everywhere
    assert ids(targets_of(environment(), [named, named, GROUP])) == everywhere
    assert ids(targets_of(environment(), ())) == everywhere


def test_K5_a_prefix_of_two_places_covers_a_name_in_both() -> None:
    known = environment(functions=(), logs=(target(HOME, "/ecs/*"), target(EAST, "/ecs/*"), target(PAY, "/other/*")))
    assert ids(targets_of(known, ["/ecs/pay"])) == [GroupId("/ecs/pay"), GroupId("/ecs/pay", EAST)]


def test_K5_a_function_and_a_table_of_one_group_in_two_places_are_both_read() -> None:
    known = environment(functions=(function(HOME),), logs=(target(EAST),))
    assert set(ids(targets_of(known, ["pay"]))) == {GroupId(GROUP), GroupId(GROUP, EAST)}


@pytest.mark.parametrize(
    ("arn", "places"),
    [
        ("arn:aws:logs:us-east-1:111111111111:log-group:/aws/lambda/pay:*", [EAST]),
        ("arn:aws:lambda:us-east-1:111111111111:function:pay:live", [EAST]),
        ("arn:aws:lambda:eu-west-1:111111111111:function:pay", [HOME]),
        ("arn:aws:lambda:eu-west-1:222222222222:function:pay", [PAY]),
        ("arn:aws:lambda:eu-west-1::function:pay", [HOME, PAY]),
        ("arn:aws:lambda:ap-south-1:111111111111:function:pay", [Place(region="ap-south-1")]),
    ],
)
def test_K5_an_arn_means_the_group_of_its_account_and_region(arn: str, places: list[Place]) -> None:
    assert ids(targets_of(environment(), [arn])) == [GroupId(GROUP, place) for place in places]


class Engine:
    """The parts of an engine that listing and resolving groups use."""

    def __init__(self, aws: PlacedAws, known: Environment) -> None:
        self.aws, self.environment, self.clean = aws, known, Redactor().text


def aws_of(groups: Mapping[Place, list[str]]) -> PlacedAws:
    aws = PlacedAws()

    def describe(place: Place, params: Mapping[str, Any]) -> dict[str, Any]:
        names = [each for each in groups[place] if each.startswith(params.get("logGroupNamePrefix", ""))]
        return {"pages": [{"logGroups": [{"logGroupName": name}]} for name in names] or [{"logGroups": []}]}

    aws.placed["logs:DescribeLogGroups"] = describe
    return aws


async def test_K5_a_list_has_every_place_and_one_that_fails_hides_no_other() -> None:
    aws = aws_of({place: [GROUP, f"{GROUP}-2"] for place in PLACES})
    engine: Any = Engine(aws, environment())
    for named in ((), ("pay",), (GROUP,)):
        found, errors = await list_groups(engine, named)
        assert [each.id for each in found] == sorted(GroupId(GROUP, place) for place in PLACES)
        assert errors == []
    aws.fail_in(EAST, "logs:DescribeLogGroups")
    found, errors = await list_groups(engine, ())
    assert {each.id for each in found} == {GroupId(GROUP), GroupId(GROUP, PAY)}
    assert [each.reason for each in errors] == [Reason.ACCESS_DENIED]
    for place in PLACES:
        aws.fail_in(place, "logs:DescribeLogGroups")
    with pytest.raises(AwsError):
        await list_groups(engine, ())


async def test_A8_each_place_has_the_log_group_of_its_own_function() -> None:
    aws = PlacedAws()
    warnings: list[str] = []
    aws.placed["lambda:GetFunctionConfiguration"] = lambda place, _: (
        {"LoggingConfig": {"LogGroup": f"/shop/{place.region}"}} if place else {}
    )
    aws.fail_in(PAY, "lambda:GetFunctionConfiguration")
    named = FunctionTarget(name="own", log_group="/shop/own")
    engine: Any = Engine(aws, environment(functions=(*map(function, PLACES), named)))
    found = await find_function_groups(engine, warn=warnings.append)
    groups = [each.group_id for each in found.functions]
    assert groups == [GroupId(GROUP), GroupId("/shop/us-east-1", EAST), GroupId(GROUP, PAY), GroupId("/shop/own")]
    assert ids(targets_of(found, ["pay"])) == [*sorted(groups[:1]), groups[2], groups[1]]
    (warning,) = warnings
    assert f"log group of pay taken as {GROUP}" in warning
    assert "failed in pay" in warning


async def test_A8_only_functions_that_were_named_are_asked_and_none_longer_than_allowed() -> None:
    aws = PlacedAws()
    warnings: list[str] = []
    aws.fail_in(HOME, "lambda:GetFunctionConfiguration", Reason.API_ERROR, "ResourceNotFoundException")
    engine: Any = Engine(aws, environment(functions=(function(HOME), FunctionTarget(name="mail"))))
    await find_function_groups(engine, warn=warnings.append, only=functions_named(["/shop/x", "arn:odd"]))
    assert aws.asked == []
    await find_function_groups(
        engine, warn=warnings.append, only=functions_named(["arn:aws:lambda:eu-west-1:1:function:pay:live"])
    )
    assert len(aws.asked) == 1
    assert warnings == []
    await find_function_groups(engine, warn=warnings.append, within_s=0.0)
    assert all("no response within 0 s" in each for each in warnings)
    assert len(warnings) == 2
