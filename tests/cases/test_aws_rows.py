"""Responses of AWS that are not the operation's document, not whole, or not ours to decide on."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from aiohttp import web as aiohttp_web

from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentStep
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.aws.protocols.identify import HttpRequest
from tests.support.case_project import CaseProject
from tests.support.forged_aws import Forgery, World, replaced

LOGIN = b"<!DOCTYPE html><html><body><form action='/login'>Sign in to the company network</form></body></html>"
CUT = b'{"events": [{"message": "ERR'
ERROR_DOCUMENT = b'{"__type": "InternalServerError", "message": "an error of the service"}'

EVERY_TYPE = """
[defaults]
timeout = "1s"
[[check]]
name = "logs"
type = "logs"
group = "/shop/web"
expect = ["count == 0"]

[[check]]
name = "dynamodb get"
type = "dynamodb"
table = "orders"
key = { id = "7" }
expect = ["item absent"]

[[check]]
name = "dynamodb query"
type = "dynamodb"
operation = "query"
table = "orders"
key = { id = "7" }
expect = ["count == 0"]

[[check]]
name = "traces"
type = "traces"
filter = "fault"
min = 0
expect = ["count == 0"]

[[check]]
name = "metric"
type = "metric"
namespace = "Shop"
metric = "Errors"
stat = "Sum"
missing = "zero"
expect = ["value == 0"]

[[check]]
name = "sqs"
type = "sqs"
queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
expect = ["depth == 0"]

[[check]]
name = "stack"
type = "stack"
stack = "orders"
expect = ["status == 'CREATE_COMPLETE'"]

[[check]]
name = "alarm"
type = "alarm"
names = ["orders"]
expect = ["length(firing) == 0"]

[[check]]
name = "alarm prefix"
type = "alarm"
prefix = "orders"
expect = ["length(firing) == 0"]

[[check]]
name = "release"
type = "release"
function = "orders"
alias = "live"
expect = ["state == 'stable'"]

[[check]]
name = "aws"
type = "aws"
service = "sqs"
operation = "ListQueues"
expect = ["QueueUrls absent"]
"""

READS = (
    "cloudformation:DescribeStacks",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "lambda:GetAlias",
    "logs:FilterLogEvents",
    "sqs:GetQueueAttributes",
    "sqs:ListQueues",
    "xray:GetTraceSummaries",
)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(LOGIN, "text/html", id="login page"),
        pytest.param(LOGIN, "application/x-amz-json-1.1", id="login page that calls itself JSON"),
        pytest.param(CUT, "application/x-amz-json-1.1", id="cut JSON"),
        pytest.param(b"", "application/x-amz-json-1.1", id="empty"),
        pytest.param(ERROR_DOCUMENT, "application/x-amz-json-1.1", id="error document"),
    ],
)
def test_A3_a_200_that_is_not_the_operations_document_is_an_error(
    body: bytes, content_type: str, project: CaseProject, world: World
) -> None:
    for operation in READS:
        world.aws.forgeries[operation] = replaced(body, content_type=content_type)
    found = project.checked(EVERY_TYPE)
    assert found.statuses == dict.fromkeys(found.statuses, "error")
    assert "internal" not in {each["reason_code"] for each in found.document["checks"]}
    assert found.code == 3


METRIC_PAGE = """
[[check]]
name = "no errors"
type = "metric"
namespace = "{name}"
metric = "Errors"
stat = "Sum"
missing = "zero"
expect = ["value == 0"]
"""


def test_A10_no_data_counts_as_zero_where_cloudwatch_said_that_there_is_none(project: CaseProject, name: str) -> None:
    assert project.checked(METRIC_PAGE.format(name=name)).statuses == {"no errors": "pass"}


def test_A10_a_response_without_the_asked_series_is_not_zero(project: CaseProject, name: str, world: World) -> None:
    world.aws.forgeries["cloudwatch:GetMetricData"] = replaced(b'{"MetricDataResults": [], "Messages": []}')
    assert project.checked(METRIC_PAGE.format(name=name)).statuses == {"no errors": "inconclusive"}


ALARM_ALONE = """
[[check]]
name = "no alarm fires"
type = "alarm"
prefix = "shop-"
expect = ["{claim}"]
"""


@pytest.mark.parametrize("claim", ["length(firing) == 0", "firing == []"])
def test_A10_validate_warns_of_a_claim_that_an_alarm_without_data_satisfies(claim: str, project: CaseProject) -> None:
    project.write("checks/c.toml", ALARM_ALONE.format(claim=claim))
    ended = project.run("validate")
    assert "INSUFFICIENT_DATA" in ended.said
    assert "checks/c.toml" in ended.said


def test_A10_the_page_of_alarm_claims_that_every_alarm_is_ok() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/reference/check-types/alarm.md").read_text()
    example = page.partition("```toml")[2].partition("```")[0]
    assert "length(firing) == 0" in example
    assert "all alarms[].state == 'OK'" in example


INVOKE = """
[[check]]
name = "the version that was asked for answers"
type = "lambda"
mutates = true
function = "{name}"
qualifier = "42"
expect = ["payload.ok == true"]
"""


@pytest.mark.parametrize("ran", ["42", "41"])
def test_A11_the_version_that_ran_is_the_one_asked_for(ran: str, project: CaseProject, name: str, world: World) -> None:
    from prodwatch.demo.workload import Invocation, InvocationResult

    async def invoke(_: Invocation) -> InvocationResult:
        return InvocationResult(payload=b'{"ok": true}', executed_version=ran, request_id="r")

    world.aws.on_invoke = invoke
    found = project.checked(INVOKE.format(name=name))["the version that was asked for answers"]
    if ran == "42":
        assert found["status"] == "pass", found["message"]
    else:
        assert (found["status"], found["reason_code"]) == ("inconclusive", "version_mismatch")
        assert "41" in found["message"]


RELEASE = """
[[check]]
name = "no deployment"
type = "release"
function = "{name}"
alias = "live"
expect = ["deployment absent"]

