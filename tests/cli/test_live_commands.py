"""`logs`, `traces`, `metrics` and `doctor` as people run them: processes over the embedded AWS, without a project."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prodwatch.demo.process import DemoServer, start_demo

pytestmark = pytest.mark.slow  # each starts the demo in a process of its own

PRODWATCH = [sys.executable, "-m", "prodwatch"]
ORDERS = ["logs", "--group", "/aws/lambda/shop-orders", "--region", "eu-west-1"]
WORKER = ["logs", "--group", "/shop/worker", "--region", "eu-west-1"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def during() -> Iterator[DemoServer]:
    with start_demo(at="during") as server:
        yield server


@pytest.fixture
def environ(during: DemoServer, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "AWS_ENDPOINT_URL": during.url,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PRODWATCH_STATE_DIR": str(tmp_path / "state"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PRODWATCH, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return call


@pytest.mark.parametrize("name", ["logs", "traces", "metrics", "doctor", "iam-policy"])
def test_help_loads_nothing_heavy(name: str) -> None:
    code = (
        "import sys; from prodwatch.cli.main import run; run(sys.argv[1:]); "
        "sys.exit(sorted({'asyncio', 'aiohttp', 'botocore', 'jmespath', 'rich', 'textual'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, name, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_window_of_logs_comes_in_order_each_line_once_and_ends(run: Run) -> None:
    done = run(*ORDERS, "--since", "90s", "--until", "60s", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(each) for each in done.stdout.splitlines()]
    assert len(lines) > 100
    assert [each["timestamp"] for each in lines] == sorted(each["timestamp"] for each in lines)
    assert len({each["event_id"] for each in lines}) == len(lines)
    assert done.stderr.startswith(f"prodwatch: {len(lines):,} lines · ")


def test_errors_of_a_version_as_text_over_a_prefix(run: Run) -> None:
    done = run(
        *("logs", "--group", "/aws/lambda/shop-*", "--region", "eu-west-1", "--since", "2m", "--until", "30s"),
        *("--errors", "--version", "42", "--filter", "KeyError !kind:report"),
    )
    assert done.returncode == 0, done.stderr
    heads = [each for each in done.stdout.splitlines() if not each.startswith(" ")]
    assert heads
    assert all(each.split()[1:4] == ["ERROR", "shop-orders:42", "KeyError:"] for each in heads)
    assert "\x1b" not in done.stdout


def test_until_idle_ends_when_nothing_more_comes(run: Run) -> None:
    done = run(*WORKER, "--since", "1m", "--filter", "no such text", "--until-idle", "0s")
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 lines of " in done.stderr
    assert "; lines that become visible later are not included" in done.stderr


PROJECT = """\
title = "Shop"
[aws]
region = "eu-west-1"
[[function]]
name = "shop-orders"
alias = "live"
[release]
codedeploy = "shop"
"""


def test_since_the_release_and_its_version_in_a_project(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "shop.toml").write_text(PROJECT)
    asked = ["--since", "release", "--no-follow", "--json"]
    logs = run("logs", "shop-orders", *asked, "--version", "release")
    assert logs.returncode == 0, logs.stderr
    lines = [json.loads(each) for each in logs.stdout.splitlines()]
    assert {(each["group"], each["version"]) for each in lines} == {("/aws/lambda/shop-orders", "42")}
    metrics = run("metrics", *asked)
    assert metrics.returncode == 0, metrics.stderr
    assert {"41", "42"} <= {json.loads(each).get("version") for each in metrics.stdout.splitlines()}
    traces = run("traces", *asked, "--errors")
    assert traces.returncode == 0, traces.stderr
    assert {json.loads(each)["verdict"] for each in traces.stdout.splitlines()} <= {"fault", "error", "throttle"}


def test_a_group_somebody_named_that_is_not_there_exits_3(run: Run) -> None:
    done = run("logs", "--group", "/shop/nope", "--region", "eu-west-1", "--until-idle", "0s")
    assert done.returncode == 3
    assert "not read completely: /shop/nope" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["logs", "--group", "g", "--since", "soon"], '"soon" is not a time'),
        (["logs", "--group", "g", "--region", "r", "--since", "1m", "--until", "2m"], "is not after --since"),
        (["logs", "--group", "g", "--until", "now", "--until-idle"], "exclude each other"),
        (["logs", "--group", "g", "--filter", "/(/"], "is not a regular expression"),
        (["logs", "--group", "g", "--region", "r", "--since", "release"], "has no release"),
        (["logs"], "no config/*.toml"),
        (["metrics", "--namespace", "x"], "--namespace and --metric need each other"),
        (["traces", "--id", "x"], "is not a trace id"),
        (["traces", "--region", "r", "--wait"], "--wait needs --id"),
    ],
    ids=" ".join,
)
def test_a_wrong_option_exits_2_and_says_why(run: Run, arguments: list[str], told: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"])
def test_following_ends_in_order_when_it_is_told_to(
    environ: dict[str, str], tmp_path: Path, number: int, code: int
) -> None:
    with subprocess.Popen(
        [*PRODWATCH, *ORDERS], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert out.endswith(b"\n") or not out
    assert b"Traceback" not in err
    assert b" lines" in err


def test_a_reader_that_has_enough_is_no_error(environ: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PRODWATCH, *ORDERS, "--json"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(30) == 0
    assert err == b""


def test_a_reader_that_takes_nothing_holds_nobody_up(environ: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PRODWATCH, *ORDERS, "--since", "30m"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)  # it writes by now, and soon the pipe is full
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert b"Traceback" not in process.stderr.read()


def test_traces_and_one_of_them_as_a_waterfall(run: Run) -> None:
    listed = run("traces", "--region", "eu-west-1", "--since", "2m", "--until", "30s", "--errors", "--json")
    assert listed.returncode == 0, listed.stderr
    first = json.loads(listed.stdout.splitlines()[0])
    assert first["verdict"] in {"fault", "error", "throttle"}
    shown = run("traces", "--region", "eu-west-1", "--id", first["id"])
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(first["id"])
    assert "█" in shown.stdout
    absent = run("traces", "--region", "eu-west-1", "--wait", "1s", "--id", "1-00000001-000000000000000000000000")
    assert (absent.returncode, absent.stdout) == (3, "")
    assert "after 1 s" in absent.stderr


def test_one_metric_as_table_and_points(run: Run) -> None:
    asked = ["metrics", "--region", "eu-west-1", "--namespace", "Shop", "--metric", "CheckoutMs", "--stat", "p95"]
    asked += ["--dimension", "service=orders", "--until-idle"]
    table = run(*asked)
    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines()[1].startswith("Shop CheckoutMs p95")
    points = [json.loads(each) for each in run(*asked, "--json").stdout.splitlines()]
    assert {each["dimensions"]["service"] for each in points} == {"orders"}
    assert len({each["timestamp"] for each in points}) == len(points) > 5
    none = run(*asked[:5], "--metric", "Nothing", "--until-idle")
    assert "no data" in none.stdout


def test_the_doctor_finds_the_demo_healthy(environ: dict[str, str], tmp_path: Path) -> None:
    demo = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*PRODWATCH, "doctor", "--env", "demo", "--at", "during", "--json"],
        cwd=tmp_path,
        env=demo,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), done.stdout
    states = {each["action"]: each["state"] for each in report["findings"] if each["area"] == "permissions"}
    assert states["logs:FilterLogEvents"] == states["lambda:InvokeFunction"] == "ok"
    assert states["dynamodb:DeleteItem"] == "skipped"
