"""The policy grants what these files make prodwatch call, narrowed as far as AWS can, and nothing more."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from prodwatch.aws.policy import actions
from prodwatch.aws.stacks import Stacks
from prodwatch.cli.commands.iam_policy import command
from prodwatch.cli.engine import open_engine
from prodwatch.cli.granting import granted_actions, policy_of, resources
from prodwatch.cli.permissions import Use, uses_of
from prodwatch.demo.process import run_demo
from prodwatch.model.signal import Batch, SourcePhase
from prodwatch.runner import RunOptions
from prodwatch.settings import Project, demo_root, load_project
from prodwatch.sources.clean import Cleaner
from prodwatch.sources.supervisor import Supervisor
from prodwatch.sources.traces import fetch_trace
from prodwatch.sources.watch import sources_of

UNUSED = {"cloudwatch:DescribeAlarmHistory"}
"""Asked only of alarms that have changed."""


async def test_the_policy_is_exactly_what_checks_and_sources_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "demo")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "demo")
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path))
    project = load_project(root=demo_root(), env="demo", environ={})
    async with run_demo(at="during") as shop:
        environment = project.environment
        aws_target = replace(environment.aws, endpoint_url=shop.url)
        project = replace(project, environment=replace(environment, demo=None, aws=aws_target))
        shop.aws.calls.clear()
        async with open_engine(project) as engine:
            await engine.runner.run([each for each in project.checks if "malformed" not in each.id], RunOptions())
            await _read_once(engine)
            recorded = set(engine.aws.usage().calls) - {"sts:GetCallerIdentity"}
            outputs = {name: await Stacks(engine.aws).outputs(each) for name, each in environment.stacks.items()}
        received = {operation for _, operation in shop.aws.calls}
    assert {name.partition(":")[2] for name in recorded} <= received
    needed = {action for name in recorded for action in actions(*name.split(":", 1))}
    granted = granted_actions(uses_of(project, os.environ, outputs=outputs))
    assert needed <= granted
    assert granted - needed <= UNUSED


async def _read_once(engine: Any) -> None:
    """Run every source until each has told what it knows, and open a trace, as somebody at the dashboard does."""
    await fetch_trace(engine.aws, "1-00000001-000000000000000000000000", Cleaner(engine.redactor))
    now = engine.clock.now()
    waiting: set[str] = set()
    done = asyncio.Event()

    def apply(batch: Batch) -> None:
        if batch.status is not None and batch.status.phase in {SourcePhase.LIVE, SourcePhase.BEHIND}:
            waiting.discard(batch.source.partition(":")[0])
        if not waiting:
            done.set()

    sources = sources_of(
        engine.environment, engine.aws, clock=engine.clock, redactor=engine.redactor, logs_since=now, since=now
    )
    waiting |= {each.name for each in sources}
    supervisor = Supervisor(sources, apply, clock=engine.clock)
    supervisor.start()
    try:
        await asyncio.wait_for(done.wait(), 30)
    finally:
        await supervisor.stop()


CONFIG = """
title = "Prod"
[aws]
region = "eu-west-1"
account = "111111111111"
[aws.accounts.pay]
region = "us-east-1"
account = "222222222222"
[stacks]
shop = "shop-prod"
[secrets]
token = { ssm = "/shop/token" }
[[function]]
name = "orders"
alias = "live"
[[logs]]
group = "/aws/lambda/orders*"
live_tail = true
[[metric]]
name = "refunds"
namespace = "Pay"
metric = "Refunds"
account = "pay"
"""
CHECKS = """
[[check]]
name = "order is written"
type = "dynamodb"
operation = "put"
table = "${stack.shop.Table}"
item = { id = "x" }
mutates = true
expect = ["latency < 1s"]

[[check]]
name = "queue is empty"
type = "sqs"
queue = "${vars.queue}"
expect = ["depth == 0"]
vars.queue = "shop-dlq"

[[check]]
name = "private api answers"
type = "http"
url = "https://x.example/"
auth = { sigv4 = { service = "execute-api" } }
expect = ["status == 200"]

