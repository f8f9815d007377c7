"""Every operation of every source, with each body that is not its document and each member left out.

The oracle: what was not read is never reported as live without a word, and no response ends a source with an exception.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import get_args

import pytest
import pytest_asyncio

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Deployment, DeploymentStep, EmbeddedAws, Fault, Function, FunctionVersion, MetricAlarm
from prodwatch.demo.aws.faults import ForeignBody
from prodwatch.demo.aws.in_process_server import embedded_aws
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import (
    AlarmTarget,
    AwsTarget,
    Environment,
    FunctionTarget,
    MetricTarget,
    ReleaseTarget,
)
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.sources.base import Source
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.release import codedeploy
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.text.redact import Redactor
from tests.probes_aws.conftest import HurriedClock
from tests.probes_aws.test_distorted_responses import members

NAMES = ("release", "logs", "traces", "service-map", "metrics", "alarms")
OPTIONAL = frozenset(
    {
        "xray:GetIndexingRules",
        "codedeploy:GetDeploymentConfig",
        "lambda:GetFunctionConfiguration",
    }
)
"""Operations that only add a detail to what their source reads."""


@pytest_asyncio.fixture
async def world() -> AsyncIterator[EmbeddedAws]:
    async with embedded_aws() as (server, _):
        lay_out(server)
        yield server


def lay_out(server: EmbeddedAws, *, healthy: bool = False) -> None:
    """Make something for every source to read; unless `healthy`, an alarm fires and a deployment has failed."""
    now_s = SystemClock().now().timestamp()
    server.functions.put(
        Function(name="shop", versions=[FunctionVersion(version=each, published_s=0) for each in ("7", "8")])
    )
    server.functions.put_alias("shop", "live", "8" if healthy else "7", {})
    server.deployments.put(
        Deployment(
            id="d-ABCDEFGHI",
            application="shop",
            group="shop",
            function="shop",
            alias="live",
            current="7",
            target="8",
            created_s=now_s - 600,
            events=(
                DeploymentStep(after_s=1, status="InProgress"),
                DeploymentStep(after_s=60, status="Succeeded" if healthy else "Failed"),
            ),
        )
    )
    server.alarms.put(MetricAlarm(name="shop-errors", namespace="Shop", metric="Errors", missing="ignore"))
    if healthy:
        server.alarms.set_state("shop-errors", "OK", "no errors")
    else:
        server.alarms.set_state("shop-errors", "ALARM", "too many errors")
    server.metrics.put("Shop", "Errors", {}, now_s - 120, [3.0])
    server.logs.put("/aws/lambda/shop", "2026/11/20/[7]ab", [(int((now_s - 30) * 1000), "ERROR no stock")])


@pytest_asyncio.fixture
async def aws(world: EmbeddedAws) -> AsyncIterator[Aws]:
    async with Aws(environment_of(world), {}, HurriedClock(), jitter=lambda: 0.0) as session:
        yield session


def environment_of(world: EmbeddedAws) -> Environment:
    return Environment(
        name="test",
        title="Test",
        source=SourcePosition("test.toml"),
        aws=AwsTarget(region="eu-west-1", endpoint_url=world.url),
        functions=(FunctionTarget(name="shop", alias="live"),),
        alarms=(AlarmTarget(prefix="shop-"),),
        metrics=(MetricTarget(name="errors", namespace="Shop", metric="Errors", stat="Sum"),),
        release=ReleaseTarget(codedeploy=("shop",)),
    )


def source_of(world: EmbeddedAws, aws: Aws, name: str) -> Source:
    now = SystemClock().now()
    # A session shares its reading of CodeDeploy; each source here has to read for itself.
    codedeploy._READERS.pop(aws, None)
    sources = build_sources(
        environment_of(world),
        aws,
        clock=HurriedClock(),
        redactor=Redactor(()),
        logs_since=now - timedelta(minutes=5),
        since=now - timedelta(minutes=30),
    )
    for source in sources:
        if isinstance(source, ReleaseSource):
            # Alarms are not live before the release was read, which may name more of them.
            source._has_polled = True
    return next(source for source in sources if source.name == name)


async def first_status(source: Source) -> SourceStatus:
    """Return the first status that says how the first read went."""
    async with aclosing(source.batches()) as batches:  # type: ignore[type-var]
        async for batch in batches:
            if batch.status is not None and batch.status.phase is not SourcePhase.STARTING:
                return batch.status
    raise AssertionError("a source ended")


def in_trouble(status: SourceStatus) -> bool:
    """Return whether a status says that something was not read."""
    return status.phase not in {SourcePhase.LIVE, SourcePhase.IDLE} or bool(
        status.unread or status.message or status.notes
    )


async def operations(world: EmbeddedAws, aws: Aws, name: str) -> list[tuple[str, str]]:
    """Return the operations that a source calls for its first status, which is live."""
    world.calls.clear()
    assert not in_trouble(status := await first_status(source_of(world, aws, name))), status
    return list(dict.fromkeys(world.calls))


async def distorted(world: EmbeddedAws, aws: Aws, name: str, fault: Fault) -> SourceStatus:
    world.faults.replace([fault])
    aws.limiter.reset()
    status = await first_status(source_of(world, aws, name))
    world.faults.clear()
    return status


@pytest.mark.parametrize("name", NAMES)
async def test_a_body_that_is_not_the_operations_document_is_never_live(
    name: str, world: EmbeddedAws, aws: Aws
) -> None:
    for service, operation in await operations(world, aws, name):
        for body in get_args(ForeignBody):
            fault = Fault(operation=f"{service}:{operation}", kind="foreign_body", body=body)
            status = await distorted(world, aws, name, fault)
            assert in_trouble(status) or f"{service}:{operation}" in OPTIONAL, (operation, body, status)
    assert not in_trouble(await first_status(source_of(world, aws, name)))


@pytest.mark.parametrize(
    "name",
    # The release has the most operations and members by far.
    [pytest.param(name, marks=pytest.mark.slow if name == "release" else ()) for name in NAMES],
)
async def test_a_member_left_out_never_ends_a_source(name: str, world: EmbeddedAws, aws: Aws) -> None:
    for service, operation in await operations(world, aws, name):
        for member in members(service, operation):
            fault = Fault(operation=f"{service}:{operation}", kind="missing_member", member=member)
            await distorted(world, aws, name, fault)
    assert not in_trouble(await first_status(source_of(world, aws, name)))