[[check]]
name = "not failed"
type = "release"
function = "{name}"
alias = "live"
expect = ["state != 'failed'"]

[[check]]
name = "stable"
type = "release"
function = "{name}"
alias = "live"
expect = ["state == 'stable'"]
"""


@pytest.fixture
def released(project: CaseProject, name: str, world: World) -> CaseProject:
    """A project over a function whose alias has a failed deployment of half an hour ago."""
    now = time.time()
    versions = tuple(FunctionVersion(version=each, published_s=now - 86_400) for each in ("41", "42"))
    world.aws.functions.put(Function(name=name, versions=versions))
    world.aws.functions.put_alias(name, "live", "41", {})
    steps = (DeploymentStep(after_s=1, status="InProgress"), DeploymentStep(after_s=60, status="Failed"))
    world.aws.deployments.put(
        Deployment(
            id=f"d-{name[:9].upper()}",
            application=name,
            group=name,
            function=name,
            alias="live",
            current="41",
            target="42",
            created_s=now - 1800,
            events=steps,
        )
    )
    project.configure(f'[release]\ncodedeploy = "{name}"\n')
    return project


def test_A17_a_failed_deployment_is_seen(released: CaseProject, name: str) -> None:
    found = released.checked(RELEASE.format(name=name))
    assert set(found.statuses.values()) == {"fail"}


def test_A17_a_denied_codedeploy_decides_nothing(released: CaseProject, name: str, world: World) -> None:
    from prodwatch.demo.aws import Fault

    world.aws.faults.add(Fault(operation="codedeploy:*", kind="access_denied"))
    found = released.checked(RELEASE.format(name=name))
    assert found.statuses == dict.fromkeys(("no deployment", "not failed", "stable"), "inconclusive")
    assert all("codedeploy:" in each["message"] for each in found.document["checks"])


def test_A17_an_unreachable_codedeploy_decides_nothing(released: CaseProject, name: str, world: World) -> None:
    world.aws.forgeries["codedeploy:ListDeploymentGroups"] = replaced(ERROR_DOCUMENT, status=400)
    found = released.checked(RELEASE.format(name=name))
    assert found.statuses == dict.fromkeys(("no deployment", "not failed", "stable"), "inconclusive")
    assert all("CodeDeploy" in each["message"] for each in found.document["checks"])


def test_B7_without_a_codedeploy_permission_a_release_check_never_fails(
    released: CaseProject, name: str, world: World
) -> None:
    from prodwatch.demo.aws import Fault

    world.aws.faults.add(Fault(operation="codedeploy:*", kind="access_denied"))
    claims = ("version == '41'", "version == '42'")
    checks = "".join(
        f'[[check]]\nname = "{n}"\ntype = "release"\nfunction = "{name}"\nalias = "live"\nexpect = ["{each}"]\n'
        for n, each in enumerate(claims)
    )
    assert released.checked(checks).statuses == {"0": "pass", "1": "inconclusive"}


def test_B1_many_release_checks_share_one_reading(released: CaseProject, name: str, world: World) -> None:
    check = (
        '[[check]]\nname = "{n}"\ntype = "release"\ntimeout = "1s"\nfunction = "{name}"\nalias = "live"\n'
        "expect = [\"state == 'failed'\"]\n"
    )
    found = released.checked("".join(check.format(n=n, name=name) for n in range(12)))
    assert set(found.statuses.values()) == {"pass"}
    counts = {each: count for each, count in world.aws.call_counts.items() if each.startswith("codedeploy:")}
    assert counts == {
        "codedeploy:ListDeploymentGroups": 1,
        "codedeploy:ListDeployments": 1,
        "codedeploy:BatchGetDeployments": 1,
        "codedeploy:ListDeploymentTargets": 1,
        "codedeploy:GetDeploymentTarget": 1,
        "codedeploy:GetDeploymentConfig": 1,
    }


@pytest.mark.parametrize(
    "code", ["InvalidOperationException", "OperationAbortedException", "DataAlreadyAcceptedException", "NewException"]
)
def test_B7_what_a_reading_service_says_of_itself_is_no_failure_of_the_release(
    code: str, project: CaseProject, world: World
) -> None:
    body = json.dumps({"__type": code, "message": "something about the service"}).encode()
    for operation in ("logs:FilterLogEvents", "xray:GetTraceSummaries", "cloudwatch:GetMetricData"):
        world.aws.forgeries[operation] = replaced(body, status=400, content_type="application/x-amz-json-1.1")
    found = project.checked(EVERY_TYPE)
    assert {found.statuses[each] for each in ("logs", "traces", "metric")} == {"error"}
    assert code in found["logs"]["message"]


ALARMS = """
[[check]]
name = "none fires"
type = "alarm"
prefix = "shop-"
expect = ["length(firing) == 0"]

