"""The demo's own project files: they load, name existing resources, and give each moment's verdict."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prodwatch.demo.shop import resource_names
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.scenario import load
from prodwatch.demo.shop.signal_history import ShopHistory
from prodwatch.demo.shop.stack_resources import template
from prodwatch.model.environment import RELEASE_VERSION
from prodwatch.settings import Project, demo_root, load_project

ROOT = demo_root()
FILES = [*sorted(ROOT.glob("checks/**/*.toml")), ROOT / "config" / "demo.toml"]
WANTED = {
    "http",
    "flow",
    "lambda",
    "dynamodb",
    "sqs",
    "aws",
    "logs",
    "traces",
    "metric",
    "alarm",
    "release",
    "tcp",
    "stack",
}


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(root=ROOT, env="demo", environ={})


def test_the_project_loads_and_has_every_aws_type(project: Project) -> None:
    checks = [item for item in project.checks if item.source.file.startswith(("checks/shop/", "checks/release/"))]
    assert {item.type for item in checks} >= WANTED
    assert sum(item.kind == "smoke" for item in checks) == 16
    assert all(item.owner and item.tags for item in checks)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_begin_with_their_schema(path: Path) -> None:
    assert path.read_text("utf-8").startswith("#:schema ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_stack_output_exists(path: Path) -> None:
    outputs = template("http://127.0.0.1:1/_shop")["Outputs"]
    assert set(re.findall(r"stack\.shop\.(\w+)", path.read_text("utf-8"))) <= outputs.keys()


def test_everything_that_the_environment_watches_exists(project: Project) -> None:
    environment = project.environment
    history = ShopHistory(Timeline(load("bad"), opened_s=1_795_183_432, at="during"), seed=42)
    series = [(namespace, metric, dict(dimensions)) for namespace, metric, dimensions in history.metric_names()]
    for metric in environment.metrics:
        for version in ("41", "42"):
            filled = {name: RELEASE_VERSION.sub(version, value) for name, value in metric.dimensions.items()}
            assert (metric.namespace, metric.metric, filled) in series
    groups = set(history.log_groups())
    for function in environment.functions:
        assert f"/aws/lambda/{function.name}" in groups
    covered = {group for group in groups for item in environment.logs if group.startswith(item.group.removesuffix("*"))}
    assert covered == groups
    assert environment.stacks["shop"].name == resource_names.STACK
    assert environment.release.codedeploy == (resource_names.APPLICATION,)
    assert environment.secrets["health_token"].ssm == resource_names.HEALTH_TOKEN
    assert environment.secrets["partner_key"].secretsmanager == resource_names.PARTNER_SECRET
    assert environment.demo is not None
    assert environment.demo.scenario == "bad"


RED = {
    "release/release/no-shop-alarm-fires": "firing",
    "shop/orders/order-in-euros": "status",
    "shop/orders/orders-answer-in-time": "latency",
}


@pytest.mark.slow
@pytest.mark.parametrize("at", ["before", "during", "after"])
def test_the_verdict_of_each_moment(at: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prodwatch", "check", "--env", "demo", "--at", at, "--json"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    result = json.loads(done.stdout)
    red = {item["id"]: item for item in result["checks"] if item["status"] not in {"pass", "degraded"}}
    assert red.keys() == (RED.keys() if at == "during" else set()), [item["message"] for item in red.values()]
    assert done.returncode == (1 if at == "during" else 0)
    for name, check in red.items():
        assert check["status"] == "fail"
        assert RED[name] in json.dumps([check["assertions"], check.get("steps")])
