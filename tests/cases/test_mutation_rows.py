"""Mutations: the journal, cleanup and what a later cleanup does with them."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from prodwatch.cli.options import ArgumentsCommand
from prodwatch.model.check import Capture, CheckDefinition, Poll, SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.runner import RoundPlan, RunOptions, find_journal, unfinished_journals
from prodwatch.runner.step import journal as journal_module
from prodwatch.runner.step.journal import ExecutionEntry, RunEntry, RunJournal
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, plain, step
from prodwatch.testing.probes import refused
from tests.support.case_project import CaseProject
from tests.support.raw_web import RawWeb
from tests.support.waiting import PATIENCE_S, turn


def order(**cleanup: Any) -> CheckDefinition:
    """A flow that makes something, looks at it, and has two things to remove."""
    return flow(
        "order",
        step("make", "making", id="TEST-${uid}", mutates=True, capture={"made": Capture(path="made")}),
        step("look", expect=["ok == true"]),
        cleanup=(
            step("first", "removing", id="TEST-${uid}", mutates=True, **cleanup),
            step("second", "removing", made="${captured.made}", mutates=True, **cleanup),
        ),
        mutates=True,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.script("making", {"made": 42})
    bench.script("scripted", {"ok": True})
    bench.script("removing", {"deleted": True})
    return bench


def executions(number: int) -> ExecutionEntry:
    now = datetime(2026, 1, 15, tzinfo=UTC)
    return ExecutionEntry(execution=number, check=f"c{number}", uid="u", trace_id="t", started_at=now)


async def test_N22_a_cancelled_append_keeps_the_journal_to_itself_until_its_thread_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    real = journal_module._open_locked

    def slowly(path: Path, flags: int) -> int:
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return real(path, flags)

    monkeypatch.setattr(journal_module, "_open_locked", slowly)
    now = datetime(2026, 1, 15, tzinfo=UTC)
    journal = RunJournal(tmp_path, RunEntry(run_id="r", environment="prod", root="/", started_at=now, host="h", pid=1))
    cancelled = asyncio.create_task(journal.append(executions(1)))
    assert await asyncio.to_thread(opening.wait, PATIENCE_S)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    other, closing = asyncio.create_task(journal.append(executions(2))), asyncio.create_task(journal.finish())
    await turn(5)
    assert not other.done()
    assert not closing.done()
    go_on.set()
    await other
    assert not await closing
    assert [each.entry.check for each in find_journal(tmp_path, "r").unfinished] == ["c1", "c2"]


async def test_N22_a_check_cancelled_while_it_is_journalled_has_sent_nothing_and_leaves_nothing(
    shop: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    real = journal_module._open_locked

    def slowly(path: Path, flags: int) -> int:
        opening.set()
        assert go_on.wait(PATIENCE_S)
        return real(path, flags)

    monkeypatch.setattr(journal_module, "_open_locked", slowly)
    making = shop.script("making", {"made": 42})
    run = asyncio.create_task(shop.runner([order()]).run([order()], RunOptions(run_id="run-3")))
    assert await asyncio.to_thread(opening.wait, PATIENCE_S)
    run.cancel()
    await turn(5)
    go_on.set()
    result = await run
    assert result.verdict.status == "aborted"
    assert making.requests == []
    assert not list(shop.journal_dir.glob("*.journal"))


async def test_C8_a_line_in_the_middle_of_a_journal_that_cannot_be_read_is_not_passed_over(shop: Bench) -> None:
    shop.script("removing", refused())
    await shop.run(order(), run_id="run-1")
    (path,) = shop.journal_dir.glob("*.journal")
    first, execution, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((first, execution, b'{"type": "execution", "exe\n', *rest)))
    shop.script("removing", {"deleted": True})
    result = await shop.runner([order()]).clean_up("run-1", RunOptions())
    assert result.verdict.exit_code == 3
    assert str(path) in result.verdict.reason
    assert path.exists()


async def test_C8_a_cleanup_of_the_second_thing_is_not_left_behind_when_only_the_first_was_made(shop: Bench) -> None:
    shop.script("second", {"made": 43})
    shop.script("scripted", {"ok": False})
    check = await shop.one(
        flow(
            "two",
            step("one", "making", mutates=True, capture={"first": Capture(path="made")}),
            step("look", expect=["ok == true"]),
            step("two", "second", mutates=True, capture={"second": Capture(path="made")}),
            cleanup=(
                step("rm-first", "removing", id="${captured.first}", mutates=True),
                step("rm-second", "removing", id="${captured.second}", mutates=True),
            ),
            mutates=True,
        )
    )
    assert check.status == "fail"
    assert [(each.name, each.status, each.leftovers) for each in check.cleanup] == [
        ("rm-second", "pass", ()),
        ("rm-first", "pass", ()),
    ]
    assert "step two sent nothing" in (check.cleanup[0].message or "")
    assert not list(shop.journal_dir.glob("*.journal"))


async def test_C8_what_may_have_been_made_without_its_id_is_left_behind_with_what_is_known(shop: Bench) -> None:
    shop.script("making", refused("no response"))
    check = await shop.one(order())
    assert check.status == "fail"
    second = check.cleanup[0]
    assert second.leftovers == ("removing made (captured.made unknown)",)


@pytest.mark.parametrize("changed", ["step", "cleanup", "vars"])
async def test_N8_a_changed_definition_is_not_cleaned_up(changed: str, shop: Bench) -> None:
    shop.script("removing", refused())
    before = order()
    await shop.run(before, run_id="run-1")
    other = {
        "step": replace(before, steps=(replace(before.steps[0], params={"id": "other"}), *before.steps[1:])),
        "cleanup": order(idempotent=True),
        "vars": replace(before, vars={"table": "other"}),
    }[changed]
    removing = shop.script("removing", {"deleted": True})
    result = await shop.runner([other]).clean_up("run-1", RunOptions())
    assert removing.requests == []
    assert result.verdict.exit_code == 3
    assert "has changed since run run-1" in (result.checks[0].message or "")
    assert unfinished_journals(shop.journal_dir)


async def test_N8_a_new_title_or_another_place_in_the_file_is_no_change(shop: Bench) -> None:
    shop.script("removing", refused())
    before = order()
    await shop.run(before, run_id="run-1")
    moved = replace(
        before,
        title="another title",
        tags=("new",),
        source=SourcePosition("checks/other.toml", 9),
        cleanup=tuple(replace(each, source=SourcePosition("checks/other.toml", 12)) for each in before.cleanup),
    )
    shop.script("removing", {"deleted": True})
    result = await shop.runner([moved]).clean_up("run-1", RunOptions())
    assert result.verdict.exit_code == 0


async def test_C12_a_cleanup_that_only_reads_or_deletes_is_repeated_for_its_whole_time(shop: Bench) -> None:
    removing = shop.script("removing", refused(), deletes=lambda _params: True)
    check = await shop.one(order())
    assert [each.status for each in check.cleanup] == ["fail", "fail"]
    assert len(removing.requests) > 8
    assert sum(each.duration_ms for each in check.cleanup) > 25_000


def pinging(id_: str, **check: Any) -> CheckDefinition:
    """A check that reads once."""
    return plain(id_, expect=["ok == true"], check=check)


@pytest.mark.parametrize("reference", ["needs", "diagnose", "of"])
async def test_N2_a_check_that_is_not_due_is_not_run_for_another_one(reference: str, shop: Bench) -> None:
    writing = shop.script("writing", {"ok": False})
    order = flow("order", step("write", "writing", mutates=True, expect=["ok == true"]), mutates=True)
    other = {
        "needs": pinging("other", needs=("order",)),
        "diagnose": plain("other", expect=["ok == false"], check={"diagnose": ("order",)}),
        "of": CheckDefinition(
            id="other", name="other", title="other", type="all", of=("order",), source=SourcePosition("checks/a.toml")
        ),
    }[reference]
    runner = shop.runner([order, other])
    plan = RoundPlan([other], [order], every_s=30)
    told = []
    for _ in range(4):
        (result, *_) = await runner.run_round(["other"], RunOptions(), plan)
        told.append(" ".join([result.message or "", *(each.message or "" for each in result.diagnosed_by)]))
        await shop.clock.sleep(30)
    await runner.close()
    assert len(writing.requests) == 1
    assert ["measured" in each for each in told] == [False, True, True, True]
    assert "measured 1m ago, not due again yet" in told[2]
    filed = [each.result.id for each in shop.events if isinstance(each, CheckFinished)]
    assert (filed.count("order"), filed.count("other")) == (1, 4)


async def test_N2_a_check_runs_once_at_a_time_over_all_rounds(shop: Bench) -> None:
    slow = shop.script("slow", {"ok": True}, takes_s=5)
    needed = plain("needed", type="slow", expect=["ok == true"])
    checks = [needed, pinging("one", needs=("needed",)), pinging("two", needs=("needed",))]
    runner = shop.runner(checks)
    plan = RoundPlan(checks, every_s=30)
    rounds = [
        asyncio.create_task(runner.run_round([id_], RunOptions(), plan, requested=requested))
        for id_, requested in (("one", False), ("two", False), ("needed", True))
    ]
    results = [await each for each in rounds]
    await runner.close()
    assert (slow.most_at_once, len(slow.requests)) == (1, 1)
    assert {each.status for result in results for each in result} == {"pass"}


async def test_N2_a_mutating_check_that_has_sent_nothing_has_its_run_still_to_come(shop: Bench) -> None:
    writing = shop.script("writing", {"ok": True})
    shop.script("scripted", {"ok": False}, {"ok": True})
    order = flow(
        "order", step("write", "writing", mutates=True, expect=["ok == true"]), mutates=True, needs=("before",)
    )
    before = pinging("before")
    runner = shop.runner([before, order])
    plan = RoundPlan([before, order], every_s=30)
    sent = []
    for _ in range(4):
        await runner.run_round(plan.due(shop.clock.monotonic_s()), RunOptions(), plan)
        sent.append(len(writing.requests))
        await shop.clock.sleep(30)
    await runner.close()
    assert sent == [0, 1, 1, 1]


async def test_N2_a_request_by_hand_runs_it_and_not_what_it_needs(shop: Bench) -> None:
    writing, reading = shop.script("writing", {"ok": True}), shop.script("scripted", {"ok": True})
    order = flow("order", step("write", "writing", mutates=True, expect=["ok == true"]), mutates=True)
    checks = [order, pinging("reading", needs=("order",))]
    runner = shop.runner(checks)
    plan = RoundPlan(checks, every_s=30)
    for _ in range(3):
        await runner.run_round(["reading"], RunOptions(), plan, requested=True)
    await runner.run_round(["order"], RunOptions(), plan, requested=True)
    await runner.close()
    assert (len(writing.requests), len(reading.requests)) == (2, 3)


CHANGES: list[tuple[str, dict[str, Any], bool]] = [
    ("title", {"title": "another"}, False),
    ("tags", {"tags": ("x",)}, False),
    ("position", {"source": SourcePosition("checks/z.toml", 40)}, False),
    ("links", {"links": {"a": "https://x"}}, False),
    ("vars", {"vars": {"a": 1}}, True),
    ("needs", {"needs": ("other",)}, True),
    ("expect", {"steps": (step("scripted", expect=["ok == false"]),)}, True),
    ("timeout", {"steps": (step("scripted", expect=["ok == true"], timeout_s=9.0),)}, True),
]


@pytest.mark.parametrize(("change", "again"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
@pytest.mark.parametrize("mutates", [False, True], ids=["reads", "mutates"])
def test_N3_only_a_changed_definition_is_due_again(mutates: bool, change: dict[str, Any], again: bool) -> None:
    check = replace(pinging("a", mutates=mutates), steps=(step("scripted", expect=["ok == true"]),))
    plan = RoundPlan([check], every_s=30)
    plan.started(["a"], 0)
    unrun = plan.follow([replace(check, **change)], every_s=30)
    assert plan.due(1) == (("a",) if again and not mutates else ())
    assert unrun == (("a",) if again and mutates else ())
    assert plan.next_s() == (float("-inf") if again and not mutates else float("inf") if mutates else 30)


def test_N3_a_new_pace_counts_from_the_last_start() -> None:
    plan = RoundPlan([pinging("a", every_s=600.0), pinging("b", mutates=True)], every_s=30)
    plan.started(["a", "b"], 100)
    plan.follow([pinging("a", every_s=60.0), pinging("b", mutates=True, every_s=50.0)], every_s=30)
    assert [plan.due(now) for now in (149, 150, 160)] == [(), ("b",), ("a", "b")]


def test_N3_a_mutating_check_that_was_gone_for_a_moment_is_not_new() -> None:
    check = pinging("a", mutates=True)
    plan = RoundPlan([check], every_s=30)
    plan.started(["a"], 0)
    plan.follow([], every_s=30)
    plan.follow([], every_s=30)
    assert plan.follow([check], every_s=30) == ()
    assert plan.due(1000) == ()


class Queue:
    """One message of another sender in a queue with a redrive limit; counts its receives."""

    def __init__(self, bench: Bench, limit: int, *, received: int = 0) -> None:
        self.received = received
        self.at_s: list[float] = []
        self._clock = bench.clock
        policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:dead", "maxReceiveCount": limit})
        bench.aws.answers["sqs:GetQueueAttributes"] = lambda _: {"Attributes": {"RedrivePolicy": policy}}
        bench.aws.answers["sqs:ReceiveMessage"] = self._receive

    def _receive(self, _: Any) -> dict[str, Any]:
        self.received += 1
        self.at_s.append(self._clock.monotonic_s())
        attributes = {"ApproximateReceiveCount": str(self.received)}
        return {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "foreign", "Attributes": attributes}]}


QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"


def looking(poll: Poll | None = None, **keys: Any) -> CheckDefinition:
    look = step("look", "sqs", queue=QUEUE, operation="peek", mutates=True, expect=["message exists"], **keys)
    return flow("look", replace(look, poll=poll), mutates=True)


@pytest.mark.parametrize("limit", [3, 4, 5, 10, 50])
@pytest.mark.parametrize("received", [0, 1, 2])
@pytest.mark.parametrize("within_s", [0.0, 10.0, 120.0])
async def test_C13_no_wait_uses_up_a_messages_last_receive(
    limit: int, received: int, within_s: float, tmp_path: Path
) -> None:
    bench = Bench(tmp_path)
    queue = Queue(bench, limit, received=received)
    found = await bench.one(looking(Poll(within_s=within_s) if within_s else None), allow_writes=True)
    # One look cannot know what others have received; every later one leaves the message a receive.
    assert queue.received <= max(received + 1, limit - 1)
    assert found.status != "pass"


async def test_C13_the_looks_that_are_left_are_spread_over_the_wait(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    queue = Queue(bench, 5)
    await bench.one(looking(Poll(within_s=30.0)))
    first = queue.at_s[0]
    assert [at - first for at in queue.at_s] == [0.0, 10.0, 20.0, 30.0]


async def test_C13_later_rounds_remember_what_earlier_ones_received(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    queue = Queue(bench, 4)
    runner = bench.runner([looking()])
    found = [(await runner.run_round(["look"], RunOptions()))[0] for _ in range(5)]
    await runner.close()
    assert queue.received == 3
    assert [each.status for each in found] == ["fail", "fail", "fail", "error", "error"]
    assert "one has been received 3 times" in (found[-1].message or "")


async def test_C13_an_edit_does_not_make_a_session_forget(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    queue = Queue(bench, 4)
    memory: dict[str, Any] = {}
    for _ in range(5):
        runner = bench.runner([looking()], memory=memory)
        await runner.run_round(["look"], RunOptions())
        await runner.close()
    assert queue.received == 3


async def test_C13_accepting_the_risk_looks_as_often_as_asked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    queue = Queue(bench, 3)
    await bench.one(looking(Poll(within_s=10.0), accept_redrive=True))
    assert queue.received == 11


def counted(bench: Bench, depth: int, in_flight: int, delayed: int) -> None:
    names = ("", "NotVisible", "Delayed")
    counts = {
        f"ApproximateNumberOfMessages{name}": str(count)
        for name, count in zip(names, (depth, in_flight, delayed), strict=True)
    }
    bench.aws.answers["sqs:GetQueueAttributes"] = lambda _: {"Attributes": counts}
    bench.aws.answers["cloudwatch:GetMetricData"] = lambda _: {"MetricDataResults": [{"Id": "age", "Values": []}]}


@pytest.mark.parametrize("counts", [(0, 0, 25), (0, 1, 0), (1, 0, 0), (0, 0, 0)])
async def test_W3_a_queue_is_empty_only_without_delayed_messages(counts: tuple[int, int, int], tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    counted(bench, *counts)
    claims = ["depth == 0", "in_flight == 0", "delayed == 0", "age == 0s"]
    result = await bench.run(plain("queue", type="sqs", queue=QUEUE, expect=claims))
    assert (result.checks[0].status == "pass") is (sum(counts) == 0)
    told = " ".join(each.message for each in result.notices)
    assert ("25 messages are delayed" in told) is (counts[2] == 25)
    age = await bench.one(plain("queue", type="sqs", queue=QUEUE, expect=["age == 0s"]))
    assert (age.status == "pass") is (sum(counts) == 0)


@pytest.mark.parametrize(
    ("keys", "noted"),
    [
        ('expect = ["depth == 0"]', True),
        ('expect = ["in_flight <= 0"]', True),
        ('expect = ["depth == 0"]\nhold = "15s"', True),
        ('expect = ["depth == 0"]\nhold = "60s"', False),
        ('expect = ["depth < 100"]', False),
        ('expect = ["depth > 0"]', False),
    ],
)
def test_W3_validate_says_what_proves_an_empty_queue(keys: str, noted: bool, project: CaseProject) -> None:
    project.write("checks/c.toml", f'[[check]]\nname = "q"\ntype = "sqs"\nqueue = "orders"\n{keys}\n')
    ended = project.run("validate")
    assert ended.code == 0
    assert ("take up to a minute to settle" in ended.said) is noted


UNREACHABLE = """
[[check]]
name = "order"
type = "flow"
mutates = true

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "{url}"
capture = {{ id = "json.id" }}

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${{vars.url}}/orders/${{captured.id}}"
"""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/orders", "http://nowhere.invalid/orders"], ids=["refused", "dns"])
def test_C8_what_never_reached_its_target_made_nothing(url: str, project: CaseProject, web: RawWeb) -> None:
    found = project.checked(UNREACHABLE.format(url=url))["order"]
    assert (found["status"], found["cleanup"]) == ("fail", [])
    assert web.seen == []
    assert not list((project.project.parent).rglob("*.journal"))


@pytest.mark.parametrize(
    "reply", [None, b"HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"]
)
def test_C8_what_may_have_reached_its_target_is_left_behind(
    reply: bytes | None, project: CaseProject, web: RawWeb
) -> None:
    web.routes["/orders"] = reply if reply is not None else lambda _: None
    found = project.checked(UNREACHABLE.format(url=f"{web.url}/orders"))["order"]
    assert found["status"] == "fail"
    assert "(captured.id unknown)" in found["cleanup"][0]["leftovers"][0]


def test_C11_a_get_that_mutates_is_not_sent_again_on_a_connection_that_closes(
    project: CaseProject, web: RawWeb
) -> None:
    kept = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    web.routes["/first"] = kept
    web.routes["/reset"] = lambda _: None
    project.checked(
        '[[check]]\nname = "reset"\ntype = "flow"\nmutates = true\n'
        '[[check.step]]\nname = "first"\ntype = "http"\nurl = "${vars.url}/first"\nmutates = false\n'
        '[[check.step]]\nname = "reset"\ntype = "http"\nurl = "${vars.url}/reset"\n'
    )
    assert web.seen == ["GET /first", "GET /reset"]


LATER = """
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
name = "put"
type = "http"
method = "PUT"
url = "${{vars.url}}/orders/${{captured.id}}"
{keys}

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${{vars.url}}/orders/${{captured.id}}"
"""


@pytest.mark.parametrize(
    "keys",
    [
        'body_file = "missing.json"',
        'body_file = "../outside.json"',
        'body = "${captured.id} ${stack.shop.Nowhere}"',
        'json = { a = "${vars.url | parse_json}" }',
        "expect = [\"body contains '${stack.shop.Nowhere}'\"]",
    ],
)
def test_C10_nothing_is_sent_when_what_is_known_cannot_be_sent(keys: str, project: CaseProject, web: RawWeb) -> None:
    web.routes["/orders"] = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":7}'
    project.configure('[stacks]\nshop = "shop"\n')
    found = project.checked(LATER.format(keys=keys))
    assert web.seen == []
    assert (found["order"]["status"], found.code) == ("error", 3)
    assert "nothing was sent, because of step put" in found["order"]["message"]


def test_C10_a_default_stands_in_for_what_is_missing(project: CaseProject, web: RawWeb) -> None:
    web.routes["/orders"] = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":7}'
    project.write("body.json", "{}")
    keys = 'body_file = "body.json"\nheaders = { x = "${env.NOT_SET | default(\'x\')}" }'
    assert project.checked(LATER.format(keys=keys))["order"]["status"] == "pass"
    assert web.seen == ["POST /orders", "PUT /orders/7", "DELETE /orders/7"]


SCHEMA_CLAIMS = {
    "a step's claim": "expect = [\"json satisfies 'schemas/item.json'\"]",
    "a step's warning": "expect = ['status == 200']\nwarn = [\"json satisfies 'schemas/item.json'\"]",
    "a variable": "expect = [\"json satisfies 'schemas/${vars.kind}.json'\"]",
}


@pytest.mark.parametrize("claim", SCHEMA_CLAIMS.values(), ids=SCHEMA_CLAIMS)
@pytest.mark.parametrize("there", [False, True])
def test_C10_a_schema_file_is_looked_for_before_the_first_mutation(
    claim: str, there: bool, project: CaseProject, web: RawWeb
) -> None:
    web.routes["/orders"] = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":7}'
    project.configure("", variables='kind = "item"')
    if there:
        project.write("schemas/item.json", '{"required": ["id"]}')
    request = 'type = "http"\nmethod = "POST"\nurl = "${vars.url}/orders"\n'
    plain = f'[[check]]\nname = "plain"\nmutates = true\n{request}{claim}\n'
    flow = '[[check]]\nname = "flow"\ntype = "flow"\nmutates = true\n'
    steps = f'[[check.step]]\nname = "put"\n{request}[[check.step]]\nname = "look"\n{request}{claim}\n'
    found = project.checked(plain + flow + steps)
    assert found.statuses == dict.fromkeys(("plain", "flow"), "pass" if there else "error")
    assert len(web.seen) == (3 if there else 0)
    if not there:
        assert 'the schema "schemas/item.json" cannot be read' in found["plain"]["message"]
        assert "nothing was sent" in found["flow"]["message"]


PASSING = '[[check]]\nname = "a"\ntype = "pass"\nreason = "x"\n'


@pytest.mark.parametrize(
    "arguments",
    [
        ("merge", "--json=1.json", "1.json", "2.json"),
        ("merge", "1.json", "2.json", "--json=./sub/../2.json"),
        ("check", "--junit", "1.json"),
        ("check", "--ctrf", "1.json"),
        ("check", "--json", "report.xml"),
        ("check", "--json", "new.json", "--junit", "new.json"),
        ("check", "--json", "checks/c.toml"),
        ("cleanup", "--json=1.json"),
        ("cleanup", "--forget"),
    ],
)
def test_C6_no_output_replaces_what_it_should_not(arguments: tuple[str, ...], project: CaseProject) -> None:
    project.write("checks/c.toml", PASSING)
    (project.project / "sub").mkdir()
    for index in (1, 2):
        assert project.run("check", "--shard", f"{index}/2", "--json", f"{index}.json").code == 0
    assert project.run("check", "--junit", "report.xml").code == 0
    files = [project.project / name for name in ("1.json", "2.json", "report.xml", "checks/c.toml")]
    before = [path.read_bytes() for path in files]
    ended = project.run(*arguments)
    assert ended.code == 2, ended.said
    assert [path.read_bytes() for path in files] == before
    assert not (project.project / "new.json").exists()


@pytest.mark.parametrize("option", ["--json", "--junit", "--ctrf"])
def test_C6_a_result_replaces_an_earlier_one_of_its_kind_and_an_empty_file(option: str, project: CaseProject) -> None:
    project.write("checks/c.toml", PASSING)
    target = project.write("out", "")
    sizes = []
    for _ in range(2):
        assert project.run("check", option, "out").code == 0
        sizes.append(target.stat().st_size)
    assert all(sizes)


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        (["--json", "a", "b"], (("a", "b"), "-")),
        (["a", "--json", "b"], (("a", "b"), "-")),
        (["--json=c", "a", "b"], (("a", "b"), "c")),
        (["-k", "--json", "a"], (("a",), None)),
        (["--json", "--", "a"], (("a",), "-")),
    ],
)
def test_C6_an_optional_value_never_takes_one_of_many_arguments(
    written: list[str], parsed: tuple[tuple[str, ...], str | None]
) -> None:
    assert arguments_of(written, nargs=-1) == parsed


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        (["--json", "a"], ("a", "-")),
        (["a", "--json"], ("a", "-")),
        (["a", "--json", "-k", "x"], ("a", "-")),
        (["a", "--json", "c"], ("a", "c")),
        (["-k", "x", "--json", "a"], ("a", "-")),
    ],
)
def test_C6_an_optional_value_may_follow_the_last_argument(written: list[str], parsed: tuple[str, str | None]) -> None:
    assert arguments_of(written, nargs=1) == parsed


def arguments_of(written: list[str], *, nargs: int) -> tuple[Any, str | None]:
    seen: list[tuple[Any, str | None]] = []

    @click.command(cls=ArgumentsCommand)
    @click.argument("names", nargs=nargs)
    @click.option("--json", "json_", is_flag=False, flag_value="-")
    @click.option("-k")
    def command(names: Any, json_: str | None, k: str | None) -> None:
        seen.append((names, json_))

    command.main(written, standalone_mode=False)
    return seen[0]
