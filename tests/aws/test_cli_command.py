"""The aws command equals the call and is safe to paste."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.aws.cli_command import aws_command

CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("sqs", "GetQueueUrl", {"QueueName": "inbox"}, "aws sqs get-queue-url --queue-name inbox"),
    (
        "dynamodb",
        "GetItem",
        {"TableName": "orders", "Key": {"id": {"S": "o-1"}}, "ConsistentRead": True},
        """aws dynamodb get-item --table-name orders --key '{"id":{"S":"o-1"}}' --consistent-read""",
    ),
    ("codedeploy", "GetDeployment", {"deploymentId": "d-1"}, "aws deploy get-deployment --deployment-id d-1"),
    ("s3", "HeadObject", {"Bucket": "b", "Key": "it's"}, """aws s3api head-object --bucket b --key 'it'"'"'s'"""),
    ("s3", "GetObject", {"Bucket": "b", "Key": "k"}, "aws s3api get-object --bucket b --key k /dev/stdout"),
    ("s3", "PutObject", {"Bucket": "b", "Key": "k", "Body": b"a b"}, "printf %s 'a b' | aws s3 cp - s3://b/k"),
    (
        "lambda",
        "Invoke",
        {"FunctionName": "f", "Payload": b'{"a":1}'},
        """aws lambda invoke --function-name f --payload '{"a":1}' --cli-binary-format raw-in-base64-out /dev/stdout""",
    ),
    ("logs", "FilterLogEvents", {"filterPattern": "-x"}, "aws logs filter-log-events --filter-pattern=-x"),
    (
        "cloudwatch",
        "DescribeAlarms",
        {"AlarmNames": ["a b"]},
        """aws cloudwatch describe-alarms --alarm-names '["a b"]'""",
    ),
    (
        "xray",
        "GetTraceSummaries",
        {"StartTime": datetime(2026, 1, 1, tzinfo=UTC), "Sampling": False},
        "aws xray get-trace-summaries --start-time 2026-01-01T00:00:00+00:00 --no-sampling",
    ),
    (
        "sqs",
        "SendMessage",
        {"QueueUrl": "q", "MessageBody": "file:///etc/passwd"},
        """aws sqs send-message --cli-input-json '{"QueueUrl": "q", "MessageBody": "file:///etc/passwd"}'""",
    ),
    (
        "sqs",
        "SendMessage",
        {"MessageBody": "a\n\x1b[2J\u202eb"},
        r"aws sqs send-message --message-body $'a\x0a\x1b[2J\xe2\x80\xaeb'",
    ),
    ("sqs", "SendMessage", {"N": Decimal("1.5")}, "aws sqs send-message --n 1.5"),
]


@pytest.mark.parametrize(("service", "operation", "params", "command"), CASES)
def test_commands(service: str, operation: str, params: dict[str, Any], command: str) -> None:
    assert aws_command(service, operation, params) == command


def test_region_profile_and_endpoint_come_last() -> None:
    command = aws_command("sts", "GetCallerIdentity", {}, region="eu-west-1", profile="a b", endpoint_url="http://x")
    assert command == "aws sts get-caller-identity --region eu-west-1 --profile 'a b' --endpoint-url http://x"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40))
def test_a_shell_reads_back_exactly_what_was_meant(text: str) -> None:
    command = aws_command("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": text})
    assert all(character.isprintable() for character in command)
    script = f'aws() {{ for each in "$@"; do printf "%s\\0" "$each"; done; }}\n{command}'
    words = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    assert words[:4] == ["sqs", "send-message", "--queue-url", "q"] or words[2] == "--cli-input-json"
    if words[2] == "--cli-input-json":
        assert json.loads(words[3])["MessageBody"] == text
    else:
        assert words[4:] in (["--message-body", text], [f"--message-body={text}"])
