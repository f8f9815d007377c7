"""The policy grants what these files make prodwatch call, narrowed as far as AWS can, and nothing more."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from prodwatch.access.iam_policy import granted_actions, policy_of, resources, unlisted
from prodwatch.access.required_calls import RequiredCall, required_calls
from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.iam_actions import actions
from prodwatch.aws.sdk_errors import Call
from prodwatch.aws.stacks import Stacks
from prodwatch.cli.commands.iam_policy import command
from prodwatch.cli.commands.validate import command as validate
from prodwatch.demo.process import run_demo
from prodwatch.model.signal import Batch, SourcePhase
from prodwatch.runner import RunOptions
from prodwatch.session.engine import open_engine
from prodwatch.session.live import SIGNALS_BEFORE
from prodwatch.settings import Project, demo_root, load_project
from prodwatch.sources.build_sources import build_sources, log_targets
from prodwatch.sources.log_search import find_lines
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.supervisor import Supervisor
from prodwatch.sources.traces import fetch_trace

REGION, ACCOUNT = "eu-west-1", "123456789012"


@dataclass
class Recorded:
    """Every call the session sent, as IAM would look at it."""

    calls: set[tuple[str, str, str]] = field(default_factory=set)
    """Service, operation and resource; `*` where IAM looks at none."""

    def note(self, service: str, operation: str, params: Mapping[str, Any]) -> None:
        self.calls.add((service, operation, _resource(service, operation, params)))


def _resource(service: str, operation: str, params: Mapping[str, Any]) -> str:
    start = f"arn:aws:{service}:{REGION}:{ACCOUNT}:"
    qualifier = params.get("Qualifier") or params.get("Name")
    known: dict[str, Callable[[], str]] = {
        "logs:DescribeLogGroups": lambda: f"{start}log-group:any",
        "codedeploy:ListDeploymentGroups": lambda: f"{start}application:{params['applicationName']}",
        "codedeploy:ListDeployments": lambda: f"{start}deploymentgroup:{params['applicationName']}/any",
        "codedeploy:BatchGetDeployments": lambda: f"{start}deploymentgroup:shop/any",
        "codedeploy:GetDeploymentConfig": lambda: f"{start}deploymentconfig:{params['deploymentConfigName']}",
        "lambda": lambda: f"{start}function:{params['FunctionName']}{f':{qualifier}' if qualifier else ''}",
        "logs": lambda: f"{start}log-group:{params['logGroupName']}:*",
        "dynamodb": lambda: f"{start}table/{params['TableName']}",
        "sqs": lambda: start + (params.get("QueueName") or params["QueueUrl"].rsplit("/", 1)[-1]),
        "s3": lambda: "arn:aws:s3:::" + "/".join(filter(None, (params["Bucket"], params.get("Key")))),
        "ssm": lambda: f"{start}parameter/{params['Name'].lstrip('/')}",
        "secretsmanager": lambda: f"{start}secret:{params['SecretId']}-AbCdEf",
        "cloudformation": lambda: f"{start}stack/{params['StackName']}/1b6f",
    }
    return known.get(f"{service}:{operation}", known.get(service, lambda: "*"))()


@pytest.mark.slow  # the whole demo, and every check and source of it
async def test_the_policy_is_exactly_what_checks_and_sources_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "demo")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "demo")
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path))
    recorded = Recorded()
    send = Aws._send

    async def noted(self: Aws, call: Call, *arguments: Any, **options: Any) -> dict[str, Any]:
        recorded.note(call.service, call.operation, call.params)
        return await send(self, call, *arguments, **options)

    monkeypatch.setattr(Aws, "_send", noted)
    project = load_project(root=demo_root(), env="demo", environ={})
    async with run_demo(at="during") as shop:
        environment = project.environment
        aws_target = replace(environment.aws, endpoint_url=shop.url)
        project = replace(project, environment=replace(environment, demo=None, aws=aws_target))
        shop.aws.calls.clear()
        async with open_engine(project) as engine:
            await engine.runner.run([each for each in project.checks if "malformed" not in each.id], RunOptions())
            await _read_once(engine)
            outputs = {name: await Stacks(engine.aws).outputs(each) for name, each in environment.stacks.items()}
        received = set(shop.aws.calls)
    calls = {each for each in recorded.calls if each[:2] != ("sts", "GetCallerIdentity")}
    assert {each[:2] for each in calls} <= received
    uses = required_calls(project, os.environ, outputs=outputs)
    needed = {action for service, operation, _ in calls for action in actions(service, operation)}
    assert granted_actions(uses) == needed | {action for action, _ in UNUSED}
    policy = granted(policy_of(uses, environment, account=ACCOUNT, region=REGION))
    refused = [
        (action, resource)
        for service, operation, resource in sorted(calls)
        for action in actions(service, operation)
        if not any(fnmatchcase(resource, each.replace("[", "[[]")) for each in policy[action])
    ]
    assert not refused
    unused = [
        (action, each)
        for action, resources in policy.items()
        for each in resources
        if each != "*"
        and not any(
            action in actions(service, operation) and fnmatchcase(resource, each.replace("[", "[[]"))
            for service, operation, resource in calls
        )
    ]
    assert {each for each in unused if not _qualifies(each, policy)} == {each for each in UNUSED if each[1] != "*"}


UNUSED = {
    ("logs:FilterLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:aws/spans:*"),
    ("xray:GetIndexingRules", "*"),
    ("xray:GetTraceGraph", "*"),
}
"""Granted though nothing in this reading of the demo asks for it.