[[check]]
name = "version is configured"
type = "aws"
service = "lambda"
operation = "get-function-configuration"
params = { FunctionName = "orders", Qualifier = "${release.version}" }
expect = ["State == 'Active'"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    (tmp_path / "config" / "prod.toml").write_text(CONFIG)
    (tmp_path / "checks" / "a.toml").write_text(CHECKS)
    return load_project(root=tmp_path, env="prod", environ={})


def granted(policy: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            found.setdefault(action, set()).update(statement["Resource"])
    return found


def test_resources_are_narrowed_as_far_as_the_files_say(project: Project) -> None:
    found = granted(policy_of(uses_of(project, {}), project.environment))
    start = "arn:aws:{}:eu-west-1:111111111111:"
    assert found["sqs:GetQueueAttributes"] == {start.format("sqs") + "shop-dlq"}
    assert found["ssm:GetParameter"] == {start.format("ssm") + "parameter/shop/token"}
    assert found["execute-api:Invoke"] == {start.format("execute-api") + "*"}
    assert found["dynamodb:PutItem"] == {start.format("dynamodb") + "table/*"}
    function = start.format("lambda") + "function:orders"
    assert found["lambda:GetFunctionConfiguration"] == {function, f"{function}:*"}
    assert found["logs:FilterLogEvents"] == {start.format("logs") + "log-group:/aws/lambda/orders*:*"}
    assert "logs:StartLiveTail" in found
    assert found["cloudwatch:GetMetricData"] == {"*"}


def test_outputs_of_stacks_narrow_more(project: Project) -> None:
    uses = uses_of(project, {}, outputs={"shop": {"Table": "orders-table"}})
    found = granted(policy_of(uses, project.environment))
    assert found["dynamodb:PutItem"] == {"arn:aws:dynamodb:eu-west-1:111111111111:table/orders-table"}


def test_each_account_has_a_policy_of_its_own(project: Project) -> None:
    found = granted(policy_of(uses_of(project, {}), project.environment, alias="pay"))
    assert found == {"cloudwatch:GetMetricData": {"*"}}


@pytest.mark.parametrize(("options", "writes"), [([], False), (["--allow-writes"], True)], ids=str)
def test_writes_are_granted_only_when_they_will_be_made(project: Project, options: list[str], writes: bool) -> None:
    done = CliRunner().invoke(command, ["--root", str(project.root), "--env", "prod", *options], standalone_mode=False)
    assert done.return_value == 0
    assert ("dynamodb:PutItem" in granted(json.loads(done.stdout))) is writes
    assert ("--allow-writes includes it" in done.stderr) is not writes
    assert "--account pay" in done.stderr


@pytest.mark.parametrize(
    ("service", "operation", "resource", "expected"),
    [
        ("codedeploy", "ListDeploymentGroups", "shop", "arn:aws:codedeploy:r:1:application:shop"),
        ("codedeploy", "ListDeployments", "shop", "arn:aws:codedeploy:r:1:deploymentgroup:shop/*"),
        ("codedeploy", "GetDeploymentTarget", "shop", "*"),
        ("lambda", "Invoke", "f:live", "arn:aws:lambda:r:1:function:f:live"),
        ("logs", "DescribeLogGroups", "/x*", "arn:aws:logs:r:1:log-group:*"),
        ("s3", "HeadObject", "b/k", "arn:aws:s3:::b/k"),
    ],
)
def test_each_operation_has_the_resource_iam_looks_at(
    service: str, operation: str, resource: str, expected: str
) -> None:
    use = Use(service=service, operation=operation, resource=resource, purpose="x")
    assert resources(use, account="1", region="r") == (expected,)


def test_other_partitions_have_arns_of_their_own() -> None:
    use = Use(service="sqs", operation="GetQueueAttributes", resource="q", purpose="x")
    assert resources(use, account="1", region="cn-north-1") == ("arn:aws-cn:sqs:cn-north-1:1:q",)
