"""Secrets and hostile text: nothing of either leaves through any way out."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from prodwatch.aws.aws_calls import Aws
from prodwatch.clock import SystemClock
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb, response
from tests.support.terminal import COLOURS

SECRET = "p&ss-<w>ord'7/x"
ECHO = """
[[check]]
name = "echo"
type = "http"
url = "${vars.url}/echo"
headers = { x-token = "${secret.token}" }
expect = ["body contains 'nothing like this'"]
"""
SOURCES = {"env": '{ env = "TOKEN" }', "ssm": '{ ssm = "/shop/key" }'}


def write_line(world: World, group: str) -> None:
    message = f"INFO calling the partner with key={SECRET} now"
    world.aws.logs.put(group, "s", [(int(time.time() * 1000) - 20_000, message)])
    parameter = {"Name": "/shop/key", "Type": "SecureString", "Value": SECRET, "Version": 1}
    world.aws.forgeries["ssm:GetParameter"] = replaced(json.dumps({"Parameter": parameter}).encode())


@pytest.mark.parametrize("form", ["text", "short", "raw", "json"])
@pytest.mark.parametrize("source", SOURCES)
def test_C3_a_declared_secret_never_leaves_in_a_log_line(
    form: str, source: str, project: CaseProject, name: str, world: World
) -> None:
    write_line(world, name)
    project.configure(f'[secrets]\ntoken = {SOURCES[source]}\n[[logs]]\ngroup = "{name}"\n')
    ended = project.run("logs", "--since", "5m", "--no-follow", "--format", form, environ={"TOKEN": SECRET})
    assert SECRET not in ended.said
    if ended.code == 0:
        assert "calling the partner" in ended.out


@pytest.mark.parametrize(
    ("source", "checks"),
    [
        pytest.param("env", ECHO, id="used"),
        pytest.param("env", "", id="unused"),
        pytest.param("ssm", "", id="unused, in the parameter store"),
    ],
)
def test_C3_a_check_of_the_same_line_masks_it(
    source: str, checks: str, project: CaseProject, name: str, world: World
) -> None:
    write_line(world, name)
    project.configure(f"[secrets]\ntoken = {SOURCES[source]}\n")
    line = f'[[check]]\nname = "a"\ntype = "logs"\ngroup = "{name}"\nexpect = ["lines[0].message contains \'zzz\'"]\n'
    found = project.checked(line + checks, environ={"TOKEN": SECRET})
    assert found["a"]["status"] == "fail"
    assert "calling the partner" in json.dumps(found.document)
    assert SECRET not in json.dumps(found.document)


def json_escaped(text: str) -> str:
    """Return JSON as Go and .NET write it."""
    return "".join(f"\\u{ord(each):04x}" if each in "&<>'+" else each for each in text)


WRITTEN = {
    "as it is": SECRET,
    "percent-encoded": quote(SECRET, safe=""),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "JSON of Go": json_escaped(SECRET),
    "JSON of .NET, capitals": json_escaped(SECRET).replace("\\u003c", "\\u003C").replace("\\u003e", "\\u003E"),
    "percent-encoded twice": quote(quote(SECRET, safe=""), safe=""),
    "percent-encoded, hyphens too": quote(SECRET, safe="").replace("-", "%2D"),
    "percent-encoded, small letters": quote(SECRET, safe="").lower(),
    "repr in single quotes": "'" + SECRET.replace("'", "\\'") + "'",
}


def echoed(project: CaseProject, web: RawWeb, secret: str, body: str) -> str:
    """Return everything a failed check writes about a response with this body, with `secret` declared."""
    web.routes["/echo"] = response(f"partner answered: {body} .".encode(), Content_Type="text/plain")
    project.configure('[secrets]\ntoken = { env = "TOKEN" }\n')
    found = project.checked(ECHO, environ={"TOKEN": secret})
    assert found["echo"]["status"] == "fail", found.err
    assert "partner answered" in found["echo"]["exchange"]["response"]["body"]
    return str(found["echo"]["exchange"]["response"]["body"])


@pytest.mark.parametrize("form", WRITTEN)
def test_C4_a_secret_is_masked_however_it_is_written(form: str, project: CaseProject, web: RawWeb) -> None:
    assert WRITTEN[form] not in echoed(project, web, SECRET, WRITTEN[form])


@pytest.mark.parametrize("secret", ["abc123", "abcd123", "abcd1234"], ids=len)
def test_C4_a_short_secret_is_masked_in_base64(secret: str, project: CaseProject, web: RawWeb) -> None:
    written = base64.b64encode(secret.encode()).decode()
    assert written not in echoed(project, web, secret, f"basic {written}")
    padded = base64.b64encode(f"user:{secret}".encode()).decode()
    assert padded not in echoed(project, web, secret, f"basic {padded}")


LATER = """
[[check]]
name = "session"
type = "flow"

[[check.step]]
name = "early"
type = "http"
url = "${vars.url}/early"
expect = ["status == 200"]

[[check.step]]
name = "login"
type = "http"
url = "${vars.url}/login"
capture = { token = { path = "json.token", secret = true } }

