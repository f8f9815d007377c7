"""Keys, region and endpoint in use, from the environment file and the environment variables."""

from __future__ import annotations

import subprocess
import sys

import pytest

from prodwatch.aws.credentials import DUMMY_KEY, account_config, endpoint_for, is_loopback
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import AwsTarget, DemoTarget, Environment

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}


def environment(
    aws: dict[str, str], *, accounts: dict[str, AwsTarget] | None = None, demo: bool = False
) -> Environment:
    return Environment(
        name="t",
        title="t",
        source=SourcePosition("t.toml"),
        aws=AwsTarget(**aws),
        accounts=accounts or {},
        demo=DemoTarget() if demo else None,
    )


@pytest.mark.parametrize(
    ("aws", "environ", "region"),
    [
        ({"region": "eu-west-1"}, {"AWS_REGION": "us-east-1"}, "eu-west-1"),
        ({}, {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-west-2"}, "us-east-1"),
        ({}, {"AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
        ({}, {}, None),
    ],
)
def test_region(aws: dict[str, str], environ: dict[str, str], region: str | None) -> None:
    assert account_config(environment(aws), environ, None).region == region


@pytest.mark.parametrize(
    ("aws", "environ", "profile", "noticed"),
    [
        ({"profile": "shop"}, {}, "shop", False),
        ({"profile": "shop"}, {"AWS_PROFILE": "other"}, "shop", False),
        ({}, {"AWS_PROFILE": "other"}, "other", False),
        ({"profile": ""}, {"AWS_PROFILE": "other"}, None, False),
        ({"profile": "shop"}, KEYS, None, True),
        ({"profile": "shop"}, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, None, True),
        ({"profile": "shop"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, None, True),
        ({"profile": "shop"}, {"AWS_ACCESS_KEY_ID": "half"}, "shop", False),
        ({}, KEYS, None, False),
    ],
)
def test_profile(aws: dict[str, str], environ: dict[str, str], profile: str | None, noticed: bool) -> None:
    config = account_config(environment(aws), environ, None)
    assert config.profile == profile
    assert bool(config.notices) is noticed


def test_a_further_account_inherits_the_way_but_not_the_role() -> None:
    payments = AwsTarget(region="us-east-1")
    whole = environment(
        {
            "region": "eu-west-1",
            "profile": "shop",
            "role_arn": "arn:r",
            "account": "1",
            "endpoint_url": "http://127.0.0.1:1",
        },
        accounts={"payments": payments},
    )
    config = account_config(whole, {}, "payments")
    assert (config.region, config.profile, config.endpoint_url) == ("us-east-1", "shop", "http://127.0.0.1:1")
    assert (config.role_arn, config.account) == (None, None)


@pytest.mark.parametrize(
    ("aws", "environ", "endpoint"),
    [
        ({}, {}, None),
        ({}, {"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        ({}, {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://b"}, "http://b"),
        ({}, {"AWS_ENDPOINT_URL_SQS": "http://b"}, None),
        ({}, {"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None),
        ({"endpoint_url": "http://file"}, {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://b"}, "http://file"),
    ],
)
def test_endpoint(aws: dict[str, str], environ: dict[str, str], endpoint: str | None) -> None:
    assert endpoint_for(account_config(environment(aws), environ, None), "CloudWatch Logs", environ) == endpoint


@pytest.mark.parametrize(
    ("demo", "aws", "environ", "dummy"),
    [
        (True, {"endpoint_url": "http://127.0.0.1:4566"}, {}, True),
        (True, {"endpoint_url": "http://127.0.0.1:4566"}, KEYS, True),
        (True, {}, {"AWS_ENDPOINT_URL": "http://localhost:4566"}, True),
        (True, {"endpoint_url": "http://127.0.0.1:4566", "profile": "mine"}, {}, False),
        (True, {"endpoint_url": "https://aws.example"}, KEYS, False),
        (True, {}, {}, False),
        (False, {"endpoint_url": "http://127.0.0.1:4566"}, KEYS, False),
    ],
)
def test_the_demo_uses_dummy_keys_on_this_machine_only(
    demo: bool, aws: dict[str, str], environ: dict[str, str], dummy: bool
) -> None:
    keys = account_config(environment(aws, demo=demo), environ, None).keys
    assert (keys is not None and keys[0] == DUMMY_KEY) is dummy


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:4566", True),
        ("http://localhost", True),
        ("http://s3.localhost", True),
        ("http://10.0.0.1", False),
        ("https://logs.eu-west-1.amazonaws.com", False),
        ("http://127.0.0.1.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(url: str | None, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_importing_the_sdk_leaves_httpx_alone_and_importable() -> None:
    script = """
import sys
from prodwatch.aws.credentials import account_config, new_session
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import Environment
new_session(account_config(Environment(name="t", title="t", source=SourcePosition("t")), {}, None), {})
assert "aiobotocore" in sys.modules
assert not {"httpx", "httpx2"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_room_imports_no_sdk_by_itself() -> None:
    script = """
import sys
import prodwatch.aws.aws_calls, prodwatch.aws.stacks, prodwatch.aws.secrets
import prodwatch.aws.iam_actions, prodwatch.aws.cli_command
assert not {"aiobotocore", "botocore", "boto3", "aiohttp"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