Its account has no Transaction Search, and no request of its own is the minute old from which its graph is read.
"""


def _qualifies(unused: tuple[str, str], policy: Mapping[str, set[str]]) -> bool:
    """Say whether it is the other form of a function's name: IAM looks at one of them, by how the call names it."""
    action, resource = unused
    return action.startswith("lambda:") and bool({f"{resource}:*", resource.removesuffix(":*")} & policy[action])


async def _read_once(engine: Any) -> None:
    """Run every source until each has told what it knows, and look into a trace, as somebody at the dashboard does."""
    id_ = "1-00000001-000000000000000000000000"
    await fetch_trace(engine.aws, id_, SignalRedactor(engine.redactor))
    now = engine.clock.now()
    await find_lines(engine.aws, log_targets(engine.environment), [id_], since=now, redactor=engine.redactor)
    waiting: set[str] = set()
    done = asyncio.Event()

    def apply(batch: Batch) -> None:
        if batch.status is not None and batch.status.phase in {SourcePhase.LIVE, SourcePhase.BEHIND}:
            waiting.discard(batch.source.partition(":")[0])
        if not waiting:
            done.set()

    sources = build_sources(
        engine.environment,
        engine.aws,
        clock=engine.clock,
        redactor=engine.redactor,
        logs_since=now,
        since=now - SIGNALS_BEFORE,
    )
    waiting |= {each.name for each in sources}
    supervisor = Supervisor(sources, apply, clock=engine.clock)
    supervisor.start()
    try:
        await asyncio.wait_for(done.wait(), 60)
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
    found = granted(policy_of(required_calls(project, {}), project.environment))
    start = "arn:aws:{}:eu-west-1:111111111111:"
    assert found["sqs:GetQueueAttributes"] == {start.format("sqs") + "shop-dlq"}
    assert found["ssm:GetParameter"] == {start.format("ssm") + "parameter/shop/token"}
    assert found["execute-api:Invoke"] == {start.format("execute-api") + "*"}
    assert found["dynamodb:PutItem"] == {start.format("dynamodb") + "table/*"}
    function = start.format("lambda") + "function:orders"
    assert found["lambda:GetFunctionConfiguration"] == {function, f"{function}:*"}
    groups = {"/aws/lambda/orders*", "aws/spans"}
    assert found["logs:FilterLogEvents"] == {start.format("logs") + f"log-group:{group}:*" for group in groups}
    assert "logs:StartLiveTail" in found
    assert found["cloudwatch:GetMetricData"] == {"*"}


def test_outputs_of_stacks_narrow_more(project: Project) -> None:
    uses = required_calls(project, {}, outputs={"shop": {"Table": "orders-table"}})
    found = granted(policy_of(uses, project.environment))
    assert found["dynamodb:PutItem"] == {"arn:aws:dynamodb:eu-west-1:111111111111:table/orders-table"}


def test_each_account_has_a_policy_of_its_own(project: Project) -> None:
    found = granted(policy_of(required_calls(project, {}), project.environment, alias="pay"))
    assert found == {"cloudwatch:GetMetricData": {"*"}}