[[check.step]]
name = "use"
type = "http"
url = "${vars.url}/use"
headers = { authorization = "Bearer ${captured.token}" }
expect = ["status == 201"]
"""


@pytest.mark.parametrize("output", ["--json", "--ndjson"])
def test_C4_a_secret_captured_later_is_masked_in_earlier_answers(
    output: str, project: CaseProject, web: RawWeb
) -> None:
    token = "captured-token-4711"
    web.routes["/early"] = response(json.dumps({"session": token, "user": "u"}).encode())
    web.routes["/login"] = response(json.dumps({"token": token}).encode())
    project.write("checks/c.toml", LATER)
    ended = project.run("check", output)
    assert ended.code == 1
    assert '"user' in ended.out.replace("\\", "")
    assert token not in ended.said


OTHER = """
[[check]]
name = "other"
type = "http"
url = "${vars.url}/early"
expect = ["status == 201"]
"""


@pytest.mark.parametrize("output", ["--json", "--ndjson"])
def test_C4_a_captured_secret_is_masked_in_the_results_of_other_checks(
    output: str, project: CaseProject, web: RawWeb
) -> None:
    token = "captured-token-4711"
    web.routes["/early"] = response(json.dumps({"session": token, "user": "u"}).encode())
    web.routes["/login"] = response(json.dumps({"token": token}).encode())
    project.write("checks/c.toml", OTHER + LATER)
    ended = project.run("check", output)
    assert ended.code == 1
    assert token not in ended.said


ESC, BIDI = "\x1b", "\u202e"
HOSTILE = f"{ESC}[31mred{ESC}]0;title\x07 {BIDI}txt.exe \x9b2J"


def clean(text: str) -> bool:
    return not any(each in text for each in (ESC, BIDI, "\x07", "\x9b"))


@pytest.mark.parametrize("command", ["logs", "traces", "metrics"])
def test_C5_an_error_of_aws_is_sanitised(command: str, project: CaseProject, name: str, world: World) -> None:
    body = json.dumps({"__type": "InvalidParameterException", "message": f"{HOSTILE} is invalid"}).encode()
    for operation in (
        "logs:FilterLogEvents",
        "logs:DescribeLogGroups",
        "xray:GetTraceSummaries",
        "cloudwatch:GetMetricData",
    ):
        world.aws.forgeries[operation] = replaced(body, status=400, content_type="application/x-amz-json-1.1")
    project.configure(f'[[metric]]\nname = "m"\nnamespace = "{name}"\nmetric = "M"\n')
    arguments = [name] if command == "logs" else []
    with project.start(command, *arguments, "--since", "5m", "--no-follow") as process:
        # The command tries again for a while; its first sentence about the error is enough.
        try:
            assert process.stderr is not None
            told = next(line.decode() for line in process.stderr if b"red" in line)
        finally:
            process.kill()
    assert clean(told)


NAMED = f'[[check]]\nname = {json.dumps(HOSTILE)}\ntype = "fail"\nreason = {json.dumps(HOSTILE)}\n'


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--tap",),
        ("--github-summary",),
        ("--nagios",),
        ("--junit", "r"),
        ("--ctrf", "r"),
        ("--json", "r"),
        ("--ndjson",),
    ],
    ids=" ".join,
)
def test_C5_names_of_checks_are_sanitised_in_every_output(options: tuple[str, ...], project: CaseProject) -> None:
    project.write("checks/c.toml", NAMED)
    summary = project.write("summary.md", "")
    environ = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    ended = project.run("check", *options, environ=environ)
    assert ended.code in {1, 2}, ended.said
    written = project.project / "r"
    everything = ended.said + summary.read_text() + (written.read_text() if written.exists() else "")
    assert "red" in everything
    assert clean(COLOURS.sub(b"", everything.encode()).decode())


def test_C7_a_profile_that_needs_a_code_says_so(project: CaseProject) -> None:
    environ = {"AWS_PROFILE": "mfa", "AWS_CONFIG_FILE": str(project.write("aws", MFA))}
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        project.environ.pop(key)
    check = '[[check]]\nname = "who"\ntype = "aws"\nservice = "sts"\noperation = "get_caller_identity"\n'
    found = project.checked(check + 'expect = ["Account exists"]\n', environ=environ)
    assert (found.code, found["who"]["status"]) == (3, "error")
    assert found["who"]["reason_code"] != "internal"
    assert "MFA" in found["who"]["message"]
    assert "Enter MFA code" not in found.err


MFA = """
[profile base]
aws_access_key_id = AKIAFAKEFAKEFAKE0001
aws_secret_access_key = fakefakefakefakefakefakefakefakefakefake

[profile mfa]
region = eu-west-1
source_profile = base
role_arn = arn:aws:iam::123456789012:role/ops
mfa_serial = arn:aws:iam::123456789012:mfa/someone
"""


def test_C7_a_session_that_the_aws_cli_has_cached_is_used(tmp_path: Path) -> None:
    config = tmp_path / "aws"
    config.write_text(MFA)
    role = {"RoleArn": "arn:aws:iam::123456789012:role/ops", "SerialNumber": "arn:aws:iam::123456789012:mfa/someone"}
    # The name of a file is the AWS CLI's: a digest of the role's arguments.
    key = hashlib.sha1(json.dumps(role, sort_keys=True).encode()).hexdigest()
    cache = tmp_path / ".aws" / "cli" / "cache"
    cache.mkdir(parents=True)
    keys = {
        "AccessKeyId": "AKIACACHED",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    (cache / f"{key}.json").write_text(json.dumps({"Credentials": keys}))
    target = AwsTarget(region="eu-west-1", profile="mfa")
    environment = Environment(name="e", title="e", source=SourcePosition("e.toml"), aws=target)
    environ = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(config)}

    async def access_key() -> str:
        async with Aws(environment, environ, SystemClock()) as aws:
            return str((await aws.credentials()).access_key)

    assert asyncio.run(access_key()) == "AKIACACHED"
    assert [each.name for each in cache.iterdir()] == [f"{key}.json"]
