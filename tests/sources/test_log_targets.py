"""Every configured log group is read exactly once, by group, account and region."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment, FunctionTarget, LogTarget
from prodwatch.sources.build_sources import log_targets
from prodwatch.sources.logs.source import LogSource
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from tests.support.log_fault_regimes import Screen, plain_line, shown

GROUP = "/aws/lambda/f"


@pytest.mark.parametrize(
    ("function", "logs", "read"),
    [
        ({}, {}, 1),
        ({"region": "eu-west-1"}, {}, 1),
        ({"region": "us-east-1"}, {}, 2),
        ({"account": "other"}, {}, 2),
        ({"account": "other"}, {"account": "other", "region": "us-east-1"}, 1),
    ],
    ids=["same", "the region written", "another region", "another account", "the other account's region"],
)
def test_a_function_s_group_is_read_once(function: dict[str, Any], logs: dict[str, Any], read: int) -> None:
    environment = Environment(
        name="prod",
        title="Prod",
        source=SourcePosition("config/prod.toml"),
        aws=AwsTarget(region="eu-west-1"),
        accounts={"other": AwsTarget(region="us-east-1")},
        functions=(FunctionTarget(name="f", **function),),
        logs=(LogTarget(group=GROUP, filter="ERROR", **logs),),
    )
    assert len(log_targets(environment)) == read


async def test_groups_of_one_name_in_two_regions_are_two_groups(aws: ScriptedAws) -> None:
    clock, screen = FakeClock(), Screen()
    targets = [LogTarget(group=GROUP), LogTarget(group=GROUP, region="us-east-1"), LogTarget(group=GROUP, account="b")]
    source = LogSource(aws, targets, clock=clock, parse=plain_line, since=START - timedelta(minutes=1))
    async with shown(source, screen):
        await clock.advance(5)
    assert {state.source for state in screen.states} == {
        f"logs:{GROUP}",
        f"logs:us-east-1:{GROUP}",
        f"logs:b:{GROUP}",
    }
