"""Production is not harmed: what was made is cleaned up, what changes something is sent once, one row per way out."""

from __future__ import annotations

import asyncio
import json
import logging
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from prodwatch.aws.interface import AwsError
from prodwatch.cli.dashboard import run_dashboard
from prodwatch.cli.options import Common
from prodwatch.cli.project import load
from prodwatch.demo.aws import Fault
from prodwatch.model.check import Poll
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.poll_loop import PollingSource
from prodwatch.sources.supervisor import Supervisor
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import flow, step
from prodwatch.tui.app import ProdwatchApp
from tests.support.case_project import CaseProject
from tests.support.command_line import PATIENCE_S, finished
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb, response
from tests.support.terminal import terminal

LEFT = b"\x1b[?1049l"
"""What a terminal is sent to leave the screen of the dashboard."""

TRAVELS = """
[[check]]
name = "travels"
type = "flow"
mutates = true

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.url}/row"

[[check.step]]
name = "look"
type = "http"
url = "${vars.url}/look"
timeout = "50s"

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.url}/row"
timeout = "50s"
"""


@contextmanager
def running(project: CaseProject, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    project.write("checks/c.toml", TRAVELS)
    with project.start("check", "--json", *options) as process:
        try:
            yield process
        finally:
            process.kill()


def journals(project: CaseProject) -> list[Path]:
    return list((project.home / "state").rglob("*.journal"))


def test_C1_leaving_the_dashboard_cleans_up_before_the_command_ends(
    project: CaseProject, web: RawWeb, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arrived, _ = web.hold("/look")
    project.write("checks/c.toml", TRAVELS)
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    run_async = ProdwatchApp.run_async

    async def leave(pilot: Pilot[object]) -> None:
        assert await asyncio.to_thread(arrived.acquire, timeout=PATIENCE_S), "the check never began"
        await pilot.press("q")

    async def headless(app: ProdwatchApp) -> None:
        await run_async(app, headless=True, auto_pilot=leave)

    monkeypatch.setattr(ProdwatchApp, "run_async", headless)
    common = Common(root=project.project)
    code = run_dashboard(load(common, quiet=True), common, demo=None)
    assert web.seen == ["PUT /row", "GET /look", "DELETE /row"]
    assert "travels: cleaned up" in capsys.readouterr().err
    assert not journals(project)
    assert code == 0


@pytest.mark.slow  # a terminal and a process
@pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal")
def test_C1_leaving_the_dashboard_during_a_mutating_check_cleans_up(project: CaseProject, web: RawWeb) -> None:
    arrived, release = web.hold("/look")
    project.write("checks/c.toml", TRAVELS)
    environ = project.environ | {"TERM": "xterm-256color"}
    with terminal([sys.executable, "-m", "prodwatch"], cwd=project.project, environ=environ) as here:
        here.wait_for("travels", within_s=PATIENCE_S)
        assert arrived.acquire(timeout=PATIENCE_S), "the check never began"
        here.type("q")
        code = here.wait(PATIENCE_S)
    release.set()
    assert web.seen == ["PUT /row", "GET /look", "DELETE /row"]
    assert "Traceback" not in here.text
    shell = bytes(here.written).rpartition(LEFT)[2].decode(errors="replace")
    assert "clean" in shell.lower()
    assert "travels" in shell
    assert not journals(project)
    assert code in {0, 130}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["int", "term", "hup"])
def test_C2_the_first_signal_during_a_cleanup_lets_it_finish(
    number: signal.Signals, project: CaseProject, web: RawWeb
) -> None:
    arrived, release = web.hold("/row")
    arrived_look, release_look = web.hold("/look")
    release.set()
    with running(project) as process:
        assert arrived_look.acquire(timeout=PATIENCE_S)
        assert arrived.acquire(timeout=PATIENCE_S)
        release.clear()
        release_look.set()
        assert arrived.acquire(timeout=PATIENCE_S), "the cleanup never began"
        process.send_signal(number)
        # Handled, when the command has written about it or has ended; a signal it is silent about has a second.
        assert process.stderr is not None
        select.select([process.stderr], [], [], 1.0)
        release.set()
        ended = finished(process)
    assert web.seen[-1] == "DELETE /row"
    assert ended.code in {130, 143}
    result = json.loads(ended.out)["checks"][0]
    assert [each["status"] for each in result["cleanup"]] == ["pass"]
    assert not journals(project)


async def test_C2_the_deadline_never_cuts_a_cleanup(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.script("making", {"made": 1})
    removing = bench.script("removing", {"deleted": True}, takes_s=5)
    # Steps that do not mutate write no journal: the virtual clock does not wait for the disk.
    check = flow("order", step("make", "making"), cleanup=(step("remove", "removing"),))
    result = await bench.run(check, deadline_s=2.0)
    assert len(removing.requests) == 1
    (cleanup,) = result.checks[0].cleanup
    assert (cleanup.status, cleanup.leftovers) == ("pass", ())


@pytest.mark.parametrize("deadline_s", [None, 2.0], ids=["without a deadline", "with a deadline"])
async def test_C2_what_was_left_behind_is_never_exit_0(deadline_s: float | None, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.script("making", {"made": 1})
    bench.script("removing", {"deleted": True}, takes_s=500)
    check = flow("order", step("make", "making"), cleanup=(step("remove", "removing", timeout_s=3.0),))
    result = await bench.run(check, deadline_s=deadline_s)
    assert result.checks[0].cleanup[0].leftovers
    assert result.verdict.exit_code != 0


def test_C2_a_quit_signal_cleans_up(project: CaseProject, web: RawWeb) -> None:
    arrived, _ = web.hold("/look")
    with running(project) as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        process.send_signal(signal.SIGQUIT)
        ended = finished(process)
    assert web.seen == ["PUT /row", "GET /look", "DELETE /row"]
    assert ended.code not in {0, 1}
    assert not journals(project)


def test_C6_merge_never_writes_over_a_result(project: CaseProject) -> None:
    project.write("checks/c.toml", '[[check]]\nname = "a"\ntype = "pass"\nreason = "x"\n')
    for index in (1, 2):
        project.run("check", "--shard", f"{index}/2", "--json", f"{index}.json")
    before = [(project.project / name).read_bytes() for name in ("1.json", "2.json")]
    ended = project.run("merge", "--json", "1.json", "2.json")
    assert [(project.project / name).read_bytes() for name in ("1.json", "2.json")] == before
    if ended.code == 2:
        assert "1.json" in ended.err
    else:
        assert json.loads(ended.out)["run"]["mode"] == "merge"


def test_C6_cleanup_with_json_first_still_cleans_up(project: CaseProject, web: RawWeb) -> None:
    run = killed(project, web)
    ended = project.run("cleanup", "--json", run)
    if ended.code == 2:
        assert run in ended.err
    else:
        assert web.seen[-1] == "DELETE /row"
        assert not journals(project)
    assert not (project.project / run).exists()


def test_C6_a_result_never_replaces_a_file_of_another_kind(project: CaseProject) -> None:
    project.write("checks/c.toml", '[[check]]\nname = "a"\ntype = "pass"\nreason = "x"\n')
    before = (project.project / "checks" / "c.toml").read_bytes()
    ended = project.run("check", "--json", "checks/c.toml")
    assert (project.project / "checks" / "c.toml").read_bytes() == before
    assert ended.code == 2


def killed(project: CaseProject, web: RawWeb) -> str:
    """Kill a run while it waits for `/look`; returns its id as `cleanup` lists it."""
    arrived, release = web.hold("/look")
    with running(project) as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        process.kill()
        finished(process)
    release.set()
    return project.run("cleanup").out.split()[0]


def test_C8_a_killed_run_is_cleaned_up(project: CaseProject, web: RawWeb) -> None:
    ended = project.run("cleanup", killed(project, web))
    assert ended.code == 0, ended.said
    assert web.seen[-1] == "DELETE /row"
    assert not journals(project)


def test_C8_a_killed_check_did_not_pass(project: CaseProject, web: RawWeb) -> None:
    ended = project.run("cleanup", killed(project, web))
    assert "cleaned up" in ended.out
    assert "PASS" not in ended.out


NEVER_MADE = """
[[check]]
name = "order"
type = "flow"
mutates = true

[[check.step]]
name = "look"
type = "http"
url = "${vars.url}/look"
expect = ["status == 200"]

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.url}/row"
capture = { id = "json.id" }

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.url}/row/${captured.id}"
"""


def test_C8_what_was_never_made_is_not_left_behind(project: CaseProject, web: RawWeb) -> None:
    web.routes["/look"] = response(b"{}", "500 Internal Server Error")
    found = project.checked(NEVER_MADE)
    assert found["order"]["status"] == "fail"
    assert web.seen == ["GET /look"]
    assert "${captured" not in json.dumps(found.document)
    assert [each["leftovers"] for each in found["order"]["cleanup"]] in ([], [[]])
    assert not journals(project)
    assert "order" not in project.run("cleanup").out


def test_C8_a_journal_that_cannot_be_read_is_listed_with_its_path(project: CaseProject, web: RawWeb) -> None:
    run = killed(project, web)
    (journal,) = journals(project)
    first, _, rest = journal.read_bytes().partition(b"\n")
    journal.write_bytes(first[: len(first) // 2] + b"\n" + rest)
    assert str(journal) in project.run("cleanup").said
    ended = project.run("cleanup", run)
    assert ended.code == 2
    assert str(journal) in ended.err


def test_C8_what_was_left_behind_can_be_forgotten(project: CaseProject, web: RawWeb) -> None:
    run = killed(project, web)
    count = len(web.seen)
    ended = project.run("cleanup", run, "--forget")
    assert ended.code == 0, ended.said
    assert len(web.seen) == count
    assert not journals(project)


class Failing:
    """A source that fails a number of times and then is live for good."""

    name = "failing"

    def __init__(self, failures: int, clock: FakeClock) -> None:
        self.left = failures
        self._clock = clock

    async def batches(self) -> Any:
        if self.left:
            self.left -= 1
            raise RuntimeError("expired")
        yield Batch(source=self.name, status=SourceStatus(source=self.name, phase=SourcePhase.LIVE))
        await self._clock.sleep(1e9)


async def test_C9_a_source_is_restarted_after_any_number_of_failures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="prodwatch.sources")
    clock = FakeClock()
    source = Failing(1_100, clock)
    phases: list[SourcePhase] = []
    supervisor = Supervisor(
        [source], lambda batch: phases.append(batch.status.phase) if batch.status else None, clock=clock
    )
    supervisor.start()
    for _ in range(1_200):
        await clock.advance(600)
        if phases and phases[-1] is SourcePhase.LIVE:
            break
    await supervisor.stop()
    assert phases.count(SourcePhase.FAILED) == 1_100
    assert phases[-1] is SourcePhase.LIVE


class Asked(PollingSource):
    """A source that AWS refuses a number of times, for any reason, and then answers."""

    name = "asked"

    def __init__(self, failures: int, reason: Reason, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.left = failures
        self._reason = reason

    async def poll(self) -> list[Any]:
        if self.left:
            self.left -= 1
            raise AwsError("refused", code="Refused", reason=self._reason, service="sts", operation="Any")
        return []

    def pause_s(self) -> float:
        return 1e6


@pytest.mark.parametrize(
    "reason",
    [Reason.EXPIRED_CREDENTIALS, Reason.THROTTLED, Reason.NETWORK, Reason.SERVICE, Reason.LIMIT, Reason.ACCESS_DENIED],
)
async def test_C9_a_source_that_polls_is_live_after_any_number_of_failures(reason: Reason) -> None:
    clock = FakeClock()
    source = Asked(1_100, reason, clock)
    phases: list[SourcePhase] = []

    def record(batch: Batch) -> None:
        if batch.status is not None:
            phases.append(batch.status.phase)

    async def read() -> None:
        async for batch in source.batches():
            record(batch)

    task = asyncio.create_task(read())
    for _ in range(1_200):
        await clock.advance(1_000)
        if task.done() or SourcePhase.LIVE in phases:
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert source.left == 0
    assert phases[-1] is SourcePhase.LIVE


NEVER_FILLED = """
[[check]]
name = "order"
type = "flow"
mutates = true

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "${{vars.url}}/orders"
capture = {{ id = "json.id" }}

[[check.step]]
name = "look"
type = "http"
url = "${{vars.url}}/orders/${{captured.id}}?{step}"
expect = ["body contains '{claim}'"]

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${{vars.url}}/orders/${{captured.id}}?{cleanup}"
"""
REFERENCES = [
    "${stack.shop.TabelName}",
    "${secret.token}",
    "${env.NOT_SET}",
]


@pytest.mark.parametrize("place", ["step", "claim", "cleanup"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_C10_nothing_is_sent_when_a_later_value_can_never_be_filled(
    reference: str, place: str, project: CaseProject, web: RawWeb, name: str, world: World
) -> None:
    described = (
        b"<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>shop</StackName>"
        b"<CreationTime>2026-01-01T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member>"
        b"<OutputKey>TableName</OutputKey><OutputValue>orders</OutputValue></member></Outputs></member></Stacks>"
        b"</DescribeStacksResult></DescribeStacksResponse>"
    )
    world.aws.forgeries["cloudformation:DescribeStacks"] = replaced(described, content_type="text/xml")
    web.routes["/orders"] = response(b'{"id": 7}')
    project.configure('[stacks]\nshop = "shop"\n[secrets]\ntoken = { env = "NO_TOKEN" }\n')
    places = dict.fromkeys(("step", "claim", "cleanup"), "x") | {place: reference}
    found = project.attempt(NEVER_FILLED.format(**places))
    assert web.seen == []
    assert found.code in {2, 3}
    if found.code == 3:
        assert found["order"]["status"] == "error"


def test_C10_the_same_flow_is_sent_when_all_can_be_filled(project: CaseProject, web: RawWeb) -> None:
    web.routes["/orders"] = response(b'{"id": 7}')
    found = project.checked(NEVER_FILLED.format(step="x", claim="ok", cleanup="x"))
    assert found["order"]["status"] == "pass"
    assert web.seen == ["POST /orders", "GET /orders/7?x", "DELETE /orders/7?x"]


WRITING_GET = """
[defaults]
{defaults}

[[check]]
name = "reset"
type = "flow"
{check}

[[check.step]]
name = "reset"
type = "http"
url = "${{vars.url}}/reset"
{step}

[[check.cleanup]]
type = "http"
url = "${{vars.url}}/undo"
mutates = true
"""


@pytest.mark.parametrize(
    "where",
    [
        "check",
        "defaults",
        "step",
    ],
)
def test_C11_a_get_that_mutates_is_sent_once(where: str, project: CaseProject, web: RawWeb) -> None:
    web.routes["/reset"] = lambda _: None
    keys = dict.fromkeys(("check", "defaults", "step"), "") | {where: "mutates = true"}
    found = project.checked(WRITING_GET.format(**keys))
    assert found["reset"]["status"] == "fail"
    assert web.seen.count("GET /reset") == 1


def test_C11_a_step_may_say_that_it_does_not_mutate(project: CaseProject, web: RawWeb) -> None:
    web.routes["/reset"] = lambda _: None
    project.checked(WRITING_GET.format(check="mutates = true", defaults="", step="mutates = false"))
    assert web.seen.count("GET /reset") == 2


def test_C11_a_get_that_mutates_is_cleaned_up_after_a_kill(project: CaseProject, web: RawWeb) -> None:
    arrived, release = web.hold("/reset")
    project.write("checks/c.toml", WRITING_GET.format(check="mutates = true", defaults="", step='timeout = "50s"'))
    with project.start("check") as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        process.kill()
        finished(process)
    release.set()
    listed = project.run("cleanup").out.split()
    assert listed
    assert project.run("cleanup", listed[0]).code == 0
    assert web.seen[-1] == "GET /undo"


def first_then(first: bytes | None, then: bytes) -> Callable[[bytes], bytes | None]:
    answers: list[bytes | None] = [first]
    return lambda _: answers.pop() if answers else then


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(response(b"{}", "500 Internal Server Error"), id="500"),
        pytest.param(response(b"{}", "503 Service Unavailable"), id="503"),
        pytest.param(response(b"{}", "429 Too Many Requests"), id="429"),
        pytest.param(None, id="cut"),
    ],
)
def test_C12_a_delete_of_a_cleanup_is_repeated(first: bytes | None, project: CaseProject, web: RawWeb) -> None:
    web.routes["DELETE /row"] = first_then(first, response(b"{}"))
    found = project.checked(TRAVELS)
    assert web.seen.count("DELETE /row") == 2
    assert (found["travels"]["status"], found.code) == ("pass", 0)
    assert not journals(project)


def test_C12_a_later_cleanup_is_repeated(project: CaseProject, web: RawWeb) -> None:
    run = killed(project, web)
    web.routes["DELETE /row"] = first_then(response(b"{}", "503 Service Unavailable"), response(b"{}"))
    ended = project.run("cleanup", run)
    assert ended.code == 0, ended.said
    assert web.seen.count("DELETE /row") == 2
    assert not journals(project)


def queue(bench: Bench, receives: list[int], limit: int) -> None:
    """Have the bench's AWS hold one message of another sender; `receives` grows with each receive."""
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dead", "maxReceiveCount": limit})
    attributes = {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}

    def receive(_: Mapping[str, Any]) -> dict[str, Any]:
        receives.append(len(receives) + 1)
        message = {
            "MessageId": "m",
            "ReceiptHandle": f"r{len(receives)}",
            "Body": "of another sender",
            "Attributes": {"ApproximateReceiveCount": str(len(receives)), "SentTimestamp": "1768478400000"},
        }
        return {"Messages": [message]}

    bench.aws.answers["sqs:GetQueueAttributes"] = lambda _: {"Attributes": attributes | {"RedrivePolicy": policy}}
    bench.aws.answers["sqs:GetQueueUrl"] = lambda _: {"QueueUrl": QUEUE}
    bench.aws.answers["sqs:ReceiveMessage"] = receive


QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"


@pytest.mark.parametrize("operation", ["peek", "receive", "delete"])
async def test_C13_a_wait_never_pushes_a_message_of_others_into_the_dead_letter_queue(
    operation: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path)
    receives: list[int] = []
    queue(bench, receives, 5)
    poll = Poll(within_s=10.0, every_s=1.0, until=("length(messages) > 0",))
    keys = {"queue": QUEUE, "operation": operation, "poll": poll, "mutates": True}
    found = await bench.one(flow("look", step("look", "sqs", **keys, expect=["message exists"]), mutates=True))
    assert len(receives) < 5
    assert found.status != "pass"


async def test_C13_a_cleanup_that_waits_never_pushes_a_message_of_others_into_the_dead_letter_queue(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    receives: list[int] = []
    queue(bench, receives, 5)
    bench.script("making", {"made": 1})
    poll = Poll(within_s=10.0, every_s=1.0, until=("length(messages) > 0",))
    cleanup = step("remove", "sqs", queue=QUEUE, operation="delete", poll=poll, mutates=True)
    await bench.one(flow("order", step("make", "making"), cleanup=(cleanup,), mutates=True))
    assert len(receives) < 5


TWICE = """
[[check]]
name = "order"
type = "flow"
mutates = true

[[check.step]]
name = "look"
type = "http"
url = "${{vars.url}}/look"

[[check.step]]
name = "write"
type = "http"
method = "{method}"
url = "${{vars.url}}/row"
"""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
def test_C14_a_mutation_on_a_connection_that_is_cut_is_sent_once(
    method: str, project: CaseProject, web: RawWeb
) -> None:
    web.routes["/row"] = lambda _: None
    found = project.checked(TWICE.format(method=method))
    assert found["order"]["status"] == "fail"
    assert web.seen.count(f"{method} /row") == 1


AWS_TWICE = """
[[check]]
name = "order"
type = "flow"
mutates = true

[[check.step]]
name = "look"
type = "dynamodb"
table = "orders"
key = {{ id = "7" }}

[[check.step]]
name = "write"
type = "dynamodb"
operation = "{operation}"
table = "orders"
key = {{ id = "7" }}
{more}
"""


@pytest.mark.parametrize(
    ("operation", "call", "more"),
    [
        ("delete", "dynamodb:DeleteItem", ""),
        ("update", "dynamodb:UpdateItem", 'item = { state = "done" }'),
    ],
)
def test_C14_an_aws_mutation_on_a_connection_that_is_cut_is_sent_once(
    operation: str, call: str, more: str, project: CaseProject, world: World
) -> None:
    none = b'{"ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 0.5}}'
    world.aws.forgeries["dynamodb:GetItem"] = replaced(none, content_type="application/x-amz-json-1.0")
    world.aws.faults.add(Fault(operation=call, kind="drop"))
    found = project.checked(AWS_TWICE.format(operation=operation, more=more))
    assert found["order"]["status"] in {"fail", "error"}
    assert world.aws.call_counts[call] == 1, [(each["name"], each["message"]) for each in found["order"]["steps"]]


MODIFIED = "Mon, 30 Nov 2026 09:00:00 GMT"
S3_TWICE = """
[[check]]
name = "object"
type = "flow"
mutates = true

[[check.step]]
name = "look"
type = "s3"
bucket = "exports"
key = "a"

[[check.step]]
name = "write"
type = "s3"
operation = "{operation}"
bucket = "exports"
key = "a"
{more}
"""


@pytest.mark.parametrize(
    ("operation", "call", "more"),
    [("put", "s3:PutObject", 'body = "text"'), ("delete", "s3:DeleteObject", "")],
)
def test_C14_an_object_on_a_connection_that_is_cut_is_written_once(
    operation: str, call: str, more: str, project: CaseProject, world: World
) -> None:
    world.aws.forgeries["s3:GetObject"] = replaced(
        b"text", content_type="text/plain", headers={"x-amz-request-id": "r", "ETag": '"e"', "Last-Modified": MODIFIED}
    )
    world.aws.faults.add(Fault(operation=call, kind="drop"))
    found = project.checked(S3_TWICE.format(operation=operation, more=more))
    assert found["object"]["status"] in {"fail", "error"}
    assert world.aws.call_counts[call] == 1, [each["message"] for each in found["object"]["steps"]]
