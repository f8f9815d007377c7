"""What the environment's file says about logs, functions, metrics and alarms is read, or the lack of it is told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from aiohttp import web

from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.aws.protocols.identify import HttpRequest
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World

ERROR_LINE = "[ERROR] 2026-11-30T08:00:00.000Z f6e6096f-5d28-57bd-99a3-6959252efd02 payment broken"


def write_line(world: World, group: str, message: str = ERROR_LINE) -> None:
    world.aws.logs.put(group, "2026/11/30/[7]ab", [(int(time.time() * 1000) - 30_000, message)])


def stack(world: World, name: str, **outputs: str) -> str:
    """Create a stack with these outputs."""
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    world.call("cloudformation", "CreateStack", {"StackName": name, "TemplateBody": json.dumps(template)})
    return name


WATCHED = """
[stacks]
shop = "{stack}"
[[function]]
name = "{function}"
[[logs]]
group = "{group}"
[[metric]]
name = "orders"
namespace = "{namespace}"
metric = "Orders"
dimensions = {{ fn = "{function}" }}
stat = "Sum"
[[alarm]]
prefix = "{prefix}"
"""
BY_VARIABLE = WATCHED.format(
    stack="none", function="${vars.name}", group="/shop/${vars.name}", namespace="${vars.name}", prefix="${vars.name}-"
).replace('[stacks]\nshop = "none"\n', "")
BY_OUTPUT = WATCHED.format(
    stack="${vars.name}",
    function="${stack.shop.Arn | arn('id')}",
    group="${stack.shop.Group}",
    namespace="${stack.shop.Name}",
    prefix="${stack.shop.Name}-",
)


@pytest.fixture(params=["literal", "variable", "output"])
def watched(request: pytest.FixtureRequest, project: CaseProject, name: str, world: World) -> CaseProject:
    """A project that watches a function, a group, a metric and alarms by names that are filled in."""
    for group in (f"/aws/lambda/{name}", f"/shop/{name}"):
        write_line(world, group)
    minute = time.time() // 60 * 60 - 180
    world.aws.metrics.put(name, "Orders", {"fn": name}, minute, [7.0])
    if request.param == "output":
        arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{name}"
        stack(world, name, Arn=arn, Group=f"/shop/{name}", Name=name)
    text = BY_OUTPUT if request.param == "output" else BY_VARIABLE
    if request.param == "literal":
        text = text.replace("${vars.name}", name)
    project.configure(text, variables=f'name = "{name}"')
    return project


def test_A1_logs_reads_groups_and_functions_by_filled_names(watched: CaseProject, name: str) -> None:
    ended = watched.run("logs", "--since", "5m", "--no-follow", "--errors", "--json")
    groups = {json.loads(line)["group"] for line in ended.out.splitlines()}
    assert groups == {f"/aws/lambda/{name}", f"/shop/{name}"}, ended.said
    assert ended.code == 0


def test_A1_metrics_reads_series_by_filled_names(watched: CaseProject, name: str) -> None:
    ended = watched.run("metrics", "--since", "10m", "--no-follow", "--json")
    values = [json.loads(line) for line in ended.out.splitlines()]
    assert [each.get("value") for each in values if each.get("name") == "orders" or each.get("metric") == "Orders"] == [
        7
    ]


def test_A1_the_policy_names_filled_resources(watched: CaseProject, name: str) -> None:
    ended = watched.run("iam-policy", "--online")
    assert ended.code == 0, ended.said
    assert "${" not in ended.out
    assert f":log-group:/shop/{name}" in ended.out
    assert f":log-group:/aws/lambda/{name}" in ended.out


@pytest.fixture
def unresolved(project: CaseProject, name: str, world: World) -> CaseProject:
    """A project whose log group is an output that its stack does not have."""
    stack(world, name, LogGroupName=f"/shop/{name}")
    project.configure(f'[stacks]\nshop = "{name}"\n[[logs]]\ngroup = "${{stack.shop.LogGroup}}"\n')
    return project


def test_A1_a_group_that_cannot_be_filled_is_an_unread_source(unresolved: CaseProject) -> None:
    ended = unresolved.run("logs", "--since", "5m", "--no-follow")
    assert ended.code == 3, ended.said
    assert "LogGroup" in ended.err


@pytest.mark.parametrize("command", [("validate", "--online"), ("doctor",)], ids=["validate", "doctor"])
def test_A1_a_group_that_cannot_be_filled_is_a_problem_of(command: tuple[str, ...], unresolved: CaseProject) -> None:
    ended = unresolved.run(*command)
    assert ended.code in {2, 3}, ended.said
    assert "LogGroup" in ended.said


@pytest.mark.parametrize(
    "table",
    [
        '[[logs]]\ngroup = "/shop/${uid}"',
        '[[function]]\nname = "${steps.a.name}"',
        '[[alarm]]\nprefix = "${captured.x}-"',
        '[[metric]]\nname = "m"\nnamespace = "${each.n}"\nmetric = "M"',
        '[[logs]]\ngroup = "${vars.nothing}"',
        '[[alarm]]\nprefix = "${stack.nothing.Output}-"',
    ],
)
def test_A1_what_can_never_be_filled_there_is_a_mistake(table: str, project: CaseProject) -> None:
    project.configure(table)
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "config/t.toml:" in ended.err


def test_A8_a_functions_own_log_group_is_read(project: CaseProject, name: str, world: World) -> None:
    versions = (FunctionVersion(version="1", published_s=0),)
    world.aws.functions.put(Function(name=name, versions=versions, log_group=f"/shop/{name}"))
    write_line(world, f"/shop/{name}")
    project.configure(f'[[function]]\nname = "{name}"\n')
    ended = project.run("logs", "--since", "5m", "--no-follow", "--errors", "--json")
    assert [json.loads(line)["group"] for line in ended.out.splitlines()] == [f"/shop/{name}"], ended.said
    assert ended.code == 0


def test_A8_the_policy_names_a_functions_own_log_group(project: CaseProject, name: str, world: World) -> None:
    versions = (FunctionVersion(version="1", published_s=0),)
    world.aws.functions.put(Function(name=name, versions=versions, log_group=f"/shop/{name}"))
    project.configure(f'[[function]]\nname = "{name}"\n')
    ended = project.run("iam-policy", "--online")
    assert ended.code == 0, ended.said
    assert f":log-group:/shop/{name}" in ended.out
    assert f":log-group:/aws/lambda/{name}" not in ended.out


def test_A8_a_group_given_as_an_argument_that_is_not_there_is_an_error(project: CaseProject, name: str) -> None:
    ended = project.run("logs", f"/shop/{name}", "--since", "5m", "--no-follow")
    assert ended.code == 3
    assert f"/shop/{name}" in ended.err


def test_A8_a_group_of_the_environment_that_is_not_there_is_an_error(project: CaseProject, name: str) -> None:
    project.configure(f'[[logs]]\ngroup = "/shop/{name}"\n')
    ended = project.run("logs", "--since", "5m", "--no-follow")
    assert ended.code == 3, ended.said
    assert f"/shop/{name}" in ended.err


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(("eventId",), id="without event ids"),
        pytest.param(("eventId", "logStreamName"), id="without event ids and streams"),
        pytest.param(("ingestionTime",), id="without ingestion times"),
        pytest.param(("logStreamName",), id="without streams"),
    ],
)
def test_A18_lines_without_optional_members_are_all_shown(
    members: tuple[str, ...], project: CaseProject, name: str, world: World
) -> None:
    at_ms = int(time.time() * 1000) - 60_000
    for number in range(40):
        world.aws.logs.put(name, f"s{number % 4}", [(at_ms + number // 4, f"order {number} placed")])
    world.aws.logs.put(name, "s0", [(at_ms + 100, "the same text"), (at_ms + 101, "the same text")])

    def without(document: dict[str, Any]) -> dict[str, Any]:
        events = [{key: value for key, value in each.items() if key not in members} for each in document["events"]]
        return document | {"events": events}

    world.aws.edits["logs:FilterLogEvents"] = without
    ended = project.run("logs", name, "--since", "5m", "--no-follow", "--json")
    messages = [json.loads(line)["message"] for line in ended.out.splitlines()]
    expected = sorted([*(f"order {number} placed" for number in range(40)), "the same text", "the same text"])
    assert sorted(messages) == expected, ended.err


REQUIRES = """
[[check]]
name = "the table"
type = "pass"
reason = "x"

