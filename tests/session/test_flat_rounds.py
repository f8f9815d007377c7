"""Connections, file descriptors and memory of a session stay flat over ten thousand rounds."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from prodwatch.model.event import CheckFinished
from prodwatch.model.status import Status
from prodwatch.runner import RoundPlan, RunOptions
from prodwatch.session.engine import open_engine
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from tests.support.raw_web import RawWeb

pytestmark = pytest.mark.slow

ROUNDS = 10_000
WARM_UP = 1_000
"""Rounds after which nothing grows any more."""
AWS_EVERY = 20
"""Rounds for each read of AWS, which costs ten times as much processor time as a request."""
MOST_GROWTH_BYTES = 8_000_000
"""A session that kept 1 KB of each round would grow by more."""
ENVIRONMENT = """
title = "Flat"
[aws]
region = "eu-west-1"
endpoint_url = "{url}"
"""
CHECKS = """
[[check]]
name = "one"
type = "http"
url = "{url}/one"
expect = ["status == 200", "json.ok == true"]

[[check]]
name = "depth"
type = "sqs"
operation = "depth"
queue = "{url}/123456789012/inbox"
expect = ["depth == 0"]

[[check]]
name = "journey"
type = "flow"

[[check.step]]
name = "first"
type = "http"
url = "{url}/first"
expect = ["status == 200"]
capture = {{ ok = "json.ok" }}

[[check.step]]
name = "second"
type = "http"
url = "{url}/second?of=${{captured.ok}}"
expect = ["json.ok == true"]
"""
DEPTH = (
    b'{"Attributes":{"ApproximateNumberOfMessages":"0","ApproximateNumberOfMessagesNotVisible":"0",'
    b'"ApproximateNumberOfMessagesDelayed":"0"}}'
)


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_descriptors_connections_and_memory_are_flat_over_ten_thousand_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path / "state"))
    web = RawWeb()
    await web.start()
    web.routes["POST /"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(DEPTH), DEPTH)
    )
    for folder, text in (("config", ENVIRONMENT), ("checks", CHECKS)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.toml").write_text(text.format(url=web.url))
    project = load_project(root=tmp_path, env="t", environ=dict(os.environ))
    ids = [each.id for each in project.checks]
    without_aws = [each for each in ids if not each.endswith("/depth")]
    seen: dict[tuple[str, Status], int] = {}
    at: dict[int, tuple[int, int, int]] = {}
    async with open_engine(project) as engine:
        store = Store(engine.clock)
        store.define(project.checks)
        plan = RoundPlan(project.checks, every_s=30)
        runner = engine.runner_for(project, store.apply_event)
        options = RunOptions(mode="dashboard")
        for number in range(1, ROUNDS + 1):
            due = without_aws if number % AWS_EVERY else ids
            for result in await runner.run_round(due, options, plan, requested=True):
                seen[result.id, result.status] = seen.get((result.id, result.status), 0) + 1
                store.apply_event(CheckFinished(result=result))
            web.requests.clear()
            if number in {WARM_UP, ROUNDS}:
                at[number] = (descriptors(), web.open_connections, resident_bytes())
        await runner.close()
    await web.stop()
    assert {status for _, status in seen} <= {Status.PASS, Status.SKIPPED}, seen
    assert sum(seen.values()) == len(without_aws) * ROUNDS + ROUNDS // AWS_EVERY
    (files_before, connections_before, bytes_before), (files, connections, bytes_after) = at[WARM_UP], at[ROUNDS]
    assert files <= files_before + 2
    assert connections <= connections_before + 1
    assert bytes_after - bytes_before < MOST_GROWTH_BYTES
