"""The doctor tries permissions by cheap reads only, and says what each missing one disables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from prodwatch.access.doctor.findings import Finding
from prodwatch.access.doctor.permissions import try_permissions
from prodwatch.access.doctor.sample_calls import _SAMPLE_CALLS, sample_call
from prodwatch.access.required_calls import RequiredCall
from prodwatch.aws.interface import AwsError
from prodwatch.cli.commands.doctor import command
from prodwatch.cli.doctor.local_machine_findings import machine
from prodwatch.cli.doctor.output import as_json, as_text, exit_code
from prodwatch.cli.live.colour import Style
from prodwatch.cli.project import empty_project
from prodwatch.model.environment import HistoryTarget
from prodwatch.model.status import Reason
from prodwatch.probes.mutation_rules import aws_mutation
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock


def use(name: str, resource: str = "*", purpose: str = "traces", **keys: object) -> RequiredCall:
    service, _, operation = name.partition(":")
    return RequiredCall(service=service, operation=operation, resource=resource, purpose=purpose, **keys)  # type: ignore[arg-type]


async def findings(aws: ScriptedAws, *uses: RequiredCall) -> list[Finding]:
    return await try_permissions(aws, uses, FakeClock())


@pytest.mark.parametrize("name", sorted(set(_SAMPLE_CALLS) - {"lambda:Invoke"}))
def test_no_question_changes_anything(name: str) -> None:
    assert aws_mutation(*name.split(":")) is None


def test_an_invocation_is_asked_for_as_a_dry_run() -> None:
    asked = sample_call(use("lambda:Invoke", "orders:live"), START)
    assert asked == {"FunctionName": "orders", "InvocationType": "DryRun", "Qualifier": "live"}
    assert sample_call(use("lambda:Invoke", "orders:*"), START) == {
        "FunctionName": "orders",
        "InvocationType": "DryRun",
    }


@pytest.mark.parametrize("name", ["sqs:SendMessage", "sqs:ReceiveMessage", "dynamodb:PutItem", "s3:DeleteObject"])
async def test_what_would_change_something_is_not_tried(name: str) -> None:
    aws = ScriptedAws()
    (found,) = await findings(aws, use(name, "x", mutates=True))
    assert found.state == "skipped"
    assert aws.calls == []


async def test_a_denied_permission_names_everything_it_disables() -> None:
    aws = ScriptedAws()
    aws.fail("xray:GetTraceSummaries", Reason.ACCESS_DENIED)
    found = await findings(
        aws,
        use("xray:GetTraceSummaries"),
        use("xray:GetTraceSummaries", purpose="check a"),
        use("cloudwatch:DescribeAlarms", purpose="alarms"),
    )
    assert [(each.action, each.state, each.disables) for each in found] == [
        ("xray:GetTraceSummaries", "problem", ("check a", "traces")),
        ("cloudwatch:DescribeAlarms", "ok", ()),
    ]
    assert aws.count("xray:GetTraceSummaries") == 1
    assert exit_code(found) == 3


async def test_an_optional_one_is_worth_knowing_only() -> None:
    aws = ScriptedAws()
    aws.fail("cloudwatch:DescribeAlarmHistory", Reason.ACCESS_DENIED)
    found = await findings(aws, use("cloudwatch:DescribeAlarmHistory", optional=True))
    assert (found[0].state, exit_code(found)) == ("warn", 0)


@pytest.mark.parametrize("reason", [Reason.NETWORK, Reason.TIMEOUT, Reason.EXPIRED_CREDENTIALS, Reason.THROTTLED])
async def test_what_nobody_could_tell_is_never_green(reason: Reason) -> None:
    aws = ScriptedAws()
    aws.fail("xray:GetTraceSummaries", reason)
    found = await findings(aws, use("xray:GetTraceSummaries"))
    assert (found[0].state, exit_code(found)) == ("unknown", 3)


@pytest.mark.parametrize(
    ("name", "resource", "code", "state"),
    [
        ("ssm:GetParameter", "/x", "ParameterNotFound", "warn"),
        ("codedeploy:ListDeploymentTargets", "shop", "DeploymentDoesNotExistException", "ok"),
        ("dynamodb:GetItem", "t", "ValidationException", "ok"),
        ("dynamodb:GetItem", "t", "ResourceNotFoundException", "warn"),
    ],
)
async def test_an_answer_about_the_request_shows_that_asking_is_allowed(
    name: str, resource: str, code: str, state: str
) -> None:
    aws = ScriptedAws()
    service, _, operation = name.partition(":")
    aws.failing[name] = AwsError(code, code=code, reason=Reason.API_ERROR, service=service, operation=operation)
    (found,) = await findings(aws, use(name, resource))
    assert found.state == state


async def test_what_is_optional_and_not_there_is_no_worry() -> None:
    aws = ScriptedAws()
    aws.fail("logs:FilterLogEvents", Reason.API_ERROR, "ResourceNotFoundException")
    (found,) = await findings(aws, use("logs:FilterLogEvents", "aws/spans", optional=True))
    assert (found.state, found.disables) == ("ok", ())


async def test_what_is_billed_by_the_minute_is_not_tried() -> None:
    aws = ScriptedAws()
    (found,) = await findings(aws, use("logs:StartLiveTail", "/shop/worker", optional=True))
    assert found.state == "skipped"
    assert "bills per minute" in found.message
    assert aws.calls == []


async def test_a_prefix_is_tried_on_a_group_that_exists() -> None:
    aws = ScriptedAws()
    aws.answers["logs:DescribeLogGroups"] = lambda _: {"logGroups": [{"logGroupName": "/shop/worker"}]}
    await findings(aws, use("logs:FilterLogEvents", "/shop/*"))
    assert aws.calls[-1][1]["logGroupName"] == "/shop/worker"


def test_the_machine_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path / "not-yet"))
    found = machine(empty_project(region=None, profile=None), {})
    assert {each.area for each in found} == {"extras", "terminal", "folders"}
    assert not (tmp_path / "not-yet").exists()
    assert exit_code(found) == 0


def test_a_state_folder_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODWATCH_STATE_DIR", "/proc/nowhere")
    found = [each for each in machine(empty_project(region=None, profile=None), {}) if each.area == "folders"]
    assert found[0].state == "warn"
    assert "PRODWATCH_STATE_DIR" in found[0].message


def test_a_data_folder_that_cannot_be_written_disables_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    project = empty_project(region=None, profile=None)
    for folder, state in (("/proc/nowhere", "warn"), ("/tmp", "ok")):
        monkeypatch.setenv("PRODWATCH_DATA_DIR", folder)
        (found,) = [each for each in machine(project, {}) if folder in each.message and "temporary" not in each.message]
        assert (found.state, found.disables) == (state, ("prodwatch history",) if state == "warn" else ())
    kept = replace(project, environment=replace(project.environment, history=HistoryTarget(enabled=False)))
    assert not [each for each in machine(kept, {}) if "past runs" in each.message]


def test_a_report_reads_as_text_and_json() -> None:
    found = [
        Finding(area="identity", state="ok", message="somebody"),
        Finding(area="permissions", state="problem", message="x:Y: denied", action="x:Y", disables=("traces",)),
        Finding(area="permissions", state="warn", message="old"),
    ]
    assert as_text(found, Style(color=False)) == [
        "identity",
        "  ✔ somebody",
        "permissions",
        "  ✘ x:Y: denied",
        "    disables: traces",
        "  ! old",
        "1 problem, 1 warning",
    ]
    assert "✔" not in "".join(as_text(found, Style(color=False), unicode=False))
    document = json.loads(as_json("prod", found))
    assert (document["schema"], document["ok"]) == ("prodwatch.doctor/1", False)
    assert document["findings"][1]["disables"] == ["traces"]


def test_without_region_and_credentials_it_says_so_and_exits_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    done = CliRunner().invoke(command, ["--json"], standalone_mode=False)
    assert done.return_value == 3
    first = json.loads(done.stdout)["findings"][0]
    assert first["state"] == "problem"
    assert "no region is configured" in first["message"]