[[check]]
name = "all are ok"
type = "alarm"
prefix = "shop-"
expect = ["all alarms[].state == 'OK'"]

[[check]]
name = "the first is ok"
type = "alarm"
prefix = "shop-"
expect = ["alarms[0].state == 'OK'"]
"""


@pytest.mark.parametrize("evaluation", [None, "EVALUATION_ERROR", "EVALUATION_FAILURE", "PARTIAL_DATA", "IN_WARM_UP"])
@pytest.mark.parametrize("state", ["OK", "ALARM"])
def test_W2_an_alarm_that_cannot_be_evaluated_proves_nothing(
    state: str, evaluation: str | None, project: CaseProject, world: World
) -> None:
    alarm = {"AlarmName": "shop-errors", "StateValue": state} | ({"EvaluationState": evaluation} if evaluation else {})
    body = json.dumps({"MetricAlarms": [alarm], "CompositeAlarms": [], "LogAlarms": []}).encode()
    world.aws.forgeries["cloudwatch:DescribeAlarms"] = replaced(body, content_type="application/x-amz-json-1.0")
    found = project.checked(ALARMS)
    expected = "fail" if state == "ALARM" else "inconclusive" if evaluation else "pass"
    assert set(found.statuses.values()) == {expected}, found.statuses
    if evaluation is not None and expected == "inconclusive":
        assert all(evaluation in each["message"] for each in found.document["checks"])


def test_W1_a_stack_that_went_back_is_no_stable_release(released: CaseProject, name: str, world: World) -> None:
    now = time.time()
    steps = (DeploymentStep(after_s=1, status="InProgress"), DeploymentStep(after_s=60, status="Succeeded"))
    for id_, current, target, creator, age_s in (
        ("UP", "41", "42", "CloudFormation", 900),
        ("BACK", "42", "41", "CloudFormationRollback", 600),
    ):
        world.aws.deployments.put(
            Deployment(
                id=f"d-{name[:6].upper()}{id_}",
                application=name,
                group=name,
                function=name,
                alias="live",
                current=current,
                target=target,
                created_s=now - age_s,
                events=steps,
                creator=creator,
            )
        )
    check = RELEASE.format(name=name) + (
        f'[[check]]\nname = "back"\ntype = "release"\nfunction = "{name}"\nalias = "live"\n'
        "expect = [\"state == 'rolled_back'\", \"deployment.cause == 'CloudFormation rolled the stack back'\"]\n"
    )
    found = released.checked(check)
    assert (found.statuses["stable"], found.statuses["back"]) == ("fail", "pass")


PAGED = """
[[check]]
name = "query"
type = "dynamodb"
operation = "query"
table = "{table}"
key = {{ customer = "7" }}
expect = ["count == 1"]

