"""Advice for expired credentials depends on their source; slow ones are waited for once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from prodwatch.aws import clients
from prodwatch.aws.credentials import account_config, renewal_hint
from prodwatch.aws.interface import AwsError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, Environment
from prodwatch.model.status import Reason
from tests.aws.conftest import Connect

CONFIG = """
[default]
sso_session = corp
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
[profile shop-prod]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Reader
[profile old-sso]
sso_start_url = https://corp.awsapps.com/start
[profile console]
login_session = arn:aws:iam::123456789012:user/me
[profile tool]
credential_process = /usr/bin/give-keys --secret hunter22
[profile static]
aws_access_key_id = AKIASTATIC
aws_secret_access_key = s
[profile role]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = shop-prod
[profile twice]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = role
[profile circle]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = circle
[profile pod]
web_identity_token_file = /var/run/token
"""


def hint_for(tmp_path: Path, profile: str | None, **environ: str) -> str:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    environment = Environment(
        name="prod",
        title="Prod",
        source=SourcePosition("prod.toml"),
        aws=AwsTarget(profile=profile),
    )
    environ |= {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    return renewal_hint(account_config(environment, environ, None), environ)


@pytest.mark.parametrize(
    ("profile", "reported"),
    [
        (None, "run `aws sso login`"),
        ("shop-prod", "run `aws sso login --profile shop-prod`"),
        ("old-sso", "run `aws sso login --profile old-sso`"),
        ("console", "run `aws login --profile console`"),
        ("tool", "renew them for the credential_process of profile tool"),
        ("static", "store new keys in profile static with `aws configure --profile static` or the tool"),
        ("role", "run `aws sso login --profile shop-prod`"),
        ("twice", "run `aws sso login --profile shop-prod`"),
        ("circle", "run `aws sso login --profile circle`"),
        ("pod", "web_identity_token_file of profile pod"),
        ("nobody", "run `aws sso login --profile nobody`"),
    ],
)
def test_each_kind_of_profile_has_its_way(tmp_path: Path, profile: str | None, reported: str) -> None:
    said = hint_for(tmp_path, profile)
    assert reported in said
    assert "hunter22" not in said


def test_keys_of_the_environment_cannot_change_under_a_running_process(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert "export new ones and start prodwatch again" in hint_for(tmp_path, None, **keys)


def test_a_platform_renews_its_own(tmp_path: Path) -> None:
    said = hint_for(tmp_path, None, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.23/v1/credentials")
    assert said.startswith("the platform provides them")


def test_files_that_cannot_be_read_still_leave_an_answer(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("[profile")
    environment = Environment(name="p", title="P", source=SourcePosition("p.toml"), aws=AwsTarget(profile="shop"))
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "broken")}
    assert renewal_hint(account_config(environment, environ, None), environ) == "run `aws sso login --profile shop`"


async def test_B5_credentials_that_do_not_come_are_waited_for_once(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    async def never(*_: Any) -> None:
        loads.append(1)
        await asyncio.Event().wait()

    monkeypatch.setattr(clients, "resolve", never)
    monkeypatch.setattr(clients, "CREDENTIALS_S", 0.01)
    aws = connect(aws={"profile": None})
    calls = (aws.call("sqs", "ListQueues"), aws.call("s3", "ListBuckets"))
    together = await asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(AwsError) as later:
        await aws.call("logs", "DescribeLogGroups")
    assert loads == [1]
    for error in (*together, later.value):
        assert isinstance(error, AwsError)
        assert error.reason is Reason.NO_CREDENTIALS
        assert "within 0.01 s" in error.message
        assert "credential_process" in error.message


async def test_B5_credentials_that_break_name_their_cause(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("Expecting value: line 1 column 1 (char 0)")

    monkeypatch.setattr(clients, "resolve", broken)
    with pytest.raises(AwsError, match="the default chain provides no usable AWS credentials: ValueError") as caught:
        await connect().call("sqs", "ListQueues")
    assert caught.value.reason is Reason.NO_CREDENTIALS