[[check]]
name = "the item"
type = "dynamodb"
requires = ["stack.shop.DynamoDbTableName"]
table = "${stack.shop.DynamoDbTableName}"
key = { id = "7" }
expect = ["item exists"]
"""


def test_A15_a_stack_that_does_not_exist_is_an_error(project: CaseProject, name: str) -> None:
    project.configure(f'[stacks]\nshop = "{name}"\n')
    found = project.checked(REQUIRES)
    assert found["the item"]["status"] == "error"
    assert name in found["the item"]["message"]
    assert found.code == 3


def test_A15_an_output_of_nearly_the_same_name_is_a_notice(project: CaseProject, name: str, world: World) -> None:
    stack(world, name, DynamoDBTableName="orders")
    project.configure(f'[stacks]\nshop = "{name}"\n')
    found = project.checked(REQUIRES)
    assert found["the item"]["status"] != "pass"
    told = [found["the item"]["message"] or "", *(each["message"] for each in found.document["notices"])]
    assert any("DynamoDBTableName" in each for each in told)
    if found["the item"]["status"] == "skipped":
        assert any("DynamoDBTableName" in each["message"] for each in found.document["notices"])


def test_A15_an_output_that_is_simply_not_there_skips_the_check(project: CaseProject, name: str, world: World) -> None:
    stack(world, name, Url="https://shop.example")
    project.configure(f'[stacks]\nshop = "{name}"\n')
    found = project.checked(REQUIRES)
    assert found["the item"]["status"] == "skipped"
    assert found.code == 0


NEEDS = {
    "output": '[[check]]\nname = "a"\ntype = "http"\nurl = "${stack.shop.Nothing}"\nexpect = ["status == 200"]\n',
    "stack": '[[check]]\nname = "a"\ntype = "http"\nurl = "${stack.gone.Url}"\nexpect = ["status == 200"]\n',
    "secret": '[[check]]\nname = "a"\ntype = "http"\nurl = "${vars.url}"\nheaders = { a = "${secret.token}" }\n'
    'expect = ["status == 200"]\n',
}


@pytest.mark.parametrize("missing", ["output", "stack", "secret"])
@pytest.mark.parametrize("command", [("validate", "--online"), ("doctor",)], ids=["validate", "doctor"])
def test_A16_a_value_that_is_missing_is_named(
    command: tuple[str, ...], missing: str, project: CaseProject, name: str, world: World
) -> None:
    stack(world, name, Url="https://shop.example")
    project.configure(
        f'[stacks]\nshop = "{name}"\n'
        + (f'gone = "{name}-gone"\n' if missing == "stack" else "")
        + (f'[secrets]\ntoken = {{ ssm = "/{name}/token" }}\n' if missing == "secret" else "")
    )
    project.write("checks/c.toml", NEEDS[missing])
    ended = project.run(*command)
    assert ended.code in ({2, 3} if command[0] == "validate" else {3}), ended.said
    assert {"output": "Nothing", "stack": f"{name}-gone", "secret": f"/{name}/token"}[missing] in ended.said


QUEUE = """
[[check]]
name = "the queue"
type = "sqs"
queue = "${resource.shop.Inbox}"
expect = ["depth == 0"]
"""


def resources(world: World, name: str) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-inbox"}}
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Inbox": queue}}
    world.call("cloudformation", "CreateStack", {"StackName": name, "TemplateBody": json.dumps(template)})


def test_a_resource_of_a_stack_is_named_by_its_logical_id(project: CaseProject, name: str, world: World) -> None:
    resources(world, name)
    project.configure(f'[stacks]\nshop = "{name}"\n')
    found = project.checked(QUEUE)
    assert (found["the queue"]["status"], found["the queue"]["message"]) == ("pass", None)
    project.configure(f'[stacks]\nshop = "{name}"\n[[logs]]\ngroup = "/shop/${{resource.shop.Inbox | last_segment}}"\n')
    write_line(world, f"/shop/{name}-inbox")
    ended = project.run("logs", "--since", "5m", "--no-follow", "--json")
    assert [json.loads(line)["group"] for line in ended.out.splitlines()] == [f"/shop/{name}-inbox"], ended.said


def test_a_resource_that_a_stack_does_not_have_is_named(project: CaseProject, name: str, world: World) -> None:
    resources(world, name)
    project.configure(f'[stacks]\nshop = "{name}"\n')
    found = project.checked(QUEUE.replace("Inbox", "Inbix"))
    assert (found["the queue"]["status"], found["the queue"]["reason_code"]) == ("error", "unresolved")
    assert "has no resource Inbix (did you mean" in found["the queue"]["message"]
    ended = project.run("validate", "--online")
    assert ended.code == 3
    assert "Inbix" in ended.out
    assert "cloudformation:ListStackResources" in project.run("iam-policy").out


RARE = """
[[check]]
name = "no error"
type = "logs"
group = "/shop/{name}*"
filter = "ERROR"
expect = ["count == 0"]