[[check]]
name = "aws"
type = "aws"
service = "dynamodb"
operation = "Query"
paginate = true
expect = ["length(Items) == 1"]

[check.params]
TableName = "{table}"
KeyConditionExpression = "customer = :c"
ExpressionAttributeValues = {{ ":c" = {{ S = "7" }} }}
"""
FIRST_PAGE = {
    "Items": [{"customer": {"S": "7"}, "id": {"S": "0"}}],
    "Count": 1,
    "ScannedCount": 1,
    "LastEvaluatedKey": {"customer": {"S": "7"}, "id": {"S": "0"}},
}
SECOND_PAGE = b'{"Count": 1, "ScannedCount": 1, "Items": [{"customer": {"S": "7"}, "id": {"S": "1"}}]}'


def paged(second: bytes) -> Forgery:
    """Return a forgery of a query with two pages, of which this is the second."""

    def answer(request: HttpRequest) -> aiohttp_web.Response:
        body = second if "ExclusiveStartKey" in msgspec.json.decode(request.body) else json.dumps(FIRST_PAGE).encode()
        return aiohttp_web.Response(body=body, headers={"Content-Type": "application/x-amz-json-1.0"})

    return answer


def test_A19_both_pages_count(project: CaseProject, name: str, world: World) -> None:
    world.aws.forgeries["dynamodb:Query"] = paged(SECOND_PAGE)
    assert project.checked(PAGED.format(table=name)).statuses == {"query": "fail", "aws": "fail"}


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(SECOND_PAGE[:40], id="cut"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="without members"),
        pytest.param(LOGIN, id="login page"),
    ],
)
def test_A19_a_page_cut_short_is_an_error(second: bytes, project: CaseProject, name: str, world: World) -> None:
    world.aws.forgeries["dynamodb:Query"] = paged(second)
    assert project.checked(PAGED.format(table=name)).statuses == {"query": "error", "aws": "error"}


DOCTORED = """
[[logs]]
group = "/shop/web"
[[alarm]]
prefix = "shop-"
"""


def permissions(project: CaseProject) -> tuple[int, dict[str, str]]:
    """Return the doctor's exit code, and the state of each permission it tried."""
    ended = project.run("doctor", "--json")
    findings = [each for each in json.loads(ended.out)["findings"] if each["area"] == "permissions"]
    return ended.code, {each["action"]: each["state"] for each in findings}


