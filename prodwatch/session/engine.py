"""Puts a run together: clock, connections, AWS, secrets' redactor, journal, and the embedded AWS where asked for."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import SystemRandom
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from prodwatch import __version__
from prodwatch.clock import Clock, SystemClock
from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import DemoTarget, Environment
from prodwatch.model.event import RunEvent
from prodwatch.model.status import Reason
from prodwatch.text.redact import Redactor

if TYPE_CHECKING:
    from prodwatch.aws.lazy_session import LazyAws
    from prodwatch.runner import Runner
    from prodwatch.settings import Project


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a front end drives."""

    project: Project
    environment: Environment
    """The project's, with the embedded AWS filled in where one was started."""
    runner: Runner
    aws: LazyAws
    redactor: Redactor
    clock: Clock
    runner_for: Callable[[Sequence[CheckDefinition]], Runner]
    """Another runner over the same connections, for checks that were edited meanwhile."""


def host_name() -> str:
    """Return this machine's name for results."""
    return socket.gethostname()


def ci_name() -> str | None:
    """Return which CI this runs in, None outside of one."""
    for variable, name in (
        ("GITHUB_ACTIONS", "github"),
        ("GITLAB_CI", "gitlab"),
        ("BUILDKITE", "buildkite"),
        ("CIRCLECI", "circleci"),
        ("JENKINS_URL", "jenkins"),
        ("CODEBUILD_BUILD_ID", "codebuild"),
        ("TF_BUILD", "azure"),
    ):
        if os.environ.get(variable):
            return name
    return "ci" if os.environ.get("CI") in {"1", "true", "yes"} else None


@asynccontextmanager
async def open_engine(
    project: Project,
    *,
    listener: Callable[[RunEvent], None] = lambda _event: None,
    demo: DemoTarget | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Engine]:
    """Assemble everything for one environment and close it again, the embedded AWS included.

    `demo` overrides the file's `[demo]` table. Raises ProdwatchError for what no run can do without.
    """
    from prodwatch.aws.lazy_session import LazyAws
    from prodwatch.probes.http_pool import Pool
    from prodwatch.runner import Runner
    from prodwatch.settings.user_folders import state_dir

    clock = clock or SystemClock()
    environment = project.environment
    redactor = Redactor()
    async with AsyncExitStack() as stack:
        environment = await _with_demo(environment, demo, stack)
        aws = await stack.enter_async_context(LazyAws(environment, os.environ, clock))
        pool = await stack.enter_async_context(Pool())

        def runner_for(definitions: Sequence[CheckDefinition]) -> Runner:
            return Runner(
                environment,
                definitions,
                root=str(project.root),
                clock=clock,
                random=SystemRandom(),
                http=pool,
                aws=aws,
                redactor=redactor,
                journal_dir=state_dir(),
                version=__version__,
                environ=os.environ,
                listener=listener,
            )

        runner = runner_for((*project.checks, *project.referenced))
        yield Engine(
            project=project,
            environment=environment,
            runner=runner,
            aws=aws,
            redactor=redactor,
            clock=clock,
            runner_for=runner_for,
        )
        await runner.close()


async def _with_demo(environment: Environment, override: DemoTarget | None, stack: AsyncExitStack) -> Environment:
    """Start the embedded AWS when the environment asks for it; return the environment that points to it."""
    wanted = override or environment.demo
    if wanted is None:
        return environment
    from prodwatch.demo.process import start_demo

    server = await asyncio.to_thread(
        start_demo, scenario=wanted.scenario, at=wanted.at, speed=wanted.speed, seed=wanted.seed
    )
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return replace(environment, aws=replace(environment.aws, endpoint_url=server.url, profile=""), demo=wanted)


async def require_credentials(engine: Engine) -> None:
    """Raise CannotVerifyError when nothing can ever be read: no region, no credentials, another account."""
    from prodwatch.aws.api import AwsError
    from prodwatch.errors import CannotVerifyError

    target = engine.environment.aws
    if engine.aws.region_name() is None:
        raise CannotVerifyError(
            "no AWS region is configured; say --region, or set region in [aws] or AWS_REGION", Reason.UNRESOLVED
        )
    try:
        await engine.aws.credentials()
        if target.account:
            await engine.aws.account_id()
    except AwsError as caught:
        # Anything else may pass; the sources say it and try again.
        if caught.reason is Reason.NO_CREDENTIALS:
            raise CannotVerifyError(caught.message, caught.reason) from caught