[[check]]
name = "an error"
type = "logs"
group = "/shop/{name}*"
filter = "ERROR"
expect = ["count > 0"]
"""


def test_W8_a_group_that_cannot_be_read_is_named_and_the_others_are_read(
    project: CaseProject, name: str, world: World
) -> None:
    at_ms = int(time.time() * 1000) - 30_000
    for part in ("a", "b"):
        world.aws.logs.put(f"/shop/{name}-{part}", "s", [(at_ms, f"ERROR in {part}")])

    def refused(request: HttpRequest) -> web.Response:
        asked = json.loads(request.body)
        if asked["logGroupName"].endswith("-a"):
            message = f"The log group {asked['logGroupName']} is of log-group-class INFREQUENT_ACCESS. FilterLogEvents"
            body = {"__type": "InvalidOperationException", "message": f"{message} is not supported for this log class"}
            return web.json_response(body, status=400, content_type="application/x-amz-json-1.1")
        events = [{"timestamp": at_ms, "message": "ERROR in b", "eventId": "e", "logStreamName": "s"}]
        return web.json_response({"events": events}, content_type="application/x-amz-json-1.1")

    world.aws.forgeries["logs:FilterLogEvents"] = refused
    project.configure(f'[[logs]]\ngroup = "/shop/{name}-*"\n')
    ended = project.run("logs", "--since", "5m", "--no-follow")
    assert ended.code == 3, ended.said
    assert "ERROR in b" in ended.out
    assert "Infrequent Access" in ended.err
    found = project.checked(RARE.replace("{name}", name))
    assert found.statuses == {"no error": "fail", "an error": "pass"}
    assert "Infrequent Access" in json.dumps(found.document)
    project.configure(f'[[logs]]\ngroup = "/shop/{name}-a"\n[[logs]]\ngroup = "/shop/{name}-b"\n')
    ended = project.run("doctor", "--json")
    tried = [each for each in json.loads(ended.out)["findings"] if each.get("action") == "logs:FilterLogEvents"]
    assert {each["resources"][0]: each["state"] for each in tried} == {
        f"/shop/{name}-a": "problem",
        f"/shop/{name}-b": "ok",
    }
    assert ["Infrequent Access" in each["message"] for each in tried] == [each["state"] == "problem" for each in tried]
    assert ended.code == 3


@pytest.mark.parametrize("named", [True, False], ids=["the function names it", "its settings cannot be read"])
def test_A8_the_doctor_tries_the_log_group_that_a_function_names(
    project: CaseProject, name: str, world: World, named: bool
) -> None:
    def denied(_request: HttpRequest) -> web.Response:
        body = {"Message": "no identity-based policy allows lambda:GetFunctionConfiguration"}
        return web.json_response(body, status=403, headers={"x-amzn-ErrorType": "AccessDeniedException"})

    versions = (FunctionVersion(version="7", published_s=0),)
    world.aws.functions.put(Function(name=name, versions=versions, log_group=f"/shop/{name}"))
    if not named:
        world.aws.forgeries["lambda:GetFunctionConfiguration"] = denied
    write_line(world, f"/shop/{name}")
    project.configure(f'[[function]]\nname = "{name}"\n')
    findings = json.loads(project.run("doctor", "--json").out)["findings"]
    tried = {(each["action"], one): each["state"] for each in findings for one in each.get("resources", ())}
    group = f"/shop/{name}" if named else f"/aws/lambda/{name}"
    assert tried["logs:FilterLogEvents", group] == ("ok" if named else "warn")
    assert tried["lambda:GetFunctionConfiguration", name] == ("ok" if named else "problem")


SHARED = """
[[check]]
name = "orders"
type = "logs"
group = "{name}"
function = "orders"
version = "42"
expect = ["count == 1", "lines[0].message == 'ERROR of orders'"]

