"""A project on disk, the command that reads it, an AWS whose responses can be replaced, and a raw HTTP server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from prodwatch.testing.check_runner import Bench
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.raw_web import RawWeb
from tests.support.warm_command_line import Control, warm_process

SERVICES = ("cloudformation", "cloudwatch", "codedeploy", "dynamodb", "lambda", "logs", "sqs", "sts", "xray")
"""AWS services that the cases call."""


@pytest.fixture(scope="session")
def served_world() -> Iterator[World]:
    world = World()
    with world.serving():
        yield world


@pytest.fixture
def world(served_world: World) -> Iterator[World]:
    """The AWS without faults, forgeries and a record of earlier calls."""
    yield served_world
    served_world.aws.received.clear()
    served_world.aws.forgeries.clear()
    served_world.aws.edits.clear()
    served_world.aws.faults.clear()
    served_world.aws.on_invoke = None
    served_world.aws.ahead_s = 0.0
    served_world.aws.call_counts.clear()


@pytest.fixture(scope="session")
def served_web(served_world: World) -> Iterator[RawWeb]:
    web = RawWeb()
    served_world.wait(web.start())
    yield web
    served_world.wait(web.stop())


@pytest.fixture
def web(served_web: RawWeb) -> Iterator[RawWeb]:
    """The HTTP server without routes of an earlier test."""
    yield served_web
    served_web.clear()


@pytest.fixture
def name() -> str:
    """A name that no other test uses, for what this one makes in the shared AWS."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def warm() -> Iterator[Control]:
    with warm_process(*SERVICES) as control:
        yield control


@pytest.fixture
def project(tmp_path: Path, warm: Control, world: World, web: RawWeb) -> CaseProject:
    """The command in an empty project whose only environment, `t`, reaches the shared AWS and HTTP server."""
    return CaseProject(tmp_path, warm, environ=world.environ, url=web.url)