@pytest.mark.parametrize(("options", "writes"), [([], False), (["--allow-writes"], True)], ids=str)
def test_writes_are_granted_only_when_they_will_be_made(project: Project, options: list[str], writes: bool) -> None:
    done = CliRunner().invoke(command, ["--root", str(project.root), "--env", "prod", *options], standalone_mode=False)
    assert done.return_value == 0
    assert ("dynamodb:PutItem" in granted(json.loads(done.stdout))) is writes
    assert ("include them with --allow-writes" in done.stderr) is not writes
    assert "--account pay" in done.stderr


@pytest.mark.parametrize(
    ("service", "operation", "resource", "expected"),
    [
        ("codedeploy", "ListDeploymentGroups", "shop", "arn:aws:codedeploy:r:1:application:shop"),
        ("codedeploy", "ListDeployments", "shop", "arn:aws:codedeploy:r:1:deploymentgroup:shop/*"),
        ("codedeploy", "GetDeploymentTarget", "shop", "*"),
        ("lambda", "Invoke", "f:live", "arn:aws:lambda:r:1:function:f:live"),
        ("s3", "HeadObject", "b/k", "arn:aws:s3:::b/k"),
    ],
)
def test_each_operation_has_the_resource_iam_looks_at(
    service: str, operation: str, resource: str, expected: str
) -> None:
    use = RequiredCall(service=service, operation=operation, resource=resource, purpose="x")
    assert resources(use, account="1", region="r") == (expected,)


ASKED = """
[[check]]
name = "a"
type = "aws"
service = "{service}"
operation = "{operation}"
params = {params}
mutates = false
expect = ["x exists"]
"""
SECRETS = '{ SecretIdList = ["a", "b"], Filters = [] }'
WRITES = '{ TransactItems = [{ Put = { TableName = "t" } }, { ConditionCheck = { TableName = "u" } }] }'


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        (
            "secretsmanager",
            "BatchGetSecretValue",
            SECRETS,
            {
                "secretsmanager:BatchGetSecretValue": {"*"},
                "secretsmanager:GetSecretValue": {"secretsmanager:secret:a-*", "secretsmanager:secret:b-*"},
                "secretsmanager:ListSecrets": {"*"},
            },
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            WRITES,
            {
                "dynamodb:PutItem": {"dynamodb:table/t", "dynamodb:table/u"},
                "dynamodb:ConditionCheckItem": {"dynamodb:table/t", "dynamodb:table/u"},
            },
        ),
        (
            "dynamodb",
            "ExecuteStatement",
            '{ Statement = "insert into t value {}" }',
            {"dynamodb:PartiQLInsert": {"dynamodb:table/*"}},
        ),
        (
            "dynamodb",
            "BatchExecuteStatement",
            '{ Statements = [{ Statement = "SELECT * FROM t" }, { Statement = " DELETE FROM t" }] }',
            {"dynamodb:PartiQLSelect": {"dynamodb:table/*"}, "dynamodb:PartiQLDelete": {"dynamodb:table/*"}},
        ),
        (
            "dynamodb",
            "BatchGetItem",
            "{ RequestItems = { t = {}, u = {} } }",
            {"dynamodb:BatchGetItem": {"dynamodb:table/t", "dynamodb:table/u"}},
        ),
        (
            "s3",
            "ListParts",
            '{ Bucket = "b", Key = "k" }',
            {"s3:ListMultipartUploadParts": {"s3:b/k"}},
        ),
        ("s3", "GetBucketReplication", '{ Bucket = "b" }', {"s3:GetReplicationConfiguration": {"s3:b"}}),
        ("s3", "HeadObject", '{ Bucket = "b", Key = "k" }', {"s3:GetObject": {"s3:b/k"}, "s3:ListBucket": {"s3:b"}}),
        ("s3", "ListBuckets", "{}", {"s3:ListAllMyBuckets": {"*"}}),
        ("lambda", "ListFunctions", "{}", {"lambda:ListFunctions": {"*"}}),
        ("secretsmanager", "ListSecrets", "{}", {"secretsmanager:ListSecrets": {"*"}}),
        ("ssm", "DescribeParameters", "{}", {"ssm:DescribeParameters": {"*"}}),
        ("ssm", "GetDocument", '{ Name = "d" }', {"ssm:GetDocument": {"*"}}),
        ("cloudformation", "ListStacks", "{}", {"cloudformation:ListStacks": {"*"}}),
        ("sqs", "ListQueues", "{}", {"sqs:ListQueues": {"*"}}),
        ("dynamodb", "ListTables", "{}", {"dynamodb:ListTables": {"*"}}),
        ("kms", "ReEncrypt", "{}", {"kms:ReEncryptFrom": {"*"}, "kms:ReEncryptTo": {"*"}}),
        ("sns", "PublishBatch", "{}", {"sns:Publish": {"*"}}),
        ("stepfunctions", "DescribeExecution", "{}", {"states:DescribeExecution": {"*"}}),
    ],
)
def test_W4_only_actions_of_the_reference_on_resources_that_aws_takes(
    tmp_path: Path, service: str, operation: str, params: str, expected: dict[str, set[str]]
) -> None:
    project = asking(tmp_path, service, operation, params)
    policy = policy_of(required_calls(project, {}), project.environment)
    short = re.compile(r"arn:aws:(\w+):[^:]*:[^:]*:")
    found = {action: {short.sub(r"\1:", each) for each in where} for action, where in granted(policy).items()}
    assert found == expected
    assert not unlisted(required_calls(project, {}))


