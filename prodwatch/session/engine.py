"""Assembles a run: clock, connections, AWS session, redactor, runner, and the embedded AWS of a demo."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from prodwatch import __version__
from prodwatch.clock import AwsClock, Clock
from prodwatch.model.environment import DemoTarget, Environment
from prodwatch.model.event import RunEvent
from prodwatch.model.result import Notice
from prodwatch.model.status import Reason
from prodwatch.session.reload import followed
from prodwatch.text.redact import Redactor
from prodwatch.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from prodwatch.aws.lazy_aws_calls import LazyAws
    from prodwatch.runner import Runner
    from prodwatch.runner.bounds.loop_lag import LoopLag
    from prodwatch.runner.values.remote_inputs import RemoteInputs
    from prodwatch.settings import Project


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that a front end drives."""

    project: Project
    environment: Environment
    """The project's environment with its watched tables filled, and with the endpoint of an embedded AWS."""
    inputs: RemoteInputs
    """Remote values of the environment, apart from those of the runner."""
    runner: Runner
    aws: LazyAws
    redactor: Redactor
    clock: Clock
    lag: LoopLag
    """Stalls of this machine, recorded while the engine is open."""
    runner_for: Callable[[Project, Callable[[RunEvent], None]], Runner]
    """Builds another runner on the same connections, for a project edited since the start."""

    def clean(self, text: str) -> str:
        """Return a text of AWS as one line, sanitised and with every known secret masked."""
        return sanitize_line(self.redactor.text(text))


def host_name() -> str:
    """Return this machine's host name."""
    return socket.gethostname()


def ci_name() -> str | None:
    """Return the name of the CI service; None outside of CI."""
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
    on_notice: Callable[[Notice], None] = lambda _notice: None,
    demo: DemoTarget | None = None,
    clock: Clock | None = None,
    redactor: Redactor | None = None,
    reading: Callable[[Callable[[Reason], None]], AbstractContextManager[None]] = lambda _abandon: nullcontext(),
) -> AsyncIterator[Engine]:
    """Assemble an engine for the project's environment and close it afterwards, including the embedded AWS.

    The watched tables of the environment are filled, which reads the stacks they refer to, in the context that
    `reading` returns; the function passed to it ends that reading, and the tables stay unfilled for the given reason.
    `demo` overrides the file's `[demo]` table; the secrets that are read are added to `redactor`. Raises ProdwatchError
    when a part cannot be started.
    """
    from prodwatch.aws.lazy_aws_calls import LazyAws
    from prodwatch.probes.http_pool import Pool
    from prodwatch.runner import Runner
    from prodwatch.runner.bounds.loop_lag import LoopLag
    from prodwatch.runner.values.remote_inputs import run_inputs
    from prodwatch.runner.values.watched_targets import fill_watched
    from prodwatch.settings.user_folders import state_dir

    clock = clock or AwsClock()
    environment = project.environment
    redactor = redactor or Redactor()
    async with AsyncExitStack() as stack:
        environment = await _with_demo(environment, demo, stack)
        aws = await stack.enter_async_context(LazyAws(environment, os.environ, clock))
        inputs = run_inputs(environment, aws=aws, env=os.environ, redactor=redactor, override=None, clock=clock)
        stack.push_async_callback(inputs.close)
        with reading(inputs.abandon):
            environment = await fill_watched(environment, inputs, clock)
        pool = await stack.enter_async_context(Pool())
        lag = LoopLag(clock)
        lag.start()
        stack.callback(lag.stop)

        # It outlives a runner: an edit must not make a check forget how often it has received a message.
        memory: dict[str, Any] = {}

        def runner_for(edited: Project, listener: Callable[[RunEvent], None]) -> Runner:
            return Runner(
                followed(environment, edited.environment),
                (*edited.checks, *edited.referenced),
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
                on_notice=on_notice,
                lag=lag,
                memory=memory,
            )

        runner = runner_for(project, listener)
        yield Engine(
            project=project,
            environment=environment,
            inputs=inputs,
            runner=runner,
            aws=aws,
            redactor=redactor,
            clock=clock,
            lag=lag,
            runner_for=runner_for,
        )
        await runner.close()


async def _with_demo(environment: Environment, override: DemoTarget | None, stack: AsyncExitStack) -> Environment:
    """Start the embedded AWS when the environment asks for it; return the environment that points to it."""
    target = override or environment.demo
    if target is None:
        return environment
    from prodwatch.demo.process import start_demo

    server = await asyncio.to_thread(
        start_demo, scenario=target.scenario, at=target.at, speed=target.speed, seed=target.seed
    )
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return replace(environment, aws=replace(environment.aws, endpoint_url=server.url, profile=""), demo=target)


async def require_credentials(engine: Engine) -> None:
    """Raise CannotVerifyError for a missing region, missing credentials, or another account than the file's."""
    from prodwatch.aws.interface import AwsError
    from prodwatch.errors import CannotVerifyError

    target = engine.environment.aws
    if engine.aws.region_name() is None:
        raise CannotVerifyError(
            "no AWS region is configured; use --region, or set region in [aws] or AWS_REGION", Reason.UNRESOLVED
        )
    try:
        await engine.aws.credentials()
        if target.account:
            await engine.aws.account_id()
    except AwsError as caught:
        # Other errors may be temporary; the sources report them and retry.
        if caught.reason is Reason.NO_CREDENTIALS:
            raise CannotVerifyError(caught.message, caught.reason) from caught


async def require_secrets(engine: Engine) -> tuple[str, ...]:
    """Read every secret, so that it is masked; return a sentence for each one that has no value here.

    Raises CannotVerifyError for a secret that could not be read: it cannot be masked, so nothing may be shown.
    """
    from prodwatch.errors import CannotVerifyError

    await engine.inputs.learn_secrets()
    unmasked = engine.inputs.unmasked_secrets()
    for each in unmasked:
        if not each.missing:
            raise CannotVerifyError(f"nothing is shown, because a secret cannot be masked: {each.message}", each.reason)
    return tuple(f"a secret of the environment is not masked: {each.message}" for each in unmasked)
