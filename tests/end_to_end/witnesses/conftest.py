"""An AWS emulator and a fault proxy that share no code with ours, each a process of an environment of its own."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.command_line import CommandLine
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
BIN = ROOT / ".venv-witnesses" / "bin"
REGION = "eu-west-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
GROUP = "/aws/lambda/orders"

CONFIG = """
title = "Witness"
protected = false
[aws]
region = "eu-west-1"
endpoint_url = "{url}"
[[function]]
name = "orders"
alias = "live"
[[logs]]
group = "/aws/lambda/orders"
"""
SIGNALS = """
[[metric]]
name = "latency"
namespace = "Shop"
metric = "Latency"
stat = "Average"
expect = ["value < 500ms"]
[[alarm]]
names = ["orders-errors"]
"""
CHECKS = """
[[check]]
name = "invoke"
type = "lambda"
mutates = false
function = "orders"
qualifier = "live"
payload = { n = 7 }
expect = ["payload.version == '2'", "payload.code == 'two'", "payload.echo == 7", "executed_version == '2'"]
[[check]]
name = "raises"
type = "lambda"
mutates = false
function = "orders"
qualifier = "live"
payload = { fail = true }
# The emulator's errorType is `Runtime.HandlerError`; Lambda documents the name of the exception's class.
expect = ["function_error == 'Unhandled'", "payload.errorMessage contains 'boom'"]
[[check]]
name = "item"
type = "dynamodb"
table = "orders"
key = { id = "a-1" }
expect = ["item.total == 12.5"]
[[check]]
name = "absent"
type = "dynamodb"
table = "orders"
key = { id = "never" }
expect = ["item absent"]
[[check]]
name = "object"
type = "s3"
bucket = "receipts"
key = "a.json"
expect = ["json.ok == true"]
[[check]]
name = "queue"
type = "sqs"
queue = "inbox"
expect = ["depth == 1"]
[[check]]
name = "lines"
type = "logs"
group = "/aws/lambda/orders"
filter = "ERROR"
since = "10m"
expect = ["count == 1"]
[[check]]
name = "latency"
type = "metric"
namespace = "Shop"
metric = "Latency"
window = "10m"
expect = ["value == 120ms"]
[[check]]
name = "alarm"
type = "alarm"
names = ["orders-errors"]
expect = ["all alarms[].state == 'OK'"]
[[check]]
name = "who"
type = "aws"
service = "sts"
operation = "GetCallerIdentity"
expect = ["Account == '000000000000'"]
[[check]]
name = "release"
type = "release"
function = "orders"
alias = "live"
expect = ["version == '2'"]
"""
CODE = """
def handler(event, context):
    print("handled by {name}")
    if event.get("fail"):
        raise ValueError("boom")
    return {{"version": context.function_version, "code": "{name}", "echo": event.get("n")}}