[[check]]
name = "inbox"
type = "logs"
group = "{name}"
function = "inbox"
version = "7"
expect = ["count == 0"]

[[check]]
name = "which one"
type = "logs"
group = "{name}"
version = "42"
expect = ["count == 1"]
"""


def test_W10_a_version_is_that_of_one_function_in_a_group_of_several(
    project: CaseProject, name: str, world: World
) -> None:
    at_ms = int(time.time() * 1000) - 30_000
    for function in ("orders", "inbox"):
        world.aws.logs.put(name, f"2026/11/30/{function}[42]ab12", [(at_ms, f"ERROR of {function}")])
    found = project.checked(SHARED.replace("{name}", name))
    assert found.statuses == {"orders": "pass", "inbox": "inconclusive", "which one": "error"}
    assert "inbox, orders" in found["which one"]["message"]
    ended = project.run("logs", name, "--since", "5m", "--no-follow", "--filter", "group:=inbox version:42")
    assert "ERROR of inbox" in ended.out
    assert "ERROR of orders" not in ended.out


def test_A9_raw_output_shows_the_line_as_written_behind_its_prefix(
    project: CaseProject, name: str, world: World
) -> None:
    at_ms = int(time.time() * 1000) - 30_000
    line = '[2026-11-30T08:00:00Z] app.INFO: order placed {"orderId":"77"} []'
    world.aws.logs.put(name, "s", [(at_ms, line)])
    ended = project.run("logs", name, "--since", "5m", "--no-follow", "--format", "raw")
    assert ended.out.splitlines() == [line]
