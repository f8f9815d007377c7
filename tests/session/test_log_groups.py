"""What somebody names becomes the groups to read, with the account and region the files know."""

from __future__ import annotations

import pytest

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment, FunctionTarget, LogTarget
from prodwatch.session.log_groups import targets_of

ENVIRONMENT = Environment(
    name="prod",
    title="Prod",
    source=SourcePosition("prod.toml"),
    functions=(
        FunctionTarget(name="orders", region="us-east-1"),
        FunctionTarget(name="own", log_group="/shop/own"),
    ),
    logs=(LogTarget(group="/ecs/*", account="pay", filter="?ERROR", live_tail=True),),
)
LOGS_ARN = "arn:aws:logs:ap-south-1:123456789012:log-group:/shop/worker"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("/shop/x", LogTarget(group="/shop/x")),
        ("orders", LogTarget(group="/aws/lambda/orders", region="us-east-1")),
        ("/aws/lambda/orders", LogTarget(group="/aws/lambda/orders", region="us-east-1")),
        ("own", LogTarget(group="/shop/own")),
        ("/ecs/checkout", LogTarget(group="/ecs/checkout", account="pay", live_tail=True)),
        ("/ecs/ch*", LogTarget(group="/ecs/ch*", account="pay", live_tail=True)),
        (LOGS_ARN, LogTarget(group="/shop/worker", region="ap-south-1")),
        (f"{LOGS_ARN}:*", LogTarget(group="/shop/worker", region="ap-south-1")),
        (f"{LOGS_ARN}:log-stream:a/b", LogTarget(group="/shop/worker", region="ap-south-1")),
        ("arn:aws:lambda:eu-west-1:1:function:mail:live", LogTarget(group="/aws/lambda/mail", region="eu-west-1")),
        ("arn:aws:lambda:us-east-1:1:function:orders", LogTarget(group="/aws/lambda/orders", region="us-east-1")),
        ("arn:aws:sqs:eu-west-1:1:queue", LogTarget(group="arn:aws:sqs:eu-west-1:1:queue")),
        ("arn:odd", LogTarget(group="arn:odd")),
    ],
)
def test_a_name_becomes_a_target(named: str, expected: LogTarget) -> None:
    assert targets_of(ENVIRONMENT, [named]) == [expected]


def test_without_a_name_it_is_what_the_environment_watches() -> None:
    assert [each.group for each in targets_of(ENVIRONMENT, ())] == ["/aws/lambda/orders", "/shop/own", "/ecs/*"]
    nothing = Environment(name="none", title="None", source=SourcePosition("none.toml"))
    with pytest.raises(ConfigurationError, match="watches no log groups; name one"):
        targets_of(nothing, ())