"""


class Proxy:
    """The fault proxy; its rules say which calls it breaks, and how."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """Replace all rules."""
        body = json.dumps(rules).encode()
        request = urllib.request.Request(f"{self.url}/_microburst/rules", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()

    def fired(self) -> int:
        """Return how many faults were injected since the proxy was started."""
        with urllib.request.urlopen(f"{self.url}/_microburst/fired?limit=100000", timeout=30) as response:
            return len(json.load(response))


def _installed() -> None:
    """Set the environment up; without it the tests are skipped in one line, and in CI they fail."""
    if (BIN / "microburst").exists() and (BIN / "ministack").exists():
        return
    done = subprocess.run([ROOT / ".ci" / "setup", "witnesses"], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"the outside witnesses cannot be installed: {done.stderr.strip().splitlines()[-1:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _reserved_port() -> int:
    """Return a port that only a server which asks for this number gets.

    A connection that the server's side has closed stays in TIME_WAIT, where the kernel chooses its port for no other
    socket for a minute; a server binds it all the same, because servers set SO_REUSEADDR.
    """
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
        return int(server.getsockname()[1])


@contextmanager
def _running(command: Sequence[str | Path], health: str, environ: Mapping[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ}, stdout=log, stderr=log
        )
        try:
            asyncio.run(until(lambda: process.poll() is not None or _responds(health), f"{health} never responded"))
            assert process.poll() is None, Path(log.name).read_text()
            yield
        finally:
            process.kill()  # the proxy would wait for responses that it holds back
            process.wait()


def _responds(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def _package(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", CODE.format(name=name))
    return buffer.getvalue()


def _seed(url: str) -> None:
    """Create a function with two versions and an alias, a table, a bucket, a queue, log lines, a metric, an alarm."""

    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=url, region_name=REGION, **keys)  # type: ignore[call-overload]

    functions = client("lambda")
    functions.create_function(
        FunctionName="orders",
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/orders",
        Handler="app.handler",
        Code={"ZipFile": _package("one")},
        Publish=True,
    )
    functions.update_function_code(FunctionName="orders", ZipFile=_package("two"), Publish=True)
    functions.create_alias(FunctionName="orders", Name="live", FunctionVersion="2")
    client("dynamodb").create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("dynamodb").put_item(TableName="orders", Item={"id": {"S": "a-1"}, "total": {"N": "12.50"}})
    client("s3").create_bucket(Bucket="receipts", CreateBucketConfiguration={"LocationConstraint": REGION})
    client("s3").put_object(Bucket="receipts", Key="a.json", Body=b'{"ok": true}')
    queue = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    client("sqs").send_message(QueueUrl=queue, MessageBody='{"n": 1}')
    logs, now = client("logs"), datetime.now(UTC)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="2026/01/15/[2]abc")
    events = [
        {"timestamp": int(now.timestamp() * 1000) - 5000 + n, "message": f"line {n}{' ERROR' if n == 3 else ''}"}
        for n in range(20)
    ]
    logs.put_log_events(logGroupName=GROUP, logStreamName="2026/01/15/[2]abc", logEvents=events)
    metrics = client("cloudwatch")
    point = {"MetricName": "Latency", "Value": 120.0, "Unit": "Milliseconds", "Timestamp": now - timedelta(minutes=3)}
    metrics.put_metric_data(Namespace="Shop", MetricData=[point])
    metrics.put_metric_alarm(
        AlarmName="orders-errors",
        Namespace="Shop",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    metrics.set_alarm_state(AlarmName="orders-errors", StateValue="OK", StateReason="as seeded")


def _ask_for_traces(url: str) -> None:
    """Make the first X-Ray request: the emulator stops responding for many seconds before it refuses it."""
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260115/{REGION}/xray/aws4_request"}
    request = urllib.request.Request(f"{url}/TraceSummaries", b"{}", headers)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=60)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the emulator, with a small shop in it."""
    _installed()
    folder, port = tmp_path_factory.mktemp("emulator"), _reserved_port()
    url = f"http://127.0.0.1:{port}"
    environ = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    with _running([BIN / "ministack"], f"{url}/_ministack/health", environ, folder):
        _seed(url)
        _ask_for_traces(url)
        yield url


@pytest.fixture(scope="session")
def proxy(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The fault proxy in front of the emulator, with its models of the services loaded."""
    port = _reserved_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [BIN / "microburst", "--upstream", emulator, "--port", str(port)]
    with _running(command, f"{url}/_microburst/rules", {}, tmp_path_factory.mktemp("proxy")):
        warm = CommandLine(tmp_path_factory.mktemp("warm"))
        write(warm, url)
        warm.run("check", "--env", "t")
        yield Proxy(url)


def write(commands: CommandLine, url: str, *, signals: bool = False) -> None:
    """Write the project whose AWS is at `url`."""
    commands.environ |= KEYS
    commands.write("config/t.toml", CONFIG.format(url=url) + (SIGNALS if signals else ""))
    commands.write("checks/c.toml", CHECKS)


@pytest.fixture
def commands(tmp_path: Path) -> CommandLine:
    """An empty project."""
    return CommandLine(tmp_path)
