"""The clock of a run follows AWS's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import AwsClock, SystemClock, ahead_s
from prodwatch.demo.aws import EmbeddedAws
from tests.aws.conftest import Connect


@pytest.mark.parametrize(("skew_s", "corrected_s"), [(360.0, 360.0), (-90.0, -90.0), (4.0, 0.0), (-1.0, 0.0)])
def test_a_clock_follows_only_what_network_and_whole_seconds_cannot_explain(skew_s: float, corrected_s: float) -> None:
    clock = AwsClock()
    clock.correct(skew_s)
    assert ahead_s(clock) == corrected_s
    assert abs(SystemClock().now() - timedelta(seconds=corrected_s) - clock.now()) < timedelta(seconds=1)


def test_another_clock_is_never_ahead() -> None:
    assert ahead_s(SystemClock()) == 0.0


async def test_every_response_corrects_the_clock_of_the_session(
    connect: Connect, world: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "_wall", lambda: SystemClock().now().timestamp() - 360)
    clock = AwsClock()
    aws: Aws = connect(clock=clock)
    await aws.call("logs", "DescribeLogGroups")
    assert round(clock.ahead_s / 10) == 36
    await aws.call("logs", "DescribeLogGroups")
    assert round(clock.ahead_s / 10) == 36
    assert round(((await aws.identity()).clock_skew_s or 0.0) / 10) == 36, "doctor names the whole difference"
