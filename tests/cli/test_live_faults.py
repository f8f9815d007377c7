"""What AWS refuses, delays or drops: each command says it in one sentence, counts it, and ends as documented."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prodwatch.cli.main import run
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Fault, Kind
from tests.support.command_line import Ended

GROUP = "/aws/lambda/shop-faults"
OTHER = "/aws/lambda/shop-other"
LINES = 30
METRIC = ["--namespace", "Shop", "--metric", "CheckoutMs", "--stat", "Average"]
Call = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedAws]:
    """An AWS in a thread of its own: the commands run loops of theirs."""
    aws = EmbeddedAws()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(aws.start(), loop).result(30)
    yield aws
    asyncio.run_coroutine_threadsafe(aws.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def world(server: EmbeddedAws) -> Iterator[EmbeddedAws]:
    server.faults.clear()
    for group in (GROUP, OTHER):
        server.logs.delete_group(group)
        server.logs.create_group(group)
    now_ms = int(time.time() * 1000)
    for number in range(LINES):
        level = "ERROR" if number % 10 == 0 else "INFO"
        text = json.dumps({"level": level, "message": f"line {number}", "order": number})
        server.logs.put(GROUP, "2026/01/01/[7]abc", [(now_ms - 20_000 + number, text)])
    server.logs.put(OTHER, "s", [(now_ms - 19_000, "from the other group")])
    yield server
    server.faults.clear()


@pytest.fixture
def prodwatch(
    world: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Call:
    """Run a command line in this process, in an empty folder, as somebody without a project does."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "PRODWATCH_ENV", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    environ = {
        "AWS_ENDPOINT_URL": world.url,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": world.region,
        "PRODWATCH_STATE_DIR": str(tmp_path / "state"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ended:
        code = run(arguments)
        captured = capfdbinary.readouterr()
        return Ended(code, captured.out.decode(), captured.err.decode())

    return call


COMMANDS = {
    "logs": (["logs", GROUP, "--no-follow"], "logs:FilterLogEvents", f'log group "{GROUP}"'),
    "traces": (["traces", "--no-follow"], "xray:GetTraceSummaries", "xray GetTraceSummaries"),
    "metrics": (["metrics", *METRIC, "--no-follow"], "cloudwatch:GetMetricData", "cloudwatch GetMetricData"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_denial_names_action_and_resource_and_exits_3(world: EmbeddedAws, prodwatch: Call, name: str) -> None:
    arguments, action, subject = COMMANDS[name]
    world.faults.add(Fault(operation=action, kind="access_denied"))
    done = prodwatch(*arguments)
    assert done.code == 3
    assert f"permission {action} is missing (prodwatch iam-policy prints the whole policy)" in done.err
    assert subject in done.err
    assert "not read completely" in done.err
    assert "Traceback" not in done.said


@pytest.mark.parametrize("name", COMMANDS)
def test_following_what_may_not_be_read_ends_instead_of_keeping_silent(
    world: EmbeddedAws, prodwatch: Call, name: str
) -> None:
    arguments, action, _ = COMMANDS[name]
    world.faults.add(Fault(operation=action, kind="access_denied"))
    done = prodwatch(*arguments[:-1])
    assert done.code == 3
    assert f"permission {action} is missing" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("throttle", " throttled"),
        ("error_5xx", None),
        ("drop", None),
        ("drop_after", None),
        ("truncate", None),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_passes_is_survived_and_counted(
    world: EmbeddedAws, prodwatch: Call, name: str, kind: Kind, told: str | None
) -> None:
    arguments, action, _ = COMMANDS[name]
    world.faults.add(Fault(operation=action, kind=kind, count=1))
    done = prodwatch(*arguments, "--json")
    assert done.code == 0, done.err
    assert "Traceback" not in done.said
    if told:
        assert f"1{told}" in done.err.splitlines()[0]
    if name == "logs":
        lines = [json.loads(each) for each in done.out.splitlines()]
        assert [each["message"] for each in lines] == [f"line {number}" for number in range(LINES)]


def test_expired_credentials_end_a_window_with_what_renews_them(world: EmbeddedAws, prodwatch: Call) -> None:
    world.faults.add(Fault(operation="*", kind="expired_token"))
    done = prodwatch("logs", GROUP, OTHER, "--no-follow")
    assert done.code == 3
    assert done.err.count("have expired") == 1
    assert "export new ones and start prodwatch again" in done.err


@pytest.mark.slow
def test_nobody_at_the_endpoint_is_said_as_such(prodwatch: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = prodwatch("logs", "--list")
    assert done.code == 3
    assert "no connection at http://127.0.0.1:9" in done.err or "no connection in" in done.err


CONFIG = """\
title = "Prod"
protected = false
[aws]
account = "123456789012"
[[function]]
name = "shop-faults"
[[alarm]]
prefix = "shop-"
"""


@pytest.mark.slow
def test_the_doctor_says_what_each_missing_permission_disables(world: EmbeddedAws, prodwatch: Call) -> None:
    config = Path.cwd() / "config" / "prod.toml"
    config.parent.mkdir()
    config.write_text(CONFIG)
    for action in ("logs:FilterLogEvents", "cloudwatch:GetMetricData"):
        world.faults.add(Fault(operation=action, kind="access_denied"))
    done = prodwatch("doctor", "--env", "prod", "--json")
    assert done.code == 3
    found = [each for each in json.loads(done.out)["findings"] if each["state"] == "problem"]
    assert {each["action"]: each["disables"] for each in found} == {
        "logs:FilterLogEvents": ["logs"],
        "cloudwatch:GetMetricData": ["metrics"],
    }
    assert not any("CreateLogGroup" in operation for _, operation in world.calls)


def test_the_doctor_sends_nothing_to_another_account(world: EmbeddedAws, prodwatch: Call) -> None:
    config = Path.cwd() / "config" / "prod.toml"
    config.parent.mkdir()
    config.write_text(CONFIG.replace("123456789012", "999999999999"))
    world.calls.clear()
    done = prodwatch("doctor", "--env", "prod")
    assert done.code == 3
    assert "belong to AWS account 123456789012" in done.out
    assert {operation for _, operation in world.calls} == {"GetCallerIdentity"}


@pytest.mark.slow
def test_at_the_cost_cap_metrics_stop_and_say_so_and_logs_go_on(world: EmbeddedAws, prodwatch: Call) -> None:
    config = Path.cwd() / "config" / "prod.toml"
    config.parent.mkdir()
    config.write_text(CONFIG + "[limits]\napi_cost_usd = 0.000001\n")
    metrics = prodwatch("metrics", "--env", "prod", "--no-follow")
    assert metrics.code == 3
    assert "metrics: stopped: cloudwatch GetMetricData would bring the run's AWS cost to" in metrics.err
    assert "that [limits] api_cost_usd allows; raise the limit" in metrics.err
    assert "not read completely: metrics" in metrics.err
    logs = prodwatch("logs", "--env", "prod", "--no-follow", "--format", "raw")
    assert (logs.code, len(logs.out.splitlines())) == (0, LINES)


FORMATS = {
    "raw": r'{"level":"ERROR","message":"line 0","order":0}',
    "short": r"\d\d:\d\d:\d\d\.\d{3} line 0",
    "text": r"\d\d:\d\d:\d\d\.\d{3} ERROR 7 +line 0.*",
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_each_format_shows_a_line_its_way(prodwatch: Call, form: str) -> None:
    done = prodwatch("logs", "-g", GROUP, "--no-follow", "--format", form, "--errors")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert len(lines) == LINES // 10
    assert re.fullmatch(FORMATS[form], lines[0])


@pytest.mark.slow
def test_several_groups_a_prefix_and_the_names_of_all(prodwatch: Call) -> None:
    both = prodwatch("logs", "/aws/lambda/shop-*", "--no-follow", "--format", "raw")
    assert both.code == 0, both.err
    assert "from the other group" in both.out
    assert len(both.out.splitlines()) == LINES + 1
    listed = prodwatch("logs", "--list")
    assert {GROUP, OTHER} <= set(listed.out.splitlines())
    named = prodwatch("logs", "--list", OTHER, "--json")
    assert [json.loads(each)["group"] for each in named.out.splitlines()] == [OTHER]


@pytest.mark.slow
def test_a_pattern_is_judged_by_aws(prodwatch: Call) -> None:
    done = prodwatch("logs", GROUP, "--no-follow", "--pattern", '{ $.level = "ERROR" }', "--format", "raw")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == LINES // 10
    assert f"{LINES // 10} lines ·" in done.err, "the others were never fetched"


@pytest.mark.slow
def test_what_somebody_named_and_is_not_there_is_no_success(prodwatch: Call) -> None:
    prefix = prodwatch("logs", "/nope/*", OTHER, "--no-follow", "--format", "raw")
    assert (prefix.code, prefix.out) == (3, "from the other group\n")
    assert "not read completely: /nope/*" in prefix.err
    bare = prodwatch("logs", "shop-faults", "--no-follow")
    assert bare.code == 3
    assert "not read completely: shop-faults (the group of a Lambda function is /aws/lambda/shop-faults)" in bare.err
    arn = prodwatch("logs", "arn:aws:logs:eu-west-1:123456789012:log-group:/shop/gone:*", "--no-follow")
    assert arn.code == 3
    assert arn.err.rstrip().endswith("/shop/gone")
    none = prodwatch("logs", "--list", "/nope/*")
    assert (none.code, none.out) == (0, "")
    assert "no such log group" in none.err


@pytest.mark.slow
def test_times_are_read_and_shown_in_utc_when_asked(prodwatch: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        utc = prodwatch("logs", OTHER, "--no-follow", "--utc", "--format", "short").out
        local = prodwatch("logs", OTHER, "--no-follow", "--format", "short").out
        since = time.strftime("%H:%M:%S", time.gmtime(time.time() - 60))
        window = prodwatch("logs", OTHER, "--no-follow", "--utc", "--since", since)
    finally:
        monkeypatch.undo()
        time.tzset()
    hours = [int(re.search(r"(\d\d):\d\d:\d\d\.", each)[1]) for each in (utc, local)]  # type: ignore[index]
    assert (hours[0] + 9) % 24 == hours[1]
    assert "from the other group" in window.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--until", "now", "--no-follow"], "exclude each other"),
        (["--until-idle", "--no-follow"], "exclude each other"),
        (["--follow", "--until-idle"], "--follow and --until or --until-idle exclude each other"),
        (["--json", "--format", "raw"], "exclude each other"),
        (["--format", "yaml"], "'yaml' is not one of"),
        (["--filter", '{ $.level = "ERROR" }'], "is a CloudWatch filter pattern; pass it with --pattern"),
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused(prodwatch: Call, arguments: list[str], told: str) -> None:
    done = prodwatch("logs", GROUP, *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