def asking(root: Path, service: str, operation: str, params: str) -> Project:
    """Load a project with one `aws` check."""
    (root / "config").mkdir()
    (root / "checks").mkdir()
    (root / "config" / "prod.toml").write_text('[aws]\nregion = "eu-west-1"\n')
    page = ASKED.format(service=service, operation=operation, params=params)
    (root / "checks" / "a.toml").write_text(page)
    return load_project(root=root, env="prod", environ={})


@pytest.mark.parametrize(
    ("service", "operation", "sentence"),
    [
        ("sfn", "DescribeExecution", '"sfn" is not a service with IAM actions'),
        ("sqs", "ListQueus", "has no action sqs:ListQueus"),
    ],
)
def test_W4_a_call_that_the_reference_does_not_have_is_said(
    tmp_path: Path, service: str, operation: str, sentence: str
) -> None:
    project = asking(tmp_path, service, operation, "{}")
    options = ["--root", str(tmp_path), "--env", "prod"]
    done = CliRunner().invoke(command, options, standalone_mode=False)
    assert json.loads(done.stdout)["Statement"] == []
    assert f"{service} {operation} (check a/a) is not in the policy" in " ".join(done.stderr.split())
    assert sentence in " ".join(done.stderr.split())
    assert len(unlisted(required_calls(project, {}))) == 1


@pytest.mark.parametrize(
    ("service", "sentence"),
    [("sfn", 'has no service "sfn"'), ("dynamo", "did you mean dynamodb?"), ("stepfunctions", ""), ("sso", "")],
)
def test_W4_validate_names_a_service_that_does_not_exist(tmp_path: Path, service: str, sentence: str) -> None:
    asking(tmp_path, service, "ListThings", "{}")
    options = ["--root", str(tmp_path), "--env", "prod"]
    done = CliRunner().invoke(validate, options, standalone_mode=False)
    assert done.return_value == 0
    notes = [line for line in done.stderr.splitlines() if "no service" in line]
    assert bool(notes) is bool(sentence)
    assert sentence in " ".join(done.stderr.split())
    assert not notes or "checks/a.toml:2:1" in done.stderr


def test_N16_a_signed_request_to_another_service_is_said(tmp_path: Path) -> None:
    asking(tmp_path, "sqs", "ListQueues", "{}")
    (tmp_path / "checks" / "b.toml").write_text(
        '[[check]]\nname = "b"\ntype = "http"\nurl = "https://x.example/"\nauth = { sigv4 = { service = "es" } }\n'
        'expect = ["status == 200"]\n'
    )
    project = load_project(root=tmp_path, env="prod", environ={})
    (sentence,) = unlisted(required_calls(project, {}))
    assert sentence.startswith("es signed request (check b/b) is not in the policy")


def test_other_partitions_have_arns_of_their_own() -> None:
    use = RequiredCall(service="sqs", operation="GetQueueAttributes", resource="q", purpose="x")
    assert resources(use, account="1", region="cn-north-1") == ("arn:aws-cn:sqs:cn-north-1:1:q",)