@pytest.mark.parametrize("body", [LOGIN, b"", CUT], ids=["login page", "empty", "cut"])
def test_A19_the_doctor_ticks_only_a_document_of_the_operation(body: bytes, project: CaseProject, world: World) -> None:
    project.configure('[[alarm]]\nprefix = "shop-"\n')
    code, states = permissions(project)
    assert (code, states["cloudwatch:DescribeAlarms"]) == (0, "ok")
    world.aws.forgeries["cloudwatch:DescribeAlarms"] = replaced(body, content_type="text/html")
    code, states = permissions(project)
    assert (code, states["cloudwatch:DescribeAlarms"]) == (3, "unknown")


HEAD = """
[[check]]
name = "a"
type = "s3"
operation = "head"
bucket = "exports"
key = "a"
expect = ["exists == true"]
"""


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        pytest.param(
            replaced(
                b"<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>expired</Message></Error>"
                b"<RequestId>r</RequestId></ErrorResponse>",
                status=403,
                content_type="text/xml",
            ),
            "expired_credentials",
            id="expired",
        ),
        pytest.param(None, "api_error", id="valid"),
    ],
)
def test_W5_a_400_without_a_body_is_no_failure_of_the_bucket(
    identity: Forgery | None, reason: str, project: CaseProject, world: World
) -> None:
    world.aws.forgeries["s3:HeadObject"] = lambda _request: aiohttp_web.Response(
        status=400, headers={"x-amz-request-id": "r"}
    )
    if identity is not None:
        world.aws.forgeries["sts:GetCallerIdentity"] = identity
    found = project.checked(HEAD)["a"]
    assert (found["status"], found["reason_code"]) == ("error", reason)
    assert world.aws.call_counts["sts:GetCallerIdentity"] == 1


LINES = """
[[check]]
name = "no error"
type = "logs"
group = "{name}"
timeout = "500ms"
expect = ["count == 0"]

[[check]]
name = "two lines"
type = "logs"
group = "{name}"
timeout = "500ms"
expect = ["count == 2"]
"""


def test_B11_a_cut_reading_keeps_what_it_read(project: CaseProject, name: str, world: World) -> None:
    first = {
        "events": [{"eventId": "1", "timestamp": int(time.time() * 1000) - 30_000, "message": "ERROR no stock"}],
        "nextToken": "t",
    }
    asked: list[bool] = []

    def answer(request: HttpRequest) -> aiohttp_web.Response:
        more = "nextToken" in msgspec.json.decode(request.body)
        asked.append(more)
        body = b"<html>busy</html>" if more else json.dumps(first).encode()
        return aiohttp_web.Response(body=body, headers={"Content-Type": "application/x-amz-json-1.1"})

    world.aws.forgeries["logs:FilterLogEvents"] = answer
    found = project.checked(LINES.format(name=name))
    assert True in asked
    assert found.statuses == {"no error": "fail", "two lines": "error"}
    assert "not read to its end" in found["two lines"]["message"]


TENANT = """
[[check]]
name = "the tenant's function"
type = "lambda"
mutates = true
function = "{name}"
tenant_id = "blue"
expect = ["payload.ok == true"]
"""


def test_W11_a_function_with_tenant_isolation_is_invoked(project: CaseProject, name: str, world: World) -> None:
    tenants: list[str | None] = []

    def invoke(request: HttpRequest) -> aiohttp_web.Response:
        tenants.append(request.headers.get("X-Amz-Tenant-Id"))
        return aiohttp_web.Response(body=b'{"ok": true}', headers={"x-amzn-RequestId": "r"})

    world.aws.forgeries["lambda:Invoke"] = invoke
    assert project.checked(TENANT.format(name=name)).statuses == {"the tenant's function": "pass"}
    assert tenants == ["blue"]


def test_W13_the_name_of_a_function_is_not_an_arn(project: CaseProject) -> None:
    project.configure('[[function]]\nname = "arn:aws:lambda:eu-west-1:123456789012:function:shop"\n')
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "not an ARN" in ended.err
    assert "config/t.toml" in ended.err
